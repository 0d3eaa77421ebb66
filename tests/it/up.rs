//! `toryo up`: everything in one process with servers of its own, twice on the same data.

use crate::harness::{PATIENCE, Process, git};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

struct Up {
    process: Process,
    base: String,
}

impl Up {
    async fn start(folder: &Path) -> Self {
        let settings = folder.join("toryo.toml");
        std::fs::write(&settings, "").unwrap();
        let data = folder.join("data");
        let data = data.to_str().unwrap();
        let mut process =
            Process::start(&["up", "--data", data, "--listen", "127.0.0.1:0", "--no-sample"], &settings);
        let line = process.until("Toryo serves on").await;
        Self { process, base: line.rsplit(' ').next().unwrap().to_owned() }
    }

    async fn get(&self, path: &str) -> Value {
        reqwest::get(format!("{}{path}", self.base)).await.unwrap().json().await.unwrap()
    }

    async fn until_ended(&self, run: &str) -> Value {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let view = self.get(&format!("/runs/{run}")).await;
                if view["finished_at"].is_string() {
                    return view;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        waited.await.expect("the run ends in time")
    }
}

#[tokio::test]
async fn it_starts_serves_stops_and_keeps_what_it_had() {
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let folder = tempfile::tempdir().unwrap();
    // The servers run as another user, who has to reach the folder.
    crate::harness::open_to_all(folder.path());
    let repository = folder.path().join("repository");
    std::fs::create_dir(&repository).unwrap();
    std::fs::write(repository.join("calc.py"), "def add(a, b):\n    return a - b\n").unwrap();
    git(&repository, &["init", "--quiet", "--initial-branch=main"]);
    git(&repository, &["add", "."]);
    git(
        &repository,
        &["-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "--quiet", "-m", "first"],
    );

    let mut up = Up::start(folder.path()).await;
    let body = json!({ "repo_url": repository, "goal": "Make add return the sum" });
    let answer = reqwest::Client::new().post(format!("{}/tasks", up.base)).json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let answer: Value = answer.json().await.unwrap();
    let run = answer["run_id"].as_str().unwrap();
    // Without a key the recording answers, but only for the sample.
    let ended = up.until_ended(run).await;
    assert_eq!(ended["status"], "failed");
    assert!(ended["status_reason"].as_str().unwrap().contains("no model key is set"), "{ended}");
    assert!(up.process.terminate().await, "it ends well");
    let left =
        std::process::Command::new("pgrep").args(["-f", folder.path().to_str().unwrap()]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "nothing is left running");

    let mut again = Up::start(folder.path()).await;
    assert_eq!(again.get("/runs").await["items"][0]["id"], run, "nothing is lost");
    assert!(again.process.terminate().await);
}
