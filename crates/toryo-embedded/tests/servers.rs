//! The embedded servers for real: downloaded, started, killed, restarted.
#![expect(clippy::unwrap_used, reason = "the helpers of a test fail it by panicking")]

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_nats::{ConnectOptions, jetstream};
use futures::StreamExt;
use toryo_embedded::{Durability, Error, Options, Stack};

/// Names the data folder to the process that plays the owner who is killed.
const OWNER: &str = "TORYO_EMBEDDED_TEST_OWNER";
/// The longest wait for anything here; nothing takes a tenth of it on an idle machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A data folder that goes away with its test, wherever its servers live.
struct Data(tempfile::TempDir);

impl Data {
    fn new() -> Self {
        Self::with_mode(0o755)
    }

    fn with_mode(mode: u32) -> Self {
        let shared = shared_folder();
        fs::create_dir_all(&shared).unwrap();
        let permissions = fs::Permissions::from_mode(mode);
        Self(tempfile::Builder::new().permissions(permissions).prefix("data-").tempdir_in(shared).unwrap())
    }

    fn options(&self) -> Options {
        options(self.0.path())
    }

    async fn start(&self) -> Stack {
        Stack::start(self.options()).await.unwrap()
    }
}

impl Drop for Data {
    fn drop(&mut self) {
        if let Ok(home) = self.0.path().join("embedded").canonicalize() {
            fs::remove_dir_all(home).ok();
        }
    }
}

fn shared_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/toryo-test")
}

fn options(data: &Path) -> Options {
    Options::new(data).packages_dir(shared_folder().join("packages")).durability(Durability::Tests)
}

/// The command lines of all processes that name this folder.
fn processes_of(home: &Path) -> Vec<String> {
    let list = std::process::Command::new("ps").args(["-ww", "-axo", "args="]).output().unwrap();
    let text = String::from_utf8_lossy(&list.stdout).into_owned();
    let home = home.to_string_lossy();
    text.lines().filter(|line| line.contains(&*home)).map(str::to_owned).collect()
}

async fn until_nothing_runs_in(home: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while !processes_of(home).is_empty() {
        assert!(Instant::now() < deadline, "still running: {:?}", processes_of(home));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The client library does not read the password from the URL.
async fn connect(url: &str) -> Result<async_nats::Client, async_nats::ConnectError> {
    let (user, rest) = url.trim_start_matches("nats://").split_once(':').unwrap();
    let (password, address) = rest.split_once('@').unwrap();
    ConnectOptions::with_user_and_password(user.to_owned(), password.to_owned()).connect(address).await
}

async fn publish(url: &str, text: &'static str) {
    let stream = jetstream::new(connect(url).await.unwrap());
    let config = jetstream::stream::Config {
        name: "KEPT".into(),
        subjects: vec!["kept".into()],
        ..Default::default()
    };
    stream.get_or_create_stream(config).await.unwrap();
    stream.publish("kept", text.into()).await.unwrap().await.unwrap();
}

async fn first_message(url: &str) -> String {
    let context = jetstream::new(connect(url).await.unwrap());
    let stream = context.get_stream("KEPT").await.unwrap();
    let consumer = stream.create_consumer(jetstream::consumer::pull::Config::default()).await.unwrap();
    let message = consumer.messages().await.unwrap().next().await.unwrap().unwrap();
    String::from_utf8(message.payload.to_vec()).unwrap()
}

#[tokio::test]
async fn data_and_urls_survive_a_stop_and_the_second_start_makes_nothing_anew() {
    let data = Data::new();
    let first = data.start().await;
    first.sql("create table kept (text text); insert into kept values ('a row')").await.unwrap();
    publish(first.nats_url(), "a message").await;
    let urls = (first.database_url().to_owned(), first.nats_url().to_owned());
    let home = first.home().to_owned();
    first.stop().await.unwrap();
    assert_eq!(processes_of(&home), Vec::<String>::new());

    assert_eq!(toryo_embedded::plan(&data.options()).unwrap(), []);
    let lines = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&lines);
    let options = data.options().on_progress(move |line| heard.lock().unwrap().push(line.to_owned()));
    let second = Stack::start(options).await.unwrap();
    assert_eq!(*lines.lock().unwrap(), ["starting Postgres and nats-server"]);
    assert_eq!((second.database_url(), second.nats_url()), (urls.0.as_str(), urls.1.as_str()));
    assert_eq!(second.sql("select text from kept").await.unwrap(), "a row");
    assert_eq!(first_message(second.nats_url()).await, "a message");
    second.stop().await.unwrap();
}

#[tokio::test]
async fn vectors_are_searched_with_an_index() {
    let data = Data::new();
    let stack = data.start().await;
    let found = stack
        .sql(
            "create extension vector;
             create table points (id int, place vector(3));
             insert into points select n, array[n, n, n]::vector from generate_series(1, 100) n;
             create index on points using hnsw (place vector_l2_ops);
             select id from points order by place <-> '[41.9,42,42]' limit 1",
        )
        .await
        .unwrap();
    assert_eq!(found, "42");
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn commits_survive_a_killed_postgres_and_messages_a_killed_nats_server() {
    let data = Data::new();
    let stack = data.start().await;
    stack.sql("create table kept as select 7 as seven").await.unwrap();
    publish(stack.nats_url(), "before the crash").await;

    stack.postgres_kill9().await.unwrap();
    stack.nats_kill9().await.unwrap();
    assert!(stack.sql("select 1").await.is_err());
    assert!(stack.nats_monitor("/varz").await.is_err());

    assert_eq!(stack.revive().await.unwrap(), ["Postgres", "nats-server"]);
    assert_eq!(stack.sql("select seven from kept").await.unwrap(), "7");
    assert_eq!(first_message(stack.nats_url()).await, "before the crash");
    assert_eq!(stack.revive().await.unwrap(), Vec::<&str>::new());
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn a_restart_keeps_the_ports() {
    let data = Data::new();
    let stack = data.start().await;
    let started = "select pg_postmaster_start_time()";
    let before = stack.sql(started).await.unwrap();
    stack.postgres_restart().await.unwrap();
    stack.nats_restart().await.unwrap();
    assert_ne!(stack.sql(started).await.unwrap(), before);
    connect(stack.nats_url()).await.unwrap();
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn two_stacks_run_side_by_side() {
    let (one, two) = (Data::new(), Data::new());
    let (one, two) = tokio::join!(one.start(), two.start());
    assert_ne!(one.database_url(), two.database_url());
    assert_ne!(one.nats_url(), two.nats_url());
    one.sql("create table here ()").await.unwrap();
    assert_eq!(two.sql("select to_regclass('here') is null").await.unwrap(), "t");
    one.stop().await.unwrap();
    assert_eq!(two.sql("select 1").await.unwrap(), "1");
    two.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_caller_is_a_guest_and_the_owner_stops() {
    let data = Data::new();
    let (owner, guest) = tokio::join!(data.start(), data.start());
    let (owner, guest) = if owner.is_owner() { (owner, guest) } else { (guest, owner) };
    assert!(owner.is_owner() && !guest.is_owner());
    assert_eq!(owner.database_url(), guest.database_url());
    assert_eq!(guest.sql("select 1").await.unwrap(), "1");
    assert!(matches!(guest.postgres_kill9().await, Err(Error::NotOwner)));
    guest.stop().await.unwrap();
    assert_eq!(owner.sql("select 1").await.unwrap(), "1");
    owner.stop().await.unwrap();
    let next = data.start().await;
    assert!(next.is_owner());
    next.stop().await.unwrap();
}

#[tokio::test]
async fn nothing_is_left_running_after_a_drop() {
    let data = Data::new();
    let stack = data.start().await;
    let home = stack.home().to_owned();
    assert!(!processes_of(&home).is_empty());
    drop(stack);
    assert_eq!(processes_of(&home), Vec::<String>::new());
}

/// Plays two parts: started by the test runner it is the test, started by itself it is the owner who is killed.
#[tokio::test]
async fn servers_die_with_an_owner_that_is_killed() {
    if let Some(folder) = std::env::var_os(OWNER) {
        let stack = Stack::start(options(Path::new(&folder))).await.unwrap();
        println!("\nhome={}", stack.home().display());
        return std::future::pending().await;
    }
    let data = Data::new();
    let mut owner = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["servers_die_with_an_owner_that_is_killed", "--exact", "--nocapture"])
        .env(OWNER, data.0.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines().map_while(Result::ok);
    let home = lines.find_map(|line| line.strip_prefix("home=").map(PathBuf::from)).unwrap();
    assert!(!processes_of(&home).is_empty());
    owner.kill().unwrap();
    owner.wait().unwrap();
    until_nothing_runs_in(&home).await;

    let next = data.start().await;
    assert!(next.is_owner());
    assert_eq!(next.sql("select 1").await.unwrap(), "1");
    next.stop().await.unwrap();
}

#[tokio::test]
async fn a_pid_file_that_names_a_stranger_does_not_stop_the_start() {
    let data = Data::new();
    let stack = data.start().await;
    let home = stack.home().to_owned();
    stack.postgres_kill9().await.unwrap();
    let file = home.join("postgres/postmaster.pid");
    let text = fs::read_to_string(&file).unwrap();
    let (_, rest) = text.split_once('\n').unwrap();
    // This test's own process lives, and is no Postgres.
    fs::write(&file, format!("{}\n{rest}", std::process::id())).unwrap();
    drop(stack);
    let next = data.start().await;
    assert_eq!(next.sql("select 1").await.unwrap(), "1");
    next.stop().await.unwrap();
}

#[tokio::test]
async fn passwords_are_required_and_stand_in_no_command_line() {
    let data = Data::new();
    let stack = data.start().await;
    let home = stack.home();
    let secrets: Vec<_> = ["postgres.password", "nats.password"]
        .map(|name| {
            let path = home.join(name);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
            fs::read_to_string(path).unwrap()
        })
        .to_vec();
    for line in processes_of(home) {
        assert!(secrets.iter().all(|secret| !line.contains(secret.as_str())), "{line}");
    }
    assert!(!format!("{stack:?}").contains(secrets[0].as_str()));
    assert_eq!(
        stack
            .sql("select rolpassword like 'SCRAM-SHA-256$%' from pg_authid where rolname = 'toryo'")
            .await
            .unwrap(),
        "t"
    );
    assert_eq!(
        stack
            .sql("select count(*) from pg_hba_file_rules where auth_method <> 'scram-sha-256'")
            .await
            .unwrap(),
        "0"
    );
    let stranger = stack.nats_url().replace(secrets[1].as_str(), "guess");
    assert!(connect(&stranger).await.is_err());
    stack.stop().await.unwrap();
}

#[tokio::test]
async fn users_data_is_synced_to_disk_and_tests_are_not() {
    let (kept, fast) = (Data::new(), Data::new());
    let kept = Stack::start(kept.options().durability(Durability::Full)).await.unwrap();
    assert_eq!(kept.sql("show fsync; show synchronous_commit").await.unwrap(), "on\non");
    kept.stop().await.unwrap();
    let fast = fast.start().await;
    assert_eq!(fast.sql("show fsync").await.unwrap(), "off");
    fast.stop().await.unwrap();
}

#[tokio::test]
async fn servers_never_run_as_root_even_where_the_data_folder_is_closed_to_others() {
    let data = Data::with_mode(0o700);
    let stack = data.start().await;
    let is_root = fs::metadata("/proc/self").map_or(0, |own| own.uid()) == 0;
    let link = data.0.path().join("embedded");
    assert_eq!(stack.home(), link.canonicalize().unwrap());
    assert_eq!(is_root, stack.home().starts_with("/var/lib/toryo"), "{}", stack.home().display());
    assert_ne!(fs::metadata(stack.home().join("postgres")).unwrap().uid(), 0);
    assert_ne!(fs::metadata(stack.home().join("nats/nats.pid")).unwrap().uid(), 0);
    let home = stack.home().to_owned();
    stack.stop().await.unwrap();
    let again = data.start().await;
    assert_eq!(again.home(), home);
    again.stop().await.unwrap();
}

#[tokio::test]
async fn a_database_of_another_major_version_is_refused() {
    let data = Data::new();
    let stack = data.start().await;
    let version = stack.home().join("postgres/PG_VERSION");
    stack.stop().await.unwrap();
    fs::write(version, "17\n").unwrap();
    let refused = Stack::start(data.options()).await.map(|_| ());
    assert!(matches!(&refused, Err(Error::OtherMajor { found, .. }) if found == "17"), "{refused:?}");
}
