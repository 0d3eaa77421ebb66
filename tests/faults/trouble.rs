//! What may happen to everything that is not a worker: the servers, the way to them, their disks.

use crate::fleet::Fleet;
use crate::keeper;
use anyhow::{Context, Result, ensure};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use toryo_bus::Bus;
use toryo_testkit::proxy::Proxy;
use toryo_testkit::stack::OwnServers;

/// Longest wait for a queue whose disk was full.
const HEALING: Duration = Duration::from_secs(60);

/// How long a trouble lasts.
const WHILE: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    PostgresKilled,
    PostgresRestarted,
    SessionsTerminated,
    PostgresOutOfReach,
    QueueKilled,
    QueueRestarted,
    QueuePurged,
    QueueDeleted,
    QueueOutOfReach,
    ClockAhead,
    ClockBehind,
    ArtifactDiskFull,
    ServerDiskFull,
}

impl Trouble {
    pub const ALL: &[Self] = &[
        Self::PostgresKilled,
        Self::PostgresRestarted,
        Self::SessionsTerminated,
        Self::PostgresOutOfReach,
        Self::QueueKilled,
        Self::QueueRestarted,
        Self::QueuePurged,
        Self::QueueDeleted,
        Self::QueueOutOfReach,
        Self::ClockAhead,
        Self::ClockBehind,
        Self::ArtifactDiskFull,
        Self::ServerDiskFull,
    ];
}

/// Where trouble is made.
pub struct Scene {
    pub servers: OwnServers,
    pub postgres: Proxy,
    pub nats: Proxy,
    /// The disk of the servers and that of the blobs; `None` where none may be mounted.
    pub disks: Option<[Disk; 2]>,
    pub jetstream: async_nats::jetstream::Context,
    pub queue: String,
    /// A way to the queue of the suite's own.
    pub bus: Bus,
}

impl Scene {
    /// Makes it, lets it last, and puts everything right again.
    pub async fn make(&self, trouble: Trouble, fleet: &mut Fleet) -> Result<()> {
        let stack = &self.servers.stack;
        match trouble {
            Trouble::PostgresKilled => {
                stack.postgres_kill9().await?;
                lasting(fleet, WHILE).await?;
                stack.postgres_restart().await?;
            }
            Trouble::PostgresRestarted => stack.postgres_restart().await?,
            Trouble::SessionsTerminated => {
                let all = "select count(pg_terminate_backend(pid)) from pg_stat_activity \
                           where pid <> pg_backend_pid() and application_name = 'toryo'";
                stack.sql(all).await?;
            }
            Trouble::PostgresOutOfReach => {
                self.postgres.cut();
                lasting(fleet, WHILE).await?;
                self.postgres.mend();
            }
            Trouble::QueueKilled => {
                stack.nats_kill9().await?;
                lasting(fleet, WHILE).await?;
                stack.nats_restart().await?;
            }
            Trouble::QueueRestarted => stack.nats_restart().await?,
            Trouble::QueuePurged => {
                let stream = self.jetstream.get_stream(&self.queue).await.context("there is no queue")?;
                stream.purge().await.context("the queue cannot be purged")?;
            }
            Trouble::QueueDeleted => {
                self.jetstream.delete_stream(&self.queue).await.context("the queue cannot be deleted")?;
            }
            Trouble::QueueOutOfReach => {
                self.nats.cut();
                lasting(fleet, WHILE).await?;
                self.nats.mend();
            }
            Trouble::ClockAhead => return jump(fleet, 7200).await,
            Trouble::ClockBehind => return jump(fleet, -7200).await,
            Trouble::ArtifactDiskFull => {
                if let Some([_, blobs]) = &self.disks {
                    let ballast = blobs.fill()?;
                    lasting(fleet, WHILE).await?;
                    std::fs::remove_file(ballast)?;
                }
            }
            Trouble::ServerDiskFull => {
                if let Some([servers, _]) = &self.disks {
                    let ballast = servers.fill()?;
                    lasting(fleet, WHILE).await?;
                    std::fs::remove_file(ballast)?;
                    self.healed(fleet).await?;
                }
            }
        }
        lasting(fleet, Duration::from_millis(500)).await
    }
}

impl Scene {
    /// Looks as `toryo up` does until the queue takes messages again.
    async fn healed(&self, fleet: &mut Fleet) -> Result<()> {
        let until = tokio::time::Instant::now() + HEALING;
        for number in 0.. {
            keeper::look(&self.servers.stack, &self.bus).await?;
            // A wake-up that finds nothing harms nobody.
            let probe = format!("probe:{}:{number}", uuid::Uuid::now_v7());
            if self.bus.announce_ready(&probe, b"{}".to_vec()).await.is_ok() {
                return Ok(());
            }
            ensure!(tokio::time::Instant::now() < until, "the queue was not healed in {HEALING:?}");
            lasting(fleet, Duration::from_millis(500)).await?;
        }
        Ok(())
    }
}

async fn jump(fleet: &mut Fleet, seconds: i64) -> Result<()> {
    fleet.shift_clock(0, seconds)?;
    lasting(fleet, WHILE).await?;
    fleet.shift_clock(0, 0)
}

async fn lasting(fleet: &mut Fleet, time: Duration) -> Result<()> {
    let until = tokio::time::Instant::now() + time;
    while tokio::time::Instant::now() < until {
        fleet.tend()?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// A small disk in memory, mounted for the suite alone.
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts one; fails where this user may not.
    pub fn mount(folder: &Path, size: &str) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let options = format!("size={size},mode=0755");
        let mut command = Command::new("mount");
        let status = command.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(folder).status()?;
        ensure!(status.success(), "a disk cannot be mounted at {}", folder.display());
        Ok(Self(folder.to_owned()))
    }

    /// Fills it to the last byte; the file that does so.
    fn fill(&self) -> Result<PathBuf> {
        let path = self.0.join("ballast");
        let mut file = File::create(&path)?;
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![0; size];
            // It ends when nothing fits any more.
            while file.write_all(&block).is_ok() {}
        }
        Ok(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process that is just ending may still have a file open on it.
        let _unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
