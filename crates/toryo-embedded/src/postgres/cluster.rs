//! Making the database at the first start, complete or not at all.

use std::{fs, path::Path, process::Command, time::Duration};

use super::{NAME, Postgres};
use crate::{
    error::{Error, IoContext},
    fetch::POSTGRES_MAJOR,
    layout::{Durability, Progress, write_private},
    process::run_tool,
};

/// About a second on a quiet machine.
const INIT_LIMIT: Duration = Duration::from_secs(300);

impl Postgres {
    /// Makes the database where none exists, and refuses one of another major version.
    pub(super) async fn create_cluster(&self, progress: &Progress) -> Result<(), Error> {
        let version = self.data.join("PG_VERSION");
        if self.data.exists() {
            let found = fs::read_to_string(&version).doing("read", &version)?.trim().to_owned();
            if found == POSTGRES_MAJOR {
                return Ok(());
            }
            return Err(Error::OtherMajor { path: self.data.clone(), found, expected: POSTGRES_MAJOR });
        }
        progress("creating the database");
        let draft = self.layout.home.join("postgres.draft");
        if draft.exists() {
            fs::remove_dir_all(&draft).doing("remove", &draft)?;
        }
        let draft = self.layout.private_dir("postgres.draft")?;
        self.init(&draft).await?;
        self.create_database(&draft).await?;
        fs::rename(&draft, &self.data).doing("create", &self.data)
    }

    async fn init(&self, draft: &Path) -> Result<(), Error> {
        // initdb reads the password as the servers' account, from a file of that account. It cannot lie in the
        // new folder, which must be empty.
        let handover = self.layout.home.join("postgres.initial");
        write_private(&handover, &self.password)?;
        self.layout.hand_over(&handover)?;
        let mut command = Command::new(self.programs.postgres_bin.join("initdb"));
        self.layout.confine(&mut command);
        // The built-in locale sorts alike on every platform.
        command
            .args(["--username", NAME, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"])
            .args(["--locale-provider=builtin", "--builtin-locale=C.UTF-8"])
            .arg("--pwfile")
            .arg(&handover)
            .arg("--pgdata")
            .arg(draft);
        if self.durability == Durability::Tests {
            command.arg("--no-sync");
        }
        let made = run_tool("initdb", command, "", INIT_LIMIT).await;
        fs::remove_file(&handover).doing("remove", &handover)?;
        made.map(drop)
    }

    /// Creates the database before the server listens, in the single-user mode, which asks for no password.
    async fn create_database(&self, draft: &Path) -> Result<(), Error> {
        let mut command = Command::new(self.programs.postgres_bin.join("postgres"));
        self.layout.confine(&mut command);
        command.arg("--single").arg("-D").arg(draft).arg("postgres");
        let statement = format!("create database {NAME};\n");
        run_tool("postgres --single", command, &statement, INIT_LIMIT).await.map(drop)
    }
}
