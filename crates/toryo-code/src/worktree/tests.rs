//! The working tree under failures, crashes and other writers.

use super::*;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};

fn path(text: &str) -> RepoPath {
    text.parse().expect("a path")
}

fn change(name: &str, before: Option<&str>, after: Option<&str>) -> FileChange {
    let bytes = |text: Option<&str>| text.map(|text| text.as_bytes().to_vec());
    FileChange { path: path(name), before: bytes(before), after: bytes(after) }
}

/// A tree with `a` and `b/c`.
fn tree(git: bool) -> (tempfile::TempDir, WorkTree) {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("b")).expect("created");
    fs::write(folder.path().join("a"), "1").expect("written");
    fs::write(folder.path().join("b/c"), "2").expect("written");
    if git {
        fs::create_dir(folder.path().join(".git")).expect("created");
    }
    let tree = WorkTree::open(folder.path()).expect("a tree");
    (folder, tree)
}

/// Every file and folder below a folder, with contents.
fn listing(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let place = entry.expect("an entry").path();
            let name = place.strip_prefix(root).expect("below").display().to_string();
            if place.is_dir() {
                found.insert(format!("{name}/"), String::new());
                open.push(place);
            } else {
                found.insert(name, fs::read_to_string(&place).expect("text"));
            }
        }
    }
    found
}

/// The points of [`three_changes`]: before each of four copies, before the plan is valid, two for each file, before
/// the plan goes, and behind that.
const POINTS: usize = 4 + 1 + 3 * 2 + 2;

/// Files and folders, without those of the journal.
fn content(root: &Path) -> BTreeMap<String, String> {
    let mut found = listing(root);
    found.retain(|name, _| !name.starts_with(".git/"));
    found
}

fn three_changes() -> [FileChange; 3] {
    [
        change("a", Some("1"), Some("one")),
        change("b/c", Some("2"), None),
        change("new/deep/d", None, Some("three")),
    ]
}

#[test]
fn changes_are_written_and_nothing_else_is_left() {
    for git in [true, false] {
        let (folder, tree) = tree(git);
        tree.write(&three_changes()).expect("written");
        let mut found = listing(folder.path());
        found.retain(|name, _| !name.starts_with(".git"));
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(names, ["a", "b/", "new/", "new/deep/", "new/deep/d"], "git: {git}");
        assert_eq!((found["a"].as_str(), found["new/deep/d"].as_str()), ("one", "three"));
        let inverse: Vec<FileChange> = three_changes().iter().map(FileChange::inverse).collect();
        tree.write(&inverse).expect("written");
        assert_eq!(tree.read(&path("b/c")), Ok(Some(b"2".to_vec())));
        assert_eq!(tree.read(&path("new/deep/d")), Ok(None));
    }
}

#[test]
fn a_failure_at_any_point_takes_everything_back() {
    let points = {
        let (_folder, tree) = tree(true);
        let mut points = 0;
        let counted = journal::write(&tree, &three_changes(), &mut |_| {
            points += 1;
            Ok(())
        });
        counted.expect("written");
        points
    };
    assert_eq!(points, POINTS);
    // Behind the last but one nothing is left to fail.
    for failing in 0..points - 1 {
        let (folder, tree) = tree(failing % 2 == 0);
        let before = listing(folder.path());
        let fail =
            &mut |point: usize| if point == failing { Err(io::Error::other("injected")) } else { Ok(()) };
        let error = journal::write(&tree, &three_changes(), fail).expect_err("a failure");
        assert!(matches!(error, Error::Io { .. }), "{error}");
        let mut after = listing(folder.path());
        after.retain(|name, _| !name.starts_with(".git/"));
        let mut before = before;
        before.retain(|name, _| !name.starts_with(".git/"));
        assert_eq!(after, before, "failing at {failing}");
    }
}

#[test]
fn a_crash_at_any_point_is_recovered_by_the_next_call() {
    for crashing in 0..POINTS - 1 {
        let (folder, tree) = tree(true);
        let before = listing(folder.path());
        let crash = catch_unwind(AssertUnwindSafe(|| {
            journal::write(&tree, &three_changes(), &mut |point| {
                assert!(point != crashing, "injected crash");
                Ok(())
            })
        }));
        assert!(crash.is_err());
        WorkTree::open(folder.path()).expect("recovered");
        let mut after = listing(folder.path());
        after.retain(|name, _| !name.starts_with(".git/"));
        let mut before = before;
        before.retain(|name, _| !name.starts_with(".git/"));
        assert_eq!(after, before, "crashing at {crashing}");
        tree.write(&three_changes()).expect("written");
    }
}

/// Says at which point a process stops, and in which tree: the test below, started again by itself.
const CHILD: &str = "TORYO_TEST_CRASH";

#[test]
fn a_process_that_is_killed_leaves_all_or_nothing_to_the_next() {
    if let Some(asked) = std::env::var_os(CHILD) {
        let asked = asked.into_string().expect("text");
        let (point, folder) = asked.split_once(' ').expect("a point and a folder");
        return stop_at(point.parse().expect("a number"), Path::new(folder));
    }
    let this = "worktree::tests::a_process_that_is_killed_leaves_all_or_nothing_to_the_next";
    for point in 0..POINTS {
        let (folder, tree) = tree(true);
        let before = content(folder.path());
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", this, "--nocapture"])
            .env(CHILD, format!("{point} {}", folder.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let said = BufReader::new(child.stdout.take().expect("its output")).lines();
        let stopped = said.map_while(Result::ok).any(|line| line.ends_with("stopped"));
        assert!(stopped, "the child never came to point {point}");
        assert!(matches!(tree.write(&three_changes()), Err(Error::Busy | Error::Changed(_))));
        child.kill().expect("killed");
        assert!(!child.wait().expect("ended").success());
        WorkTree::open(folder.path()).expect("recovered");
        let after = content(folder.path());
        if point < POINTS - 1 {
            assert_eq!(after, before, "killed at {point}");
            tree.write(&three_changes()).expect("written");
        }
        let names: Vec<String> = content(folder.path()).into_keys().collect();
        assert_eq!(names, ["a", "b/", "new/", "new/deep/", "new/deep/d"], "killed at {point}");
    }
}

/// Writes until this point, says so, and waits there to be killed.
fn stop_at(stop: usize, folder: &Path) {
    let tree = WorkTree::open(folder).expect("a tree");
    let written = journal::write(&tree, &three_changes(), &mut |point| {
        if point == stop {
            writeln!(io::stdout(), "stopped").expect("said");
            io::stdin().read_to_end(&mut Vec::new()).expect("killed before this ends");
        }
        Ok(())
    });
    panic!("never stopped: {written:?}");
}

#[test]
fn what_somebody_changed_after_a_crash_is_kept() {
    let (folder, tree) = tree(true);
    let crash = catch_unwind(AssertUnwindSafe(|| {
        journal::write(&tree, &three_changes(), &mut |point| {
            assert!(point < 10, "injected crash");
            Ok(())
        })
    }));
    assert!(crash.is_err());
    fs::write(folder.path().join("a"), "mine").expect("written");
    let error = WorkTree::open(folder.path()).expect_err("a conflict");
    let Error::Unrecovered { paths, kept } = error else { panic!("{error}") };
    assert_eq!(paths, [path("a")]);
    assert!(kept.is_dir());
    assert_eq!(fs::read_to_string(folder.path().join("a")).expect("text"), "mine");
    assert_eq!(fs::read_to_string(folder.path().join("b/c")).expect("text"), "2");
    WorkTree::open(folder.path()).expect("a tree");
}

#[test]
fn a_file_that_changed_since_it_was_read_is_not_overwritten() {
    let (folder, tree) = tree(true);
    fs::write(folder.path().join("b/c"), "other").expect("written");
    let error = tree.write(&three_changes()).expect_err("a refusal");
    assert!(matches!(&error, Error::Changed(changed) if *changed == path("b/c")), "{error}");
    assert_eq!(fs::read_to_string(folder.path().join("a")).expect("text"), "1");
    let error = tree.write(&[change("a", None, Some("x"))]).expect_err("a refusal");
    assert!(matches!(error, Error::Changed(_)), "{error}");
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_and_modes_stay() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (folder, tree) = tree(true);
    let outside = tempfile::tempdir().expect("a folder");
    fs::write(outside.path().join("secret"), "s").expect("written");
    symlink(outside.path(), folder.path().join("out")).expect("a link");
    symlink("a", folder.path().join("link")).expect("a link");
    for name in ["out/secret", "out/new", "link", "b", "a/x"] {
        assert!(tree.read(&path(name)).is_err(), "{name}");
        assert!(tree.write(&[change(name, None, Some("x"))]).is_err(), "{name}");
    }
    assert_eq!(fs::read_dir(outside.path()).expect("a folder").count(), 1);
    let script = folder.path().join("a");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a mode");
    tree.write(&[change("a", Some("1"), Some("2"))]).expect("written");
    let mode = || fs::metadata(&script).expect("metadata").permissions().mode() & 0o777;
    assert_eq!(mode(), 0o755);
    let deleted = [change("a", Some("2"), None), change("z", None, Some("x"))];
    let fail = &mut |point: usize| if point == 6 { Err(io::Error::other("injected")) } else { Ok(()) };
    journal::write(&tree, &deleted, fail).expect_err("a failure");
    assert_eq!(mode(), 0o755);
}

#[test]
fn an_edit_set_is_applied_or_only_checked() {
    let (folder, tree) = tree(true);
    let set = "{\"edits\": [{\"file_path\": \"a\", \"edit_type\": \"replace\", \"patch\": \"9\", \
               \"locator\": {\"line_range\": [1, 1], \"expect\": \"1\"}, \"rationale_summary\": \"\"}], \"summary\": \"\"}";
    let set = EditSet::parse(set).expect("an edit set");
    assert!(tree.apply(&set, true).expect("checked").changes.is_some());
    assert_eq!(fs::read_to_string(folder.path().join("a")).expect("text"), "1");
    assert!(tree.apply(&set, false).expect("applied").changes.is_some());
    assert_eq!(fs::read_to_string(folder.path().join("a")).expect("text"), "9");
    let refused = tree.apply(&set, false).expect("refused");
    let line = serde_json::to_string(&refused.results[0]).expect("JSON");
    assert_eq!(
        line,
        "{\"file_path\":\"a\",\"status\":\"refused\",\"reason\":\"line 1 differs: expected `1`, found `9`. Nothing was applied.\"}"
    );
    assert!(WorkTree::open(&folder.path().join("a")).is_err());
}

#[test]
fn a_second_writer_waits_for_its_turn() {
    let (_folder, tree) = tree(true);
    let inner = journal::write(&tree, &three_changes(), &mut |point| {
        if point == 0 {
            assert!(matches!(tree.write(&[]), Ok(()) | Err(Error::Busy)));
            assert!(matches!(tree.write(&three_changes()), Err(Error::Busy)));
        }
        Ok(())
    });
    inner.expect("written");
}
