//! Calling the `git` program: only to fetch and to push, without hooks, prompts or credentials in arguments.

use crate::{Error, repo_url, text};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

/// How much of an output is kept, in bytes; enough for the branches of a large repository.
const MOST_OUTPUT: u64 = 16 * 1024 * 1024;

/// What `git` may inherit: it has no need of the service's own settings and keys.
const INHERITED: [&str; 17] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_SSL_CAINFO",
    "SSH_AUTH_SOCK",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// Which way a URL may be reached; everything else is refused by Git itself, redirects included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// A folder of this machine.
    File,
    /// https or ssh.
    Network,
}

/// One call of `git`.
#[derive(Debug)]
pub(crate) struct Call {
    /// The subcommand.
    pub(crate) what: &'static str,
    /// The repository it works in, if it needs one.
    pub(crate) git_dir: Option<PathBuf>,
    /// What follows the subcommand.
    pub(crate) args: Vec<OsString>,
    /// How URLs may be reached.
    pub(crate) transport: Transport,
    /// The longest it may take.
    pub(crate) limit: Duration,
}

/// What a call left.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Whether the exit status was zero.
    pub(crate) success: bool,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error, in English.
    pub(crate) stderr: String,
}

impl Finished {
    /// The error that this output stands for.
    pub(crate) fn error(&self, what: &'static str, repo: &str) -> Error {
        let said = |needles: &[&str]| needles.iter().any(|needle| self.stderr.contains(needle));
        let repo = repo.to_owned();
        if said(&["dubious ownership"]) {
            Error::ForeignOwner { repo }
        } else if said(&[
            "Authentication failed",
            "could not read Username",
            "could not read Password",
            "Permission denied",
            "error: 403",
            "error: 401",
            "Host key verification failed",
        ]) {
            Error::Denied { repo }
        } else if said(&["not found", "does not exist", "Repository not found"])
            && !said(&["Could not resolve"])
        {
            Error::NotFound { repo }
        } else if said(&["does not appear to be a git repository"]) {
            Error::NotARepository { repo }
        } else {
            let words: Vec<_> = self.stderr.split_whitespace().map(redacted_word).collect();
            Error::Command { what, message: text::cut(&text::one_line(&words.join(" ")), 500) }
        }
    }
}

/// A word of a message, without what could be a credential in a URL.
fn redacted_word(word: &str) -> String {
    if word.contains("://") && word.contains('@') { repo_url::redacted(word) } else { word.to_owned() }
}

impl Call {
    /// Runs it to its end, its limit, the token, or the drop of this future; in the last three cases it and
    /// everything it started is killed.
    pub(crate) async fn run(self, cancel: &CancellationToken) -> Result<Finished, Error> {
        let mut child = self.command().spawn().map_err(Error::NoGit)?;
        let mut group = Group::of(&child);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let work = async {
            let (stdout, stderr) = tokio::join!(captured(stdout), captured(stderr));
            child.wait().await.map(|status| Finished { success: status.success(), stdout, stderr })
        };
        let finished = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(Error::Cancelled),
            finished = work => finished.map_err(Error::NoGit)?,
            () = tokio::time::sleep(self.limit) => {
                return Err(Error::TimedOut { what: format!("git {}", self.what), limit: self.limit });
            }
        };
        group.ended();
        Ok(finished)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("git");
        command.env_clear();
        for name in INHERITED {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_ASKPASS", "true")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_PROTOCOL_FROM_USER", "0")
            .env("LC_ALL", "C")
            .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=20 -oControlMaster=no");
        for setting in [
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "gc.auto=0",
            "maintenance.auto=false",
            "submodule.recurse=false",
            "protocol.allow=never",
            "protocol.ext.allow=never",
        ] {
            command.arg("-c").arg(setting);
        }
        let allowed: &[&str] = match self.transport {
            Transport::File => &["protocol.file.allow=always"],
            Transport::Network => &["protocol.https.allow=always", "protocol.ssh.allow=always"],
        };
        for setting in allowed {
            command.arg("-c").arg(setting);
        }
        if let Some(git_dir) = &self.git_dir {
            command.arg("--git-dir").arg(git_dir);
        }
        command.arg(self.what).args(&self.args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that ssh and the transfer helpers end with it.
        command.kill_on_drop(true).process_group(0);
        command
    }
}

async fn captured(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut kept = Vec::new();
    if let Some(mut stream) = stream {
        // A broken pipe ends the text early; the exit status tells the rest.
        let _ = (&mut stream).take(MOST_OUTPUT).read_to_end(&mut kept).await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&kept).into_owned()
}

/// The process group of a call; killed when this is dropped before the call ended.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &tokio::process::Child) -> Self {
        Self(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw))
    }

    const fn ended(&mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Fails only where nothing is left to kill.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}
