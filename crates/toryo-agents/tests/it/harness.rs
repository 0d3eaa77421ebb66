//! A run without an engine: steps are executed one by one, their outputs kept, what they report recorded.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use toryo_agents::{Assets, Baselines, Config, Meaning, Tools, agents, sample};
use toryo_blackboard::BlobStore;
use toryo_blackboard::blobs::MemoryBlobs;
use toryo_domain::{
    CommitId, Digest, EventType, Output, RunId, StepId, StepKey, Task, TaskId, TestOutcome, WorkerId,
};
use toryo_engine::{Agent, Failure, HumanMessage, Outputs, Recorder, StepContext};
use toryo_forge::{InMemoryPulls, Local};
use toryo_index::IndexCache;
use toryo_models::provider::fake::{Answer, FakeProvider};
use toryo_models::provider::{ModelProvider, ProviderReply};
use toryo_models::{Finish, Gateway, Usage};
use toryo_policy::{Guardrails, Masker};
use toryo_sandbox::{Exit, JobReport, Sandbox, WorkspaceFile};

/// A run on a fresh copy of the sample repository.
pub struct Stage {
    folder: TempDir,
    pub commit: CommitId,
    pub pulls: Arc<InMemoryPulls>,
    pub blobs: Arc<MemoryBlobs>,
    pub recorder: Arc<Recorder>,
    pub task: Task,
    pub run_id: RunId,
    pub outputs: BTreeMap<StepKey, Output>,
    pub messages: Vec<HumanMessage>,
    pub orders: toryo_engine::Orders,
    pub cancel: CancellationToken,
    agents: Vec<Arc<dyn Agent>>,
    ids: Mutex<BTreeMap<StepKey, StepId>>,
}

/// Replies by step, in order; the test fails where one is missing.
pub fn script(replies: Vec<(&str, Value)>) -> Arc<FakeProvider> {
    let mut by_step: BTreeMap<String, Vec<Answer>> = BTreeMap::new();
    for (step, reply) in replies {
        let content = match reply {
            Value::String(text) => text,
            value => value.to_string(),
        };
        by_step.entry(step.to_owned()).or_default().push(Answer::text(content));
    }
    FakeProvider::new(move |request, _| {
        let (step, call) = (request.caller.step_key.to_string(), request.caller.call_no as usize);
        let answer = by_step.get(&step).and_then(|answers| answers.get(call - 1)).cloned();
        answer.unwrap_or_else(|| panic!("no reply to call {call} of {step}"))
    })
}

/// The model declines.
pub fn refusal(words: &str) -> Answer {
    Answer::Reply(ProviderReply {
        content: String::new(),
        finish: Finish::Refusal(words.to_owned()),
        usage: Usage::default(),
        model: "fake".into(),
    })
}

/// What a test command leaves: its exit status and JUnit XML with these cases.
pub fn junit(cases: &[(&str, TestOutcome, &str)]) -> JobReport {
    let mut xml = String::from("<?xml version=\"1.0\"?><testsuites><testsuite>");
    for (id, outcome, message) in cases {
        let (class, name) = id.split_once("::").expect("class::name");
        let inner = match outcome {
            TestOutcome::Passed => String::new(),
            TestOutcome::Failed => format!("<failure message=\"{message}\">{message}</failure>"),
            TestOutcome::Error => format!("<error message=\"{message}\">{message}</error>"),
            TestOutcome::Skipped => "<skipped/>".to_owned(),
        };
        xml.push_str(&format!(
            "<testcase classname=\"{class}\" name=\"{name}\" time=\"0.1\">{inner}</testcase>"
        ));
    }
    xml.push_str("</testsuite></testsuites>");
    let bad = cases.iter().any(|(_, outcome, _)| matches!(outcome, TestOutcome::Failed | TestOutcome::Error));
    JobReport {
        outputs: vec![toryo_sandbox::Output {
            exit: Exit::Code(i32::from(bad)),
            text: "collected".into(),
            log: "collected".into(),
            written: 9,
            duration: std::time::Duration::from_millis(1),
        }],
        collected: vec![WorkspaceFile {
            path: ".toryo/junit.xml".parse().unwrap(),
            content: xml.into(),
            executable: false,
        }],
        not_collected: None,
    }
}

impl Stage {
    pub fn new(provider: Arc<dyn ModelProvider>, sandbox: Arc<dyn Sandbox>) -> Self {
        Self::with_gateway(Gateway::in_memory(provider).unwrap(), sandbox)
    }

    pub fn with_gateway(gateway: Gateway, sandbox: Arc<dyn Sandbox>) -> Self {
        Self::with_meaning(gateway, sandbox, Meaning::Off)
    }

    pub fn with_meaning(gateway: Gateway, sandbox: Arc<dyn Sandbox>, meaning: Meaning) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = folder.path().join("repository");
        let commit = sample::materialise(&repository).unwrap();
        let pulls = Arc::new(InMemoryPulls::default());
        let forge = Local::new(folder.path().join("mirrors"), pulls.clone(), toryo_forge::Config::default());
        let tools = Tools {
            forge: Arc::new(forge),
            sandbox,
            sandbox_limits: toryo_sandbox::Limits::default(),
            gateway,
            meaning,
            indexes: IndexCache::new(2),
            guardrails: Guardrails::default(),
            masker: Masker::new(["hunter2-of-the-operator"]),
            assets: Assets::load(None).unwrap(),
            config: Config::default(),
            baselines: Baselines::default(),
        };
        let created_at = "2025-03-10T12:00:00Z".parse().unwrap();
        Self {
            commit,
            pulls,
            blobs: Arc::default(),
            recorder: Arc::default(),
            task: Task { id: TaskId::generate(), wish: sample::task(&repository), created_at },
            run_id: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
            outputs: BTreeMap::new(),
            messages: vec![],
            orders: toryo_engine::Orders::default(),
            cancel: CancellationToken::new(),
            agents: agents(Arc::new(tools)),
            ids: Mutex::default(),
            folder,
        }
    }

    pub fn repository(&self) -> std::path::PathBuf {
        self.folder.path().join("repository")
    }

    /// Puts a line at the top of a file and commits it, before the run starts.
    pub fn commit_line(&self, path: &str, line: &str) {
        let repository = git2::Repository::open(self.repository()).unwrap();
        let file = self.repository().join(path);
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{line}{text}")).unwrap();
        let mut index = repository.index().unwrap();
        index.add_path(std::path::Path::new(path)).unwrap();
        let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
        let parent = repository.head().unwrap().peel_to_commit().unwrap();
        let author = parent.author();
        repository.commit(Some("HEAD"), &author, &author, "more", &tree, &[&parent]).unwrap();
    }

    /// Executes a step; where it succeeds its output is on the blackboard.
    pub async fn run(&mut self, key: &str) -> Result<Output, Failure> {
        let key: StepKey = key.parse().unwrap();
        let output = self.execute(&key).await?;
        self.outputs.insert(key, output.clone());
        Ok(output)
    }

    /// Executes a step without keeping its output.
    pub async fn execute(&self, key: &StepKey) -> Result<Output, Failure> {
        let id = *self.ids.lock().unwrap().entry(key.clone()).or_insert_with(StepId::generate);
        let ctx = StepContext {
            task: self.task.clone(),
            run_id: self.run_id,
            step_id: id,
            step_key: key.clone(),
            attempt: 1,
            fence: 1,
            worker_id: WorkerId::generate(),
            outputs: self.outputs.clone().into_iter().collect::<Outputs>(),
            messages: self.messages.clone(),
            orders: self.orders.clone(),
            cancel: self.cancel.clone(),
            blobs: self.blobs.clone(),
            reporter: self.recorder.clone(),
        };
        let agent = self.agents.iter().find(|agent| agent.role() == key.kind.role()).unwrap();
        agent.run(&ctx).await
    }

    /// The data of all events of this type.
    pub fn events(&self, kind: EventType) -> Vec<Value> {
        let events = self.recorder.events();
        events.into_iter().filter(|event| event.kind == kind).map(|event| event.data).collect()
    }

    pub async fn text(&self, digest: &Digest) -> String {
        String::from_utf8(self.blobs.get(digest).await.unwrap().to_vec()).unwrap()
    }

    pub fn say(&mut self, body: &str) {
        self.messages.push(HumanMessage { author: "mika".into(), body: body.into() });
    }
}

/// The recorded reply to a call of the sample's run.
pub fn recorded(step: &str, call: u64) -> Value {
    let recording: Value = serde_json::from_str(sample::RECORDING).unwrap();
    let replies = recording["replies"].as_array().unwrap();
    let found = replies.iter().find(|reply| reply["step"] == step && reply["call"] == call);
    found.unwrap_or_else(|| panic!("{step} {call} is not recorded"))["reply"].clone()
}

/// A plan of one subtask.
pub fn plan_of(subtask: Value) -> Value {
    json!({ "summary": "One cause.", "subtasks": [subtask] })
}
