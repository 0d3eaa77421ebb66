//! A whole Toryo in processes of its own: `toryo serve` and `toryo worker` on real servers, a scripted model, and a
//! repository of the sample project.

use crate::runs::RunView;
use futures::StreamExt;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;
use toryo_domain::Event;
use toryo_testkit::openai::{API_KEY, Script, ScriptedModel};
use toryo_testkit::stack::Services;

/// Longest wait for a state. A run of the sample takes well below a minute.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running Toryo.
pub struct Toryo {
    pub model: ScriptedModel,
    pub base: String,
    pub http: reqwest::Client,
    folder: TempDir,
    settings: String,
    server: Process,
    workers: Vec<Process>,
}

/// A process of ours and what it says on standard error.
pub struct Process {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    said: Vec<String>,
}

impl Process {
    /// Starts our program with these arguments.
    pub fn start(arguments: &[&str], settings: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_toryo"))
            .arg("--config")
            .arg(settings)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::unbounded_channel();
        let mut output = BufReader::new(child.stderr.take().unwrap()).lines();
        tokio::spawn(async move {
            while let Ok(Some(line)) = output.next_line().await {
                let _ = sender.send(line);
            }
        });
        Self { child, lines, said: vec![] }
    }

    /// Waits until it says a line with this text, and returns the line.
    pub async fn until(&mut self, text: &str) -> String {
        let found = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = self.lines.recv().await {
                self.said.push(line.clone());
                if line.contains(text) {
                    return Some(line);
                }
            }
            None
        });
        match found.await {
            Ok(Some(line)) => line,
            _ => panic!("it never said {text:?}, but:\n{}", self.said.join("\n")),
        }
    }

    /// As the kernel ends it when memory runs out: nothing is handed back.
    pub async fn kill9(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// As an orchestrator asks it to stop; `true` where it ended well.
    pub async fn terminate(&mut self) -> bool {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(sent.success());
        tokio::time::timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap().success()
    }
}

impl Toryo {
    /// Starts it with one worker; the model answers as `script` says.
    pub async fn start(script: Script) -> Self {
        Self::with(Services::shared().await, script, "").await
    }

    /// Starts it on these services, with further settings in TOML.
    pub async fn with(services: Services, script: Script, more: &str) -> Self {
        let _installed_before = rustls::crypto::ring::default_provider().install_default();
        let model = ScriptedModel::start(script).await;
        let folder = tempfile::tempdir().unwrap();
        let image =
            std::env::var("TORYO_TEST_SANDBOX_IMAGE").unwrap_or_else(|_| "toryo-sandbox-python:1".into());
        let settings = format!(
            r#"
data_dir = "{data}"
[server]
listen = "127.0.0.1:0"
[database]
url = "{database}"
[queue]
url = "{queue}"
prefix = "{prefix}"
[engine]
lease_seconds = 3
poll_ms = 300
watch_ms = 100
backoff_ms = 200
[models.retry]
first_delay_ms = 20
attempts = 3
[models.providers.openai]
base_url = "{model}"
api_key = "{API_KEY}"
timeout_seconds = 5
[sandbox]
image = "{image}"
{more}
"#,
            data = folder.path().join("data").display(),
            database = services.database_url,
            queue = services.nats_url,
            prefix = services.nats_prefix,
            model = model.base_url(),
        );
        let file = folder.path().join("toryo.toml");
        std::fs::write(&file, &settings).unwrap();
        let mut migrate = Process::start(&["migrate"], &file);
        migrate.until("up to date").await;
        let mut server = Process::start(&["serve"], &file);
        let line = server.until("Toryo serves on").await;
        let base = line.rsplit(' ').next().unwrap().to_owned();
        let mut toryo =
            Self { model, base, http: reqwest::Client::new(), folder, settings, server, workers: vec![] };
        toryo.worker().await;
        toryo
    }

    /// One more worker; its number.
    pub async fn worker(&mut self) -> usize {
        // Links in pull requests name the server, whose port only it knows.
        let port = self.base.rsplit(':').next().unwrap();
        let settings = self.settings.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
        let file = self.folder.path().join(format!("worker-{}.toml", self.workers.len()));
        std::fs::write(&file, settings).unwrap();
        let mut worker = Process::start(&["worker"], &file);
        worker.until("waits for steps").await;
        self.workers.push(worker);
        self.workers.len() - 1
    }

    /// A worker's process.
    pub fn worker_process(&mut self, number: usize) -> &mut Process {
        &mut self.workers[number]
    }

    /// A folder that lives as long as the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The sample project as a Git repository.
    pub fn sample(&self) -> PathBuf {
        let folder = self.folder.path().join("sample");
        toryo_agents::sample::materialise(&folder).unwrap();
        folder
    }

    pub async fn get(&self, path: &str) -> Value {
        let response = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        assert!(response.status().is_success(), "GET {path}: {}", response.status());
        response.json().await.unwrap()
    }

    /// The body, whatever the status.
    pub async fn get_any(&self, path: &str) -> Value {
        let response = self.http.get(format!("{}{path}", self.base)).send().await.unwrap();
        response.json().await.unwrap()
    }

    /// Status and body.
    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let response = self.http.post(format!("{}{path}", self.base)).json(body).send().await.unwrap();
        let status = response.status().as_u16();
        (status, response.json().await.unwrap_or(Value::Null))
    }

    /// Submits a task; the run's id.
    pub async fn submit(&self, body: &Value) -> String {
        let (status, answer) = self.post("/tasks", body).await;
        assert_eq!(status, 202, "{answer}");
        answer["run_id"].as_str().unwrap().to_owned()
    }

    /// Submits the sample task on this repository.
    pub async fn submit_sample(&self, repository: &Path) -> String {
        let task = toryo_agents::sample::task(repository);
        let body = json!({
            "repo_url": task.repo_url, "goal": task.goal, "constraints": task.constraints,
            "acceptance_criteria": task.acceptance_criteria,
        });
        self.submit(&body).await
    }

    /// Waits until the run is as wanted.
    pub async fn until(&self, run: &str, what: &str, wanted: impl Fn(&RunView) -> bool) -> RunView {
        let waited = tokio::time::timeout(PATIENCE, async {
            loop {
                let view = RunView(self.get(&format!("/runs/{run}")).await);
                if wanted(&view) {
                    return view;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        match waited.await {
            Ok(view) => view,
            Err(_) => panic!(
                "never: {what}; events:\n{:#?}",
                self.events(run).await.iter().map(line).collect::<Vec<_>>()
            ),
        }
    }

    /// Waits until the run has this status.
    pub async fn until_status(&self, run: &str, status: &str) -> RunView {
        self.until(run, &format!("status {status}"), |view| {
            let now = view.status();
            assert!(
                now == status || !["failed", "cancelled", "succeeded", "needs_human"].contains(&now.as_str()),
                "the run is {now}, not {status}: {}",
                view.0
            );
            now == status
        })
        .await
    }

    /// Waits for the first event that is wanted, as the stream brings it.
    pub async fn until_event(&self, run: &str, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let stream = self.stream(run, None, |event| wanted(event));
        match tokio::time::timeout(PATIENCE, stream).await {
            Ok(events) => events
                .into_iter()
                .last()
                .filter(|event| wanted(event))
                .unwrap_or_else(|| panic!("never: {what}")),
            Err(_) => panic!(
                "never: {what}; events:\n{:#?}",
                self.events(run).await.iter().map(line).collect::<Vec<_>>()
            ),
        }
    }

    /// The events of a run by server-sent events, until the stream ends or `enough`.
    pub async fn stream(
        &self,
        run: &str,
        last_id: Option<u64>,
        enough: impl Fn(&Event) -> bool,
    ) -> Vec<Event> {
        use eventsource_stream::Eventsource;
        let mut request = self.http.get(format!("{}/runs/{run}/stream", self.base));
        if let Some(id) = last_id {
            request = request.header("Last-Event-ID", id.to_string());
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut messages = response.bytes_stream().eventsource();
        let mut events = vec![];
        while let Some(message) = messages.next().await {
            let message = message.unwrap();
            let event: Event = serde_json::from_str(&message.data).unwrap();
            assert_eq!(message.id, event.seq.to_string());
            assert_eq!(message.event, event.kind.as_str());
            let done = enough(&event);
            events.push(event);
            if done {
                break;
            }
        }
        events
    }

    /// All events so far, with numbers that have no gap.
    pub async fn events(&self, run: &str) -> Vec<Event> {
        let mut events: Vec<Event> = vec![];
        loop {
            let after = events.last().map_or(0, |event| event.seq);
            let page = self.get(&format!("/runs/{run}/events?after={after}&limit=100")).await;
            let items: Vec<Event> = serde_json::from_value(page["items"].clone()).unwrap();
            if items.is_empty() {
                break;
            }
            events.extend(items);
        }
        for (n, event) in events.iter().enumerate() {
            assert_eq!(event.seq, n as u64 + 1, "event numbers have no gap");
        }
        events
    }

    /// Stops everything as an orchestrator does, and checks that nothing is left of it.
    pub async fn close(self) {
        let model = self.stop().await;
        model.assert_clean();
    }

    /// As [`close`](Self::close), where the run ended before all of the script was asked for.
    pub async fn close_unclean(self) {
        let model = self.stop().await;
        assert_eq!(model.violations(), Vec::<String>::new());
    }

    async fn stop(mut self) -> ScriptedModel {
        for worker in &mut self.workers {
            if worker.child.try_wait().unwrap().is_none() {
                assert!(
                    worker.terminate().await,
                    "a worker ends well on SIGTERM:\n{}",
                    worker.said.join("\n")
                );
            }
        }
        assert!(self.server.terminate().await, "the server ends well on SIGTERM");
        self.model
    }
}

/// An event on a line.
pub fn line(event: &Event) -> String {
    match &event.step_key {
        Some(key) => format!("{} {key}", event.kind),
        None => event.kind.to_string(),
    }
}

/// The output of a Git command in a repository.
pub fn git(repository: &Path, arguments: &[&str]) -> String {
    let output =
        std::process::Command::new("git").arg("-C").arg(repository).args(arguments).output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Lets every user of the machine walk into a folder: temporary ones are private.
pub fn open_to_all(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}
