//! What a caller may get wrong: each gets an answer that says what to do, and nothing is stored.

use crate::harness::Toryo;
use serde_json::{Value, json};
use toryo_testkit::openai::Script;

/// One server for all wrong requests: they leave nothing behind.
#[tokio::test]
async fn wrong_requests_are_refused_with_a_reason_and_store_nothing() {
    let toryo = Toryo::start(Script::new()).await;
    let repository = toryo.sample();
    let empty = toryo.folder().join("empty");
    empty_repository(&empty);
    let plain = toryo.folder().join("plain");
    std::fs::create_dir(&plain).unwrap();
    let good = json!({ "repo_url": repository, "goal": "Count the last day" });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };

    let cases = [
        ("an unknown field", with("gaol", json!("x")), 422, "gaol"),
        ("a wrong type", with("goal", json!(7)), 422, "/goal"),
        ("a wrong list", with("constraints", json!("x")), 422, "/constraints"),
        ("an unknown priority", with("priority", json!("urgent")), 422, "/priority"),
        ("a bare goal", with("goal", json!(" \n\t ")), 422, "/goal"),
        ("no goal", json!({ "repo_url": repository }), 422, "goal"),
        ("a folder that does not exist", with("repo_url", json!("/no/such/folder")), 422, "/repo_url"),
        ("a folder that is no repository", with("repo_url", json!(plain)), 422, "/repo_url"),
        ("an empty repository", with("repo_url", json!(empty)), 422, "/repo_url"),
        ("an unknown branch", with("base_branch", json!("nowhere")), 422, "/base_branch"),
        (
            "a URL with a password",
            with("repo_url", json!("https://u:p4ss@example.org/a.git")),
            422,
            "/repo_url",
        ),
        ("a transport that runs programs", with("repo_url", json!("ext::sh -c id")), 422, "/repo_url"),
        ("an impossible limit", with("limits", json!({ "usd": -1 })), 422, "/limits"),
    ];
    for (what, body, status, pointer) in cases {
        let (got, problem) = toryo.post("/tasks", &body).await;
        assert_eq!(got, status, "{what}: {problem}");
        assert!(problem["title"].is_string() && problem["type"].is_string(), "{what}: {problem}");
        assert_eq!(problem["status"], status, "{what}");
        assert!(problem.to_string().contains(pointer), "{what} names {pointer}: {problem}");
        assert!(!problem.to_string().contains("p4ss"), "{what} does not repeat a secret");
    }
    let huge = with("goal", json!("x".repeat(1_000_000)));
    let (status, problem) = toryo.post("/tasks", &huge).await;
    assert!(status == 413 || status == 422, "a goal of 1 MB: {status} {problem}");
    let (status, _) = toryo.post("/tasks", &with("goal", json!("x".repeat(1_100_000)))).await;
    assert_eq!(status, 413, "a body over the limit of 1 MiB");
    let malformed = toryo
        .http
        .post(format!("{}/tasks", toryo.base))
        .header("content-type", "application/json")
        .body("{\"goal\":");
    assert_eq!(malformed.send().await.unwrap().status(), 400, "half a JSON");
    let text = toryo.http.post(format!("{}/tasks", toryo.base)).body("goal=x");
    assert_eq!(text.send().await.unwrap().status(), 415, "not JSON");
    let missing = toryo.http.get(format!("{}/runs/0190a000-0000-7000-8000-000000000000", toryo.base));
    assert_eq!(missing.send().await.unwrap().status(), 404, "an unknown run");

    assert_eq!(toryo.get("/tasks").await["items"], json!([]), "nothing was stored");
    toryo.close().await;
}

#[tokio::test]
async fn the_same_idempotency_key_gives_the_same_run() {
    let toryo =
        Toryo::start(Script::new().otherwise(|_, _| Some(toryo_testkit::openai::Answer::refusal("no"))))
            .await;
    let body = json!({ "repo_url": toryo.sample(), "goal": "Count the last day" });
    let send = |body: Value| {
        let request =
            toryo.http.post(format!("{}/tasks", toryo.base)).header("Idempotency-Key", "abc").json(&body);
        async move {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.json::<Value>().await.unwrap())
        }
    };
    let (first, again) = tokio::join!(send(body.clone()), send(body.clone()));
    assert_eq!((first.0, again.0), (202, 202));
    assert_eq!(first.1["run_id"], again.1["run_id"]);
    // Whatever became of the repository since, the answer is the same.
    let repository = toryo.folder().join("sample");
    std::fs::rename(&repository, toryo.folder().join("away")).unwrap();
    assert_eq!(send(body.clone()).await.1["run_id"], first.1["run_id"]);
    std::fs::rename(toryo.folder().join("away"), &repository).unwrap();
    let (status, problem) = send(json!({ "repo_url": body["repo_url"], "goal": "Something else" })).await;
    assert!(status == 409 || status == 422, "{status} {problem}");
    assert_eq!(toryo.get("/runs").await["items"].as_array().unwrap().len(), 1);
    let run = first.1["run_id"].as_str().unwrap();
    toryo.until(run, "it stops", |view| view.status() == "needs_human").await;
    toryo.close().await;
}

#[tokio::test]
async fn health_readiness_and_the_description_of_the_api_are_there() {
    let toryo = Toryo::start(Script::new()).await;
    assert_eq!(toryo.http.get(format!("{}/health", toryo.base)).send().await.unwrap().status(), 200);
    let ready = toryo.get("/ready").await;
    assert!(ready.to_string().contains("database"), "{ready}");
    let api = toryo.get("/openapi.json").await;
    for path in [
        "/tasks",
        "/runs",
        "/runs/{id}",
        "/runs/{id}/stream",
        "/runs/{id}/cancel",
        "/agents",
        "/artifacts/{id}",
    ] {
        assert!(api["paths"][path].is_object(), "{path} is described");
    }
    assert_eq!(toryo.get("/agents").await["agents"].as_array().map(Vec::len), Some(7));
    toryo.close().await;
}

fn empty_repository(folder: &std::path::Path) {
    std::fs::create_dir(folder).unwrap();
    crate::harness::git(folder, &["init", "--quiet"]);
}
