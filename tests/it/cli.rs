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
    let indexed = toryo(&["index", "--repo", repo, "--json"]).await;
    assert!(lines(&indexed)[0]["symbols"].as_u64().unwrap() > 50, "{}", text(&indexed.stderr));
    let found =
        toryo(&["retrieve", "--repo", repo, "--query", "a span overlaps another", "-k", "3", "--json"]).await;
    let found = &lines(&found)[0];
    assert!(found["files"].to_string().contains("availability.py"), "{found}");
    assert!(found["symbols"][0]["first_line"].is_u64(), "{found}");
    let batch = folder.path().join("batch.jsonl");
    std::fs::write(&batch, "{\"id\":\"t1\",\"rev\":\"HEAD\",\"query\":\"invoice\"}\n").unwrap();
    let answered = toryo(&["retrieve", "--repo", repo, "--batch", batch.to_str().unwrap()]).await;
    assert_eq!(lines(&answered)[0]["id"], "t1");
    let unknown = toryo(&["index", "--repo", repo, "--rev", "nowhere"]).await;
    assert!(text(&unknown.stderr).contains("no revision `nowhere`"), "{}", text(&unknown.stderr));
}
