//! Where packages and servers live, and the account that the servers run as.

use std::{
    fmt, fs, io,
    os::unix::{
        fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use nix::unistd::{Uid, User};

use crate::{
    error::{Error, IoContext},
    state,
};

/// Where the servers live when the account of the servers cannot walk to the data folder.
const RELOCATED: &str = "/var/lib/toryo";

/// Receives one line of progress at a time.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// How much a crash of the whole machine may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// For users' data: every commit is on disk before it is confirmed.
    Full,
    /// For tests: no `fsync`, more connections, and a log line for each session. A commit outlives the server,
    /// not the machine.
    Tests,
}

/// How to start a [`crate::Stack`].
#[derive(Clone)]
pub struct Options {
    pub(crate) data_dir: PathBuf,
    pub(crate) packages_dir: Option<PathBuf>,
    pub(crate) durability: Durability,
    pub(crate) progress: Progress,
    pub(crate) environment: Vec<(String, String)>,
}

impl Options {
    /// Servers under `data_dir`, which is created where it is missing; full durability.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            packages_dir: None,
            durability: Durability::Full,
            progress: Arc::new(|line| tracing::info!("{line}")),
            environment: Vec::new(),
        }
    }

    /// Adds a variable to the environment of the servers, which get nothing of the caller's. For tests and benchmarks that
    /// put a library of their own before the C library.
    #[must_use]
    pub fn environment(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// How much a crash of the whole machine may cost.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Keeps the unpacked packages elsewhere than in `<data>/packages`, so that several stacks share them.
    #[must_use]
    pub fn packages_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.packages_dir = Some(dir.into());
        self
    }

    /// Where lines of progress go; by default to the log.
    #[must_use]
    pub fn on_progress(mut self, progress: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.progress = Arc::new(progress);
        self
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("data_dir", &self.data_dir)
            .field("packages_dir", &self.packages_dir)
            .field("durability", &self.durability)
            .finish_non_exhaustive()
    }
}

/// The account that the servers run as when the caller is root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    uid: u32,
    gid: u32,
}

impl Account {
    /// `None` when the caller is an ordinary user, who then runs the servers.
    fn for_caller() -> Result<Option<Self>, Error> {
        if !Uid::effective().is_root() {
            return Ok(None);
        }
        // initdb refuses a uid without an entry in the user database, so a made-up number will not do.
        match User::from_name("nobody") {
            Ok(Some(nobody)) => Ok(Some(Self { uid: nobody.uid.as_raw(), gid: nobody.gid.as_raw() })),
            Ok(None) | Err(_) => Err(Error::NoAccount),
        }
    }

    /// The owner of a database that exists, unless that is root.
    fn of_existing(postgres: &Path) -> Option<Self> {
        let found = fs::metadata(postgres).ok()?;
        (found.uid() != 0).then_some(Self { uid: found.uid(), gid: found.gid() })
    }

    /// Runs the command as this account, without root's groups.
    pub(crate) fn apply(self, command: &mut Command) {
        // The standard library also drops the supplementary groups when root sets a uid.
        command.uid(self.uid).gid(self.gid);
    }

    /// Gives a file or folder to this account.
    pub(crate) fn own(self, path: &Path) -> Result<(), Error> {
        chown(path, Some(self.uid), Some(self.gid)).doing("hand over", path)
    }

    /// Whether this account can walk to a folder. Asks the kernel, which also knows access lists.
    fn reaches(self, dir: &Path) -> bool {
        let mut probe = Command::new("/bin/sh");
        // The uid is set before the working directory, so an unreachable folder makes the spawn fail.
        probe.args(["-c", ":"]).current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null());
        self.apply(&mut probe);
        probe.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    }
}

/// The folders of one stack.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// Servers, passwords, logs and state.
    pub(crate) home: PathBuf,
    /// Unpacked packages.
    pub(crate) packages: PathBuf,
    /// Whom the servers run as; `None` is the caller.
    pub(crate) account: Option<Account>,
    /// What the servers see in their environment beside the search path.
    pub(crate) environment: Vec<(String, String)>,
}

impl Layout {
    /// Creates the folders where they are missing.
    pub(crate) fn prepare(options: &Options) -> Result<Self, Error> {
        make_dir(&options.data_dir)?;
        let data = options.data_dir.canonicalize().doing("resolve", &options.data_dir)?;
        let link = data.join("embedded");
        let mut account = Account::for_caller()?;
        if account.is_some() {
            account = Account::of_existing(&link.join("postgres")).or(account);
        }
        let home = match account {
            Some(account) if !link.exists() && !account.reaches(&data) => relocate(&link)?,
            Some(_) | None => {
                make_dir(&link)?;
                link.canonicalize().doing("resolve", &link)?
            }
        };
        check_reach(&home, account)?;
        let packages = packages_dir(options, account)?;
        make_dir(&packages)?;
        Ok(Self { home, packages, account, environment: options.environment.clone() })
    }

    /// A folder of the home that only the servers' account may enter.
    pub(crate) fn private_dir(&self, name: &str) -> Result<PathBuf, Error> {
        let dir = self.home.join(name);
        if !dir.exists() {
            fs::DirBuilder::new().mode(0o700).create(&dir).doing("create", &dir)?;
            self.hand_over(&dir)?;
        }
        Ok(dir)
    }

    /// Gives a path to the servers' account where that is not the caller.
    pub(crate) fn hand_over(&self, path: &Path) -> Result<(), Error> {
        self.account.map_or(Ok(()), |account| account.own(path))
    }

    /// Makes a command run as the servers' account, with nothing of the caller's environment but the search
    /// path: variables such as `PGPORT` would redirect the servers.
    pub(crate) fn confine(&self, command: &mut Command) {
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin").env("LC_ALL", "C").env("TZ", "UTC");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir("/").process_group(0);
        if let Some(account) = self.account {
            account.apply(command);
        }
    }
}

/// Where the packages of these options are, or would be. Creates nothing.
pub(crate) fn packages_dir_of(options: &Options) -> Result<PathBuf, Error> {
    packages_dir(options, Account::for_caller()?)
}

fn packages_dir(options: &Options, account: Option<Account>) -> Result<PathBuf, Error> {
    let wanted = options.packages_dir.clone().unwrap_or_else(|| options.data_dir.join("packages"));
    let wanted = std::path::absolute(&wanted).doing("resolve", &wanted)?;
    let existing = wanted.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("/"));
    match account {
        Some(account) if !account.reaches(existing) => Ok(Path::new(RELOCATED).join("packages")),
        Some(_) | None => Ok(wanted),
    }
}

/// A fresh home outside the data folder, and the link that remembers it. The name is random rather than made
/// from the data folder's path: a moved data folder keeps its database, a deleted one does not come back.
fn relocate(link: &Path) -> Result<PathBuf, Error> {
    let home = Path::new(RELOCATED).join(&state::random_hex()?[..16]);
    make_dir(&home)?;
    symlink(&home, link).doing("link", link)?;
    Ok(home)
}

fn check_reach(home: &Path, account: Option<Account>) -> Result<(), Error> {
    let usable = match account {
        Some(account) => account.reaches(home),
        None => match fs::read_dir(home.join("postgres")) {
            Err(refused) => refused.kind() != io::ErrorKind::PermissionDenied,
            Ok(_) => true,
        },
    };
    if usable { Ok(()) } else { Err(Error::ForeignFolder { path: home.to_owned() }) }
}

/// Creates a folder and its missing parents, readable by everybody whatever the umask says.
fn make_dir(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_dir(parent)?;
    }
    match fs::create_dir(dir) {
        Ok(()) => fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).doing("open up", dir),
        // Another caller was faster.
        Err(exists) if exists.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(refused) => Err(refused).doing("create", dir),
    }
}

/// Writes a file that only its owner may read, whole or not at all.
pub(crate) fn write_private(path: &Path, content: &str) -> Result<(), Error> {
    use io::Write;
    // Two callers may write the same file at once: each gets a draft of its own.
    let draft = path.with_extension(format!("draft-{}", &state::random_hex()?[..8]));
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(content.as_bytes()).and_then(|()| file.sync_all()));
    written.doing("write", &draft)?;
    fs::rename(&draft, path).doing("write", path)
}
