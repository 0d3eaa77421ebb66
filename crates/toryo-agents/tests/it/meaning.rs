//! Retrieval by meaning: a real endpoint of embeddings, vectors in memory.

use crate::harness::{Stage, recorded, script};
use std::collections::HashMap;
use std::sync::Arc;
use toryo_agents::Meaning;
use toryo_agents::meaning::{self, Vectors};
use toryo_domain::{Output, output::RetrieveOutput};
use toryo_index::vectors::{MemoryVectors, Near};
use toryo_models::config::{Embeddings, Provider, Retry};
use toryo_models::{Config, Embedder, Gateway};
use toryo_sandbox::fake::FakeSandbox;
use toryo_testkit::embeddings::{API_KEY, DIMENSIONS, EmbeddingServer};

const STEP: &str = "retrieve:count-last-day";

fn live(server: &EmbeddingServer, store: &Arc<MemoryVectors>) -> Meaning {
    let provider = Provider {
        base_url: server.base_url().parse().unwrap(),
        api_key: Some(API_KEY.to_owned().into()),
        ..Provider::default()
    };
    let config = Config {
        providers: [("openai".to_owned(), provider)].into(),
        embeddings: Some(Embeddings::of("words", DIMENSIONS)),
        retry: Retry { attempts: 1, ..Retry::default() },
        ..Config::default()
    };
    let embedder = Embedder::from_config(&config).unwrap().unwrap();
    Meaning::Live(Box::new(Vectors { embedder, store: store.clone() }))
}

/// A stage whose next step is the retrieval of the sample's subtask.
async fn stage(meaning: Meaning) -> Stage {
    let replies =
        vec![("spec", recorded("spec", 1)), ("plan", recorded("plan", 1)), (STEP, recorded(STEP, 1))];
    let gateway = Gateway::in_memory(script(replies)).unwrap();
    let mut stage = Stage::with_meaning(gateway, Arc::new(FakeSandbox::default()), meaning);
    stage.run("spec").await.unwrap();
    stage.run("plan").await.unwrap();
    stage
}

async fn retrieve(stage: &mut Stage) -> RetrieveOutput {
    let Output::Retrieve(output) = stage.run(STEP).await.unwrap() else { panic!("no retrieval") };
    output
}

/// What the step kept of what was near; `None` where it kept nothing.
async fn kept(stage: &Stage) -> Option<Vec<Near>> {
    let artifacts = stage.recorder.artifacts();
    let artifact = artifacts.iter().find(|artifact| artifact.kind == meaning::ARTIFACT)?;
    meaning::read(stage.text(&artifact.digest).await.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn code_is_embedded_once_and_what_was_near_is_kept() {
    let (server, store) = (EmbeddingServer::start().await, Arc::new(MemoryVectors::new()));
    let mut first = stage(live(&server, &store)).await;
    let output = retrieve(&mut first).await;
    let near = kept(&first).await.unwrap();
    assert!(!near.is_empty() && near.windows(2).all(|pair| pair[0].cosine >= pair[1].cosine));
    let embedded = server.texts();
    assert!(embedded.iter().any(|text| text.contains("def ")), "{embedded:?}");
    assert!(!embedded.iter().any(|text| text.contains("def test_")), "tests are not embedded");

    // The same code in another run costs the question only.
    let mut second = stage(live(&server, &store)).await;
    retrieve(&mut second).await;
    assert_eq!(server.texts().len(), embedded.len() + 1, "a chunk was paid twice");

    // Executed again without a model, the step sees and gives the same.
    let seen = HashMap::from([(STEP.parse().unwrap(), near.clone())]);
    let mut again = stage(Meaning::Recorded(seen)).await;
    let repeated = retrieve(&mut again).await;
    assert_eq!((repeated.pack, repeated.files), (output.pack, output.files));
    assert_eq!(kept(&again).await, Some(near));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_fails_costs_the_meaning_and_not_the_step() {
    let (server, store) = (EmbeddingServer::start().await, Arc::new(MemoryVectors::new()));
    server.fail_next(500);
    let mut failing = stage(live(&server, &store)).await;
    let by_words = retrieve(&mut failing).await;
    assert_eq!(kept(&failing).await, None);
    let mut off = stage(Meaning::Off).await;
    assert_eq!(retrieve(&mut off).await.pack, by_words.pack);
    assert_eq!(kept(&off).await, None);
}
