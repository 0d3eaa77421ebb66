//! Making a container engine answer: installing packages, starting a service or a daemon of our own.

use std::{
    fs::{self, File},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid},
};

use crate::{
    child::{self, Signals},
    engine::{Answer, Engine},
    workspace::has_program,
};

/// A cold dockerd loads its networks and images first.
const START_LIMIT: Duration = Duration::from_secs(90);
/// It stops its containers first, each within 10 s.
const STOP_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(100);

/// What has to be done before an engine answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Debian packages to install.
    pub(crate) packages: Vec<&'static str>,
    /// How the engine is started, where it does not answer.
    pub(crate) start: Option<Start>,
}

/// How an engine is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Through the init system.
    Service,
    /// As a child of this program, stopped at the end.
    Daemon,
}

/// What the plan depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Machine {
    engine_answers: bool,
    usual_socket: bool,
    root: bool,
    apt: bool,
    init_system: bool,
    dockerd: bool,
    debootstrap: bool,
}

/// Looks at the machine. Fails, saying which command to run, where only a person can help.
pub(crate) async fn plan(engine: &Engine) -> Result<Plan> {
    let answer = engine.ask().await;
    if answer == Answer::Forbidden {
        bail!(
            "a container engine runs, but this user may not use it; \
             run `sudo usermod -aG docker \"$USER\"`, log in again, and start again"
        );
    }
    decide(Machine {
        engine_answers: answer == Answer::Running,
        usual_socket: engine.is_usual_socket(),
        root: Uid::effective().is_root(),
        apt: has_program("apt-get"),
        init_system: Path::new("/run/systemd/system").is_dir(),
        dockerd: has_program("dockerd"),
        debootstrap: has_program("debootstrap"),
    })
}

fn decide(machine: Machine) -> Result<Plan> {
    let mut packages = Vec::new();
    if !machine.engine_answers && !machine.dockerd {
        packages.push("docker.io");
    }
    // Builds the sandbox's image where no image registry can be reached. An engine that answers may pull it
    // instead, so its lack alone stops nobody who cannot install packages.
    if !machine.debootstrap && machine.apt && (machine.root || !packages.is_empty()) {
        packages.push("debootstrap");
    }
    if machine.engine_answers {
        return Ok(Plan { packages, start: None });
    }
    if !machine.usual_socket {
        bail!("no container engine answers at DOCKER_HOST; start it, or unset DOCKER_HOST");
    }
    if !machine.apt && !machine.dockerd {
        bail!(
            "no container engine answers; install and start Docker (https://docs.docker.com/engine/install/)"
        );
    }
    if !machine.root {
        let steps = match (packages.is_empty(), machine.init_system) {
            (false, _) => format!("sudo apt-get install -y {}", packages.join(" ")),
            (true, true) => "sudo systemctl start docker".to_owned(),
            (true, false) => "sudo dockerd".to_owned(),
        };
        bail!("no container engine answers; run `{steps}`, then start again");
    }
    let start = if machine.init_system { Start::Service } else { Start::Daemon };
    Ok(Plan { packages, start: Some(start) })
}

impl Plan {
    /// What is about to happen, a line each; empty when nothing is.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if !self.packages.is_empty() {
            lines.push(format!("Debian packages, by apt-get: {}", self.packages.join(", ")));
        }
        match self.start {
            Some(Start::Service) => lines.push("the service docker, which keeps running".to_owned()),
            Some(Start::Daemon) => lines.push("dockerd, which is stopped at the end".to_owned()),
            None => {}
        }
        lines
    }

    /// Carries it out. Afterwards the engine answers.
    pub(crate) async fn carry_out(
        self,
        engine: &Engine,
        folder: &Path,
        signals: &mut Signals,
    ) -> Result<Option<Dockerd>> {
        if !self.packages.is_empty() {
            install(&self.packages, signals).await?;
        }
        // The package may have started it.
        if engine.ask().await == Answer::Running {
            return Ok(Dockerd::remembered(folder));
        }
        let daemon = match self.start {
            None => bail!("the container engine stopped answering"),
            Some(Start::Service) => {
                let mut start = Command::new("systemctl");
                start.args(["start", "docker"]);
                child::run(start, signals).await?.succeeded("systemctl start docker")?;
                None
            }
            Some(Start::Daemon) => Some(Dockerd::spawn(folder)?),
        };
        wait_for(engine, daemon, signals).await
    }
}

async fn install(packages: &[&str], signals: &mut Signals) -> Result<()> {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    child::run(apt(&["update", "-qq"]), signals).await?.succeeded("apt-get update")?;
    let arguments: Vec<&str> = ["install", "-y", "-qq"].iter().chain(packages).copied().collect();
    child::run(apt(&arguments), signals).await?.succeeded("apt-get install")
}

async fn wait_for(
    engine: &Engine,
    mut daemon: Option<Dockerd>,
    signals: &mut Signals,
) -> Result<Option<Dockerd>> {
    let deadline = Instant::now() + START_LIMIT;
    let waited = signals.guard(async {
        while engine.ask().await != Answer::Running {
            if let Some(ended) = daemon.as_mut().and_then(Dockerd::ended) {
                bail!("dockerd ended ({ended})");
            }
            if Instant::now() > deadline {
                bail!("dockerd did not answer within {START_LIMIT:?}");
            }
            tokio::time::sleep(POLL).await;
        }
        Ok(())
    });
    match waited.await {
        Ok(()) => Ok(daemon),
        Err(failure) => {
            let log = daemon.as_ref().map(|daemon| daemon.log.display().to_string());
            drop(daemon);
            Err(failure.context(format!("no container engine; see {}", log.as_deref().unwrap_or("its log"))))
        }
    }
}

/// A dockerd that this program started, now or in an earlier life that was killed. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Dockerd {
    pid: Pid,
    /// `None` for one of an earlier life.
    child: Option<Child>,
    log: PathBuf,
    pid_file: PathBuf,
}

impl Dockerd {
    /// Starts it in a process group of its own: a Ctrl-C in the terminal must not reach it before the
    /// containers of Toryo are gone.
    fn spawn(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let folder = folder.canonicalize()?;
        let (log, pid_file) = (folder.join("dockerd.log"), folder.join("dockerd.pid"));
        let output =
            File::options().create(true).append(true).open(&log).context("cannot write dockerd's log")?;
        // A file of an earlier life whose process is gone, or dockerd would refuse.
        fs::remove_file(&pid_file).ok();
        let path = std::env::var("PATH").unwrap_or_default();
        let child = Command::new("dockerd")
            .arg(format!("--pidfile={}", pid_file.display()))
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0)
            .spawn()
            .context("cannot start dockerd")?;
        Ok(Self { pid: Pid::from_raw(i32::try_from(child.id())?), child: Some(child), log, pid_file })
    }

    /// The one that an earlier life of this program left running, recognised by its pid file's path among its
    /// arguments: a process id alone may belong to a stranger by now.
    fn remembered(folder: &Path) -> Option<Self> {
        let folder = folder.canonicalize().ok()?;
        let (log, pid_file) = (folder.join("dockerd.log"), folder.join("dockerd.pid"));
        let pid: i32 = fs::read_to_string(&pid_file).ok()?.trim().parse().ok()?;
        let found = Self { pid: Pid::from_raw(pid), child: None, log, pid_file };
        found.is_running().then_some(found)
    }

    fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.as_mut()?.try_wait().ok().flatten()
    }

    fn is_running(&self) -> bool {
        let wanted = format!("--pidfile={}", self.pid_file.display());
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == wanted.as_bytes())
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        if self.is_running() {
            kill(self.pid, Signal::SIGTERM).ok();
        }
        let deadline = Instant::now() + STOP_LIMIT;
        // Reaping matters too: a child that ended and was not waited for still has an entry.
        while self.ended().is_none() && self.is_running() && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        if self.is_running() {
            kill(self.pid, Signal::SIGKILL).ok();
        }
        if let Some(child) = &mut self.child {
            child.wait().ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: Machine = Machine {
        engine_answers: false,
        usual_socket: true,
        root: true,
        apt: true,
        init_system: false,
        dockerd: false,
        debootstrap: false,
    };

    #[test]
    fn a_fresh_machine_gets_packages_and_a_daemon() {
        let plan = decide(FRESH).unwrap();
        assert_eq!(plan.packages, ["docker.io", "debootstrap"]);
        assert_eq!(plan.start, Some(Start::Daemon));
        let plan = decide(Machine { init_system: true, dockerd: true, ..FRESH }).unwrap();
        assert_eq!(plan, Plan { packages: vec!["debootstrap"], start: Some(Start::Service) });
    }

    #[test]
    fn nothing_is_done_where_all_is_there() {
        let ready = Machine { engine_answers: true, dockerd: true, debootstrap: true, ..FRESH };
        assert_eq!(decide(ready).unwrap().lines(), Vec::<String>::new());
        // Somebody else's engine and an ordinary user: the image may be pulled.
        let remote = Machine { engine_answers: true, root: false, usual_socket: false, ..FRESH };
        assert_eq!(decide(remote).unwrap().lines(), Vec::<String>::new());
    }

    #[test]
    fn who_is_not_root_is_told_the_command() {
        let said = |machine| decide(Machine { root: false, ..machine }).unwrap_err().to_string();
        let missing = said(FRESH);
        assert!(missing.contains("`sudo apt-get install -y docker.io debootstrap`"), "{missing}");
        let stopped = said(Machine { dockerd: true, debootstrap: true, init_system: true, ..FRESH });
        assert!(stopped.contains("`sudo systemctl start docker`"), "{stopped}");
        let no_init = said(Machine { dockerd: true, debootstrap: true, ..FRESH });
        assert!(no_init.contains("`sudo dockerd`"), "{no_init}");
        let elsewhere = said(Machine { apt: false, ..FRESH });
        assert!(elsewhere.contains("install and start Docker"), "{elsewhere}");
        let remote = decide(Machine { usual_socket: false, ..FRESH }).unwrap_err().to_string();
        assert!(remote.contains("DOCKER_HOST"), "{remote}");
    }
}
