//! One container: how it is confined, and that it is always removed.

use super::engine::{Engine, status};
use crate::{Error, Labels, Limits};
use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, ResourcesUlimits};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::task::JoinHandle;

/// The label with the run; every container of Toryo's carries it.
const RUN: &str = "toryo.run";
/// The label with the step.
const STEP: &str = "toryo.step";

/// The user of the sandbox; the base image has it.
pub(crate) const USER: &str = "1000:1000";

/// How long a container outlives the job it was made for, if nobody removes it: it ends by itself.
const GRACE_SECONDS: u32 = 120;

/// How often removing is tried, with half a second between.
const REMOVE_TRIES: u32 = 6;

/// What a container is for, and so how it is confined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile<'a> {
    /// Runs commands of a repository: no network, read-only root.
    Job,
    /// Installs dependencies: this network, a root that can be written and becomes an image.
    Setup { network: &'a str },
    /// Finishes the base image, as root, before any repository's content comes near it.
    Base { network: &'a str },
}

/// A running container, removed by [`Container::remove`] or, failing that, by being dropped.
#[derive(Debug)]
pub(crate) struct Container {
    docker: Docker,
    pub(crate) name: String,
    /// How many out-of-memory kills commands have been told of so far.
    pub(crate) oom_kills: AtomicU64,
    created: bool,
    removed: bool,
}

impl Container {
    /// Creates and starts one. Its first process only sleeps; commands come by `exec`.
    pub(crate) async fn start(
        engine: &Engine,
        image: &str,
        profile: Profile<'_>,
        limits: &Limits,
        runtime: &str,
        labels: &Labels,
    ) -> Result<Self, Error> {
        let docker = engine.docker().await?;
        let name = format!("toryo-{}", uuid::Uuid::now_v7().simple());
        // From here on the guard knows the name, so that a container whose creation nobody waited for goes as well.
        let mut container = Self {
            docker: docker.clone(),
            name,
            oom_kills: AtomicU64::new(0),
            created: false,
            removed: false,
        };
        let options = CreateContainerOptionsBuilder::new().name(&container.name).build();
        // An engine refuses more processors than it has.
        let limits = Limits { cpus: limits.cpus.min(engine.processors().await?), ..limits.clone() };
        let body = body(image, profile, &limits, runtime, labels);
        let create = async {
            match docker.create_container(Some(options), body).await {
                Err(error) if status(&error) == Some(404) => Ok(None),
                other => other.map(Some),
            }
        };
        if engine.call("create a container", create).await?.is_none() {
            container.removed = true;
            return Err(Error::ImageMissing { name: image.to_owned() });
        }
        container.created = true;
        engine.call("start a container", docker.start_container(&container.name, None)).await?;
        Ok(container)
    }

    /// Removes it, whatever runs in it, and waits at most `limit` for that; it goes on in the background.
    pub(crate) async fn remove(mut self, limit: Duration) {
        let task = self.spawn_removal();
        if let Some(task) = task {
            // Running out of time is fine: the task goes on, and the sweeper comes after it.
            let _ = tokio::time::timeout(limit, task).await;
        }
    }

    fn spawn_removal(&mut self) -> Option<JoinHandle<()>> {
        if std::mem::replace(&mut self.removed, true) {
            return None;
        }
        let (docker, name, created) = (self.docker.clone(), self.name.clone(), self.created);
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        Some(runtime.spawn(async move { remove(&docker, &name, created).await }))
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.spawn_removal());
    }
}

/// Removes a container by force. Where it is not known to exist, "no such container" may be early news.
async fn remove(docker: &Docker, name: &str, created: bool) {
    for attempt in 1..=REMOVE_TRIES {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match docker.remove_container(name, Some(options)).await {
            Ok(()) => return,
            Err(error) if status(&error) == Some(404) && created => return,
            Err(error) if attempt == REMOVE_TRIES => {
                if created {
                    tracing::warn!(container = name, %error, "container {name} could not be removed; the sweeper will");
                }
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(500)).await,
        }
    }
}

fn body(
    image: &str,
    profile: Profile<'_>,
    limits: &Limits,
    runtime: &str,
    labels: &Labels,
) -> ContainerCreateBody {
    let run = if labels.run.is_empty() { "-" } else { &labels.run };
    let user = if matches!(profile, Profile::Base { .. }) { "0:0" } else { USER };
    ContainerCreateBody {
        image: Some(image.to_owned()),
        user: Some(user.into()),
        entrypoint: Some(vec!["/bin/sleep".into()]),
        cmd: Some(vec![(limits.job_seconds.saturating_add(GRACE_SECONDS)).to_string()]),
        working_dir: Some(crate::port::WORKSPACE.into()),
        env: Some(environment(profile)),
        labels: Some(HashMap::from([(RUN.into(), run.into()), (STEP.into(), labels.step.clone())])),
        host_config: Some(host_config(profile, limits, runtime)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(profile: Profile<'_>, limits: &Limits, runtime: &str) -> HostConfig {
    let memory = i64::from(limits.memory_mib) << 20;
    // `Limits` and the adapter's constructor keep this far inside an i64.
    let nano_cpus = (limits.cpus * 1e9).round() as i64;
    let tmp_exec = if profile == Profile::Job { "noexec" } else { "exec" };
    let tmpfs = HashMap::from([
        ("/tmp".to_owned(), format!("rw,{tmp_exec},nosuid,nodev,size={}m,mode=1777", limits.tmp_mib)),
        (
            crate::port::WORKSPACE.to_owned(),
            format!("rw,exec,nosuid,nodev,size={}m,mode=0755,uid=1000,gid=1000", limits.workspace_mib),
        ),
    ]);
    let network = match profile {
        Profile::Job => "none",
        Profile::Setup { network } | Profile::Base { network } => network,
    };
    // Finishing the base image is a package manager at work: it has to change owners and drop to other users.
    let cap_add = matches!(profile, Profile::Base { .. })
        .then(|| ["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID"].map(Into::into).to_vec());
    HostConfig {
        network_mode: Some(network.into()),
        readonly_rootfs: Some(profile == Profile::Job),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add,
        // No `seccomp=`: leaving it out is the engine's default profile; `seccomp=default` would name a file.
        security_opt: Some(vec!["no-new-privileges".into()]),
        privileged: Some(false),
        pids_limit: Some(limits.pids.into()),
        nano_cpus: Some(nano_cpus),
        memory: Some(memory),
        // The same number: no swap on top.
        memory_swap: Some(memory),
        init: Some(true),
        tmpfs: Some(tmpfs),
        runtime: Some(runtime.to_owned()),
        ulimits: Some(vec![ResourcesUlimits { name: Some("core".into()), soft: Some(0), hard: Some(0) }]),
        log_config: Some(HostConfigLogConfig { typ: Some("none".into()), config: None }),
        ..HostConfig::default()
    }
}

/// What every command finds set. Caches go to `/tmp`, the only place besides the workspace that can be written.
fn environment(profile: Profile<'_>) -> Vec<String> {
    let mut environment = vec![
        "PATH=/opt/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME=/tmp",
        "TMPDIR=/tmp",
        "LANG=C.UTF-8",
        "LC_ALL=C.UTF-8",
        "XDG_CACHE_HOME=/tmp/.cache",
        "XDG_CONFIG_HOME=/tmp/.config",
        "MPLCONFIGDIR=/tmp/.matplotlib",
        "MYPY_CACHE_DIR=/tmp/.mypy_cache",
        "RUFF_CACHE_DIR=/tmp/.ruff_cache",
        "HYPOTHESIS_STORAGE_DIRECTORY=/tmp/.hypothesis",
        "PYTHONUNBUFFERED=1",
        "PYTHONFAULTHANDLER=1",
        "PIP_NO_INPUT=1",
        "PIP_NO_CACHE_DIR=1",
        "PIP_DISABLE_PIP_VERSION_CHECK=1",
    ];
    if profile == Profile::Job {
        // The same order of sets in each run; no byte code that would come back as changed files.
        environment.extend(["PYTHONHASHSEED=0", "PYTHONDONTWRITEBYTECODE=1", "PIP_NO_INDEX=1"]);
    }
    environment.into_iter().map(Into::into).collect()
}

/// Removes the containers of one run, or of any, that are older than this.
pub(crate) async fn sweep(
    engine: &Engine,
    of_run: Option<&str>,
    older_than: Duration,
) -> Result<usize, Error> {
    let docker = engine.docker().await?;
    let label = of_run.map_or_else(|| RUN.to_owned(), |run| format!("{RUN}={run}"));
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    let containers = engine.call("list containers", docker.list_containers(Some(options))).await?;
    let before = ago(older_than);
    let orphans = containers.into_iter().filter(|container| {
        // Images made from Toryo's containers hand the label down, emptied.
        let run = container.labels.as_ref().and_then(|labels| labels.get(RUN));
        run.is_some_and(|run| !run.is_empty()) && container.created.is_some_and(|created| created <= before)
    });
    let mut removed = 0;
    for id in orphans.filter_map(|container| container.id) {
        let removal = async {
            remove(docker, &id, true).await;
            Ok(())
        };
        engine.call("remove a container", removal).await?;
        removed += 1;
    }
    Ok(removed)
}

/// The time this long ago, in seconds since 1970, as the engine counts.
pub(crate) fn ago(age: Duration) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.saturating_sub(age).as_secs()).unwrap_or(i64::MAX)
}

/// The labels as an image made from a container should carry them.
pub(crate) fn cleared_labels() -> HashMap<String, String> {
    HashMap::from([(RUN.into(), String::new()), (STEP.into(), String::new())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_containers_are_confined() {
        let labels = Labels { run: "run-1".into(), step: "test:fix".into() };
        let profiles =
            [Profile::Job, Profile::Setup { network: "bridge" }, Profile::Base { network: "bridge" }];
        for (profile, name) in profiles.into_iter().zip(["job", "setup", "base"]) {
            let mut json =
                serde_json::to_value(body("image:1", profile, &Limits::default(), "runc", &labels)).unwrap();
            json.sort_all_objects();
            insta::assert_json_snapshot!(format!("confined_{name}"), json);
        }
    }
}
