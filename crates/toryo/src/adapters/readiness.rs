//! Whether what a run needs is there.

use async_trait::async_trait;
use toryo_api::ports::{Check, Readiness};
use toryo_blackboard::workers;
use toryo_engine::Engine;
use toryo_sandbox::DockerSandbox;

/// Looks at database, queue, sandbox and workers.
pub struct Needs {
    /// Database and queue.
    pub engine: Engine,
    /// The container engine.
    pub sandbox: DockerSandbox,
}

#[async_trait]
impl Readiness for Needs {
    async fn checks(&self) -> Vec<Check> {
        let (database, queue, sandbox, workers) = tokio::join!(
            self.engine.db.ping(),
            self.engine.bus.ping(),
            sandbox(&self.sandbox),
            workers::live(&self.engine.db),
        );
        let worker = match workers {
            Ok(live) if live.is_empty() => {
                Err("no worker is alive; start one with `toryo worker`".to_owned())
            }
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        vec![
            check("database", true, database),
            // Runs go on without the queue, more slowly: it only carries wake-ups.
            check("queue", false, queue),
            check("sandbox", false, sandbox),
            check("worker", false, worker),
        ]
    }
}

fn check<E: ToString>(name: &str, required: bool, outcome: Result<(), E>) -> Check {
    let detail = outcome.as_ref().err().map(ToString::to_string);
    Check { name: name.to_owned(), ok: outcome.is_ok(), required, detail }
}

async fn sandbox(sandbox: &DockerSandbox) -> Result<(), String> {
    match sandbox.check().await {
        Ok(check) if check.image.is_some() => Ok(()),
        Ok(_) => Err("the sandbox's image is missing; run `toryo sandbox build`".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
