//! The commands that talk to a server, and those that need none, as a person or a script calls them.

use crate::harness::Toryo;
use serde_json::Value;
use std::path::Path;
use std::process::Output;
use toryo_agents::sample;
use toryo_testkit::openai::Script;

async fn toryo(arguments: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_toryo"));
    command.args(arguments).kill_on_drop(true);
    tokio::time::timeout(crate::harness::PATIENCE, command.output()).await.expect("it ends in time").unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_run_is_submitted_followed_listed_and_read_from_the_command_line() {
    let stack = Toryo::start(Script::from_recording(sample::RECORDING).unwrap()).await;
    let repository = stack.sample();
    let task = sample::task(&repository);
    let server = ["--server", &stack.base];
    let run = [&["run", "--repo", &task.repo_url, "--goal", &task.goal, "--json"][..], &server].concat();
    let done = toryo(&run).await;
    assert!(done.status.success(), "{}", text(&done.stderr));
    let events = lines(&done);
    assert_eq!(events[0]["type"], "run.created");
    assert_eq!(events.last().unwrap()["type"], "run.succeeded");
    let id = events[0]["run_id"].as_str().unwrap();

    let watched = toryo(&[&["logs", id, "--follow", "--json"][..], &server].concat()).await;
    assert_eq!(lines(&watched), events, "the same events, read later");
    let listed = toryo(&[&["runs", "--json"][..], &server].concat()).await;
    assert_eq!(lines(&listed)[0]["status"], "succeeded");
    let cancelled = toryo(&[&["cancel", id][..], &server].concat()).await;
    assert_eq!(cancelled.status.code(), Some(1), "what has ended cannot be cancelled");
    assert!(text(&cancelled.stderr).contains("succeeded"), "{}", text(&cancelled.stderr));
    stack.close().await;
}

#[tokio::test]
async fn a_refused_task_and_an_absent_server_are_told_with_what_to_do() {
    let absent = toryo(&["runs", "--server", "http://127.0.0.1:9"]).await;
    assert_eq!(absent.status.code(), Some(1));
    assert!(text(&absent.stderr).contains("toryo up"), "{}", text(&absent.stderr));
    let blank = toryo(&["run", "--repo", ".", "--goal", "  "]).await;
    assert_eq!(blank.status.code(), Some(1));
    assert!(text(&blank.stderr).contains("blank"), "{}", text(&blank.stderr));
    assert_eq!(toryo(&["run", "--goal", "x"]).await.status.code(), Some(2), "wrong usage");
}

#[tokio::test]
async fn edits_are_applied_to_a_working_tree_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("calc.py");
    std::fs::write(&file, "def add(a, b):\n    return a - b\n").unwrap();
    let edit = |symbol: &str| {
        serde_json::json!({ "file_path": "calc.py", "edit_type": "replace", "locator": { "symbol": symbol },
            "patch": "def add(a, b):\n    return a + b\n", "rationale_summary": "It subtracted." })
    };
    let apply = async |edits: Vec<Value>, check: &[&str]| {
        let set = folder.path().join("edits.json");
        std::fs::write(&set, serde_json::json!({ "edits": edits, "summary": "s" }).to_string()).unwrap();
        let path = |path: &Path| path.to_str().unwrap().to_owned();
        let (repo, set) = (path(folder.path()), path(&set));
        toryo(&[&["edit", "apply", "--repo", &repo, "--edits", &set][..], check].concat()).await
    };
    let refused = apply(vec![edit("add"), edit("mul")], &[]).await;
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(lines(&refused)[1]["status"], "refused");
    assert!(std::fs::read_to_string(&file).unwrap().contains("a - b"), "nothing was applied");
    assert!(apply(vec![edit("add")], &["--check"]).await.status.success());
    assert!(std::fs::read_to_string(&file).unwrap().contains("a - b"), "a check changes nothing");
    assert!(apply(vec![edit("add")], &[]).await.status.success());
    assert!(std::fs::read_to_string(&file).unwrap().contains("a + b"));
}

#[tokio::test]
async fn a_repository_is_indexed_and_searched_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("sample");
    sample::materialise(&repository).unwrap();
    let repo = repository.to_str().unwrap();
    let indexed = toryo(&["index", "--repo", repo, "--json", "--no-cache"]).await;
    assert!(lines(&indexed)[0]["symbols"].as_u64().unwrap() > 50, "{}", text(&indexed.stderr));
    let found = toryo(&[
        "retrieve",
        "--repo",
        repo,
        "--no-cache",
        "--query",
        "a span overlaps another",
        "-k",
        "3",
        "--json",
    ])
    .await;
    let found = &lines(&found)[0];
    assert!(found["files"].to_string().contains("availability.py"), "{found}");
    assert!(found["symbols"][0]["first_line"].is_u64(), "{found}");
    let batch = folder.path().join("batch.jsonl");
    std::fs::write(&batch, "{\"id\":\"t1\",\"rev\":\"HEAD\",\"query\":\"invoice\"}\n").unwrap();
    let answered =
        toryo(&["retrieve", "--repo", repo, "--no-cache", "--batch", batch.to_str().unwrap()]).await;
    assert_eq!(lines(&answered)[0]["id"], "t1");
    let unknown = toryo(&["index", "--repo", repo, "--no-cache", "--rev", "nowhere"]).await;
    assert!(text(&unknown.stderr).contains("no revision `nowhere`"), "{}", text(&unknown.stderr));
}

async fn git(folder: &Path, arguments: &[&str]) {
    let mut command = tokio::process::Command::new("git");
    command.args(["-c", "user.name=T", "-c", "user.email=t@localhost"]).args(arguments).current_dir(folder);
    let done = command.kill_on_drop(true).output().await.unwrap();
    assert!(done.status.success(), "git {arguments:?}: {}", text(&done.stderr));
}

#[tokio::test]
async fn a_bare_repository_is_indexed_once_and_then_known() {
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join("sample");
    sample::materialise(&work).unwrap();
    std::fs::write(work.join("logo.png"), b"\x89PNG\0").unwrap();
    std::fs::write(work.join("uv.lock"), b"version = 1\n").unwrap();
    std::os::unix::fs::symlink("logo.png", work.join("link")).unwrap();
    let module = "160000,0123456789012345678901234567890123456789,other";
    git(&work, &["update-index", "--add", "--cacheinfo", module]).await;
    git(&work, &["add", "logo.png", "uv.lock", "link"]).await;
    git(&work, &["commit", "-q", "-m", "Add a logo"]).await;
    git(folder.path(), &["clone", "-q", "--bare", "sample", "bare.git"]).await;
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (bare, cache) = (path("bare.git"), path("cache"));
    let index = async |more: &[&str]| {
        let done = toryo(&[&["index", "--repo", &bare, "--cache", &cache][..], more].concat()).await;
        assert!(done.status.success(), "{}", text(&done.stderr));
        done
    };
    let first = lines(&index(&["--json"]).await).remove(0);
    assert_eq!(first["passed_over"]["binary"], serde_json::json!(["logo.png"]));
    assert_eq!(first["passed_over"]["it is a submodule"], serde_json::json!(["other"]));
    assert_eq!(first["passed_over"]["it is a symbolic link"], serde_json::json!(["link"]));
    assert_eq!((first["skipped"].as_u64(), first["known"].as_u64()), (Some(4), Some(0)));
    // Another call is another process; what it finds was kept, for every revision and clone.
    let again = lines(&index(&["--json"]).await).remove(0);
    assert_eq!((again["parsed"].as_u64(), &again["symbols"]), (Some(0), &first["symbols"]));
    let before = lines(&index(&["--json", "--rev", "HEAD~1"]).await).remove(0);
    assert_eq!(before["parsed"], 0, "{before}");
    let shown = text(&index(&[]).await.stdout);
    assert!(shown.contains("passed over, generated: uv.lock"), "{shown}");
    let ask = |repo: String| {
        let cache = cache.clone();
        async move {
            toryo(&["retrieve", "--repo", &repo, "--cache", &cache, "--query", "overlap", "--json"]).await
        }
    };
    assert_eq!(lines(&ask(bare.clone()).await), lines(&ask(path("sample")).await));
    // Records that are damaged, or a folder that cannot be used, cost time and nothing else.
    let mut damaged = 0;
    let mut folders = vec![folder.path().join("cache")];
    while let Some(one) = folders.pop() {
        for entry in std::fs::read_dir(one).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() {
                folders.push(entry);
            } else {
                std::fs::write(entry, b"damaged").unwrap();
                damaged += 1;
            }
        }
    }
    assert!(damaged > 10);
    let mended = lines(&index(&["--json"]).await).remove(0);
    assert_eq!((&mended["symbols"], &mended["parsed"]), (&first["symbols"], &first["parsed"]));
    let none = toryo(&["index", "--repo", &bare, "--cache", &path("bare.git/HEAD"), "--json"]).await;
    assert_eq!(lines(&none)[0]["symbols"], first["symbols"], "{}", text(&none.stderr));
}

#[tokio::test]
async fn another_gateways_models_become_settings_that_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, content).unwrap();
        file.to_str().unwrap().to_owned()
    };
    let theirs = write(
        "config.yaml",
        "model_list:\n- model_name: fast\n  litellm_params: {model: groq/llama, api_key: sk-secret, rpm: 9}\n\
         litellm_settings: {drop_params: true}\n",
    );
    let imported = toryo(&["models", "import", &theirs]).await;
    assert!(imported.status.success(), "{}", text(&imported.stderr));
    assert!(text(&imported.stderr).contains("litellm_settings.drop_params"), "{}", text(&imported.stderr));
    assert!(!text(&imported.stdout).contains("sk-secret"));
    let ours = write("toryo.toml", &text(&imported.stdout));
    let checked = toryo(&["--config", &ours, "config", "check"]).await;
    assert!(checked.status.success(), "{}", text(&checked.stderr));

    let nothing =
        write("nothing.yaml", "model_list:\n- model_name: a\n  litellm_params: {model: sagemaker/x}\n");
    let refused = toryo(&["models", "import", &nothing]).await;
    assert_eq!((refused.status.code(), refused.stdout.is_empty()), (Some(1), true));
    let absent = toryo(&["models", "import", "/nowhere.yaml"]).await;
    assert_eq!(absent.status.code(), Some(1));
    assert_eq!(toryo(&["models", "import"]).await.status.code(), Some(2), "wrong usage");
}
