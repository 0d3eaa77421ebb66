//! What every store of vectors does, and what chunks are.

use super::*;
use crate::fixture::{SHOP, at, files, index};

fn digest(number: u8) -> ChunkDigest {
    [number; 16]
}

/// A unit vector at this angle, in degrees.
fn turned(angle: f32) -> Vec<f32> {
    vec![angle.to_radians().cos(), angle.to_radians().sin()]
}

async fn contract(store: &dyn VectorStore) {
    let (near, far, other) = (digest(1), digest(2), digest(3));
    let all = [near, far, other];
    assert_eq!(store.missing(&all).await.unwrap(), all.into());
    store.keep(vec![(near, turned(10.0)), (far, turned(80.0)), (other, turned(0.0))]).await.unwrap();
    store.keep(vec![(near, turned(90.0))]).await.unwrap();
    assert!(store.missing(&all).await.unwrap().is_empty());

    store.note("here", &[near, far]).await.unwrap();
    store.note("there", &[other]).await.unwrap();
    store.note("here", &[near]).await.unwrap();
    let found = store.nearest("here", &turned(0.0), 5).await.unwrap();
    assert_eq!(found.iter().map(|one| one.digest).collect::<Vec<_>>(), [near, far]);
    assert!((found[0].cosine - 10_f32.to_radians().cos()).abs() < 1e-5, "the first vector stays");
    assert_eq!(store.nearest("here", &turned(0.0), 1).await.unwrap().len(), 1);
    assert!(store.nearest("nowhere", &turned(0.0), 5).await.unwrap().is_empty());

    let wrong = store.keep(vec![(digest(4), vec![1.0])]).await;
    assert!(matches!(wrong, Err(VectorError::Size { got: 1, expected: 2 })), "{wrong:?}");
}

#[tokio::test]
async fn memory_keeps_the_contract() {
    contract(&MemoryVectors::new()).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn postgres_keeps_the_contract() {
    let services = toryo_testkit::stack::Services::shared().await;
    let db = toryo_blackboard::Db::connect(&services.database_url, 4).await.unwrap();
    db.migrate().await.unwrap();
    contract(&PostgresVectors::open(db, "angles", 2).await.unwrap()).await;
}

#[test]
fn code_is_cut_into_texts_that_name_what_they_show() {
    let index = index(SHOP);
    let contents: HashMap<RepoPath, String> = files(SHOP).into_iter().collect();
    let digests = index.chunk_digests();
    let texts = index.chunk_texts(&digests.iter().copied().collect(), |path| contents.get(path).cloned());
    assert_eq!(texts.iter().map(|(digest, _)| *digest).collect::<Vec<_>>(), digests);
    let of =
        |start: &str| texts.iter().find(|(_, text)| text.starts_with(start)).map(|(_, text)| text.as_str());
    let discount = of("Cart.apply_discount\n").unwrap();
    assert!(discount.contains("def apply_discount") && !discount.contains("def total"), "{discount}");
    assert!(texts.iter().all(|(_, text)| !text.contains("def test_")), "tests are not embedded");
}

#[test]
fn a_missing_file_is_left_out_and_long_text_is_cut_at_a_character() {
    let index = index(SHOP);
    let digests: HashSet<ChunkDigest> = index.chunk_digests().into_iter().collect();
    assert!(index.chunk_texts(&digests, |_| None).is_empty());
    let long = "é".repeat(LONGEST_TEXT);
    assert_eq!(shown("", &[&long]).len(), LONGEST_TEXT);
    assert!(shown("x", &[&long]).len() < LONGEST_TEXT + 1);
}

#[test]
fn nearness_reaches_from_the_nearest_to_the_last_of_the_list() {
    let index = index(SHOP);
    let prices = index.file(&at("src/shop/prices.py")).unwrap();
    let near: Vec<Near> = (prices.chunks().iter().zip([0.9, 0.5, 0.7]))
        .map(|(chunk, cosine)| Near { digest: chunk.digest, cosine })
        .collect();
    let meaning = Meaning::of(&index, &near);
    assert_eq!(meaning.files.len(), 1);
    assert_eq!(meaning.files.values().copied().fold(0.0, f64::max), 1.0);
    assert!(meaning.symbols.values().all(|share| (0.0..=1.0).contains(share)));
    assert!(Meaning::of(&index, &[]).files.is_empty());
    let unknown = Near { digest: digest(9), cosine: 1.0 };
    assert!(Meaning::of(&index, &[unknown]).files.is_empty());
}
