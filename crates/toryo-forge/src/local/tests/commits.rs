//! Commits that are written without a working tree.

use super::repository::{World, change, git, never, new_commit, run};
use crate::{Change, Content, Error, Forge, Mirror};
use toryo_domain::CommitId;

async fn fetched(world: &World) -> (Mirror, CommitId) {
    let checkout = world.forge().fetch(&world.url(), None, &never()).await.unwrap();
    (checkout.mirror, checkout.commit)
}

/// `mode path` of every entry.
fn tree(mirror: &Mirror, commit: &CommitId) -> Vec<String> {
    let listing = git(mirror.path(), &["ls-tree", "-r", "--format=%(objectmode) %(path)", commit.as_str()]);
    listing.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn files_are_written_replaced_and_removed() {
    let world = World::with_history();
    let (mirror, base) = fetched(&world).await;
    let script = Content { bytes: b"#!/bin/sh\r\n\xff".to_vec(), executable: true };
    let changes = vec![
        change("src/app.py", Some("overwritten below\n")),
        change("src/app.py", Some("inclusive\n")),
        change("tests/test_app.py", None),
        change("not/there.txt", None),
        change("a/b/c/d.txt", Some("deep\n")),
        Change { path: "run.sh".parse().unwrap(), content: Some(script.clone()) },
    ];
    let commit = mirror.commit(new_commit(&base, run(1), changes.clone())).await.unwrap();
    assert_eq!(
        tree(&mirror, &commit),
        ["100644 README.md", "100644 a/b/c/d.txt", "100755 run.sh", "100644 src/app.py"]
    );
    let read = mirror.read(&commit, &"run.sh".parse().unwrap()).await.unwrap();
    assert_eq!(read, Some(script.bytes));
    let several = ["src/app.py", "tests/test_app.py"].map(|path| path.parse().unwrap());
    let several = mirror.read_many(&commit, several).await.unwrap();
    assert_eq!(
        several.into_iter().collect::<Vec<_>>(),
        [("src/app.py".parse().unwrap(), b"inclusive\n".to_vec())]
    );
    git(mirror.path(), &["fsck", "--strict"]);

    let mut other_order = changes;
    other_order.rotate_left(2);
    let again = mirror.commit(new_commit(&base, run(1), other_order)).await.unwrap();
    assert_eq!(again, commit, "equal input makes the same commit");
    let header = git(mirror.path(), &["cat-file", "commit", commit.as_str()]);
    insta::assert_snapshot!(header.split_once("parent").unwrap().1.split_once('\n').unwrap().1);
}

#[tokio::test]
async fn a_file_may_become_a_folder_and_the_other_way_round() {
    let world = World::with_history();
    let (mirror, base) = fetched(&world).await;
    let changes = vec![
        change("README.md/part.md", Some("x\n")),
        change("README.md", None),
        change("src", Some("x\n")),
        change("src/app.py", None),
    ];
    let commit = mirror.commit(new_commit(&base, run(1), changes)).await.unwrap();
    assert_eq!(
        tree(&mirror, &commit),
        ["100644 README.md/part.md", "100644 src", "100644 tests/test_app.py"]
    );
    // The two cannot both be there; a folder that keeps a file stays a folder.
    for clash in [
        vec![change("new", Some("x")), change("new/x", Some("x"))],
        vec![change("src", Some("x")), change("src/new", Some("x"))],
    ] {
        let refused = mirror.commit(new_commit(&base, run(1), clash)).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    // The last file of every folder may go.
    let all = ["README.md", "src/app.py", "tests/test_app.py"].map(|path| change(path, None)).to_vec();
    let commit = mirror.commit(new_commit(&base, run(1), all)).await.unwrap();
    assert_eq!(tree(&mirror, &commit), [""; 0]);
    git(mirror.path(), &["fsck", "--strict"]);
}

#[tokio::test]
async fn links_submodules_and_odd_names_are_left_out_and_never_overwritten() {
    let world = World::with_history();
    std::os::unix::fs::symlink("/etc", world.repo.join("link")).unwrap();
    std::os::unix::fs::symlink("app.py", world.repo.join("src/alias.py")).unwrap();
    world.write("odd\\name.txt", "x\n");
    world.write("line\nbreak/file.txt", "x\n");
    world.commit("odd things");
    let sub = format!("160000,{},sub", world.rev("HEAD"));
    git(&world.repo, &["update-index", "--add", "--cacheinfo", &sub]);
    git(&world.repo, &["commit", "--quiet", "--message", "a submodule"]);
    let (mirror, base) = fetched(&world).await;
    let listing = mirror.files(&base).await.unwrap();
    let files: Vec<_> = listing.files.iter().map(|file| format!("{} {}", file.path, file.size)).collect();
    assert_eq!(files, ["README.md 9", "src/app.py 44", "tests/test_app.py 25"]);
    let left_out: Vec<_> =
        listing.left_out.iter().map(|entry| format!("{}: {}", entry.path, entry.reason)).collect();
    insta::assert_snapshot!(left_out.join("\n"));
    for path in ["link", "link/passwd", "src/alias.py", "sub", "sub/x", "src", "README.md/x"] {
        let refused = mirror.commit(new_commit(&base, run(1), vec![change(path, Some("x\n"))])).await;
        assert!(matches!(refused, Err(Error::NotAFile { .. })), "{path}: {refused:?}");
        assert_eq!(mirror.read(&base, &path.parse().unwrap()).await.unwrap(), None, "{path}");
    }
}

#[tokio::test]
async fn a_change_that_changes_nothing_is_no_commit() {
    let world = World::with_history();
    let (mirror, base) = fetched(&world).await;
    for changes in [vec![], vec![change("README.md", Some("# Sample\n"))], vec![change("nowhere", None)]] {
        let refused = mirror.commit(new_commit(&base, run(1), changes)).await;
        assert!(matches!(refused, Err(Error::NothingToCommit)), "{refused:?}");
    }
    let mut nameless = new_commit(&base, run(1), vec![change("a", Some("x"))]);
    nameless.author.name = "<>\n".into();
    assert!(matches!(mirror.commit(nameless).await, Err(Error::BadIdentity)));
    let unknown: CommitId = "1".repeat(40).parse().unwrap();
    let refused = mirror.commit(new_commit(&unknown, run(1), vec![change("a", Some("x"))])).await;
    assert!(matches!(refused, Err(Error::UnknownCommit { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_hostile_author_and_message_stay_inside_their_lines() {
    let world = World::with_history();
    let (mirror, base) = fetched(&world).await;
    let mut new = new_commit(&base, run(1), vec![change("a", Some("x"))]);
    new.author.name = "Eve <eve@x>\ncommitter Root <root@x>".into();
    new.message = "fix: x\0y\n\nbody\n\n\n".into();
    let commit = mirror.commit(new).await.unwrap();
    let shown = git(mirror.path(), &["log", "-1", "--format=%an|%cn|%B", commit.as_str()]);
    assert_eq!(shown, "Eve eve@x committer Root root@x|Eve eve@x committer Root root@x|fix: xy\n\nbody");
}
