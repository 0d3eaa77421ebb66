//! The private nats-server with JetStream.

use std::{
    fs,
    net::Ipv4Addr,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    error::Error,
    fetch::Programs,
    layout::{Layout, write_private},
    process::{POLL, Server, stop_leftover},
    state::{self, State},
};

/// The user of the generated password.
pub(crate) const USER: &str = "toryo";
/// The file that holds it.
pub(crate) const PASSWORD_FILE: &str = "nats.password";
/// JetStream reads its store before it is ready; 12 to 43 ms where that is small.
const READY_LIMIT: Duration = Duration::from_secs(60);
const PORT_ATTEMPTS: usize = 5;
const MONITOR_LIMIT: Duration = Duration::from_secs(10);
/// Stops the server after it has closed its store.
const STOP: Signal = Signal::SIGTERM;

/// The message server of one home.
#[derive(Debug)]
pub(crate) struct Nats {
    programs: Programs,
    layout: Layout,
    folder: PathBuf,
    password: String,
    port: u16,
    monitor_port: u16,
    server: Option<Server>,
}

impl Nats {
    /// Starts the server.
    pub(crate) async fn start(programs: Programs, layout: Layout, remembered: &State) -> Result<Self, Error> {
        let folder = layout.private_dir("nats")?;
        let password = state::password(&layout, PASSWORD_FILE, false)?;
        let mut nats = Self {
            programs,
            layout,
            folder,
            password,
            port: remembered.nats_port,
            monitor_port: remembered.nats_monitor_port,
            server: None,
        };
        nats.launch().await?;
        Ok(nats)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn monitor_port(&self) -> u16 {
        self.monitor_port
    }

    /// Starts the server and waits until JetStream is ready.
    pub(crate) async fn launch(&mut self) -> Result<(), Error> {
        self.clear_leftover().await;
        let deadline = Instant::now() + READY_LIMIT;
        let mut attempt = 0;
        loop {
            attempt += 1;
            self.port = state::free_port(self.port)?;
            self.monitor_port = loop {
                let port = state::free_port(self.monitor_port)?;
                if port != self.port {
                    break port;
                }
                self.monitor_port = 0;
            };
            self.write_config()?;
            let mut server = self.spawn()?;
            let Some(status) = self.wait_until_ready(&mut server, deadline).await? else {
                self.server = Some(server);
                return Ok(());
            };
            let failed = server.failed(status);
            let port_taken =
                matches!(&failed, Error::Exited { log, .. } if log.contains("address already in use"));
            if !port_taken || attempt == PORT_ATTEMPTS {
                return Err(failed);
            }
        }
    }

    /// Stops the server in good order.
    pub(crate) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await;
        }
    }

    /// Kills the server as a crash would.
    pub(crate) fn kill9(&mut self) {
        if let Some(server) = self.server.take() {
            server.kill9();
        }
    }

    /// Whether the server runs, as far as its owner can tell.
    pub(crate) fn is_up(&mut self) -> bool {
        self.server.as_mut().is_some_and(|server| server.exited().is_none())
    }

    fn config_path(&self) -> PathBuf {
        self.layout.home.join("nats.conf")
    }

    fn pid_path(&self) -> PathBuf {
        self.folder.join("nats.pid")
    }

    /// The password stands in a file of mode 0600, never among the arguments.
    fn write_config(&self) -> Result<(), Error> {
        let path = self.config_path();
        write_private(
            &path,
            &config_text(
                self.port,
                self.monitor_port,
                &self.password,
                &self.folder.join("store").to_string_lossy(),
                &self.pid_path().to_string_lossy(),
            ),
        )?;
        self.layout.hand_over(&path)
    }

    fn spawn(&self) -> Result<Server, Error> {
        fs::remove_file(self.pid_path()).ok();
        let mut command = Command::new(&self.programs.nats_server);
        command.arg("-c").arg(self.config_path());
        Server::spawn("nats-server", &self.layout, command, &self.layout.home.join("nats.log"), STOP)
    }

    /// `None` when it is ready, or how it ended instead.
    async fn wait_until_ready(
        &self,
        server: &mut Server,
        deadline: Instant,
    ) -> Result<Option<std::process::ExitStatus>, Error> {
        while Instant::now() < deadline {
            if let Some(status) = server.exited() {
                return Ok(Some(status));
            }
            // The file tells our server from a stranger who answers on a port that ours did not get.
            let ours = self.pid_file() == Some(server.pid());
            if ours && monitor(self.monitor_port, "/healthz?js-enabled-only=true").await.is_ok() {
                return Ok(None);
            }
            tokio::time::sleep(POLL).await;
        }
        Err(Error::TimedOut { what: "the start of nats-server".to_owned(), limit: READY_LIMIT })
    }

    fn pid_file(&self) -> Option<i32> {
        fs::read_to_string(self.pid_path()).ok()?.trim().parse().ok()
    }

    async fn clear_leftover(&self) {
        if let Some(pid) = self.pid_file() {
            stop_leftover(pid, &self.config_path().to_string_lossy(), STOP).await;
        }
    }
}

/// JetStream's own interval of `fsync` stays: NATS carries wake-ups only, and the outbox repeats lost ones.
fn config_text(port: u16, monitor_port: u16, password: &str, store: &str, pid_file: &str) -> String {
    let quote = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    format!(
        "listen: \"127.0.0.1:{port}\"\n\
         http: \"127.0.0.1:{monitor_port}\"\n\
         server_name: toryo\n\
         pid_file: {}\n\
         authorization {{ user: {USER}, password: {} }}\n\
         jetstream {{ store_dir: {} }}\n",
        quote(pid_file),
        quote(password),
        quote(store),
    )
}

/// Reads a page of the monitoring port. HTTP/1.0 by hand: one request, one reply, no client library.
pub(crate) async fn monitor(port: u16, path: &str) -> Result<String, Error> {
    let what = || format!("reading {path} of nats-server");
    let request = async {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        socket.write_all(format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n").as_bytes()).await?;
        let mut reply = Vec::new();
        socket.read_to_end(&mut reply).await?;
        Ok(String::from_utf8_lossy(&reply).into_owned())
    };
    let reply = tokio::time::timeout(MONITOR_LIMIT, request)
        .await
        .map_err(|_| Error::TimedOut { what: what(), limit: MONITOR_LIMIT })?
        .map_err(|source| Error::Io { what: what(), source })?;
    match reply.split_once("\r\n\r\n") {
        Some((head, body)) if head.lines().next().is_some_and(|status| status.contains(" 200 ")) => {
            Ok(body.to_owned())
        }
        Some(_) | None => {
            let status = reply.lines().next().unwrap_or("no reply").to_owned();
            Err(Error::Io { what: what(), source: std::io::Error::other(status) })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::config_text;

    #[test]
    fn the_configuration_quotes_what_comes_from_paths() {
        let text = config_text(4222, 8222, "0f", "/da\"ta/st\\ore", "/data/nats.pid");
        assert_eq!(
            text,
            "listen: \"127.0.0.1:4222\"\nhttp: \"127.0.0.1:8222\"\nserver_name: toryo\n\
             pid_file: \"/data/nats.pid\"\nauthorization { user: toryo, password: \"0f\" }\n\
             jetstream { store_dir: \"/da\\\"ta/st\\\\ore\" }\n"
        );
    }
}
