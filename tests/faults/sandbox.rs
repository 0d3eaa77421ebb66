//! A sandbox that reads the sample's code instead of running it: it knows which of the sample's tests depend on which
//! of its two mistakes. Everything else about a test run is real: report, log, judgement, repair.

use crate::ports::TEST_COMMAND;
use async_trait::async_trait;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use toryo_domain::RepoPath;
use toryo_engine::boundary::{Boundary, reached};
use toryo_sandbox::{
    Error, Exit, Image, Job, JobReport, Output, Preparation, Progress, Sandbox, WorkspaceFile,
};

pub struct Reader;

#[async_trait]
impl Sandbox for Reader {
    async fn prepare(&self, _: &Preparation, _: &Progress, _: &CancellationToken) -> Result<Image, Error> {
        Ok(Image { name: "reader:1".into(), id: "sha256:reader".into() })
    }

    async fn run(&self, job: &Job, _: &Progress, cancel: &CancellationToken) -> Result<JobReport, Error> {
        let down = |error| Error::Engine { action: "start", source: Box::new(error) };
        reached(Boundary::SandboxStarts).await.map_err(down)?;
        tokio::select! {
            () = cancel.cancelled() => return Err(Error::Cancelled),
            () = tokio::time::sleep(TEST_COMMAND) => {}
        }
        let report = read(job);
        reached(Boundary::SandboxEnded).await.map_err(down)?;
        Ok(report)
    }
}

fn read(job: &Job) -> JobReport {
    let text = |path: &str| {
        let file = job.files.iter().find(|file| file.path.as_str() == path);
        file.map(|file| String::from_utf8_lossy(&file.content).into_owned()).unwrap_or_default()
    };
    let counts_both = text("src/hirelog/spans.py").contains("(self.last - self.first).days + 1");
    let blocks_both =
        text("src/hirelog/availability.py").contains("one.first <= other.last and other.first <= one.last");
    let named: Vec<&str> = job
        .commands
        .iter()
        .flat_map(|it| &it.argv)
        .map(String::as_str)
        .filter(|it| it.ends_with(".py"))
        .collect();
    let (mut cases, mut bad) = (String::new(), false);
    for file in job.files.iter().filter(|file| is_test(&file.path)) {
        if !named.is_empty() && !named.contains(&file.path.as_str()) {
            continue;
        }
        let class = file.path.as_str().trim_end_matches(".py").replace('/', ".");
        let content = String::from_utf8_lossy(&file.content).into_owned();
        for name in content.lines().filter_map(|line| line.strip_prefix("def ")?.split('(').next()) {
            let passes = match name {
                "test_both_days_are_counted" | "test_an_invoice_counts_both_days" => counts_both,
                "test_a_span_that_begins_on_the_last_day_overlaps"
                | "test_a_span_that_ends_on_the_first_day_overlaps" => blocks_both,
                _ => true,
            };
            if name.starts_with("test_") {
                let inner =
                    if passes { "" } else { "<failure message=\"AssertionError\">assert False</failure>" };
                cases += &format!(
                    "<testcase classname=\"{class}\" name=\"{name}\" time=\"0.1\">{inner}</testcase>"
                );
                bad |= !passes;
            }
        }
    }
    let xml = format!("<?xml version=\"1.0\"?><testsuites><testsuite>{cases}</testsuite></testsuites>");
    let output = Output {
        exit: Exit::Code(i32::from(bad)),
        text: "read".into(),
        log: "read".into(),
        written: 4,
        duration: Duration::from_millis(20),
    };
    let junit = job.collect.iter().find(|path| path.as_str().ends_with("junit.xml"));
    let collected =
        junit.map(|path| WorkspaceFile { path: path.clone(), content: xml.into(), executable: false });
    JobReport { outputs: vec![output], collected: collected.into_iter().collect(), not_collected: None }
}

fn is_test(path: &RepoPath) -> bool {
    path.as_str().starts_with("tests/test_") && path.as_str().ends_with(".py")
}
