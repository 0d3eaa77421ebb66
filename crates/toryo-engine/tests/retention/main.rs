//! Blobs that nothing names go, and no others: with crashes in the middle, writers beside it, and clocks that jump.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends at what it did not expect")]

use async_trait::async_trait;
use bytes::Bytes;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use toryo_blackboard::{BlobStore, Db, Error, FolderBlobs, named::Named};
use toryo_bus::{Bus, Subjects};
use toryo_domain::{Approval, Digest, Limits, NewTask, Priority, RunId};
use toryo_engine::retention::{Config, prune};
use toryo_engine::{Engine, submit};
use toryo_testkit::stack::Services;

const HOUR: Duration = Duration::from_secs(3600);

/// An engine, a store, and the folder behind it.
struct Ground {
    engine: Engine,
    blobs: FolderBlobs,
    folder: tempfile::TempDir,
    run: RunId,
}

impl Ground {
    async fn new() -> Self {
        let services = Services::shared().await;
        let db = Db::connect_within(&services.database_url, 4, Duration::from_secs(60)).await.unwrap();
        db.migrate().await.unwrap();
        let bus =
            Bus::connect(&services.nats_url, Subjects::new(&services.nats_prefix).unwrap()).await.unwrap();
        let engine = Engine::new(db, bus, toryo_engine::Config { step_minutes: 1, ..Default::default() });
        let folder = tempfile::tempdir().unwrap();
        let blobs = FolderBlobs::open(folder.path()).unwrap();
        let run = submit(&engine, &wish(), None).await.unwrap().run_id;
        Self { engine, blobs, folder, run }
    }

    async fn sql(&self, statement: &'static str, digest: Digest) {
        sqlx::query(statement)
            .bind(self.run.uuid())
            .bind(digest.to_string())
            .execute(self.engine.db.pool())
            .await
            .unwrap();
    }

    fn file(&self, digest: Digest) -> PathBuf {
        let text = digest.to_string();
        self.folder.path().join(&text[..2]).join(&text[2..4]).join(text)
    }

    /// A blob that was put long ago.
    async fn old(&self, text: &'static str) -> Digest {
        let digest = self.blobs.put(Bytes::from_static(text.as_bytes())).await.unwrap();
        self.aged(digest);
        digest
    }

    fn aged(&self, digest: Digest) {
        let file = File::options().write(true).open(self.file(digest)).unwrap();
        file.set_modified(SystemTime::now() - 5 * HOUR).unwrap();
    }

    /// What was noted was noted long ago.
    async fn later(&self) {
        sqlx::query("update unnamed_blobs set since = since - interval '5 hours'")
            .execute(self.engine.db.pool())
            .await
            .unwrap();
    }

    async fn noted(&self) -> i64 {
        sqlx::query_scalar("select count(*) from unnamed_blobs")
            .fetch_one(self.engine.db.pool())
            .await
            .unwrap()
    }

    async fn prune(&self) -> u64 {
        prune(&self.engine, &self.blobs, SETTINGS).await.unwrap().expect("nobody else prunes")
    }

    async fn is_there(&self, digest: Digest) -> bool {
        match self.blobs.get(&digest).await {
            Ok(_) => true,
            Err(Error::NoBlob(_)) => false,
            Err(error) => panic!("{error}"),
        }
    }
}

const SETTINGS: Config = Config { days: 90, key_days: 30, blob_hours: 2, artifact_days: 0, mirror_days: 30 };

fn wish() -> NewTask {
    NewTask {
        repo_url: "/srv/a".into(),
        goal: "make it right".into(),
        issue_id: None,
        base_branch: None,
        constraints: vec![],
        acceptance_criteria: vec![],
        priority: Priority::Normal,
        approval: Approval::None,
        limits: Limits::default(),
        labels: vec![],
        source: "api".into(),
    }
}

/// Every way in which a blob is named.
const NAMES: [(&str, &str); 5] = [
    ("a diff", "update runs set best_diff = $2 where id = $1"),
    ("an archive", "update runs set archive = $2 where id = $1"),
    (
        "an artifact",
        "insert into artifacts (id, run_id, step_id, kind, name, media_type, digest, size_bytes) \
         select gen_random_uuid(), $1, steps.id, 'log', 'a', 'text/plain', $2, 1 from steps where run_id = $1",
    ),
    (
        "an outcome",
        "update steps set output = jsonb_build_object('changes', jsonb_build_object('a.py', $2::text)) where run_id = $1",
    ),
    (
        "an outcome that a person went back behind",
        "insert into superseded (step_id, epoch, status, output) \
         select id, 0, 'succeeded', jsonb_build_array($2::text) from steps where run_id = $1",
    ),
];

#[tokio::test]
async fn what_nothing_names_goes_after_a_while_and_nothing_else() {
    let ground = Ground::new().await;
    let mut named = Vec::new();
    for (text, statement) in NAMES {
        let digest = ground.old(text).await;
        ground.sql(statement, digest).await;
        named.push(digest);
    }
    let (orphan, young) =
        (ground.old("nobody's").await, ground.blobs.put(Bytes::from_static(b"new")).await.unwrap());
    assert_eq!(ground.prune().await, 0, "it was not known before");
    assert_eq!(ground.noted().await, 1, "only what is old and unnamed is noted");
    assert_eq!(ground.prune().await, 0, "it is not known for long");
    ground.later().await;
    assert_eq!(ground.prune().await, 1);
    assert!(!ground.is_there(orphan).await);
    assert_eq!(ground.noted().await, 0);
    for (digest, (text, _)) in named.iter().zip(NAMES) {
        assert!(ground.is_there(*digest).await, "{text} names it");
    }
    assert!(ground.is_there(young).await);
    ground.later().await;
    assert_eq!(ground.prune().await, 0);
}

#[tokio::test]
async fn a_blob_that_is_named_again_begins_anew() {
    let ground = Ground::new().await;
    let digest = ground.old("back again").await;
    ground.prune().await;
    ground.later().await;
    let (_, name) = NAMES[0];
    ground.sql(name, digest).await;
    assert_eq!(ground.prune().await, 0);
    assert_eq!(ground.noted().await, 0, "it is no longer without a name");
    assert!(ground.is_there(digest).await);
}

#[tokio::test]
async fn a_clock_that_jumps_deletes_nothing() {
    let ground = Ground::new().await;
    let digest = ground.old("old by one clock only").await;
    ground.prune().await;
    // The machine's clock says hours, the database's says moments; and the other way round.
    assert_eq!(ground.prune().await, 0);
    ground.later().await;
    ground.blobs.put(Bytes::from_static(b"old by one clock only")).await.unwrap();
    assert_eq!(ground.prune().await, 0);
    assert!(ground.is_there(digest).await);
}

#[tokio::test]
async fn an_ended_run_keeps_its_artifacts_as_long_as_is_said() {
    let ground = Ground::new().await;
    let (log, archive) = (ground.old("log").await, ground.old("archive").await);
    ground.sql(NAMES[2].1, log).await;
    ground.sql(NAMES[1].1, archive).await;
    let ended =
        "update runs set finished_at = now() - interval '10 days' where id = $1 and $2::text is not null";
    ground.sql(ended, log).await;
    for (days, gone) in [(0, 0), (11, 0), (9, 1)] {
        let settings = Config { artifact_days: days, ..SETTINGS };
        prune(&ground.engine, &ground.blobs, settings).await.unwrap();
        ground.later().await;
        let deleted = prune(&ground.engine, &ground.blobs, settings).await.unwrap();
        assert_eq!(deleted, Some(gone), "{days} days");
    }
    assert!(!ground.is_there(log).await);
    assert!(ground.is_there(archive).await, "the events of a run stay");
}

/// A store that does something before the deletion of a number.
struct Disturbed {
    ground: Arc<Ground>,
    asked: AtomicUsize,
    fails_at: usize,
    /// What a writer puts just before each deletion.
    puts: Option<&'static str>,
}

#[async_trait]
impl BlobStore for Disturbed {
    async fn put(&self, bytes: Bytes) -> Result<Digest, Error> {
        self.ground.blobs.put(bytes).await
    }

    async fn get(&self, digest: &Digest) -> Result<Bytes, Error> {
        self.ground.blobs.get(digest).await
    }

    async fn old(&self, first: u8, age: Duration) -> Result<Vec<Digest>, Error> {
        self.ground.blobs.old(first, age).await
    }

    async fn delete(&self, digest: &Digest, age: Duration) -> Result<bool, Error> {
        if self.asked.fetch_add(1, Ordering::Relaxed) == self.fails_at {
            return Err(Error::NoBlob(*digest));
        }
        if let Some(text) = self.puts {
            self.put(Bytes::from_static(text.as_bytes())).await?;
        }
        self.ground.blobs.delete(digest, age).await
    }
}

#[tokio::test]
async fn a_round_that_dies_between_mark_and_sweep_or_in_the_sweep_is_made_good_by_the_next() {
    let ground = Arc::new(Ground::new().await);
    for text in ["one", "two", "three"] {
        ground.old(text).await;
    }
    let kept = ground.old("kept").await;
    ground.sql(NAMES[0].1, kept).await;
    ground.prune().await;
    ground.later().await;
    // Before the first deletion, and after it.
    for (fails_at, left) in [(0, 3), (1, 2)] {
        let store = Disturbed { ground: ground.clone(), asked: AtomicUsize::new(0), fails_at, puts: None };
        assert!(prune(&ground.engine, &store, SETTINGS).await.is_err());
        let mut there = 0;
        for text in ["one", "two", "three"] {
            there += usize::from(ground.is_there(Digest::of(text)).await);
        }
        assert_eq!(there, left);
    }
    assert_eq!(ground.prune().await, 2);
    assert!(ground.is_there(kept).await);
    assert_eq!(ground.noted().await, 0, "what went before the crash is forgotten as well");
}

#[tokio::test]
async fn a_writer_that_puts_the_same_content_at_the_last_moment_keeps_it() {
    let ground = Arc::new(Ground::new().await);
    let digest = ground.old("wanted again").await;
    ground.prune().await;
    ground.later().await;
    let store = Disturbed {
        ground: ground.clone(),
        asked: AtomicUsize::new(0),
        fails_at: usize::MAX,
        puts: Some("wanted again"),
    };
    assert_eq!(prune(&ground.engine, &store, SETTINGS).await.unwrap(), Some(0));
    assert_eq!(store.asked.load(Ordering::Relaxed), 1, "it was about to go");
    assert!(ground.is_there(digest).await);
}

#[tokio::test]
async fn one_process_prunes_at_a_time() {
    let ground = Ground::new().await;
    let first = Named::look(&ground.engine.db, None).await.unwrap().expect("the first one");
    assert_eq!(prune(&ground.engine, &ground.blobs, SETTINGS).await.unwrap(), None);
    first.end().await.unwrap();
    assert_eq!(prune(&ground.engine, &ground.blobs, SETTINGS).await.unwrap(), Some(0));
}
