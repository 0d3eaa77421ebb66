//! What a start remembers: ports, passwords, and who owns the servers.

use std::{
    fs::{self, File, TryLockError},
    io::Read,
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, IoContext},
    layout::{Layout, write_private},
};

/// The content of `servers.json`. Ports are remembered so that a client's URL survives a restart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    /// Postgres, on loopback; 0 is "none chosen yet", also below.
    pub(crate) postgres_port: u16,
    /// Clients of NATS, on loopback.
    pub(crate) nats_port: u16,
    /// NATS' monitoring pages, on loopback.
    pub(crate) nats_monitor_port: u16,
    /// Both servers answered since the present owner started them.
    pub(crate) ready: bool,
}

impl State {
    const FILE: &str = "servers.json";

    /// What the last owner wrote. A missing or damaged file costs only the remembered ports.
    pub(crate) fn load(layout: &Layout) -> Self {
        fs::read_to_string(layout.home.join(Self::FILE))
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }

    pub(crate) fn save(&self, layout: &Layout) -> Result<(), Error> {
        // Serialising four plain fields cannot fail; an empty file would only forget the ports.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        write_private(&layout.home.join(Self::FILE), &text)
    }
}

/// Held by the process that started the servers. The kernel releases it however that process ends.
#[derive(Debug)]
pub(crate) struct OwnerLock {
    _file: File,
}

impl OwnerLock {
    /// `None` when another process, or another stack of this process, holds it.
    pub(crate) fn try_take(layout: &Layout) -> Result<Option<Self>, Error> {
        Ok(try_lock(&layout.home.join("owner.lock"))?.map(|file| Self { _file: file }))
    }
}

/// Locks a file without waiting; `None` when somebody else holds it.
pub(crate) fn try_lock(path: &Path) -> Result<Option<File>, Error> {
    let file = File::options().create(true).truncate(false).write(true).open(path).doing("open", path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(refused)) => Err(refused).doing("lock", path),
    }
}

/// The password in `name`, made at the first call. `existing` says that what it protects exists already.
pub(crate) fn password(layout: &Layout, name: &str, existing: bool) -> Result<String, Error> {
    let path = layout.home.join(name);
    match fs::read_to_string(&path) {
        Ok(found) if !found.trim().is_empty() => Ok(found.trim().to_owned()),
        Ok(_) | Err(_) if existing => Err(Error::PasswordLost { path }),
        Ok(_) | Err(_) => {
            let fresh = random_hex()?;
            write_private(&path, &fresh)?;
            Ok(fresh)
        }
    }
}

/// 256 random bits from the kernel, in hex: safe in URLs, configuration files and SQL.
pub(crate) fn random_hex() -> Result<String, Error> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0_u8; 32];
    File::open(source).and_then(|mut file| file.read_exact(&mut bytes)).doing("read", source)?;
    Ok(hex::encode(bytes))
}

/// Below the range from which Linux and macOS take the ports of outgoing connections, so that a port stays
/// free while its server restarts.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// The remembered port where it is free, or else another one. Somebody may take it before the server does:
/// callers try again then.
pub(crate) fn free_port(remembered: u16) -> Result<u16, Error> {
    let is_free = |port: u16| port != 0 && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    if is_free(remembered) {
        return Ok(remembered);
    }
    // A random start, because several stacks choose at the same time.
    let random = u16::from_str_radix(&random_hex()?[..4], 16).unwrap_or(0);
    let count = PORTS.end - PORTS.start;
    (0..count)
        .map(|step| PORTS.start + ((u32::from(random) + u32::from(step)) % u32::from(count)) as u16)
        .find(|port| is_free(*port))
        .ok_or_else(|| Error::Io {
            what: format!("no free port on loopback from {} to {}", PORTS.start, PORTS.end),
            source: std::io::Error::from(std::io::ErrorKind::AddrInUse),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remembered_port_is_kept_while_it_is_free() {
        let port = free_port(0).unwrap();
        assert_eq!(free_port(port).unwrap(), port);
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        assert_ne!(free_port(port).unwrap(), port);
    }

    #[test]
    fn a_lock_has_one_holder_and_is_free_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = try_lock(&path).unwrap();
        assert!(held.is_some());
        assert!(try_lock(&path).unwrap().is_none());
        drop(held);
        assert!(try_lock(&path).unwrap().is_some());
    }

    #[test]
    fn a_password_is_made_once_and_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout {
            home: dir.path().to_owned(),
            packages: dir.path().to_owned(),
            account: None,
            environment: vec![],
        };
        let first = password(&layout, "secret", false).unwrap();
        assert_eq!(first.len(), 64);
        assert_eq!(password(&layout, "secret", true).unwrap(), first);
        let mode = fs::metadata(dir.path().join("secret")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let lost = password(&layout, "other", true);
        assert!(matches!(lost, Err(Error::PasswordLost { .. })), "{lost:?}");
    }

    #[test]
    fn a_damaged_state_file_only_forgets_the_ports() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout {
            home: dir.path().to_owned(),
            packages: dir.path().to_owned(),
            account: None,
            environment: vec![],
        };
        let state = State { postgres_port: 5, nats_port: 6, nats_monitor_port: 7, ready: true };
        state.save(&layout).unwrap();
        assert_eq!(State::load(&layout), state);
        fs::write(dir.path().join(State::FILE), "{\"postgres_port\":").unwrap();
        assert_eq!(State::load(&layout), State::default());
    }
}
