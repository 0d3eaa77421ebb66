//! The administration of the gateway over HTTP: who may what, and that changes hold at once.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use toryo_api::{
    App, Check, Config, IndexError, Indexer, Ports, Readiness, RepositoryCheck, RepositoryError, router,
};
use toryo_blackboard::{Db, MemoryBlobs, Repo};
use toryo_bus::{Bus, Subjects};
use toryo_domain::{Priority, Usd};
use toryo_engine::Engine;
use toryo_models::accounts::{self, Accounts, KeyError};
use toryo_models::allowance::{Admission, AtLimit};
use toryo_models::journal::Spent;
use toryo_models::ledger::{CacheState, Call, CallStatus, CountedBy};
use toryo_testkit::stack::Services;
use tower::ServiceExt;

struct Fake;

#[async_trait]
impl RepositoryCheck for Fake {
    async fn check(&self, _: &str, _: Option<&str>) -> Result<(), RepositoryError> {
        Ok(())
    }
}

#[async_trait]
impl Indexer for Fake {
    async fn start(&self, _: &Repo) -> Result<(), IndexError> {
        Ok(())
    }
}

#[async_trait]
impl Readiness for Fake {
    async fn checks(&self) -> Vec<Check> {
        vec![]
    }
}

const MASTER: &str = "the operator's own key";

struct Server {
    router: Router,
    accounts: Accounts,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        Self::with(Some(MASTER)).await
    }

    async fn with(master: Option<&str>) -> Self {
        let services = Services::shared().await;
        let db = Db::connect(&services.database_url, 6).await.unwrap();
        db.migrate().await.unwrap();
        let bus = Bus::connect("nats://127.0.0.1:9", Subjects::new("test").unwrap()).await.unwrap();
        let engine = Engine::new(db.clone(), bus, toryo_engine::Config::default());
        let folder = tempfile::tempdir().unwrap();
        let config = accounts::Config { master_key: master.map(Into::into), ..accounts::Config::default() };
        let accounts = Accounts::start(db, config, folder.path()).unwrap();
        let fake = Arc::new(Fake);
        let ports = Ports {
            repositories: fake.clone(),
            indexer: fake.clone(),
            replayer: None,
            readiness: fake,
            agents: Arc::new([]),
        };
        let app = App::new(engine, Arc::new(MemoryBlobs::default()), ports, Config::default());
        Self { router: router(app.with_accounts(accounts.clone())), accounts, _folder: folder }
    }

    async fn ask(&self, key: &str, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let (status, text) = self.text(key, method, path, &body.to_string(), &[]).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    async fn text(
        &self,
        key: &str,
        method: &str,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, String) {
        let mut request = Request::builder()
            .method(method.parse::<Method>().unwrap())
            .uri(path)
            .header(header::HOST, "localhost:8080")
            .header(header::CONTENT_TYPE, "application/json");
        if !key.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(Body::from(body.to_owned())).unwrap()).await;
        let (parts, body) = response.unwrap().into_parts();
        let bytes = to_bytes(body, 1_000_000).await.unwrap();
        (parts.status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn made(&self, path: &str, body: Value) -> Value {
        let (status, made) = self.ask(MASTER, "POST", path, body).await;
        assert_eq!(status, StatusCode::CREATED, "{path}: {made}");
        made
    }
}

async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    for _ in 0..1000 {
        if holds().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came about: {what}");
}

#[tokio::test]
async fn without_an_operators_key_the_administration_is_closed_and_says_how_to_open_it() {
    let server = Server::with(None).await;
    for path in ["/keys", "/teams", "/users", "/budgets", "/usage", "/usage/analysis", "/organisations"] {
        let (status, problem) = server.ask("anything", "GET", path, json!({})).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(problem["type"], "/problems/administration-closed");
        assert!(problem["detail"].as_str().unwrap().contains("gateway.master_key"));
    }
}

#[tokio::test]
async fn without_a_key_nobody_gets_in() {
    let server = Server::start().await;
    for key in ["", "wrong", "tk-0123456789012345678901234567890123456789012"] {
        let (status, problem) = server.ask(key, "GET", "/keys", json!({})).await;
        assert_eq!(
            (status, &problem["type"]),
            (StatusCode::UNAUTHORIZED, &json!("/problems/unauthenticated"))
        );
    }
}

#[tokio::test]
async fn a_key_lives_from_its_making_to_its_revocation() {
    let server = Server::start().await;
    let body = json!({ "name": "ci", "rpm": 60, "routes": ["light"] });
    let once = [("idempotency-key", "make-ci")];
    let (status, text) = server.text(MASTER, "POST", "/keys", &body.to_string(), &once).await;
    assert_eq!(status, StatusCode::CREATED, "{text}");
    let made: Value = serde_json::from_str(&text).unwrap();
    let (id, first) = (made["key"]["id"].as_str().unwrap(), made["secret"].as_str().unwrap());
    assert!(first.starts_with(made["key"]["secrets"][0]["prefix"].as_str().unwrap()));
    let (status, _) = server.text(MASTER, "POST", "/keys", &body.to_string(), &once).await;
    assert_eq!(status, StatusCode::CONFLICT, "no second key, and the secret is not shown again");
    let who = server.accounts.authenticate(first).await.unwrap();
    assert!(who.allows("light") && !who.allows("strong"));

    let path = format!("/keys/{id}");
    let (status, changed) = server.ask(MASTER, "PATCH", &path, json!({ "routes": null, "tpm": 9 })).await;
    assert_eq!(
        (status, &changed["routes"], &changed["rpm"], &changed["tpm"]),
        (StatusCode::OK, &Value::Null, &json!(60), &json!(9))
    );
    until("the change holds", async || server.accounts.authenticate(first).await.unwrap().allows("strong"))
        .await;

    let rotate = format!("{path}/rotate");
    let (status, rotated) = server.ask(MASTER, "POST", &rotate, json!({ "overlap_seconds": 600 })).await;
    assert_eq!(status, StatusCode::OK);
    let second = rotated["secret"].as_str().unwrap();
    assert!(server.accounts.authenticate(first).await.is_ok());
    until("the new secret works", async || server.accounts.authenticate(second).await.is_ok()).await;

    let (status, list) = server.ask(MASTER, "GET", "/keys", json!({})).await;
    assert_eq!((status, list["items"].as_array().unwrap().len()), (StatusCode::OK, 1));
    assert!(
        !list.to_string().contains(first) && !list.to_string().contains(second),
        "secrets are never listed"
    );

    let (status, _) = server.ask(MASTER, "DELETE", &path, json!({})).await;
    assert_eq!(status, StatusCode::OK);
    for secret in [first, second] {
        let gone = async || server.accounts.authenticate(secret).await == Err(KeyError::Revoked);
        until("the key is revoked", gone).await;
    }
}

#[tokio::test]
async fn a_lead_administers_the_own_team_and_gives_no_more_than_it_has() {
    let server = Server::start().await;
    let core = json!({ "team_alias": "core", "members_with_roles": [{ "role": "admin", "user_id": "ann" }], "rpm_limit": 99 });
    let core = server.made("/team/new", core).await;
    let other = server.made("/teams", json!({ "name": "other", "members": [{ "user": "bob" }] })).await;
    let (core_id, ann) = (core["id"].as_str().unwrap(), core["members"][0]["user_id"].as_str().unwrap());
    assert_eq!((&core["rpm"], &core["members"][0]["role"]), (&json!(99), &json!("admin")));
    let lead = json!({ "name": "ann", "team_id": core_id, "user_id": ann, "role": "team_admin" });
    let lead = server.made("/keys", lead).await;
    let lead = lead["secret"].as_str().unwrap();
    let foreign = json!({ "name": "x", "team_id": other["id"] });
    let foreign_key = server.made("/keys", foreign.clone()).await;

    let (status, made) = server.ask(lead, "POST", "/keys", json!({ "name": "mine", "rpm": 99 })).await;
    assert_eq!((status, &made["key"]["team_id"]), (StatusCode::CREATED, &json!(core_id)));
    let mine = made["key"]["id"].as_str().unwrap();
    let member = made["secret"].as_str().unwrap();
    let team = format!("/teams/{core_id}");
    let budget = |account: &str, usd: u32| json!({ "account_id": account, "period": "month", "usd": usd });
    let (status, _) = server.ask(MASTER, "PUT", "/budgets", budget(core_id, 50)).await;
    assert_eq!(status, StatusCode::OK);
    let foreign_id = foreign_key["key"]["id"].as_str().unwrap();
    let refused = [
        (lead, "POST", "/keys".to_owned(), json!({ "name": "too much", "rpm": 100 }), 422),
        (lead, "POST", "/keys".to_owned(), foreign, 404),
        (lead, "POST", "/keys".to_owned(), json!({ "name": "up", "role": "organisation_admin" }), 403),
        (lead, "PATCH", format!("/keys/{mine}"), json!({ "rpm": 1000 }), 422),
        (lead, "GET", format!("/keys/{foreign_id}"), json!({}), 404),
        (lead, "DELETE", format!("/keys/{foreign_id}"), json!({}), 404),
        (lead, "PATCH", team.clone(), json!({ "rpm": 1000 }), 403),
        (lead, "DELETE", team.clone(), json!({}), 403),
        (lead, "POST", "/teams".to_owned(), json!({ "name": "third" }), 403),
        (lead, "POST", "/organisations".to_owned(), json!({ "name": "third" }), 403),
        (lead, "PUT", "/budgets".to_owned(), budget(core_id, 1000), 403),
        (lead, "PUT", "/budgets".to_owned(), budget(mine, 51), 422),
        (lead, "PUT", "/budgets".to_owned(), budget(foreign_id, 1), 404),
        (member, "GET", "/keys".to_owned(), json!({}), 403),
        (member, "POST", "/keys".to_owned(), json!({ "name": "mine" }), 403),
        (MASTER, "POST", "/keys".to_owned(), json!({ "name": "x", "colour": 1 }), 422),
        (MASTER, "POST", "/teams".to_owned(), json!({ "name": "core" }), 409),
        (
            MASTER,
            "POST",
            "/keys".to_owned(),
            json!({ "name": "x", "team_id": other["id"], "user_id": ann }),
            422,
        ),
    ];
    for (key, method, path, body, expected) in refused {
        let (status, answer) = server.ask(key, method, &path, body.clone()).await;
        assert_eq!(status.as_u16(), expected, "{method} {path} {body}: {answer}");
        assert!(answer["type"].as_str().unwrap().starts_with("/problems/"), "{answer}");
    }
    let (status, _) = server.ask(lead, "PUT", "/budgets", budget(mine, 50)).await;
    assert_eq!(status, StatusCode::OK);
    let (_, budgets) = server.ask(lead, "GET", "/budgets", json!({})).await;
    assert_eq!(budgets["items"].as_array().unwrap().len(), 2);
    let (_, keys) = server.ask(lead, "GET", "/keys", json!({})).await;
    assert_eq!(keys["items"].as_array().unwrap().len(), 2, "the team's, not the others'");
    let (status, members) =
        server.ask(lead, "PUT", &format!("{team}/members"), json!({ "user": "carl" })).await;
    assert_eq!((status, members["members"].as_array().unwrap().len()), (StatusCode::OK, 2));
    // Who leaves the team leads it no more.
    let (status, _) = server.ask(MASTER, "DELETE", &format!("{team}/members/{ann}"), json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let out = async || server.ask(lead, "GET", "/keys", json!({})).await.0 == StatusCode::UNAUTHORIZED;
    until("the lead is out", out).await;
}

#[tokio::test]
async fn usage_is_added_up_by_dimension_and_day_and_each_sees_the_own() {
    let server = Server::start().await;
    let team = server.made("/teams", json!({ "name": "=core" })).await;
    let key = server.made("/keys", json!({ "name": "one", "team_id": team["id"] })).await;
    let other = server.made("/keys", json!({ "name": "two" })).await;
    for (secret, model, cents) in
        [(&key, "gpt-4o", 3), (&key, "gpt-4o", 4), (&key, "small", 1), (&other, "small", 2)]
    {
        let who = server.accounts.authenticate(secret["secret"].as_str().unwrap()).await.unwrap();
        let most = Spent { usd: Usd::ZERO, tokens: 0 };
        let ask = Admission { route: "coder", most, priority: Priority::Normal, at_limit: AtLimit::Refuse };
        server.accounts.admit(&who, &ask).await.unwrap().settle(call(model, cents)).unwrap();
    }
    let calls = async || server.ask(MASTER, "GET", "/usage", json!({})).await.1["totals"]["calls"] == 4;
    until("the ledger is written", calls).await;
    let (status, usage) = server.ask(MASTER, "GET", "/usage?by=team,model&grain=day", json!({})).await;
    assert_eq!(status, StatusCode::OK);
    let lines: Vec<_> = usage["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| format!("{} {} {} {}", line["team"], line["model"], line["calls"], line["cost_usd"]))
        .collect();
    assert_eq!(lines, ["\"=core\" \"gpt-4o\" 2 0.07", "null \"small\" 1 0.02", "\"=core\" \"small\" 1 0.01"]);
    assert_eq!(usage["totals"]["cost_usd"], 0.1);
    assert!(usage["items"][0]["at"].as_str().unwrap().ends_with("T00:00:00Z"));
    let (_, filtered) = server.ask(MASTER, "GET", "/usage?by=key&model=small&team=%3Dcore", json!({})).await;
    assert_eq!((&filtered["items"][0]["key"], &filtered["totals"]["calls"]), (&json!("one"), &json!(1)));
    let (_, own) = server.ask(other["secret"].as_str().unwrap(), "GET", "/usage", json!({})).await;
    assert_eq!(own["totals"]["cost_usd"], 0.02);
    let (_, csv) = server.text(MASTER, "GET", "/usage?by=team", "", &[("accept", "text/csv")]).await;
    assert!(csv.starts_with("team,calls,errors,") && csv.contains("'=core,3,0,"), "{csv}");
    let (_, analysis) = server.ask(MASTER, "GET", "/usage/analysis?monthly_limit=0.11", json!({})).await;
    assert_eq!(analysis["total_usd"], 0.1);
    let about: Vec<_> =
        analysis["suggestions"].as_array().unwrap().iter().map(|it| it["about"].clone()).collect();
    assert_eq!(about, ["budget_warning", "model_substitution"]);
    for wrong in
        ["/usage?by=colour", "/usage?colour=red", "/usage?grain=year", "/usage?format=xml", "/usage?from=x"]
    {
        assert_eq!(
            server.ask(MASTER, "GET", wrong, json!({})).await.0,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{wrong}"
        );
    }
}

fn call(model: &str, cents: i64) -> Call {
    Call {
        run_id: None,
        step_id: None,
        agent: None,
        route: "coder".into(),
        deployment: model.into(),
        provider: "openai".into(),
        model: model.into(),
        region: None,
        account: None,
        dialect: "chat_completions".into(),
        input_tokens: 10,
        output_tokens: 5,
        cached_input_tokens: 0,
        cache_write_tokens: 0,
        reasoning_tokens: 0,
        counted_by: CountedBy::Provider,
        cost: Usd::from_nanos(cents * 10_000_000),
        priced_as_of: None,
        latency_ms: 20,
        first_token_ms: None,
        status: CallStatus::Ok,
        error_class: None,
        http_status: 200,
        attempts: 1,
        cache: CacheState::None,
        stream: false,
    }
}
