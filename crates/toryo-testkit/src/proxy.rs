//! A way to a server that a test can cut: what happens to a client when the network between fails.

use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Passes TCP connections on to a server until it is cut. Cut, it is silent as a broken network is: what was sent is
/// lost, connections stay open and say nothing. Mended, it closes those, and new ones pass again.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    cut: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// On a free port of the loopback interface, to a server there.
    ///
    /// # Errors
    /// No port can be bound.
    pub async fn start(server: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let cut = watch::Sender::new(false);
        let seen = cut.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(pass(client, server, seen.subscribe()));
            }
        });
        Ok(Self { address, cut, task })
    }

    /// Where clients connect to.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Nothing passes any more.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// New connections pass again.
    pub fn mend(&self) {
        self.cut.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(client: TcpStream, server: SocketAddr, mut cut: watch::Receiver<bool>) {
    let client = Arc::new(client);
    if !*cut.borrow() {
        let Ok(upstream) = TcpStream::connect(server).await else { return };
        // Small packets of a protocol would wait for each other.
        let _faster = (client.set_nodelay(true), upstream.set_nodelay(true));
        let upstream = Arc::new(upstream);
        tokio::select! {
            () = copy(&client, &upstream) => return,
            () = copy(&upstream, &client) => return,
            _cut = cut.wait_for(|cut| *cut) => {}
        }
    }
    // Held open and silent until the way is mended.
    let _mended = cut.wait_for(|cut| !*cut).await;
    drop(client);
}

async fn copy(from: &TcpStream, to: &TcpStream) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        if from.readable().await.is_err() {
            return;
        }
        let count = match from.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(_) => return,
        };
        let mut rest = &buffer[..count];
        while !rest.is_empty() {
            if to.writable().await.is_err() {
                return;
            }
            match to.try_write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_cut_way_is_silent_and_a_mended_one_passes_new_connections() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy::start(server.local_addr().unwrap()).await.unwrap();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = server.accept().await {
                tokio::spawn(async move {
                    let mut byte = [0];
                    while socket.read_exact(&mut byte).await.is_ok() {
                        socket.write_all(&byte).await.unwrap();
                    }
                });
            }
        });
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        let mut byte = [7];
        client.write_all(&byte).await.unwrap();
        client.read_exact(&mut byte).await.unwrap();
        proxy.cut();
        client.write_all(&byte).await.unwrap();
        let silent = tokio::time::timeout(Duration::from_millis(200), client.read_exact(&mut byte)).await;
        assert!(silent.is_err(), "nothing comes back");
        proxy.mend();
        assert!(client.read_exact(&mut byte).await.is_err(), "the old connection is closed");
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        client.write_all(&byte).await.unwrap();
        client.read_exact(&mut byte).await.unwrap();
    }
}
