//! Hostile or broken commands, and an engine that is not there.

use crate::support::{containers, docker, file, job, labels, one, python, run, shell, until_containers};
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use toryo_domain::FailureClass;
use toryo_sandbox::{Command, Config, DockerSandbox, Error, Exit, Image, Job, Limits, Progress, Sandbox};

#[tokio::test]
async fn a_command_that_hangs_is_killed_even_if_it_escapes_its_group() {
    let started = Instant::now();
    // A new session is out of reach of `timeout`; it keeps the output open, so that only the backstop ends it.
    let output = one(shell("echo begun; setsid sleep 600 & setsid sh -c 'trap \"\" TERM; sleep 600'")
        .timeout(Duration::from_secs(1)))
    .await;
    assert_eq!((output.exit, output.text.as_str()), (Exit::TimedOut, "begun\n"));
    assert!(started.elapsed() < Duration::from_secs(20), "it took {:?}", started.elapsed());
}

#[tokio::test]
async fn a_process_left_behind_does_not_hold_the_job() {
    let output = one(shell("sleep 600 & echo done").timeout(Duration::from_secs(60))).await;
    assert_eq!((output.exit, output.text.as_str()), (Exit::Code(0), "done\n"));
    assert!(output.duration < Duration::from_secs(20), "it took {:?}", output.duration);
}

#[tokio::test]
async fn an_endless_fork_stops_at_the_limit_and_leaves_nothing() {
    let sandbox = docker().await;
    let bomb = python(
        "import os, time\n\
         count = 0\n\
         while True:\n\
         \x20   try:\n\
         \x20       if os.fork() == 0: time.sleep(600); os._exit(0)\n\
         \x20       count += 1\n\
         \x20   except OSError as error:\n\
         \x20       print(count, error.errno, flush=True); time.sleep(600)",
    );
    let commands = vec![bomb.timeout(Duration::from_secs(20)), shell("echo next")];
    let job = Job { collect: vec!["x".parse().expect("a plain path")], ..job(&sandbox, commands).await };
    let report = run(&sandbox, &job).await.expect("a report");
    assert_eq!(report.outputs[0].exit, Exit::TimedOut);
    // 11 is EAGAIN.
    let (count, errno) = report.outputs[0].text.trim().split_once(' ').expect("two numbers");
    assert!((400..512).contains(&count.parse().expect("a number")), "{count} processes");
    assert_eq!(errno, "11");
    assert_eq!(containers(&job.labels).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_full_disk_is_the_commands_own_problem() {
    let sandbox = docker().await;
    let fill = shell(
        "cat /dev/zero > big; cat /dev/zero > /tmp/big; cat /dev/zero > /dev/shm/big; ls -s --block-size=M big /tmp/big",
    );
    let limits = Limits { workspace_mib: 64, tmp_mib: 32, ..Limits::default() };
    let next = shell("rm big && echo still here > note");
    let job = Job {
        limits,
        collect: vec!["note".parse().expect("a plain path")],
        ..job(&sandbox, vec![fill, next]).await
    };
    let report = run(&sandbox, &job).await.expect("a report");
    assert!(report.outputs[0].text.contains("No space left on device"), "{}", report.outputs[0].text);
    assert!(report.outputs[0].text.contains("64M big"), "{}", report.outputs[0].text);
    assert_eq!(report.file("note").map(|note| &note[..]), Some(b"still here\n".as_slice()));
}

#[tokio::test]
async fn a_gigabyte_of_output_keeps_its_ends() {
    let output = one(shell("echo first; yes 0123456789abcde | head -c 1000000000; echo last")
        .timeout(Duration::from_secs(300)))
    .await;
    assert_eq!(output.exit, Exit::Code(0));
    assert_eq!(output.written, 1_000_000_011);
    assert!(output.log.len() < 1_100_000, "{} bytes are kept", output.log.len());
    assert!(output.log.starts_with(b"first\n") && output.log.ends_with(b"last\n"));
    assert!(output.text.starts_with("first\n") && output.text.ends_with("last\n"));
    assert!(output.text.contains("bytes left out") && output.text.chars().count() < 10_200);
}

#[tokio::test]
async fn a_command_that_never_stops_printing_is_killed() {
    let output = one(Command::new(["yes"]).timeout(Duration::from_secs(1))).await;
    assert_eq!(output.exit, Exit::TimedOut);
}

#[tokio::test]
async fn three_gigabytes_are_too_much_memory() {
    let output =
        one(python("print('begun', flush=True); held = bytearray(3 << 30); print('held', len(held))")).await;
    assert_eq!((output.exit, output.text.as_str()), (Exit::OutOfMemory, "begun\n"));
}

#[tokio::test]
async fn only_the_command_that_used_up_the_memory_is_told_so() {
    let sandbox = docker().await;
    let (greedy, killed) = ("held = bytearray(1 << 30)", "import os; os.kill(os.getpid(), 9)");
    let limits = Limits { memory_mib: 128, ..Limits::default() };
    let commands = vec![python(killed), python(greedy), python(killed), python(greedy)];
    let report = run(&sandbox, &Job { limits, ..job(&sandbox, commands).await }).await.expect("a report");
    let exits: Vec<_> = report.outputs.iter().map(|output| output.exit).collect();
    assert_eq!(exits, [Exit::Killed, Exit::OutOfMemory, Exit::Killed, Exit::OutOfMemory]);
}

#[tokio::test]
async fn a_workspace_over_its_limit_is_refused() {
    let sandbox = docker().await;
    let limits = Limits { workspace_mib: 1, ..Limits::default() };
    let at_once = Job {
        limits: limits.clone(),
        files: vec![file("big", vec![0; 2 << 20], false)],
        ..job(&sandbox, Vec::new()).await
    };
    let error = run(&sandbox, &at_once).await.expect_err("no report");
    assert_eq!(error.class(), FailureClass::Input, "{error}");
    // Each file fits, with the file system's own needs they do not.
    let files = (0..1_020).map(|number| file(&format!("f{number}"), vec![1; 1_000], false)).collect();
    let in_blocks = Job { limits, files, ..at_once };
    let error = run(&sandbox, &in_blocks).await.expect_err("no report");
    assert!(matches!(&error, Error::Workspace { reason } if reason.contains("No space left")), "{error:?}");
    assert_eq!(containers(&in_blocks.labels).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_jobs_own_time_limit_counts_over_all_commands() {
    let sandbox = docker().await;
    let limits = Limits { job_seconds: 2, ..Limits::default() };
    let commands = vec![shell("sleep 600"), shell("echo never")];
    let job = Job { limits, ..job(&sandbox, commands).await };
    let report = run(&sandbox, &job).await.expect("a report");
    let exits: Vec<_> = report.outputs.iter().map(|output| output.exit).collect();
    assert_eq!(exits, [Exit::TimedOut]);
}

#[tokio::test]
async fn a_dropped_job_leaves_no_container() {
    let sandbox = docker().await;
    let job = job(&sandbox, vec![shell("sleep 600")]).await;
    let (progress, mut updates) = Progress::channel(16);
    let cancel = CancellationToken::new();
    {
        let running = sandbox.run(&job, &progress, &cancel);
        tokio::pin!(running);
        tokio::select! {
            _ = &mut running => panic!("it ended"),
            () = until_containers(&job.labels, 1) => {}
        }
        while updates.try_recv().is_ok() {}
    }
    until_containers(&job.labels, 0).await;
}

#[tokio::test]
async fn a_job_cancelled_before_it_starts_makes_no_container() {
    let sandbox = docker().await;
    let job = job(&sandbox, vec![shell("sleep 600")]).await;
    let cancel = CancellationToken::new();
    cancel.cancel();
    let error = sandbox.run(&job, &Progress::none(), &cancel).await.expect_err("no report");
    assert_eq!(error.class(), FailureClass::Cancelled);
    assert_eq!(containers(&job.labels).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_crashed_workers_containers_are_swept() {
    let sandbox = docker().await;
    let orphan = job(&sandbox, vec![shell("sleep 600")]).await;
    let labels = orphan.labels.clone();
    // A worker that is killed: its runtime ends with nobody to remove anything.
    let crashed = std::thread::spawn({
        let sandbox =
            DockerSandbox::new(Config::default(), |name| std::env::var(name).ok()).expect("a configuration");
        move || {
            let runtime = tokio::runtime::Runtime::new().expect("a runtime");
            runtime.spawn(async move { run(&sandbox, &orphan).await });
            runtime.block_on(until_containers(&labels, 1));
            runtime.shutdown_background();
            labels
        }
    });
    let labels = tokio::task::spawn_blocking(|| crashed.join().expect("no panic")).await.expect("no panic");
    assert_eq!(containers(&labels).await.len(), 1, "the crash left nothing to sweep");
    assert_eq!(sandbox.remove_orphans(Duration::from_secs(86_400)).await.expect("a count"), 0);
    assert_eq!(containers(&labels).await.len(), 1, "a young container was swept");
    assert_eq!(sandbox.remove_run(&labels.run).await.expect("a count"), 1);
    assert_eq!(containers(&labels).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_engine_that_is_stopped_is_a_classified_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let host = format!("unix://{}", folder.path().join("docker.sock").display());
    let config = Config { host: Some(host.clone()), ..Config::default() };
    let sandbox = DockerSandbox::new(config, |_| None).expect("a good configuration");
    let image = Image { name: "x:1".into(), id: "sha256:0".into() };
    let job = Job {
        image,
        files: Vec::new(),
        commands: vec![shell("true")],
        collect: Vec::new(),
        limits: Limits::default(),
        labels: labels(),
    };
    let error = run(&sandbox, &job).await.expect_err("no report");
    assert_eq!(error.class(), FailureClass::Sandbox);
    assert!(error.to_string().contains(&host), "{error}");
    let error = sandbox.build_base(&Progress::none(), &CancellationToken::new()).await.expect_err("no image");
    assert_eq!(error.class(), FailureClass::Sandbox);
}

#[tokio::test]
async fn an_image_that_is_missing_is_named() {
    let sandbox = docker().await;
    let image = Image { name: "toryo-prepared:gone".into(), id: format!("sha256:{}", "0".repeat(64)) };
    let job = Job { image, ..job(&sandbox, vec![shell("true")]).await };
    let error = run(&sandbox, &job).await.expect_err("no report");
    assert!(matches!(&error, Error::ImageMissing { name } if name == "toryo-prepared:gone"), "{error:?}");
}
