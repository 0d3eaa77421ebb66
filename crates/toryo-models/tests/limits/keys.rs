//! Keys: changes hold on every process at once.

use crate::world::{World, admit, most, until};
use secrecy::ExposeSecret;
use std::time::Duration;
use toryo_blackboard::accounts::{self, Change, Kind, Limits};
use toryo_blackboard::db;
use toryo_models::accounts::{Config, KeyError, Role, secret};
use toryo_models::allowance::{AtLimit, Limit, Refusal};

#[tokio::test]
async fn a_revoked_key_is_refused_by_every_process_at_once() {
    let world = World::new().await;
    let (id, key) = world.key(Limits::default()).await;
    let (first, second) = (world.process().await, world.process().await);
    for process in [&first, &second] {
        let who = process.authenticate(&key).await.unwrap();
        assert_eq!((who.role(), who.who().key, who.who().team), (Role::Member, Some(id), Some(world.team)));
    }
    let mut tx = world.db.begin().await.unwrap();
    accounts::remove(&mut tx, Kind::Key, id).await.unwrap();
    db::commit(tx).await.unwrap();
    for process in [&first, &second] {
        let refused = async || process.authenticate(&key).await == Err(KeyError::Revoked);
        until("the revocation is seen", refused).await;
    }
    assert_eq!(first.authenticate("tk-nothing").await, Err(KeyError::Unknown));
    let unknown = secret::generate().unwrap();
    assert_eq!(first.authenticate(unknown.text.expose_secret()).await, Err(KeyError::Unknown));
}

#[tokio::test]
async fn a_key_that_was_unknown_works_as_soon_as_it_is_made_and_a_rotated_one_until_the_overlap_ends() {
    let world = World::new().await;
    let process = world.process().await;
    let (id, old) = world.key(Limits::default()).await;
    process.authenticate(&old).await.unwrap();
    let new = secret::generate().unwrap();
    let text = new.text.expose_secret();
    assert_eq!(process.authenticate(text).await, Err(KeyError::Unknown));
    let mut tx = world.db.begin().await.unwrap();
    accounts::add_secret(&mut tx, id, &new.digest, &new.prefix, Duration::from_secs(1)).await.unwrap();
    db::commit(tx).await.unwrap();
    until("the new one works", async || process.authenticate(text).await.is_ok()).await;
    assert!(process.authenticate(&old).await.is_ok(), "both work for a while");
    until("the old one ends", async || process.authenticate(&old).await == Err(KeyError::Expired)).await;
    assert!(process.authenticate(text).await.is_ok());
}

#[tokio::test]
async fn who_leaves_a_team_loses_the_keys_for_it() {
    let world = World::new().await;
    let process = world.process().await;
    let (_, key) = world.key(Limits::default()).await;
    process.authenticate(&key).await.unwrap();
    let mut tx = world.db.begin().await.unwrap();
    accounts::drop_member(&mut tx, world.team, world.user).await.unwrap();
    db::commit(tx).await.unwrap();
    until("the key is gone", async || process.authenticate(&key).await == Err(KeyError::Revoked)).await;
}

#[tokio::test]
async fn routes_and_limits_of_every_account_above_hold_and_changes_hold_at_once() {
    let world = World::new().await;
    let routes = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
    let (_, key) = world.key(Limits { routes: routes(&["coder", "light"]), ..Limits::default() }).await;
    let process = world.process().await;
    let who = process.authenticate(&key).await.unwrap();
    assert!(who.allows("coder") && who.allows("light") && !who.allows("strong"));
    let change = Change { routes: Some(routes(&["light", "strong"])), ..Change::default() };
    world.limit(Kind::Team, world.team, change).await;
    until("the team's routes hold", async || !process.authenticate(&key).await.unwrap().allows("coder"))
        .await;
    let who = process.authenticate(&key).await.unwrap();
    assert!(who.allows("light") && !who.allows("strong"));
    assert_eq!(
        admit(&process, &who, most(1, 1), AtLimit::Refuse).await.unwrap_err(),
        Refusal::RouteNotAllowed("coder".into())
    );
    let change = Change { routes: Some(None), parallel: Some(Some(0)), ..Change::default() };
    world.limit(Kind::Organisation, world.organisation, change).await;
    let stopped = async || {
        let who = process.authenticate(&key).await.unwrap();
        let ask = toryo_models::allowance::Admission {
            route: "light",
            ..crate::world::ask(most(1, 1), AtLimit::Refuse)
        };
        matches!(process.admit(&who, &ask).await, Err(Refusal::NeverFits { limit: Limit::Parallel, .. }))
    };
    until("an organisation of which nobody may call is stopped", stopped).await;
}

#[tokio::test]
async fn the_operators_key_may_everything_and_is_held_by_no_limit() {
    let world = World::new().await;
    let config = Config { master_key: Some("the operator's own".into()), ..Config::default() };
    let process = world.process_with(config).await;
    let who = process.authenticate("the operator's own").await.unwrap();
    assert_eq!(who.role(), Role::Master);
    assert!(admit(&process, &who, most(1_000_000, 1_000_000), AtLimit::Refuse).await.is_ok());
    assert_eq!(process.authenticate("the operator's").await, Err(KeyError::Unknown));
}
