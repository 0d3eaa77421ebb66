//! What the machine itself can do: commits of a single row, and plain SQL that claims and completes steps under a fence.

use crate::servers::Servers;
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::time::{Duration, Instant};

/// Single-row commits, each session with a row of its own.
pub async fn floor(servers: &Servers, concurrency: usize, seconds: u64) -> Value {
    let schema = "create table floor (id bigint primary key, n bigint not null)";
    race(servers, concurrency, seconds, &[schema], |mut session, number, end| async move {
        let insert = "insert into floor values ($1, 0)";
        sqlx::query(insert).bind(number).execute(&mut session).await.expect("a row");
        let mut done = 0_u64;
        while Instant::now() < end {
            let update = "update floor set n = n + 1 where id = $1";
            sqlx::query(update).bind(number).execute(&mut session).await.expect("an update");
            done += 1;
        }
        session.close().await.expect("an end");
        done
    })
    .await
}

const BARE: [&str; 3] = [
    "create sequence fences",
    "create table bare (id bigint generated always as identity primary key, run bigint not null, node int not null, \
     status text not null, fence bigint, worker bigint, lease_until timestamptz, output jsonb)",
    "create index bare_ready on bare (id) where status = 'ready'",
];

/// The least a durable queue of steps has to do: one commit that claims the oldest, and one that completes it where its
/// token still holds and makes the next one ready. No events, no graph, no messages, no limits.
pub async fn claim_and_complete(servers: &Servers, concurrency: usize, seconds: u64) -> Value {
    race(servers, concurrency, seconds, &BARE, |mut session, number, end| async move {
        let begin = "insert into bare (run, node, status) values ($1, 1, 'ready')";
        sqlx::query(begin).bind(number).execute(&mut session).await.expect("a run");
        let mut done = 0_u64;
        while Instant::now() < end {
            let claim = "update bare set status = 'running', fence = nextval('fences'), worker = $1, \
                         lease_until = now() + interval '30 seconds' where id = (select id from bare \
                         where status = 'ready' order by id limit 1 for update skip locked) returning id, fence";
            let claimed: Option<(i64, i64)> =
                sqlx::query_as(claim).bind(number).fetch_optional(&mut session).await.expect("a claim");
            let Some((id, fence)) = claimed else { continue };
            let complete = "with done as (update bare set status = 'succeeded', output = $3, lease_until = null \
                            where id = $1 and fence = $2 and status = 'running' returning run, node) \
                            insert into bare (run, node, status) select run, node % 9 + 1, 'ready' from done";
            let ended =
                sqlx::query(complete).bind(id).bind(fence).bind(json!({ "kind": "code", "edits": 1 }));
            assert_eq!(ended.execute(&mut session).await.expect("an end").rows_affected(), 1);
            done += 1;
        }
        session.close().await.expect("an end");
        done
    })
    .await
}

/// So many sessions at once, in a database of their own.
async fn race<F>(
    servers: &Servers,
    concurrency: usize,
    seconds: u64,
    schema: &[&'static str],
    work: impl Fn(PgConnection, i64, Instant) -> F,
) -> Value
where
    F: Future<Output = u64> + Send + 'static,
{
    let url = servers.fresh().await.database_url;
    let mut first = PgConnection::connect(&url).await.expect("a session");
    for statement in schema {
        sqlx::query(*statement).execute(&mut first).await.expect("a table");
    }
    first.close().await.expect("an end");
    let mut sessions = Vec::new();
    let before = servers.counted(&url).await;
    for _ in 0..concurrency {
        sessions.push(PgConnection::connect(&url).await.expect("a session"));
    }
    let (cpu, own) = (servers.cpu(), crate::processes::cpu_ms(std::process::id()));
    let began = Instant::now();
    let end = began + Duration::from_secs(seconds);
    let racers: Vec<_> = sessions
        .into_iter()
        .zip(1..)
        .map(|(session, number)| tokio::spawn(work(session, number, end)))
        .collect();
    let mut done = 0;
    for racer in racers {
        done += racer.await.expect("a racer ends well");
    }
    let wall = began.elapsed().as_secs_f64();
    let (postgres, own) = (servers.cpu().0 - cpu.0, crate::processes::cpu_ms(std::process::id()) - own);
    let after = servers.counted(&url).await;
    let each = |n: f64| n / done.max(1) as f64;
    json!({
        "per_second": done as f64 / wall,
        "cpu_ms": each(postgres + own), "postgres_ms": each(postgres), "client_ms": each(own),
        "commits": each((after.commits - before.commits) as f64),
        "syncs": each((after.syncs - before.syncs) as f64),
    })
}
