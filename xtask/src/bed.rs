//! What the tests run against: a container engine, the sandbox's image, a database, a message server,
//! the Python clients.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use toryo_embedded::{Durability, Options, Stack};

use crate::{
    child::{self, Signals},
    clients,
    dockerd::{self, Dockerd},
    engine::Engine,
    workspace,
};

/// The running servers. Call [`TestBed::stop`]; dropping it stops them as well.
#[derive(Debug)]
pub(crate) struct TestBed {
    // Fields are dropped in this order.
    pub(crate) stack: Stack,
    pub(crate) engine: Engine,
    _dockerd: Option<Dockerd>,
    image: String,
    python: PathBuf,
}

impl TestBed {
    /// Starts what does not run yet. The program `toryo` must be built: it makes the sandbox's image.
    pub(crate) async fn start(signals: &mut Signals) -> Result<Self> {
        let folder = workspace::target_dir()?.join("toryo-test");
        let engine = Engine::from_environment()?;
        let plan = dockerd::plan(&engine).await?;
        for line in plan.lines() {
            eprintln!("about to install or start: {line}");
        }
        let dockerd = plan.carry_out(&engine, &folder, signals).await?;
        let image = build_image(signals).await?;
        let python = clients::prepare(&folder, signals).await?;
        let options =
            Options::new(&folder).durability(Durability::Tests).on_progress(|line| eprintln!("{line}"));
        let stack = signals.guard(async { Ok(Stack::start(options).await?) }).await?;
        if stack.is_owner() {
            drop_old_databases(&stack).await?;
        }
        Ok(Self { stack, engine, _dockerd: dockerd, image, python })
    }

    /// What the tests read.
    pub(crate) fn variables(&self) -> [(&'static str, &OsStr); 4] {
        [
            ("TORYO_TEST_DATABASE_URL", self.stack.database_url().as_ref()),
            ("TORYO_TEST_NATS_URL", self.stack.nats_url().as_ref()),
            ("TORYO_TEST_SANDBOX_IMAGE", self.image.as_ref()),
            (clients::VARIABLE, self.python.as_ref()),
        ]
    }

    /// Stops what was started here.
    pub(crate) async fn stop(self) -> Result<()> {
        self.stack.stop().await?;
        Ok(())
    }
}

/// `toryo sandbox build` makes the image where it is missing. The last line of its standard output begins with the
/// image's name.
async fn build_image(signals: &mut Signals) -> Result<String> {
    let mut command = Command::new(toryo()?);
    command.args(["sandbox", "build"]).current_dir(workspace::root());
    let mut image = None;
    let first_word = |line: &str| {
        eprintln!("{line}");
        image = line.split_whitespace().next().map(str::to_owned).or(image.take());
    };
    let ended = child::run_reading(command, signals, first_word).await?;
    ended.succeeded("toryo sandbox build")?;
    image.context("`toryo sandbox build` does not name the image")
}

/// The program as the tests build it.
pub(crate) fn toryo() -> Result<PathBuf> {
    let program = workspace::target_dir()?.join("debug/toryo");
    ensure!(Path::new(&program).is_file(), "{} is not built", program.display());
    Ok(program)
}

/// Removes what tests that were killed left behind.
async fn drop_old_databases(stack: &Stack) -> Result<()> {
    let list = "select quote_ident(datname) from pg_database where not datistemplate and datname not in ('postgres', 'toryo')";
    let names = stack.sql(list).await.context("cannot list the databases of earlier tests")?;
    for name in names.lines() {
        stack.sql(&format!("drop database if exists {name} with (force)")).await?;
    }
    Ok(())
}
