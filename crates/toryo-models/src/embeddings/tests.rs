//! Against a server that speaks the protocol and is strict about it.

use super::*;
use crate::config::Provider;
use toryo_domain::FailureClass;
use toryo_testkit::embeddings::{API_KEY, DIMENSIONS, EmbeddingServer};

fn config(server: &EmbeddingServer, embeddings: Embeddings) -> Config {
    let provider = Provider {
        base_url: server.base_url().parse().unwrap(),
        api_key: Some(API_KEY.to_owned().into()),
        ..Provider::default()
    };
    let retry = Retry { first_delay_ms: 1, attempts: 3, ..Retry::default() };
    Config {
        providers: [("openai".to_owned(), provider)].into(),
        embeddings: Some(embeddings),
        retry,
        ..Config::default()
    }
}

async fn embed(embedder: &Embedder, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
    embedder.embed(texts, TextKind::Passage, &CancellationToken::new()).await
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn texts_become_vectors_of_length_one_in_batches() {
    let server = EmbeddingServer::start().await;
    let embeddings = Embeddings { batch: 2, ..Embeddings::of("words", DIMENSIONS) };
    let embedder = Embedder::from_config(&config(&server, embeddings)).unwrap().unwrap();
    let texts = ["parse a date", "a date to parse", "open the door", "", "x"];
    let vectors = embed(&embedder, &texts).await.unwrap();
    assert_eq!(server.texts(), ["parse a date", "a date to parse", "open the door", " ", "x"]);
    assert!(vectors.iter().all(|vector| (cosine(vector, vector) - 1.0).abs() < 1e-5));
    assert!(cosine(&vectors[0], &vectors[1]) > cosine(&vectors[0], &vectors[2]));
}

#[tokio::test]
async fn questions_and_code_are_marked_as_the_model_wants_it() {
    let server = EmbeddingServer::start().await;
    let embeddings = Embeddings {
        query_prefix: "query: ".to_owned(),
        passage_prefix: "passage: ".to_owned(),
        ..Embeddings::of("e5", DIMENSIONS)
    };
    let embedder = Embedder::from_config(&config(&server, embeddings)).unwrap().unwrap();
    let cancel = CancellationToken::new();
    embedder.embed(&["a"], TextKind::Query, &cancel).await.unwrap();
    embedder.embed(&["b"], TextKind::Passage, &cancel).await.unwrap();
    assert_eq!(server.texts(), ["query: a", "passage: b"]);
    assert_eq!(embedder.model(), "openai/e5/64/passage: ");
}

#[tokio::test]
async fn a_busy_server_is_asked_again_and_a_wrong_key_is_not() {
    let server = EmbeddingServer::start().await;
    let right = config(&server, Embeddings::of("words", DIMENSIONS));
    let embedder = Embedder::from_config(&right).unwrap().unwrap();
    server.fail_next(503);
    server.fail_next(429);
    assert_eq!(embed(&embedder, &["a"]).await.unwrap().len(), 1);

    let mut wrong = right.clone();
    wrong.providers.get_mut("openai").unwrap().api_key = Some("sk-not-this".to_owned().into());
    let error = embed(&Embedder::from_config(&wrong).unwrap().unwrap(), &["a"]).await.unwrap_err();
    assert_eq!((error.class(), error.to_string().contains("sk-")), (FailureClass::Input, false));
    assert_eq!(server.texts(), ["a"]);
}

#[tokio::test]
async fn vectors_of_another_size_are_refused_with_both_sizes() {
    let server = EmbeddingServer::start().await;
    let embedder = Embedder::from_config(&config(&server, Embeddings::of("words", 3))).unwrap().unwrap();
    let error = embed(&embedder, &["a"]).await.unwrap_err();
    let source = std::error::Error::source(&error).map(ToString::to_string).unwrap();
    assert!(source.contains("64 numbers") && source.contains("says 3"), "{source}");
}

#[tokio::test]
async fn a_cancelled_request_ends() {
    let server = EmbeddingServer::start().await;
    let embeddings = Embeddings::of("words", DIMENSIONS);
    let embedder = Embedder::from_config(&config(&server, embeddings)).unwrap().unwrap();
    let cancel = CancellationToken::new();
    cancel.cancel();
    let ended = embedder.embed(&["a"], TextKind::Query, &cancel).await;
    assert!(matches!(ended, Err(Error::Cancelled)));
    assert!(server.texts().is_empty());
}

#[test]
fn nothing_is_configured_by_default_and_a_missing_key_is_named() {
    assert!(Embedder::from_config(&Config::default()).unwrap().is_none());
    let config = Config { embeddings: Some(Embeddings::of("m", 8)), ..Config::default() };
    let error = Embedder::from_config(&config).unwrap_err();
    assert!(matches!(error, Error::NoKey { .. }), "{error}");
    for wrong in [
        "dimensions = 0",
        "dimensions = 3000",
        "dimensions = 8\nbatch = 0",
        "dimensions = 8\nprovider = \"x\"",
    ] {
        let text = format!("[embeddings]\nmodel = \"m\"\n{wrong}");
        let config: Config = toml::from_str(&text).unwrap();
        assert!(matches!(config.in_force(), Err(Error::Config(_))), "{wrong}");
    }
}
