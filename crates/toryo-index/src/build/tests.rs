//! A refreshed index is the index built anew.

use super::*;
use crate::fixture::{SHOP, at, files};
use crate::store::MemoryStore;
use crate::{PackRequest, RetrieveOptions};
use proptest::prelude::*;
use std::sync::atomic::AtomicU32;

type Files = BTreeMap<RepoPath, String>;

/// One change of a repository.
#[derive(Debug, Clone)]
enum Change {
    /// Writes a text of a small choice to a path of a small choice.
    Write(usize, usize),
    /// Adds a line to a file.
    Append(usize, usize),
    /// Moves a file to a path.
    Move(usize, usize),
    Remove(usize),
}

const PATHS: &[&str] = &[
    "src/shop/prices.py",
    "src/shop/extra.py",
    "src/shop/__init__.py",
    "a.py",
    "zz/last.py",
    "web/src/cart.ts",
    "web/package.json",
    "svc/go.mod",
    "svc/cart/cart.go",
    "docs/new.md",
    "poetry.lock",
    "tests/test_extra.py",
];
const TEXTS: &[&str] = &[
    "",
    "def total(cart):\n    return 0\n",
    "from .prices import *\nfrom .money import round_half_up as cents\n",
    "from shop.prices import Cart as Basket\n\n\ndef empty():\n    return Basket([])\n",
    "class Cart:\n    def size(self):\n        return total(self)\n",
    "{\"name\": \"web\"}",
    "export function total() { return cents(1) }\n",
    "module example.org/svc\n",
    "package cart\n\nfunc Total() int { return 1 }\n",
    "A page about totals and carts.\n",
    "\0",
];
const LINES: &[&str] =
    &["x = total(1)\n", "\n", "def added():\n    raise ValueError('no such cart in here')\n", "# cart\n"];

fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let change = prop_oneof![
        (0..PATHS.len(), 0..TEXTS.len()).prop_map(|(path, text)| Change::Write(path, text)),
        (0_usize..20, 0..LINES.len()).prop_map(|(file, line)| Change::Append(file, line)),
        (0_usize..20, 0..PATHS.len()).prop_map(|(file, path)| Change::Move(file, path)),
        (0_usize..20).prop_map(Change::Remove),
    ];
    prop::collection::vec(prop::collection::vec(change, 1..4), 1..5)
}

fn apply(files: &mut Files, change: &Change) {
    let nth = |files: &Files, number: usize| files.keys().nth(number % files.len().max(1)).cloned();
    match change {
        Change::Write(path, text) => {
            files.insert(at(PATHS[*path]), TEXTS[*text].to_owned());
        }
        Change::Append(file, line) => {
            let path = nth(files, *file);
            path.and_then(|path| files.get_mut(&path))
                .into_iter()
                .for_each(|text| text.push_str(LINES[*line]));
        }
        Change::Move(file, path) => {
            if let Some(text) = nth(files, *file).and_then(|old| files.remove(&old)) {
                files.insert(at(PATHS[*path]), text);
            }
        }
        Change::Remove(file) => {
            nth(files, *file).and_then(|path| files.remove(&path));
        }
    }
}

fn listed(files: &Files) -> Vec<SourceFile> {
    let one = |(path, text): (&RepoPath, &String)| SourceFile {
        path: path.clone(),
        content: ContentId::of(text.as_bytes()),
        bytes: text.len() as u64,
    };
    files.iter().map(one).collect()
}

fn reader(files: &Files) -> impl Fn(&[RepoPath]) -> Result<BTreeMap<RepoPath, Vec<u8>>, Infallible> + Sync {
    |paths| {
        let one = |path: &RepoPath| Some((path.clone(), files.get(path)?.clone().into_bytes()));
        Ok(paths.iter().filter_map(one).collect())
    }
}

fn options(files: &Files) -> BuildOptions {
    let commit = |path: &RepoPath| PastCommit { subject: "Round totals".into(), paths: vec![path.clone()] };
    BuildOptions {
        history: files.keys().take(3).map(commit).collect(),
        threads: 2,
        ..BuildOptions::default()
    }
}

/// Everything that an answer can depend on.
fn picture(index: &Index) -> String {
    let query = RetrieveOptions::default();
    let pack = index.pack(&PackRequest::new("the total of a cart"), |_| Some("x = 1\n".to_owned()));
    let graph = |graph: &crate::graph::Graph, nodes: usize| -> Vec<_> {
        (0..nodes as u32).map(|node| (graph.outgoing(node).to_vec(), graph.incoming(node).to_vec())).collect()
    };
    let history = &index.history;
    let files: Vec<_> = index
        .files
        .iter()
        .map(|file| (&file.path, file.kind, file.lines, &file.symbols, &file.units, file.record()))
        .collect();
    format!(
        "{files:#?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}\n{:?}",
        index.symbols,
        index.units,
        index.lexical.all(),
        index.lexical.lengths,
        index.phrases,
        graph(&index.references, index.units.len()),
        graph(&index.between_files, index.files.len()),
        index.imports,
        index.workspaces,
        index.skipped,
        history,
        index.retrieve("discounted totals of a cart, see `Cart.size`", &query),
        pack.render(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_refreshed_index_is_the_index_built_anew(commits in changes()) {
        let mut now = files(SHOP);
        let store = MemoryStore::default();
        let mut before: Option<Index> = None;
        for commit in &commits {
            commit.iter().for_each(|change| apply(&mut now, change));
            let options = options(&now);
            let build = Build { store: Some(&store), before: before.as_ref(), ..Build::new(&options) };
            let (refreshed, _) = build.run(listed(&now), &reader(&now)).expect("an index");
            let (anew, sources) = Build::new(&options).run(listed(&now), &reader(&now)).expect("an index");
            prop_assert_eq!((sources.kept, sources.loaded), (0, 0));
            prop_assert_eq!(picture(&refreshed), picture(&anew));
            before = Some(refreshed);
        }
    }
}

#[test]
fn an_empty_source_file_that_becomes_a_manifest_is_read_anew() {
    let store = MemoryStore::default();
    let mut now = files(SHOP);
    let options = options(&now);
    let build = |now: &Files, before: Option<&Index>, store: Option<&dyn RecordStore>| {
        Build { store, before, ..Build::new(&options) }.run(listed(now), &reader(now)).expect("an index").0
    };
    now.insert(at("svc/cart/cart.go"), String::new());
    let before = build(&now, None, Some(&store));
    let text = now.remove(&at("svc/cart/cart.go")).expect("a file");
    now.insert(at("svc/go.mod"), text);
    assert_eq!(picture(&build(&now, Some(&before), Some(&store))), picture(&build(&now, None, None)));
}

#[test]
fn only_what_changed_is_read() {
    let store = MemoryStore::default();
    let mut now = files(SHOP);
    let options = options(&now);
    let build = |now: &Files, before: Option<&Index>, store: Option<&dyn RecordStore>| {
        let asked = Mutex::new(Vec::new());
        let read = |paths: &[RepoPath]| {
            asked.lock().expect("no panic").extend(paths.iter().map(ToString::to_string));
            reader(now)(paths)
        };
        let build = Build { store, before, ..Build::new(&options) };
        let (index, sources) = build.run(listed(now), &read).expect("an index");
        let mut asked = asked.into_inner().expect("no panic");
        asked.sort_unstable();
        (index, sources, asked)
    };
    let (first, sources, asked) = build(&now, None, Some(&store));
    assert_eq!((sources.made, asked.len()), (7, 7));
    apply(&mut now, &Change::Write(1, 1));
    let (_, sources, asked) = build(&now, Some(&first), None);
    assert_eq!((sources.kept, sources.made, asked), (7, 1, vec!["src/shop/extra.py".to_owned()]));
    // Another process, or another branch, finds the records.
    let (_, sources, asked) = build(&now, None, Some(&store));
    assert_eq!((sources.loaded, sources.made, asked), (7, 1, vec!["src/shop/extra.py".to_owned()]));
    // A moved file is the same content.
    let text = now.remove(&at("src/shop/money.py")).expect("a file");
    now.insert(at("src/shop/rounding.py"), text);
    let (_, sources, asked) = build(&now, Some(&first), Some(&store));
    assert_eq!((sources.kept, sources.loaded, asked.len()), (6, 2, 0));
}

/// Gives back anything but what was saved.
struct Faulty;

impl RecordStore for Faulty {
    fn load(&self, key: &RecordKey) -> Option<Vec<u8>> {
        Some(key.name().into_bytes())
    }

    fn save(&self, _: &RecordKey, _: &[u8]) -> std::io::Result<()> {
        Err(std::io::ErrorKind::StorageFull.into())
    }

    fn tidy(&self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_faulty_store_costs_time_and_nothing_else() {
    let now = files(SHOP);
    let options = options(&now);
    let build = Build { store: Some(&Faulty), ..Build::new(&options) };
    let (index, sources) = build.run(listed(&now), &reader(&now)).expect("an index");
    assert_eq!((sources.made, sources.not_saved, sources.loaded), (7, 7, 0));
    let (right, _) = Build::new(&options).run(listed(&now), &reader(&now)).expect("an index");
    assert_eq!(picture(&index), picture(&right));
}

#[test]
fn a_build_ends_where_its_watcher_or_its_reader_ends_it() {
    let now = files(SHOP);
    let options = BuildOptions { threads: 3, ..BuildOptions::default() };
    let calls = AtomicU32::new(0);
    let stop = |progress: Progress| {
        calls.fetch_add(1, Ordering::Relaxed);
        assert_eq!(progress.of, 7);
        ControlFlow::Break(())
    };
    let stopped = Build { watch: &stop, ..Build::new(&options) }.run(listed(&now), &reader(&now));
    assert!(matches!(stopped, Err(BuildError::Cancelled)));
    assert_eq!(calls.into_inner(), 1);
    let broken = |_: &[RepoPath]| Err("the disk is gone");
    let failed = Build::new(&options).run(listed(&now), &broken).expect_err("no index");
    assert_eq!(failed.class(|_| FailureClass::Transient), FailureClass::Transient);
    let empty = |_: &[RepoPath]| Ok::<_, Infallible>(BTreeMap::new());
    let missing = Build::new(&options).run(listed(&now), &empty).expect_err("no index");
    assert_eq!(missing.class(|never| match *never {}), FailureClass::Input);
}

#[test]
fn what_cannot_be_indexed_is_not_even_read() {
    let huge = SourceFile { path: at("a.csv"), content: ContentId::of(b""), bytes: u64::MAX };
    let lock = SourceFile { path: at("uv.lock"), content: ContentId::of(b""), bytes: 1 };
    let never = |_: &[RepoPath]| -> Result<BTreeMap<RepoPath, Vec<u8>>, Infallible> { panic!("read") };
    let options = BuildOptions::default();
    let (index, _) = Build::new(&options).run(vec![lock, huge], &never).expect("an index");
    let skipped: Vec<_> = index.skipped().iter().map(|one| (one.path.as_str(), one.why)).collect();
    assert_eq!(skipped, [("a.csv", SkipReason::Huge), ("uv.lock", SkipReason::Generated)]);
}
