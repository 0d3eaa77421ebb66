//! Vectors on a real Postgres with pgvector.

#![expect(clippy::unwrap_used, reason = "a test ends at what it did not expect")]

use toryo_blackboard::embeddings::{self, PieceDigest};
use toryo_blackboard::{Db, Error};
use toryo_testkit::stack::Services;

const A: &str = "https://forge.example/a";
const B: &str = "https://forge.example/b";

async fn db() -> Db {
    let db = Db::connect(&Services::shared().await.database_url, 4).await.unwrap();
    db.migrate().await.unwrap();
    db
}

fn piece(number: u16) -> PieceDigest {
    let mut digest = [0; 16];
    digest[..2].copy_from_slice(&number.to_be_bytes());
    digest
}

/// A unit vector at this angle, in degrees.
fn at(angle: f32) -> Vec<f32> {
    vec![angle.to_radians().cos(), angle.to_radians().sin(), 0.0]
}

#[tokio::test]
async fn the_nearest_pieces_of_one_repository_are_found_in_order() {
    let db = db().await;
    let model = embeddings::model(&db, "m", 3).await.unwrap();
    let vectors: Vec<_> = (0..90).map(|number| (piece(number), at(f32::from(number)))).collect();
    embeddings::insert(&db, model, &vectors).await.unwrap();
    let of_a: Vec<_> = (0..90).step_by(2).map(piece).collect();
    embeddings::note_uses(&db, A, &of_a).await.unwrap();
    embeddings::note_uses(&db, B, &[piece(31)]).await.unwrap();

    let near = embeddings::nearest(&db, model, A, &at(30.4), 3).await.unwrap();
    assert_eq!(near.iter().map(|(digest, _)| *digest).collect::<Vec<_>>(), [piece(30), piece(32), piece(28)]);
    assert!((near[0].1 - 0.4_f32.to_radians().cos()).abs() < 1e-5);
    // A repository that is a small part of all is searched whole.
    let near = embeddings::nearest(&db, model, B, &at(0.0), 3).await.unwrap();
    assert_eq!(near.iter().map(|(digest, _)| *digest).collect::<Vec<_>>(), [piece(31)]);
}

#[tokio::test]
async fn a_vector_is_kept_once_and_models_are_apart() {
    let db = db().await;
    let first = embeddings::model(&db, "first", 3).await.unwrap();
    let second = embeddings::model(&db, "second", 2).await.unwrap();
    assert_eq!(embeddings::model(&db, "first", 3).await.unwrap(), first);
    let pieces = [piece(1), piece(2)];
    embeddings::insert(&db, first, &[(piece(1), at(0.0))]).await.unwrap();
    embeddings::insert(&db, first, &[(piece(1), at(90.0))]).await.unwrap();
    let missing = |model| embeddings::missing(&db, model, &pieces);
    assert_eq!(missing(first).await.unwrap(), [piece(2)].into());
    assert_eq!(missing(second).await.unwrap(), pieces.into());
    embeddings::note_uses(&db, A, &pieces).await.unwrap();
    let near = embeddings::nearest(&db, first, A, &at(0.0), 1).await.unwrap();
    assert!((near[0].1 - 1.0).abs() < 1e-6, "the first vector stays: {near:?}");
    assert!(embeddings::nearest(&db, second, A, &[1.0, 0.0], 1).await.unwrap().is_empty());
}

#[tokio::test]
async fn other_dimensions_are_refused() {
    let db = db().await;
    let model = embeddings::model(&db, "m", 3).await.unwrap();
    assert!(matches!(embeddings::model(&db, "m", 4).await, Err(Error::Conflict(_))));
    let wrong = embeddings::insert(&db, model, &[(piece(1), vec![1.0])]).await;
    assert!(matches!(wrong, Err(Error::Conflict(_))));
}

#[tokio::test]
async fn what_no_repository_holds_any_more_is_forgotten() {
    let db = db().await;
    let model = embeddings::model(&db, "m", 3).await.unwrap();
    embeddings::insert(&db, model, &[(piece(1), at(1.0)), (piece(2), at(2.0))]).await.unwrap();
    embeddings::note_uses(&db, A, &[piece(1)]).await.unwrap();
    assert_eq!(embeddings::forget_unused(&db, 90).await.unwrap(), 1);
    assert_eq!(embeddings::missing(&db, model, &[piece(1), piece(2)]).await.unwrap(), [piece(2)].into());
}

#[tokio::test]
async fn a_model_that_two_processes_meet_at_once_is_one() {
    let db = db().await;
    let all = futures::future::join_all((0..4).map(|_| embeddings::model(&db, "m", 3))).await;
    let models: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    assert!(models.windows(2).all(|pair| pair[0] == pair[1]));
}
