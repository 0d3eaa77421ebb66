//! Publishing branches and opening pull requests.

use super::repository::{World, fixed, git, never, run};
use crate::git::command::Transport;
use crate::git::transfer::Place;
use crate::local::{publish, remote};
use crate::{Checkout, Config, Error, Forge, InMemoryPulls, Local};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use toryo_domain::NewPullRequest;

async fn fetched(world: &World) -> Checkout {
    world.forge().fetch(&world.url(), None, &never()).await.unwrap()
}

#[tokio::test]
async fn a_dirty_work_tree_stays_byte_identical() {
    let world = World::with_history();
    world.write("src/app.py", "half an edit");
    world.write("untracked.txt", "mine\n");
    world.write(".git/hooks/post-receive", "#!/bin/sh\ntouch \"$GIT_DIR/hook-ran\"\n");
    world.write(".git/hooks/reference-transaction", "#!/bin/sh\ntouch \"$GIT_DIR/hook-ran\"\n");
    git(&world.repo, &["add", "src/app.py"]);
    git(&world.repo, &["checkout", "--quiet", "-b", "work"]);
    let before = world.files();
    let checkout = fetched(&world).await;
    assert_eq!(checkout.base_branch, "work");
    let commit = fixed(&checkout.mirror, &checkout.commit, run(1), "inclusive\n").await;
    world.forge().publish(&world.url(), &checkout.mirror, "toryo/run-x", &commit).await.unwrap();

    let after = world.files();
    let changed: Vec<_> = before.iter().filter(|(path, bytes)| after.get(*path) != Some(bytes)).collect();
    assert!(changed.is_empty(), "{changed:?}");
    let new: Vec<_> = after
        .keys()
        .filter(|path| !before.contains_key(*path) && !path.starts_with(".git/objects"))
        .map(|path| path.display().to_string())
        .collect();
    assert_eq!(new, [".git/logs/refs/heads/toryo/run-x", ".git/refs/heads/toryo/run-x"]);
    assert_eq!(git(&world.repo, &["show", "toryo/run-x:src/app.py"]), "inclusive");
    assert_eq!(git(&world.repo, &["rev-parse", "toryo/run-x^"]), checkout.commit.to_string());
    git(&world.repo, &["fsck", "--strict"]);
}

#[tokio::test]
async fn publishing_again_changes_nothing_and_a_later_commit_of_the_run_moves_the_branch() {
    let world = World::with_history();
    let Checkout { mirror, commit: base, .. } = fetched(&world).await;
    let forge = world.forge();
    let first = fixed(&mirror, &base, run(1), "one\n").await;
    forge.publish(&world.url(), &mirror, "toryo/x", &first).await.unwrap();
    let before = world.files();
    forge.publish(&world.url(), &mirror, "toryo/x", &first).await.unwrap();
    assert_eq!(world.files(), before);
    // Beside it, after a revision; and on top of it.
    let second = fixed(&mirror, &base, run(1), "two\n").await;
    forge.publish(&world.url(), &mirror, "toryo/x", &second).await.unwrap();
    let third = fixed(&mirror, &second, run(1), "three\n").await;
    forge.publish(&world.url(), &mirror, "toryo/x", &third).await.unwrap();
    assert_eq!(world.rev("toryo/x"), third);
}

#[tokio::test]
async fn a_branch_with_other_work_is_left_alone() {
    let world = World::with_history();
    let Checkout { mirror, commit: base, .. } = fetched(&world).await;
    let forge = world.forge();
    let ours = fixed(&mirror, &base, run(1), "one\n").await;
    let refused = async |branch: &str, commit: &_| {
        let held = git(&world.repo, &["for-each-ref", "--format=%(refname) %(objectname)"]);
        let error = forge.publish(&world.url(), &mirror, branch, commit).await.unwrap_err();
        assert_eq!(git(&world.repo, &["for-each-ref", "--format=%(refname) %(objectname)"]), held);
        error
    };
    // Somebody else's commit, an ancestor of ours included.
    git(&world.repo, &["branch", "toryo/base", base.as_str()]);
    assert!(matches!(refused("toryo/base", &ours).await, Error::BranchTaken { .. }));
    // Another run's.
    forge.publish(&world.url(), &mirror, "toryo/x", &ours).await.unwrap();
    let other = fixed(&mirror, &base, run(2), "other\n").await;
    assert!(matches!(refused("toryo/x", &other).await, Error::BranchTaken { .. }));
    // A person's commit on top of ours, and ours rewritten by a person.
    let linked = world.path("linked");
    git(&world.repo, &["worktree", "add", "--quiet", linked.to_str().unwrap(), "toryo/x"]);
    let next = fixed(&mirror, &base, run(1), "next\n").await;
    assert!(matches!(refused("toryo/x", &next).await, Error::BranchCheckedOut { .. }));
    git(&linked, &["commit", "--quiet", "--amend", "--no-edit"]);
    git(&world.repo, &["worktree", "remove", linked.to_str().unwrap()]);
    assert!(matches!(refused("toryo/x", &next).await, Error::BranchTaken { .. }));
    // No room for the name.
    git(&world.repo, &["branch", "taken"]);
    assert!(matches!(refused("taken/x", &ours).await, Error::BranchTaken { .. }));
    assert!(matches!(refused("toryo", &ours).await, Error::BranchTaken { .. }));
    assert!(matches!(refused("main", &ours).await, Error::BranchCheckedOut { .. }));
    assert!(matches!(refused("a..b", &ours).await, Error::BadBranch { .. }));
    let unknown = "1".repeat(40).parse().unwrap();
    assert!(matches!(refused("toryo/y", &unknown).await, Error::UnknownCommit { .. }));
}

#[tokio::test]
async fn a_checked_out_branch_without_a_commit_is_left_alone() {
    let world = World::with_history();
    let Checkout { mirror, commit: base, .. } = fetched(&world).await;
    let ours = fixed(&mirror, &base, run(1), "one\n").await;
    git(&world.repo, &["checkout", "--quiet", "--orphan", "toryo/x"]);
    let refused = world.forge().publish(&world.url(), &mirror, "toryo/x", &ours).await;
    assert!(matches!(refused, Err(Error::BranchCheckedOut { .. })), "{refused:?}");
}

#[tokio::test]
async fn of_two_runs_that_race_for_a_branch_one_wins() {
    let world = World::with_history();
    let Checkout { mirror, commit: base, .. } = fetched(&world).await;
    for round in 0..8 {
        let branch = format!("toryo/{round}");
        let first = fixed(&mirror, &base, run(1), &format!("one {round}\n")).await;
        let second = fixed(&mirror, &base, run(2), &format!("two {round}\n")).await;
        let (left, right, url) = (world.forge(), world.forge(), world.url());
        let (one, two, same) = tokio::join!(
            left.publish(&url, &mirror, &branch, &first),
            right.publish(&url, &mirror, &branch, &second),
            right.publish(&url, &mirror, &branch, &second),
        );
        assert_eq!(two.is_ok(), same.is_ok());
        let (winner, lost) = if one.is_ok() { (&first, two) } else { (&second, one) };
        assert!(matches!(lost, Err(Error::BranchTaken { .. })), "{lost:?}");
        assert_eq!(&world.rev(&branch), winner);
    }
}

#[tokio::test]
async fn a_publish_that_was_killed_is_repeated() {
    let world = World::with_history();
    let Checkout { mirror, commit: base, .. } = fetched(&world).await;
    let commit = fixed(&mirror, &base, run(1), "one\n").await;
    // Killed after the objects were written and while the branch was locked.
    let (git_dir, id) = (world.repo.join(".git"), commit.clone());
    mirror
        .work(move |mirror| {
            let target = git2::Repository::open(git_dir)?;
            publish::copy_objects(mirror, &target, &mirror.find_commit(crate::git::oid(&id)?)?)
        })
        .await
        .unwrap();
    let lock = world.repo.join(".git/refs/heads/toryo/x.lock");
    std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
    let file = std::fs::File::create(&lock).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    world.forge().publish(&world.url(), &mirror, "toryo/x", &commit).await.unwrap();
    assert_eq!(world.rev("toryo/x"), commit);
    assert!(!lock.exists());
}

#[tokio::test]
async fn a_lock_of_a_living_process_is_respected() {
    let world = World::with_history();
    let Checkout { mirror, commit: base, .. } = fetched(&world).await;
    let commit = fixed(&mirror, &base, run(1), "one\n").await;
    let lock = world.repo.join(".git/refs/heads/toryo/x.lock");
    std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
    std::fs::File::create(&lock).unwrap();
    let refused = world.forge().publish(&world.url(), &mirror, "toryo/x", &commit).await;
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
    assert!(lock.exists());
}

#[tokio::test]
async fn publishing_through_the_git_program_keeps_the_same_rules() {
    let world = World::with_history();
    let bare = world.path("bare.git");
    git(&world.repo, &["clone", "--quiet", "--bare", &world.url(), bare.to_str().unwrap()]);
    let Checkout { mirror, commit: base, .. } = fetched(&world).await;
    let place = Place { url: bare.clone().into(), name: "bare".into(), transport: Transport::File };
    let config = Config::default();
    let publish =
        async |branch: &str, commit: &_| remote::publish(&place, &mirror, branch, commit, &config).await;
    let tip = |branch: &str| git(&bare, &["rev-parse", branch]);

    let first = fixed(&mirror, &base, run(1), "one\n").await;
    publish("toryo/x", &first).await.unwrap();
    publish("toryo/x", &first).await.unwrap();
    assert_eq!(tip("toryo/x"), first.to_string());
    let second = fixed(&mirror, &base, run(1), "two\n").await;
    publish("toryo/x", &second).await.unwrap();
    assert_eq!(tip("toryo/x"), second.to_string());
    let other = fixed(&mirror, &base, run(2), "other\n").await;
    assert!(matches!(publish("toryo/x", &other).await, Err(Error::BranchTaken { .. })));
    assert!(matches!(publish("main", &second).await, Err(Error::BranchTaken { .. })));
    assert_eq!((tip("toryo/x"), tip("main")), (second.to_string(), base.to_string()));
    // Compare-and-swap: somebody moved the branch after we looked.
    let limit = Duration::from_secs(60);
    assert!(!place.push(&mirror, "toryo/x", &first, Some(&first), limit).await.unwrap());
    assert!(!place.push(&mirror, "toryo/x", &first, None, limit).await.unwrap());
    assert_eq!(tip("toryo/x"), second.to_string());
}

#[tokio::test]
async fn one_head_branch_has_one_pull_request() {
    let world = World::with_history();
    let pulls = Arc::new(InMemoryPulls::default());
    let forge = Local::new(world.path("mirrors"), Arc::clone(&pulls) as _, Config::default());
    let request = |title: &str, head: &str| NewPullRequest {
        run_id: run(1),
        repo_url: world.url(),
        title: title.into(),
        body: String::new(),
        head_branch: head.into(),
        head_commit: world.rev("HEAD"),
        base_branch: "main".into(),
        draft: false,
    };
    let opened = forge.open_pull_request(&request("first", "toryo/x")).await.unwrap();
    let again = forge.open_pull_request(&request("second", "toryo/x")).await.unwrap();
    let other = forge.open_pull_request(&request("other", "toryo/y")).await.unwrap();
    assert_eq!((opened.created, again.created, other.created), (true, false, true));
    assert_eq!(opened.pull_request, again.pull_request);
    assert_eq!((opened.pull_request.number, other.pull_request.number), (1, 2));
    let titles: Vec<_> = pulls.all().into_iter().map(|(request, _)| request.title).collect();
    assert_eq!(titles, ["second", "other"]);
    assert!(forge.open_pull_request(&request("bad", "a b")).await.is_err());
}
