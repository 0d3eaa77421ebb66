//! Worker processes and what happens to them: they are started again when they die, and woken when they were stopped.

use crate::site::{LEASE, Site};
use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A stopped process sleeps long enough for its step to be taken away and given to another.
const ASLEEP: Duration = Duration::from_millis(LEASE.as_millis() as u64 + 1500);

/// A boundary that a process met armed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    pub boundary: String,
    pub pid: u32,
    pub action: String,
}

struct Slot {
    child: Child,
    clock: PathBuf,
    asleep_since: Option<Instant>,
}

/// The workers.
pub struct Fleet {
    site: Site,
    file: PathBuf,
    shim: Option<PathBuf>,
    slots: Vec<Slot>,
    hits: BTreeSet<Hit>,
    /// Processes that were killed or stopped, by an armed boundary or at random.
    pub disturbed: BTreeSet<u32>,
    started: usize,
}

impl Fleet {
    /// None yet; `shim` is a library that shifts a process' wall clock.
    pub fn new(site: Site, file: PathBuf, shim: Option<PathBuf>) -> Self {
        Self {
            site,
            file,
            shim,
            slots: vec![],
            hits: BTreeSet::new(),
            disturbed: BTreeSet::new(),
            started: 0,
        }
    }

    /// Starts so many workers.
    pub fn start(&mut self, workers: usize) -> Result<()> {
        for _ in 0..workers {
            let slot = self.spawn_worker()?;
            self.slots.push(slot);
        }
        Ok(())
    }

    fn command(&mut self, arguments: &[&str]) -> Result<Command> {
        self.started += 1;
        let log = self.site.data.join(format!("{}-{}.log", arguments[0], self.started));
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("child").arg(&self.file).args(arguments);
        command.env(toryo_engine::boundary::FOLDER, &self.site.points);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(log)?);
        Ok(command)
    }

    fn spawn_worker(&mut self) -> Result<Slot> {
        let mut command = self.command(&["worker"])?;
        let clock = self.site.data.join(format!("clock-{}", self.started));
        std::fs::write(&clock, "0")?;
        if let Some(shim) = &self.shim {
            command.env("LD_PRELOAD", shim).env("TORYO_FAULTS_CLOCK", &clock);
        }
        Ok(Slot { child: command.spawn()?, clock, asleep_since: None })
    }

    /// Runs an errand to its end, in a new process each time one dies of it.
    pub async fn errand(&mut self, arguments: &[&str]) -> Result<()> {
        for _ in 0..100 {
            let mut child = self.command(arguments)?.spawn()?;
            let status = loop {
                if let Some(status) = child.try_wait()? {
                    break status;
                }
                self.tend()?;
                if self.hits.iter().any(|hit| hit.pid == child.id() && hit.action == "stop") {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    signal(child.id(), Signal::SIGCONT);
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            if status.success() {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        anyhow::bail!("{arguments:?} never succeeded; see the logs in {}", self.site.data.display())
    }

    /// Arms a boundary for whoever reaches it first.
    pub fn arm(&self, boundary: &str, action: &str) -> Result<()> {
        // Whole or not at all: a process may look at any moment.
        let written = self.site.points.join(".next");
        std::fs::write(&written, action)?;
        Ok(std::fs::rename(written, self.site.points.join(boundary))?)
    }

    /// Whether nobody has met this boundary since it was armed.
    pub fn is_armed(&self, boundary: &str) -> bool {
        self.site.points.join(boundary).exists()
    }

    fn look(&mut self) -> Result<()> {
        for entry in std::fs::read_dir(&self.site.points)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Some((boundary, pid)) = name.strip_suffix(".hit").and_then(|name| name.rsplit_once('.'))
            else {
                continue;
            };
            let pid = pid.parse().context("a hit names no process")?;
            let action = std::fs::read_to_string(&path)?;
            std::fs::remove_file(&path)?;
            if action == "kill" || action == "stop" {
                self.disturbed.insert(pid);
            }
            if let Some(slot) = self.slots.iter_mut().find(|slot| slot.child.id() == pid && action == "stop")
            {
                slot.asleep_since = Some(Instant::now());
            }
            self.hits.insert(Hit { boundary: boundary.to_owned(), pid, action });
        }
        Ok(())
    }

    /// Looks after the workers: to be called all the time.
    pub fn tend(&mut self) -> Result<()> {
        self.look()?;
        for number in 0..self.slots.len() {
            if self.slots[number].child.try_wait()?.is_some() {
                self.slots[number] = self.spawn_worker()?;
            }
            let slot = &mut self.slots[number];
            if slot.asleep_since.is_some_and(|since| since.elapsed() > ASLEEP) {
                signal(slot.child.id(), Signal::SIGCONT);
                slot.asleep_since = None;
            }
        }
        Ok(())
    }

    /// A worker is killed, from outside and at whatever it is doing.
    pub fn kill(&mut self, number: usize) {
        let slot = &self.slots[number % self.slots.len()];
        self.disturbed.insert(slot.child.id());
        signal(slot.child.id(), Signal::SIGKILL);
    }

    /// A worker stands still for longer than its leases last.
    pub fn stop(&mut self, number: usize) {
        let number = number % self.slots.len();
        let slot = &mut self.slots[number];
        if slot.asleep_since.is_none() {
            self.disturbed.insert(slot.child.id());
            signal(slot.child.id(), Signal::SIGSTOP);
            slot.asleep_since = Some(Instant::now());
        }
    }

    /// A worker's wall clock jumps to so many seconds from the true time.
    pub fn shift_clock(&self, number: usize, seconds: i64) -> Result<()> {
        Ok(std::fs::write(&self.slots[number % self.slots.len()].clock, seconds.to_string())?)
    }

    /// Everything that was met.
    pub fn hits(&self) -> &BTreeSet<Hit> {
        &self.hits
    }

    /// Asks all workers to stop, as an orchestrator does, and waits until they have.
    pub async fn drain(&mut self) -> Result<()> {
        for slot in &self.slots {
            signal(slot.child.id(), Signal::SIGCONT);
            signal(slot.child.id(), Signal::SIGTERM);
        }
        let until = Instant::now() + Duration::from_secs(30);
        for slot in &mut self.slots {
            while slot.child.try_wait()?.is_none() {
                anyhow::ensure!(Instant::now() < until, "a worker does not end when it is asked to");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        self.slots.clear();
        Ok(())
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for slot in &mut self.slots {
            let _dead = slot.child.kill();
            let _reaped = slot.child.wait();
        }
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        // It may have ended by itself.
        let _sent = kill(Pid::from_raw(pid), signal);
    }
}
