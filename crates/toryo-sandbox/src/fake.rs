//! The in-process double of the port for other crates' tests: it answers from a script and records what was asked.

use crate::{Error, Image, Job, JobReport, Preparation, Progress, Sandbox};
use async_trait::async_trait;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio_util::sync::CancellationToken;

type Handler = dyn Fn(&Job) -> Result<JobReport, Error> + Send + Sync;

/// One scripted answer.
enum Answer {
    Reply(Result<JobReport, Error>),
    Hang,
}

/// A sandbox that runs nothing. Scripted answers are used up first, in their order; after them the handler answers;
/// without one the report is empty.
#[derive(Clone, Default)]
pub struct FakeSandbox {
    inner: Arc<Mutex<Inner>>,
    handler: Option<Arc<Handler>>,
}

#[derive(Default)]
struct Inner {
    answers: VecDeque<Answer>,
    prepare_failures: VecDeque<Error>,
    jobs: Vec<Job>,
    preparations: Vec<Preparation>,
}

impl FakeSandbox {
    /// A sandbox without a script.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Answers each job for which nothing is scripted by this function.
    #[must_use]
    pub fn answering(handler: impl Fn(&Job) -> Result<JobReport, Error> + Send + Sync + 'static) -> Self {
        Self { handler: Some(Arc::new(handler)), ..Self::default() }
    }

    /// Answers the next unscripted job with this report.
    pub fn reply(&self, report: JobReport) {
        self.lock().answers.push_back(Answer::Reply(Ok(report)));
    }

    /// Fails the next unscripted job.
    pub fn fail(&self, error: Error) {
        self.lock().answers.push_back(Answer::Reply(Err(error)));
    }

    /// Lets the next unscripted job hang until it is cancelled.
    pub fn hang(&self) {
        self.lock().answers.push_back(Answer::Hang);
    }

    /// Fails the next preparation.
    pub fn fail_prepare(&self, error: Error) {
        self.lock().prepare_failures.push_back(error);
    }

    /// The jobs so far.
    #[must_use]
    pub fn jobs(&self) -> Vec<Job> {
        self.lock().jobs.clone()
    }

    /// The preparations so far.
    #[must_use]
    pub fn preparations(&self) -> Vec<Preparation> {
        self.lock().preparations.clone()
    }

    /// How many scripted answers were not used: a test should end with none.
    #[must_use]
    pub fn unused(&self) -> usize {
        let inner = self.lock();
        inner.answers.len() + inner.prepare_failures.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FakeSandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeSandbox").field("unused", &self.unused()).finish_non_exhaustive()
    }
}

#[async_trait]
impl Sandbox for FakeSandbox {
    async fn prepare(
        &self,
        preparation: &Preparation,
        _progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<Image, Error> {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let mut inner = self.lock();
        inner.preparations.push(preparation.clone());
        match inner.prepare_failures.pop_front() {
            Some(error) => Err(error),
            None => Ok(Image { name: "fake:1".into(), id: "sha256:fake".into() }),
        }
    }

    async fn run(
        &self,
        job: &Job,
        _progress: &Progress,
        cancel: &CancellationToken,
    ) -> Result<JobReport, Error> {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let answer = {
            let mut inner = self.lock();
            inner.jobs.push(job.clone());
            inner.answers.pop_front()
        };
        match (answer, &self.handler) {
            (Some(Answer::Reply(reply)), _) => reply,
            (Some(Answer::Hang), _) => {
                cancel.cancelled().await;
                Err(Error::Cancelled)
            }
            (None, Some(handler)) => handler(job),
            (None, None) => Ok(JobReport::default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Labels, Limits};
    use toryo_domain::FailureClass;

    fn job() -> Job {
        Job {
            image: Image { name: "fake:1".into(), id: "sha256:fake".into() },
            files: Vec::new(),
            commands: Vec::new(),
            collect: Vec::new(),
            limits: Limits::default(),
            labels: Labels::default(),
        }
    }

    #[tokio::test]
    async fn answers_come_in_order_and_jobs_are_recorded() {
        let fake = FakeSandbox::answering(|_| Err(Error::Cancelled));
        let sandbox: Arc<dyn Sandbox> = Arc::new(fake.clone());
        fake.reply(JobReport { not_collected: Some("first".into()), ..JobReport::default() });
        fake.hang();
        let cancel = CancellationToken::new();
        let first = sandbox.run(&job(), &Progress::none(), &cancel).await.unwrap();
        assert_eq!(first.not_collected.as_deref(), Some("first"));
        let (nothing, job) = (Progress::none(), job());
        let (hung, ()) =
            tokio::join!(biased; sandbox.run(&job, &nothing, &cancel), async { cancel.cancel() });
        assert_eq!(hung.unwrap_err().class(), FailureClass::Cancelled);
        assert_eq!(fake.unused(), 0);
    }
}
