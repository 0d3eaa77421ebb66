//! Looking at repositories and fetching them.

use super::repository::{World, fixed, git, never, run};
use crate::git::command::{Call, Transport};
use crate::git::transfer::Place;
use crate::{Config, Error, Forge};
use std::time::Duration;

#[tokio::test]
async fn a_repository_is_fetched_at_the_tip_of_its_default_branch() {
    let world = World::with_history();
    let forge = world.forge();
    forge.check(&world.url(), None).await.unwrap();
    let checkout = forge.fetch(&world.url(), None, &never()).await.unwrap();
    assert_eq!((checkout.base_branch.as_str(), &checkout.commit), ("main", &world.rev("main")));
    let log = checkout.mirror.log(&checkout.commit, 10).await.unwrap();
    let lines: Vec<_> = log
        .iter()
        .map(|entry| {
            format!(
                "{} {}",
                entry.subject,
                entry.paths.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(" ")
            )
        })
        .collect();
    assert_eq!(lines, ["second: a list src/app.py", "first README.md src/app.py tests/test_app.py"]);

    // A later commit and another branch are found without a new mirror.
    world.write("new.txt", "x\n");
    let third = world.commit("third");
    git(&world.repo, &["branch", "feature/x", "HEAD~1"]);
    let again = forge.fetch(&world.url(), None, &never()).await.unwrap();
    assert_eq!((&again.mirror, &again.commit), (&checkout.mirror, &third));
    let feature = forge.fetch(&world.url(), Some("feature/x"), &never()).await.unwrap();
    assert_eq!(feature.commit, checkout.commit);
    let url = format!("file://{}", world.url());
    assert_eq!(forge.fetch(&url, None, &never()).await.unwrap().mirror, checkout.mirror);
}

#[tokio::test]
async fn unusable_repositories_are_refused_with_the_reason() {
    let world = World::empty();
    let forge = world.forge();
    let check = async |url: &str, branch: Option<&'static str>| {
        let looked = forge.check(url, branch).await.unwrap_err();
        let fetched = forge.fetch(url, branch, &never()).await.unwrap_err();
        assert_eq!(looked.to_string(), fetched.to_string());
        looked
    };
    let url = world.url();
    assert!(matches!(check(&url, None).await, Error::Empty { .. }));
    assert!(matches!(check(&url, Some("main")).await, Error::Empty { .. }));
    assert!(matches!(check(&format!("{url}/nowhere"), None).await, Error::NotFound { .. }));
    std::fs::create_dir(world.repo.join("folder")).unwrap();
    assert!(matches!(check(&format!("{url}/folder"), None).await, Error::NotARepository { .. }));
    world.write("file", "x");
    assert!(matches!(check(&format!("{url}/file"), None).await, Error::NotARepository { .. }));
    world.commit("first");
    assert!(matches!(check(&url, Some("dev")).await, Error::UnknownBranch { .. }));
    assert!(matches!(check(&url, Some("-x")).await, Error::BadBranch { .. }));
    assert!(matches!(check(&url, Some("a..b")).await, Error::BadBranch { .. }));
    assert!(matches!(check("relative", None).await, Error::BadUrl { .. }));
    git(&world.repo, &["checkout", "--quiet", "--detach"]);
    assert!(matches!(check(&url, None).await, Error::NoDefaultBranch { .. }));
    forge.check(&url, Some("main")).await.unwrap();
}

#[tokio::test]
async fn bare_linked_and_shallow_repositories_work() {
    let world = World::with_history();
    let url = world.url();
    git(&world.repo, &["clone", "--quiet", "--bare", &url, world.path("bare.git").to_str().unwrap()]);
    git(&world.repo, &["worktree", "add", "--quiet", "-b", "side", world.path("linked").to_str().unwrap()]);
    let source = format!("file://{url}");
    git(&world.repo, &["clone", "--quiet", "--depth=1", &source, world.path("shallow").to_str().unwrap()]);
    for name in ["bare.git", "linked", "shallow"] {
        let url = world.path(name).display().to_string();
        let checkout = world.forge().fetch(&url, None, &never()).await.unwrap();
        assert_eq!(checkout.commit, world.rev("main"), "{name}");
        let commit = fixed(&checkout.mirror, &checkout.commit, run(1), "inclusive\n").await;
        world.forge().publish(&url, &checkout.mirror, "toryo/x", &commit).await.unwrap();
        assert_eq!(git(&world.path(name), &["rev-parse", "toryo/x"]), commit.to_string(), "{name}");
        assert_eq!(
            checkout.mirror.log(&commit, 9).await.unwrap().len(),
            if name == "shallow" { 2 } else { 3 }
        );
    }
}

#[tokio::test]
async fn a_persons_repository_is_read_in_place() {
    let world = World::with_history();
    let before = world.files();
    for folder in [world.repo.clone(), world.repo.join("src")] {
        let found = crate::git::discover::discover(&folder).await.unwrap();
        let commit = found.resolve("HEAD").await.unwrap();
        assert_eq!(commit, world.rev("main"));
        assert_eq!(found.objects().files(&commit).await.unwrap().files.len(), 3);
        assert!(found.resolve("nowhere").await.is_err());
    }
    assert_eq!(world.files(), before);
}

#[tokio::test]
async fn only_allowed_folders_and_hosts_are_used() {
    let world = World::with_history();
    let inside = World::with_history();
    let link = inside.path("link");
    std::os::unix::fs::symlink(&world.repo, &link).unwrap();
    let config = Config {
        allowed_roots: vec![inside.repo.parent().unwrap().to_owned()],
        allowed_hosts: vec!["git.example".into()],
        ..Config::default()
    };
    let forge = world.forge_with(config);
    forge.check(&inside.url(), None).await.unwrap();
    let climbing = format!(
        "{}/../../{}/project",
        inside.repo.parent().unwrap().display(),
        world.path("").file_name().unwrap().to_string_lossy()
    );
    // A `.git` file that points out of the folder.
    let pointing = inside.path("pointing");
    std::fs::create_dir(&pointing).unwrap();
    std::fs::write(pointing.join(".git"), format!("gitdir: {}/.git\n", world.url())).unwrap();
    for url in [
        world.url(),
        link.display().to_string(),
        pointing.display().to_string(),
        climbing,
        "/does/not/exist".to_owned(),
        "https://other.example/a".to_owned(),
    ] {
        let refused = forge.check(&url, None).await;
        assert!(matches!(refused, Err(Error::NotAllowed { .. })), "{url}: {refused:?}");
    }
}

#[tokio::test]
async fn two_workers_may_fetch_at_once() {
    let world = World::with_history();
    let (url, cancel) = (world.url(), never());
    let forges: Vec<_> = (0..4).map(|_| world.forge()).collect();
    let fetches = forges.iter().map(|forge| forge.fetch(&url, None, &cancel));
    for checkout in futures_of(fetches).await {
        let checkout = checkout.unwrap();
        assert_eq!(checkout.commit, world.rev("main"));
        assert_eq!(checkout.mirror.files(&checkout.commit).await.unwrap().files.len(), 3);
    }
}

/// Waits for all futures, which run concurrently in one task.
async fn futures_of<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, output) in waiting.iter_mut().filter(|(_, output)| output.is_none()) {
            if let std::task::Poll::Ready(ready) = future.as_mut().poll(context) {
                *output = Some(ready);
            }
        }
        if waiting.iter().all(|(_, output)| output.is_some()) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    waiting.into_iter().filter_map(|(_, output)| output).collect()
}

#[tokio::test]
async fn another_worker_finds_a_commit_that_no_branch_has_any_more() {
    let world = World::with_history();
    let old = world.rev("main");
    git(&world.repo, &["commit", "--quiet", "--amend", "--message", "rewritten"]);
    // The reflog still knows it, so the repository still has it.
    let mirror = world.forge().mirror(&world.url(), &old, &never()).await.unwrap();
    assert_eq!(mirror.files(&old).await.unwrap().files.len(), 3);
    let unknown = "1".repeat(40).parse().unwrap();
    let refused = world.forge().mirror(&world.url(), &unknown, &never()).await;
    assert!(matches!(refused, Err(Error::UnknownCommit { .. })), "{refused:?}");
    // Found before: the repository is not needed any more.
    std::fs::remove_dir_all(&world.repo).unwrap();
    world.forge().mirror(&world.url(), &old, &never()).await.unwrap();
}

#[tokio::test]
async fn a_fetch_that_was_killed_is_repeated() {
    let world = World::with_history();
    let forge = world.forge();
    let mirror = forge.fetch(&world.url(), None, &never()).await.unwrap().mirror;
    // Half a mirror, and the locks that a killed process leaves.
    std::fs::remove_file(mirror.path().join("HEAD")).unwrap();
    world.write("new.txt", "x\n");
    let third = world.commit("third");
    for lock in
        ["packed-refs.lock".to_owned(), "shallow.lock".to_owned(), format!("refs/toryo/commits/{third}.lock")]
    {
        let file = std::fs::File::create(mirror.path().join(lock)).unwrap();
        file.set_modified(std::time::SystemTime::now() - Duration::from_secs(3600)).unwrap();
    }
    assert_eq!(forge.fetch(&world.url(), None, &never()).await.unwrap().commit, third);
}

#[tokio::test]
async fn a_cancelled_or_late_call_kills_everything_it_started() {
    let world = World::with_history();
    for cancelled in [true, false] {
        let pid_file = world.path("pid");
        let script = format!("--upload-pack=echo $$ > '{}'; exec sleep 1000 #", pid_file.display());
        let limit = if cancelled { Duration::from_secs(600) } else { Duration::from_secs(2) };
        let call = Call {
            what: "ls-remote",
            git_dir: None,
            args: vec![script.into(), "--".into(), world.repo.clone().into()],
            transport: Transport::File,
            limit,
        };
        let cancel = never();
        let started = async {
            loop {
                let pid =
                    std::fs::read_to_string(&pid_file).ok().and_then(|text| text.trim().parse::<i32>().ok());
                match pid {
                    Some(pid) => break pid,
                    None => tokio::task::yield_now().await,
                }
            }
        };
        let (result, pid) = tokio::join!(call.run(&cancel), async {
            let pid = started.await;
            if cancelled {
                cancel.cancel();
            }
            pid
        });
        match result {
            Err(Error::Cancelled) => assert!(cancelled),
            Err(Error::TimedOut { .. }) => assert!(!cancelled),
            other => panic!("{other:?}"),
        }
        let gone = async {
            // A killed process that nobody reaped yet is gone as well.
            while std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| !stat.contains(") Z "))
            {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), gone).await.expect("the helper of git was killed");
        std::fs::remove_file(&pid_file).unwrap();
    }
}

#[tokio::test]
async fn the_git_program_sees_no_settings_of_the_service() {
    // `GIT_DIR` and friends would redirect it; keys of the service are none of its business.
    let call = Call {
        what: "var",
        git_dir: None,
        args: vec!["GIT_EDITOR".into()],
        transport: Transport::Network,
        limit: Duration::from_secs(30),
    };
    let finished = call.run(&never()).await.unwrap();
    assert_ne!(finished.stdout.trim(), std::env::var("GIT_EDITOR").unwrap_or_else(|_| "unset".into()));
    // A network place never reaches a folder.
    let world = World::with_history();
    let place = Place { url: world.repo.clone().into(), name: "x".into(), transport: Transport::Network };
    let refused = place.refs(Duration::from_secs(30), &never()).await.unwrap_err();
    assert!(refused.to_string().contains("not allowed"), "{refused}");
}
