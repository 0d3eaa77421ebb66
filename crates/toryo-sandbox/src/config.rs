//! The section `[sandbox]` of the configuration.

use crate::Limits;
use serde::{Deserialize, Serialize};

/// How sandboxes are made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The engine: `unix:///path/to/socket` or `tcp://host:port`. Default: `DOCKER_HOST` where it is set, otherwise
    /// `unix:///var/run/docker.sock`.
    pub host: Option<String>,
    /// The engine's runtime for containers, for example `runsc`. Default `runc`.
    pub runtime: String,
    /// The image in which jobs run and on which dependencies are installed. Default `toryo-sandbox-python:1`, which
    /// `toryo sandbox build` makes.
    pub image: String,
    /// How long one call of the engine may take, in seconds; commands have limits of their own. Default 30.
    pub engine_seconds: u32,
    /// What a job may use, where the repository does not ask for less.
    pub limits: Limits,
    /// How dependencies are installed.
    pub prepare: Prepare,
}

/// How dependencies are installed. This is the only step that may have network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Prepare {
    /// The engine's network for it: `bridge`, `host`, a network that reaches only a package mirror, or `none`.
    /// Default `bridge`.
    pub network: String,
    /// Variables handed on from Toryo's own environment, for a package mirror or a proxy. A value of `PIP_CERT`,
    /// `SSL_CERT_FILE` or `REQUESTS_CA_BUNDLE` names a file, whose content is handed on. Repositories can read all of
    /// them while their dependencies are installed.
    pub pass_env: Vec<String>,
    /// How long it may take, in seconds. Default 900.
    pub seconds: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: None,
            runtime: "runc".into(),
            image: "toryo-sandbox-python:1".into(),
            engine_seconds: 30,
            limits: Limits::default(),
            prepare: Prepare::default(),
        }
    }
}

impl Default for Prepare {
    fn default() -> Self {
        let names = [
            "PIP_INDEX_URL",
            "PIP_EXTRA_INDEX_URL",
            "PIP_TRUSTED_HOST",
            "PIP_DEFAULT_TIMEOUT",
            "PIP_CERT",
            "SSL_CERT_FILE",
            "REQUESTS_CA_BUNDLE",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "NO_PROXY",
            "http_proxy",
            "https_proxy",
            "no_proxy",
        ];
        Self { network: "bridge".into(), pass_env: names.into_iter().map(Into::into).collect(), seconds: 900 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_refused_and_an_empty_section_is_the_default() {
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
        assert!(serde_json::from_str::<Config>(r#"{"privileged": true}"#).is_err());
        assert!(serde_json::from_str::<Config>(r#"{"limits": {"swap": 1}}"#).is_err());
    }

    #[test]
    fn the_defaults_are_documented() {
        insta::assert_json_snapshot!(Config::default());
    }
}
