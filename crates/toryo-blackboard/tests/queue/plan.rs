//! A claim is served by indexes, however long the queue and however many runs wait for a person.

use crate::Ground;
use sqlx::AssertSqlSafe;

const FILL: &str = "
with r as (insert into repos (id, url) select gen_random_uuid(), '/r/' || n from generate_series(1, 20) n returning id),
t as (insert into tasks (id, repo_id, wish, tenant) select gen_random_uuid(), r.id, '{}', 't' || n % 5 \
      from r, generate_series(1, 300) n returning id, repo_id, tenant),
u as (insert into runs (id, task_id, status) select gen_random_uuid(), t.id, \
      case when random() < 0.5 then 'queued' else 'needs_human' end from t returning id, task_id, status)
insert into steps (id, run_id, step_key, role, status, depends_on, priority, ready_at, tenant, repo_id, parked) \
select gen_random_uuid(), u.id, 'spec', 'spec_refiner', 'ready', '{}', 1, now() - random() * interval '1 hour', \
t.tenant, t.repo_id, u.status = 'needs_human' from u join t on t.id = u.task_id";

#[tokio::test]
async fn a_claim_reads_no_table_of_the_queue_from_end_to_end() {
    let ground = Ground::new().await;
    sqlx::query(FILL).execute(ground.db.pool()).await.unwrap();
    sqlx::query("analyze").execute(ground.db.pool()).await.unwrap();
    let claim = include_str!("../../queries/claim.sql");
    let mut connection = ground.db.pool().acquire().await.unwrap();
    let prepare = format!("prepare claim(uuid, float8, text[], uuid[], int, int, smallint) as {claim}");
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *connection).await.unwrap();
    let explain = "explain (analyze, buffers, costs off, timing off, summary off) \
                   execute claim(gen_random_uuid(), 30, '{spec_refiner}', '{}', 3, 3, 1)";
    let plan: Vec<String> =
        sqlx::query_scalar(explain).persistent(false).fetch_all(&mut *connection).await.unwrap();
    let plan = plan.join("\n");
    for table in ["steps", "runs", "tasks"] {
        assert!(!plan.contains(&format!("Seq Scan on {table}")), "{plan}");
    }
    assert!(plan.contains("Index Scan using steps_due"), "{plan}");
    let rows = |line: &str| -> Option<f64> {
        line.split("rows=").nth(1)?.split([' ', '.', ')']).next()?.parse().ok()
    };
    let most = plan.lines().filter(|line| line.contains("Scan")).filter_map(rows).fold(0.0, f64::max);
    assert!(most <= 200.0, "a scan read {most} rows\n{plan}");
}
