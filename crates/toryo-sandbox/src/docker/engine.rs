//! The connection to the engine: one place for time limits and for what its failures mean.

use crate::{Error, Image};
use bollard::Docker;
use bollard::errors::Error as DockerError;
use std::future::Future;
use std::time::Duration;
use tokio::sync::OnceCell;

/// Where engines listen by default.
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// The longest single request, in seconds: committing a large image. Shorter limits are set call by call.
const LONGEST_SECONDS: u64 = 3_600;

/// A connection that is made at first use and agrees on a protocol version with the engine.
#[derive(Debug)]
pub(crate) struct Engine {
    host: String,
    limit: Duration,
    docker: OnceCell<Docker>,
    processors: OnceCell<f64>,
}

impl Engine {
    pub(crate) fn new(host: Option<String>, limit: Duration) -> Result<Self, Error> {
        let host = host.unwrap_or_else(|| DEFAULT_HOST.into());
        if !["unix://", "tcp://", "http://"].iter().any(|scheme| host.starts_with(scheme)) {
            return Err(Error::Config { reason: "host has to start with unix:// or tcp://".into() });
        }
        Ok(Self { host, limit, docker: OnceCell::new(), processors: OnceCell::new() })
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The client. A failed connection is tried again by the next caller.
    pub(crate) async fn docker(&self) -> Result<&Docker, Error> {
        let connect = || async {
            let mut docker =
                Docker::connect_with_host(&self.host).map_err(|error| self.failure("connect", error))?;
            docker.set_timeout(Duration::from_secs(LONGEST_SECONDS));
            self.call("agree on a version", docker.negotiate_version()).await
        };
        self.docker.get_or_try_init(connect).await
    }

    /// Waits for one call, within the usual limit. `action` completes "the engine failed to …".
    pub(crate) async fn call<T>(
        &self,
        action: &'static str,
        call: impl Future<Output = Result<T, DockerError>>,
    ) -> Result<T, Error> {
        self.call_within(self.limit, action, call).await
    }

    /// Waits for one call that may take longer than usual.
    pub(crate) async fn call_within<T>(
        &self,
        limit: Duration,
        action: &'static str,
        call: impl Future<Output = Result<T, DockerError>>,
    ) -> Result<T, Error> {
        match tokio::time::timeout(limit, call).await {
            Ok(result) => result.map_err(|error| self.failure(action, error)),
            Err(_) => Err(Error::EngineSlow { action, limit }),
        }
    }

    /// What a failed call means.
    pub(crate) fn failure(&self, action: &'static str, error: DockerError) -> Error {
        match error {
            DockerError::SocketNotFoundError(_)
            | DockerError::HyperLegacyError { .. }
            | DockerError::HyperResponseError { .. }
            | DockerError::IOError { .. } => {
                Error::EngineDown { host: self.host.clone(), source: error.into() }
            }
            error => Error::Engine { action, source: error.into() },
        }
    }

    /// How many processors the engine has.
    pub(crate) async fn processors(&self) -> Result<f64, Error> {
        let ask = || async {
            let system = self.call("tell its processors", self.docker().await?.info()).await?;
            // An engine that does not tell gets the wish as it is.
            Ok(system.ncpu.filter(|count| *count > 0).map_or(f64::INFINITY, |count| count as f64))
        };
        self.processors.get_or_try_init(ask).await.copied()
    }

    /// The image of this name or id, if the engine has it.
    pub(crate) async fn find_image(&self, name: &str) -> Result<Option<Image>, Error> {
        let docker = self.docker().await?;
        match tokio::time::timeout(self.limit, docker.inspect_image(name)).await {
            Ok(Ok(image)) => Ok(image.id.map(|id| Image { name: name.to_owned(), id })),
            Ok(Err(error)) if status(&error) == Some(404) => Ok(None),
            Ok(Err(error)) => Err(self.failure("inspect an image", error)),
            Err(_) => Err(Error::EngineSlow { action: "inspect an image", limit: self.limit }),
        }
    }

    /// The image of this name or id.
    pub(crate) async fn image(&self, name: &str) -> Result<Image, Error> {
        self.find_image(name).await?.ok_or_else(|| Error::ImageMissing { name: name.to_owned() })
    }
}

/// The HTTP status of an engine's refusal.
pub(crate) const fn status(error: &DockerError) -> Option<u16> {
    match error {
        DockerError::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use toryo_domain::FailureClass;

    #[tokio::test]
    async fn a_dead_socket_is_an_engine_that_is_down() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.sock");
        let dead = folder.path().join("dead.sock");
        drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
        for socket in [missing, dead] {
            let engine =
                Engine::new(Some(format!("unix://{}", socket.display())), Duration::from_secs(5)).unwrap();
            let error = engine.docker().await.unwrap_err();
            assert!(matches!(error, Error::EngineDown { .. }), "{error:?}");
            assert_eq!(error.class(), FailureClass::Sandbox);
        }
    }

    #[tokio::test]
    async fn an_engine_that_never_answers_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("silent.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let engine =
            Engine::new(Some(format!("unix://{}", socket.display())), Duration::from_millis(100)).unwrap();
        let error = engine.docker().await.unwrap_err();
        assert!(matches!(error, Error::EngineSlow { .. }), "{error:?}");
    }

    #[test]
    fn an_unknown_scheme_is_refused() {
        assert!(matches!(
            Engine::new(Some("ssh://x".into()), Duration::from_secs(1)),
            Err(Error::Config { .. })
        ));
    }
}
