//! The storm: runs go in all the time while processes die and servers fail; then calm, and everything is looked at.

use crate::fleet::Fleet;
use crate::replies::Replies;
use crate::site::Site;
use crate::state;
use crate::trouble::{Disk, Scene, Trouble};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sqlx::Row;
use sqlx::postgres::{PgPool, PgPoolOptions};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use toryo_agents::sample;
use toryo_bus::{Bus, Subjects};
use toryo_engine::Boundary;
use toryo_testkit::openai::ScriptedModel;
use toryo_testkit::proxy::Proxy;
use toryo_testkit::stack::{OwnServers, Services};
use uuid::Uuid;

/// Worker processes.
const WORKERS: usize = 3;
/// Runs under way at once.
const AT_ONCE: usize = 6;
/// Boundaries armed at once.
const ARMED: usize = 2;
/// Longest wait for a boundary to be met, and for everything to come to its end.
const PATIENCE: Duration = Duration::from_secs(120);
const TICK: Duration = Duration::from_millis(40);

/// What is done at a boundary.
const ACTIONS: [&str; 3] = ["kill", "stop", "error"];
/// The kinds of step that every run of the sample has, and `draft`, which comes only at a limit.
const KINDS: [&str; 10] =
    ["spec", "plan", "retrieve", "reproduce", "code", "test", "critic", "merge", "integrate", "draft"];

/// What a run meets besides blows.
const ORDINARY: &str = "none";
/// A person approves its plan.
const APPROVED: &str = "plan";
/// It may repair nothing, which it has to: its best state becomes a draft.
const LIMITED: &str = "draft";
/// Where its change waits for a person, that one goes back to the merge first.
const REWOUND: &str = "rewound";
/// When it has succeeded, a fork of it integrates once more.
const FORKED: &str = "forked";
/// Such a fork.
const FORK: &str = "fork";

/// How much is to be done.
#[derive(Debug, Clone)]
pub struct Plan {
    pub runs: usize,
    pub seed: u64,
    /// At random as well, and each boundary for each kind of step.
    pub long: bool,
    /// Only boundaries whose name contains this.
    pub only: Option<String>,
}

/// What came of it.
#[derive(Debug)]
pub struct Figures {
    pub runs: usize,
    pub pairs: usize,
    pub troubles: usize,
    pub disturbed: usize,
    pub replies: Replies,
    /// Requests that the model's server answered in full a second time: each has to be a reply that was lost on its way
    /// to the journal.
    pub answered_again: usize,
    pub seconds: u64,
}

/// Random numbers that a seed repeats (splitmix64, Steele and others 2014).
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % limit as u64).unwrap_or_default()
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for n in (1..all.len()).rev() {
            all.swap(n, self.below(n + 1));
        }
    }
}

struct Run {
    repository: PathBuf,
    /// One of the constants above.
    kind: &'static str,
    key: String,
    id: Option<Uuid>,
    status: String,
    /// A person has paused it, and will let it go on.
    paused: bool,
    /// A person has gone back to a step of it, or has forked it.
    steered: bool,
}

impl Run {
    const fn new(repository: PathBuf, kind: &'static str, key: String) -> Self {
        Self { repository, kind, key, id: None, status: String::new(), paused: false, steered: false }
    }

    /// How it has to end.
    fn goal(&self) -> &'static str {
        if self.kind == LIMITED { "needs_human" } else { "succeeded" }
    }
}

struct Storm {
    plan: Plan,
    scene: Scene,
    fleet: Fleet,
    db: PgPool,
    repositories: Vec<PathBuf>,
    runs: Vec<Run>,
    /// How many of them nobody disturbed.
    calm: usize,
    /// A boundary is armed that only a draft meets.
    wants_draft: bool,
    dice: Dice,
}

/// What is still to be done.
struct Schedule {
    /// Boundary and action.
    pairs: Vec<(String, String)>,
    armed: Vec<Armed>,
    met: usize,
    troubles: Vec<Trouble>,
    trouble_count: usize,
    /// Boundaries met and runs ended between two troubles.
    pace: usize,
    next_blow: Instant,
}

struct Armed {
    name: String,
    action: String,
    since: Instant,
}

impl Schedule {
    const fn is_over(&self) -> bool {
        self.pairs.is_empty() && self.armed.is_empty() && self.troubles.is_empty()
    }
}

/// Everything, from the first server to the last look.
pub async fn run(plan: Plan) -> Result<Figures> {
    crate::replies::self_check()?;
    let began = Instant::now();
    let folder = tempfile::tempdir()?;
    open_to_all(folder.path())?;
    let model = ScriptedModel::start(crate::model::script()?).await;
    let (mut storm, site) = Storm::prepare(plan, folder.path(), &model).await?;
    let outcome = storm.all(&site).await;
    if outcome.is_err() {
        // What happened is in the workers' logs.
        let kept = folder.keep();
        eprintln!("faults: everything is kept in {}", kept.display());
    }
    let (pairs, troubles) = outcome?;
    let excused = storm.excused();
    let replies = Replies::read(&std::fs::read_to_string(&site.notes)?, &excused)?;
    ensure!(replies.paid_twice.is_empty(), "replies were paid twice: {:#?}", replies.paid_twice);
    model.assert_clean();
    let answered_again = model.paid_twice().len();
    let figures = Figures {
        answered_again,
        runs: storm.runs.len(),
        pairs,
        troubles,
        disturbed: storm.fleet.disturbed.len(),
        replies,
        seconds: began.elapsed().as_secs(),
    };
    storm.db.close().await;
    storm.scene.servers.stack.stop().await?;
    Ok(figures)
}

impl Storm {
    async fn prepare(plan: Plan, folder: &Path, model: &ScriptedModel) -> Result<(Self, Site)> {
        let disks = match (Disk::mount(&folder.join("disk"), "2g"), Disk::mount(&folder.join("blobs"), "64m"))
        {
            (Ok(servers), Ok(blobs)) => Some([servers, blobs]),
            // Only root may; everybody else's disks stay large.
            _ => {
                eprintln!("faults: no small disk can be mounted here (root may): full disks are NOT tried");
                None
            }
        };
        let (disk, blobs) = (folder.join("disk"), folder.join("blobs"));
        std::fs::create_dir_all(&disk)?;
        open_to_all(&disk)?;
        let servers = OwnServers::start_in(disk).await;
        let services = servers.services().await;
        let (postgres, database_url) = proxied(&services.database_url).await?;
        let (nats, nats_url) = proxied(&services.nats_url).await?;
        let site = Site {
            database_url,
            nats_url,
            nats_prefix: services.nats_prefix.clone(),
            model_url: model.base_url().to_owned(),
            data: folder.join("data"),
            blobs,
            points: folder.join("points"),
            notes: folder.join("notes"),
        };
        for folder in [&site.data, &site.blobs, &site.points] {
            std::fs::create_dir_all(folder)?;
        }
        let file = folder.join("site.json");
        site.write(&file)?;
        toryo_blackboard::Db::connect(&services.database_url, 1).await?.migrate().await?;
        let db = PgPoolOptions::new().max_connections(2).connect_lazy(&services.database_url)?;
        let scene = Scene {
            servers,
            postgres,
            nats,
            disks,
            jetstream: jetstream(&services).await?,
            queue: format!("{}_steps", services.nats_prefix),
            bus: Bus::connect(&services.nats_url, Subjects::new(&services.nats_prefix)?).await?,
        };
        let mut repositories = vec![];
        for number in 0..AT_ONCE {
            let repository = folder.join(format!("repository-{number}"));
            sample::materialise(&repository)?;
            repositories.push(repository);
        }
        let dice = Dice(plan.seed);
        let fleet = Fleet::new(site.clone(), file, Some(clock_shim(folder)?));
        Ok((
            Self { plan, scene, fleet, db, repositories, runs: vec![], calm: 0, wants_draft: false, dice },
            site,
        ))
    }

    async fn all(&mut self, site: &Site) -> Result<(usize, usize)> {
        self.fleet.start(WORKERS)?;
        let calm = self.calm_runs().await?;
        self.calm = self.runs.len();
        eprintln!("faults: {} undisturbed runs are known", calm.len());
        let (pairs, troubles) = self.storm().await?;
        eprintln!("faults: the storm is over, {} runs", self.runs.len());
        self.calm().await?;
        self.look_at_everything(site, &calm).await?;
        Ok((pairs, troubles))
    }

    /// What a run leaves that nobody disturbs, by kind. Two of each, which have to be alike: otherwise the comparison below
    /// would prove nothing.
    async fn calm_runs(&mut self) -> Result<BTreeMap<&'static str, Value>> {
        let mut states = BTreeMap::new();
        for kind in [ORDINARY, APPROVED, LIMITED, REWOUND, FORKED] {
            self.submit(kind).await?;
            self.submit(kind).await?;
            self.until_all_ended().await?;
        }
        for kind in [ORDINARY, APPROVED, LIMITED, REWOUND, FORKED, FORK] {
            let of_it = (0..self.runs.len()).filter(|number| self.runs[*number].kind == kind);
            let [one, other] = of_it.collect::<Vec<_>>()[..] else { anyhow::bail!("not two runs: {kind}") };
            let (one, other) = (self.state_of(one).await?, self.state_of(other).await?);
            let difference = state::difference(&one, &other);
            ensure!(difference.is_none(), "undisturbed runs differ: {}", difference.unwrap_or_default());
            states.insert(kind, one);
        }
        Ok(states)
    }

    async fn storm(&mut self) -> Result<(usize, usize)> {
        let (pairs, troubles) = (self.pairs(), self.troubles());
        let (pair_count, trouble_count) = (pairs.len(), troubles.len());
        let mut schedule = Schedule {
            pairs,
            armed: vec![],
            met: 0,
            troubles,
            trouble_count,
            pace: (pair_count + self.plan.runs) / (trouble_count + 1) + 1,
            next_blow: Instant::now(),
        };
        while !schedule.is_over() || self.runs.len() < self.plan.runs {
            self.step().await?;
            self.arm(&mut schedule)?;
            self.wants_draft = schedule.armed.iter().any(|armed| armed.name.ends_with("@draft"));
            self.make_trouble(&mut schedule).await?;
            self.blow(&mut schedule);
        }
        Ok((pair_count, trouble_count))
    }

    /// Arms the next boundaries in place of those that were met.
    fn arm(&self, schedule: &mut Schedule) -> Result<()> {
        for Armed { name, action, since } in &schedule.armed {
            let waited = self.fleet.is_armed(name) && since.elapsed() > PATIENCE;
            ensure!(!waited, "boundary {name} was not met to {action} in {PATIENCE:?}");
        }
        let before = schedule.armed.len();
        schedule.armed.retain(|armed| self.fleet.is_armed(&armed.name));
        schedule.met += before - schedule.armed.len();
        while schedule.armed.len() < ARMED {
            let armed = &schedule.armed;
            let is_free = |(name, _): &(String, String)| armed.iter().all(|other| other.name != *name);
            let Some(at) = schedule.pairs.iter().rposition(is_free) else { break };
            let (name, action) = schedule.pairs.remove(at);
            self.fleet.arm(&name, &action)?;
            schedule.armed.push(Armed { name, action, since: Instant::now() });
        }
        Ok(())
    }

    /// Spreads the troubles over the storm.
    async fn make_trouble(&mut self, schedule: &mut Schedule) -> Result<()> {
        let made = schedule.trouble_count - schedule.troubles.len();
        let is_due = schedule.met + self.ended() >= schedule.pace * (made + 1);
        let is_late = schedule.pairs.is_empty() && schedule.armed.is_empty();
        if (is_due || is_late)
            && let Some(trouble) = schedule.troubles.pop()
        {
            eprintln!(
                "faults: {trouble:?} ({} runs, {} boundaries left)",
                self.runs.len(),
                schedule.pairs.len()
            );
            self.scene.make(trouble, &mut self.fleet).await.with_context(|| format!("{trouble:?}"))?;
        }
        Ok(())
    }

    /// In the long form: a worker is killed or stopped at whatever it is doing.
    fn blow(&mut self, schedule: &mut Schedule) {
        if self.plan.long && Instant::now() > schedule.next_blow {
            schedule.next_blow = Instant::now() + Duration::from_millis(1500 + self.dice.below(4000) as u64);
            let (who, stop) = (self.dice.below(WORKERS), self.dice.below(3) == 0);
            if stop { self.fleet.stop(who) } else { self.fleet.kill(who) }
        }
    }

    /// What is to be done at which boundary, in an order of its own for every seed.
    fn pairs(&mut self) -> Vec<(String, String)> {
        let mut pairs = vec![];
        for boundary in Boundary::ALL {
            for action in ACTIONS {
                pairs.push((boundary.as_str().to_owned(), action.to_owned()));
            }
        }
        for kind in KINDS {
            // Stopped there, a step is executed a second time by another worker, and the first one comes back with its
            // outcome when the second one's is stored.
            let mut blows = vec![
                (Boundary::AgentEnded, "stop"),
                (Boundary::AgentEnded, "error"),
                (Boundary::OutcomeWritten, "kill"),
                (Boundary::OutcomeCommitted, "kill"),
            ];
            if self.plan.long {
                let all = Boundary::ALL.iter().copied().filter(|boundary| is_of_a_step(*boundary));
                // Whoever has brought a run to its limit goes on with the draft, without a claim of its own.
                let is_met =
                    |boundary: &Boundary| kind != "draft" || !boundary.as_str().starts_with("claim.");
                blows = all.filter(is_met).flat_map(|one| ACTIONS.map(|action| (one, action))).collect();
            }
            let named = |(boundary, action): (Boundary, &str)| {
                (format!("{}@{kind}", boundary.as_str()), action.to_owned())
            };
            pairs.extend(blows.into_iter().map(named));
        }
        if let Some(only) = &self.plan.only {
            pairs.retain(|(name, _)| name.contains(only.as_str()));
        }
        self.dice.shuffle(&mut pairs);
        pairs
    }

    fn troubles(&mut self) -> Vec<Trouble> {
        let mut troubles = if self.plan.only.is_some() { vec![] } else { Trouble::ALL.to_vec() };
        if self.plan.long {
            troubles = [troubles.clone(), troubles.clone(), troubles].concat();
        }
        self.dice.shuffle(&mut troubles);
        troubles
    }

    /// Looks after workers and runs, and submits where there is room.
    async fn step(&mut self) -> Result<()> {
        self.fleet.tend()?;
        self.read_runs().await;
        if self.runs.len() - self.ended() < AT_ONCE {
            let kind = match self.runs.len() % 10 {
                0 | 5 => APPROVED,
                2 => LIMITED,
                // One run in ten would make its boundaries wait for a draft longer than anybody has patience.
                1 | 3 | 6 | 8 if self.wants_draft => LIMITED,
                4 => REWOUND,
                7 => FORKED,
                _ => ORDINARY,
            };
            self.submit(kind).await?;
        }
        self.pause_some().await?;
        self.decide().await?;
        tokio::time::sleep(TICK).await;
        Ok(())
    }

    async fn submit(&mut self, kind: &'static str) -> Result<()> {
        let number = self.runs.len();
        let repository = self.repositories[number % self.repositories.len()].clone();
        let (key, path) = (format!("task-{number}"), repository.display().to_string());
        self.fleet.errand(&["submit", &key, &path, kind]).await?;
        self.runs.push(Run::new(repository, kind, key));
        Ok(())
    }

    /// What a person does with runs that wait or have ended: approves, goes back to a step, forks, and lets those go on
    /// that were paused.
    async fn decide(&mut self) -> Result<()> {
        for number in 0..self.runs.len() {
            let run = &self.runs[number];
            let Some(id) = run.id.map(|id| id.to_string()) else { continue };
            let fork = format!("fork-of-{}", run.key);
            let errand: &[&str] = match (run.status.as_str(), run.kind) {
                ("waiting_for_approval", REWOUND) if !run.steered => &["rewind", &id, "merge"],
                ("waiting_for_approval", _) => &["approve", &id],
                ("needs_human", _) if run.paused => &["resume", &id],
                ("succeeded", FORKED) if !run.steered => &["fork", &id, "integrate", &fork],
                _ => continue,
            };
            self.fleet.errand(errand).await?;
            match errand[0] {
                "rewind" => self.runs[number].steered = true,
                "fork" => {
                    self.runs[number].steered = true;
                    let repository = self.runs[number].repository.clone();
                    self.runs.push(Run::new(repository, FORK, fork));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Every fourth run is paused once, wherever it is then.
    async fn pause_some(&mut self) -> Result<()> {
        // A run that stops at its limit would be taken for one that is still paused.
        let is_due = |run: &Run| run.status == "running" && !run.paused && run.kind != LIMITED;
        let due = self
            .runs
            .iter()
            .enumerate()
            .skip(self.calm)
            .position(|(number, run)| number % 4 == 1 && is_due(run));
        let Some(run) = due.and_then(|at| self.runs.get_mut(self.calm + at)) else { return Ok(()) };
        run.paused = true;
        let id = run.id.context("a run without an id")?;
        self.fleet.errand(&["pause", &id.to_string()]).await
    }

    /// Where the runs stand; as before where the database does not answer.
    async fn read_runs(&mut self) {
        let statement = "select coalesce(runs.origin ->> 'key', tasks.wish -> 'labels' ->> 0) as key, runs.id, \
                         runs.status from runs join tasks on tasks.id = runs.task_id";
        let asked =
            tokio::time::timeout(Duration::from_secs(1), sqlx::query(statement).fetch_all(&self.db)).await;
        let Ok(Ok(rows)) = asked else { return };
        for row in rows {
            let (Ok(key), Ok(id), Ok(status)) = (
                row.try_get::<String, _>("key"),
                row.try_get::<Uuid, _>("id"),
                row.try_get::<String, _>("status"),
            ) else {
                continue;
            };
            if let Some(run) = self.runs.iter_mut().find(|run| run.key == key) {
                (run.id, run.status) = (Some(id), status);
            }
        }
    }

    fn ended(&self) -> usize {
        self.runs
            .iter()
            .filter(|run| match run.status.as_str() {
                // Its fork is still to be made.
                "succeeded" => run.kind != FORKED || run.steered,
                "failed" | "cancelled" => true,
                "needs_human" => !run.paused,
                _ => false,
            })
            .count()
    }

    async fn until_all_ended(&mut self) -> Result<()> {
        let until = Instant::now() + PATIENCE;
        while self.ended() < self.runs.len() {
            let left: Vec<_> = self
                .runs
                .iter()
                .filter(|run| run.status != run.goal())
                .map(|run| (run.id, &run.status))
                .collect();
            ensure!(Instant::now() < until, "runs do not end: {left:?}");
            self.fleet.tend()?;
            self.read_runs().await;
            self.decide().await?;
            tokio::time::sleep(TICK).await;
        }
        let wrong: Vec<_> = self
            .runs
            .iter()
            .filter(|run| run.status != run.goal())
            .map(|run| (run.id, &run.status))
            .collect();
        ensure!(wrong.is_empty(), "runs ended in the wrong state: {wrong:?}");
        Ok(())
    }

    /// No more blows: everything has to come to its end by itself.
    async fn calm(&mut self) -> Result<()> {
        self.until_all_ended().await?;
        // A message that a dead worker held is given again after the time that it has to be acknowledged in.
        let until = Instant::now() + PATIENCE;
        loop {
            self.fleet.tend()?;
            let outbox: i64 = sqlx::query_scalar("select count(*) from outbox").fetch_one(&self.db).await?;
            let mut stream =
                self.scene.jetstream.get_stream(&self.scene.queue).await.context("there is no queue")?;
            let messages = stream.info().await.context("the queue tells nothing")?.state.messages;
            if outbox == 0 && messages == 0 {
                break;
            }
            if Instant::now() > until {
                let known = stream.consumer_info("workers").await.context("there is no consumer")?;
                anyhow::bail!(
                    "{outbox} outbox rows and {messages} messages are left behind; the queue has {} to give, waits for {} \
                     to be acknowledged, and gave {} again",
                    known.num_pending,
                    known.num_ack_pending,
                    known.num_redelivered
                );
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        self.fleet.drain().await
    }

    async fn look_at_everything(&mut self, site: &Site, calm: &BTreeMap<&'static str, Value>) -> Result<()> {
        state::assert_nothing_left(&self.db).await?;
        let workers = "select count(*) from workers where last_heartbeat > now() - interval '1 second'";
        let alive: i64 = sqlx::query_scalar(workers).fetch_one(&self.db).await?;
        ensure!(alive == 0, "{alive} workers are still there");
        let tasks: i64 = sqlx::query_scalar("select count(*) from runs").fetch_one(&self.db).await?;
        ensure!(
            usize::try_from(tasks)? == self.runs.len(),
            "{} triggers and forks made {tasks} runs",
            self.runs.len()
        );
        for number in 0..self.runs.len() {
            let found = self.state_of(number).await?;
            let run = &self.runs[number];
            if let Some(difference) = state::difference(&calm[run.kind], &found) {
                anyhow::bail!("run {:?} left something else than an undisturbed one: {difference}", run.id);
            }
        }
        for repository in &self.repositories {
            let wanted = self.runs.iter().filter(|run| run.repository == *repository).count();
            let branches = state::git(repository, &["branch", "--list", "toryo/*", "--format=%(refname)"])?;
            ensure!(branches.lines().count() == wanted, "{wanted} runs, but the branches {branches}");
            let worktrees = state::git(repository, &["worktree", "list"])?;
            ensure!(worktrees.lines().count() == 1, "worktrees are left: {worktrees}");
            ensure!(
                state::git(repository, &["status", "--porcelain"])?.is_empty(),
                "the work tree was touched"
            );
        }
        // A lock file without a holder locks nothing; one that is held would.
        for entry in std::fs::read_dir(site.data.join("mirrors"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "lock") {
                let lock = std::fs::File::options().write(true).open(&path)?;
                ensure!(lock.try_lock().is_ok(), "{} is held", path.display());
            }
        }
        Ok(())
    }

    async fn state_of(&self, number: usize) -> Result<Value> {
        let run = &self.runs[number];
        let id = run.id.context("a run without an id")?;
        if run.kind == LIMITED {
            return state::of_draft(&self.db, id, &run.repository).await;
        }
        state::of_run(&self.db, id, &run.repository).await
    }

    /// Processes that may have lost a reply: killed or stopped ones, and those whose answer was made to fail.
    fn excused(&self) -> std::collections::BTreeSet<u32> {
        let failed = self.fleet.hits().iter().filter(|hit| hit.boundary.starts_with("model.answered"));
        self.fleet.disturbed.iter().copied().chain(failed.map(|hit| hit.pid)).collect()
    }
}

/// Whether an attempt of a step is known where the boundary is.
fn is_of_a_step(boundary: Boundary) -> bool {
    use Boundary as B;
    matches!(
        boundary,
        B::ClaimWritten
            | B::ClaimCommitted
            | B::AgentStarts
            | B::AgentEnded
            | B::OutcomeLocked
            | B::OutcomeWritten
            | B::OutcomeCommitted
            | B::Acknowledging
    )
}

fn open_to_all(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    // The servers run as a user of their own, who has to reach their folder.
    Ok(std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))?)
}

/// The same URL by way of a proxy.
async fn proxied(url: &str) -> Result<(Proxy, String)> {
    let rest = url.rsplit_once('@').map_or(url, |(_, rest)| rest);
    let address = rest.split(['/', '?']).next().unwrap_or_default();
    let proxy = Proxy::start(address.parse::<SocketAddr>().context("the URL names no address")?).await?;
    let through = url.replace(address, &proxy.address().to_string());
    Ok((proxy, through))
}

async fn jetstream(services: &Services) -> Result<async_nats::jetstream::Context> {
    let (login, address) =
        services.nats_url.trim_start_matches("nats://").rsplit_once('@').context("the queue has no login")?;
    let (user, password) = login.split_once(':').context("the queue has no password")?;
    let options = async_nats::ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned());
    let client = options.retry_on_initial_connect().connect(format!("nats://{address}")).await?;
    Ok(async_nats::jetstream::new(client))
}

/// A library that shifts a process' wall clock. The C compiler is there: Git's and the parsers' sources needed it.
fn clock_shim(folder: &Path) -> Result<PathBuf> {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    std::fs::write(&source, include_str!("clock.c"))?;
    let mut command = Command::new("cc");
    let status =
        command.args(["-shared", "-fPIC", "-O1", "-o"]).args([&library, &source]).arg("-ldl").status()?;
    ensure!(status.success(), "the clock cannot be compiled");
    Ok(library)
}
