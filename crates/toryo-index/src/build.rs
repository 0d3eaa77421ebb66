//! Building an index: a record for each content, made, loaded or taken over, then one assembly.

use crate::assemble::{FileFacts, assemble};
use crate::index::Index;
use crate::kind::{LARGEST_FILE_BYTES, SkipReason, Skipped, passed_over};
use crate::past::PastCommit;
use crate::record::{Content, ContentId, Maker, RecordKey};
use crate::store::RecordStore;
use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use toryo_domain::{FailureClass, RepoPath};

/// Files that one thread takes at once: enough to make a batched reading worth it, few enough to share the work.
const BATCH_FILES: usize = 64;
/// Most bytes that one thread reads at once; one larger file is read alone.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;
/// Most threads of one build; beyond it they wait for the object database.
const MOST_THREADS: usize = 8;

/// How an index is built.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Larger files are passed over; bytes.
    pub largest_file_bytes: usize,
    /// Further files are passed over.
    pub most_files: usize,
    /// Earlier commits, newest first; what they say about files is searched too. May be empty. Only the indexed
    /// commit and its ancestors belong here.
    pub history: Vec<PastCommit>,
    /// Threads that make records, from 1. Default: one a processor, at most 8. It changes nothing in the result.
    pub threads: usize,
}

impl Default for BuildOptions {
    fn default() -> Self {
        let threads = thread::available_parallelism().map_or(1, NonZero::get).min(MOST_THREADS);
        Self { largest_file_bytes: LARGEST_FILE_BYTES, most_files: 100_000, history: Vec::new(), threads }
    }
}

/// A file to be indexed; its bytes are read only where no record of its content is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Where it lies.
    pub path: RepoPath,
    /// What it holds.
    pub content: ContentId,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Gives the bytes of some files; called from several threads.
pub type Reader<'r, E> = dyn Fn(&[RepoPath]) -> Result<BTreeMap<RepoPath, Vec<u8>>, E> + Sync + 'r;

/// Memory per byte of source that a build takes at most, its index included; measured by `cargo xtask bench index`.
const BYTES_PER_BYTE: u64 = 12;

/// About how much memory building an index of these files takes, in bytes; rather too much than too little.
#[must_use]
pub fn estimate(files: &[SourceFile], options: &BuildOptions) -> usize {
    let indexed = files.iter().filter(|file| file.bytes <= options.largest_file_bytes as u64);
    let bytes = indexed.map(|file| file.bytes).fold(0, u64::saturating_add);
    usize::try_from(bytes.saturating_mul(BYTES_PER_BYTE)).unwrap_or(usize::MAX)
}

/// How far a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Files whose record is there.
    pub files: usize,
    /// Files to be indexed.
    pub of: usize,
}

/// Where the records of a build came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sources {
    /// Taken over from the index before.
    pub kept: usize,
    /// Read from the store.
    pub loaded: usize,
    /// Made from the bytes.
    pub made: usize,
    /// Could not be written to the store. The index is right all the same; the next build makes them again.
    pub not_saved: usize,
}

/// Why there is no index.
#[derive(Debug, thiserror::Error)]
pub enum BuildError<E> {
    /// Reading a file failed.
    #[error("a file cannot be read")]
    Read(#[source] E),
    /// The reader does not know a file that was to be indexed.
    #[error("{path} was to be indexed and is not there")]
    Missing {
        /// The file.
        path: RepoPath,
    },
    /// The watcher ended it.
    #[error("the build was cancelled")]
    Cancelled,
}

impl<E> BuildError<E> {
    /// What may be done about it; `read` classifies a failed reading.
    pub fn class(&self, read: impl FnOnce(&E) -> FailureClass) -> FailureClass {
        match self {
            Self::Read(error) => read(error),
            Self::Missing { .. } => FailureClass::Input,
            Self::Cancelled => FailureClass::Cancelled,
        }
    }
}

/// A build of an index.
#[derive(Clone, Copy)]
pub struct Build<'a> {
    /// How.
    pub options: &'a BuildOptions,
    /// Where records are kept, if anywhere.
    pub store: Option<&'a dyn RecordStore>,
    /// An index of a neighbouring commit: what is equal is taken over. It decides about time, not about the result.
    pub before: Option<&'a Index>,
    /// Called now and then, from several threads; ends the build with [`BuildError::Cancelled`] where it breaks.
    pub watch: &'a (dyn Fn(Progress) -> ControlFlow<()> + Sync),
}

/// Watches nothing.
fn unwatched(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

impl<'a> Build<'a> {
    /// A build from the bytes, unwatched.
    #[must_use]
    pub fn new(options: &'a BuildOptions) -> Self {
        Self { options, store: None, before: None, watch: &unwatched }
    }

    /// Builds the index. CPU bound; call it from a blocking task. `read` gives the bytes of some files and is
    /// called from several threads. The order of the files does not matter; of two with one path the first counts.
    ///
    /// # Errors
    /// What reading says; a file that `read` does not give; cancellation.
    pub fn run<E: Send>(
        &self,
        mut files: Vec<SourceFile>,
        read: &Reader<'_, E>,
    ) -> Result<(Index, Sources), BuildError<E>> {
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files.dedup_by(|later, first| later.path == first.path);
        let mut skipped = Vec::new();
        let mut wanted = Vec::new();
        for file in files {
            let too_large = file.bytes > self.options.largest_file_bytes as u64;
            let why = passed_over(&file.path)
                .or((wanted.len() >= self.options.most_files).then_some(SkipReason::TooMany))
                .or(too_large.then_some(SkipReason::Huge));
            match why {
                Some(why) => skipped.push(Skipped { path: file.path, why }),
                None => wanted.push(file),
            }
        }
        let (known, mut sources) = self.kept(&wanted);
        let contents = self.contents(&wanted, &known, read, &mut sources)?;
        let mut facts = Vec::with_capacity(wanted.len());
        let dictionary = self.before.map(Index::dictionary).unwrap_or_default();
        for ((file, known), content) in wanted.into_iter().zip(known).zip(contents) {
            match (known, content) {
                (Some(kept), _) => facts.push((file.path, kept)),
                (None, Some((key, Content::Text(record)))) => {
                    let new = FileFacts::new(&file.path, key, record, &dictionary);
                    facts.push((file.path, Arc::new(new)));
                }
                (None, Some((_, Content::Skipped(why)))) => skipped.push(Skipped { path: file.path, why }),
                // Every file is either known or was read.
                (None, None) => return Err(BuildError::Missing { path: file.path }),
            }
        }
        skipped.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((assemble(dictionary, facts, skipped, &self.options.history), sources))
    }

    /// What the index before knows of these files.
    fn kept(&self, wanted: &[SourceFile]) -> (Vec<Option<Arc<FileFacts>>>, Sources) {
        let known = |file: &SourceFile| {
            let there = self.before?.file(&file.path)?;
            (there.facts.key.content == file.content).then(|| Arc::clone(&there.facts))
        };
        let known: Vec<_> = wanted.iter().map(known).collect();
        let kept = known.iter().flatten().count();
        (known, Sources { kept, ..Sources::default() })
    }

    /// The contents of the files that are not known, from the store or from their bytes.
    fn contents<E: Send>(
        &self,
        wanted: &[SourceFile],
        known: &[Option<Arc<FileFacts>>],
        read: &Reader<'_, E>,
        sources: &mut Sources,
    ) -> Result<Vec<Option<Keyed>>, BuildError<E>> {
        let unknown: Vec<usize> = (0..wanted.len()).filter(|at| known[*at].is_none()).collect();
        let batches = batches(&unknown, wanted);
        let work = Work {
            build: self,
            wanted,
            batches: &batches,
            next: AtomicUsize::new(0),
            done: AtomicUsize::new(sources.kept),
            stop: AtomicBool::new(false),
            result: Mutex::new((vec![None; wanted.len()], *sources, None)),
        };
        let threads = self.options.threads.clamp(1, batches.len().max(1));
        thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(|| work.run(read));
            }
            work.run(read);
        });
        let (contents, counted, failed) = work.result.into_inner().unwrap_or_else(PoisonError::into_inner);
        *sources = counted;
        failed.map_or(Ok(contents), Err)
    }
}

/// Parts of the work, each small enough to be read at once.
fn batches(unknown: &[usize], wanted: &[SourceFile]) -> Vec<Vec<usize>> {
    let mut batches: Vec<Vec<usize>> = Vec::new();
    let mut bytes = 0;
    for at in unknown {
        let size = wanted[*at].bytes;
        match batches.last_mut().filter(|batch| batch.len() < BATCH_FILES && bytes + size <= BATCH_BYTES) {
            Some(batch) => batch.push(*at),
            None => {
                bytes = 0;
                batches.push(vec![*at]);
            }
        }
        bytes += size;
    }
    batches
}

type Keyed = (RecordKey, Content);
/// With the file's number.
type Numbered = (usize, Keyed);

type Found<E> = (Vec<Option<Keyed>>, Sources, Option<BuildError<E>>);

/// What the threads of a build share.
struct Work<'a, E> {
    build: &'a Build<'a>,
    wanted: &'a [SourceFile],
    batches: &'a [Vec<usize>],
    next: AtomicUsize,
    done: AtomicUsize,
    stop: AtomicBool,
    result: Mutex<Found<E>>,
}

impl<E> Work<'_, E> {
    fn run(&self, read: &Reader<'_, E>) {
        let mut maker = Maker::default();
        while let Some(batch) = self.batches.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let progress = Progress { files: self.done.load(Ordering::Relaxed), of: self.wanted.len() };
            let done = match (self.build.watch)(progress) {
                ControlFlow::Continue(()) => self.one(batch, &mut maker, read),
                ControlFlow::Break(()) => Err(BuildError::Cancelled),
            };
            self.done.fetch_add(batch.len(), Ordering::Relaxed);
            let mut result = self.result.lock().unwrap_or_else(PoisonError::into_inner);
            match done {
                Ok((contents, counted)) => {
                    for (at, content) in contents {
                        result.0[at] = Some(content);
                    }
                    result.1.loaded += counted.loaded;
                    result.1.made += counted.made;
                    result.1.not_saved += counted.not_saved;
                }
                Err(error) => {
                    self.stop.store(true, Ordering::Relaxed);
                    result.2.get_or_insert(error);
                }
            }
        }
    }

    fn one(
        &self,
        batch: &[usize],
        maker: &mut Maker,
        read: &Reader<'_, E>,
    ) -> Result<(Vec<Numbered>, Sources), BuildError<E>> {
        let (mut contents, mut missing) = (Vec::with_capacity(batch.len()), Vec::new());
        for at in batch {
            let file = &self.wanted[*at];
            let key = RecordKey::new(file.content.clone(), &file.path);
            let stored = self.build.store.and_then(|store| Content::decode(&store.load(&key)?));
            match stored {
                Some(content) => contents.push((*at, (key, content))),
                None => missing.push((*at, key)),
            }
        }
        let mut counted = Sources { loaded: contents.len(), made: missing.len(), ..Sources::default() };
        if missing.is_empty() {
            return Ok((contents, counted));
        }
        let paths: Vec<RepoPath> = missing.iter().map(|(at, _)| self.wanted[*at].path.clone()).collect();
        let mut bytes = read(&paths).map_err(BuildError::Read)?;
        for ((at, key), path) in missing.into_iter().zip(paths) {
            let Some(bytes) = bytes.remove(&path) else { return Err(BuildError::Missing { path }) };
            let content = maker.make(&path, bytes);
            if let Some(store) = self.build.store {
                counted.not_saved += usize::from(store.save(&key, &content.encode()).is_err());
            }
            contents.push((at, (key, content)));
        }
        Ok((contents, counted))
    }
}

/// See [`Index::build`].
pub(crate) fn build(files: impl Iterator<Item = (RepoPath, Vec<u8>)>, options: &BuildOptions) -> Index {
    let mut contents: HashMap<RepoPath, Vec<u8>> = HashMap::new();
    let mut listed = Vec::new();
    for (path, bytes) in files {
        let content = ContentId::of(&bytes);
        listed.push(SourceFile { path: path.clone(), content, bytes: bytes.len() as u64 });
        contents.entry(path).or_insert(bytes);
    }
    let contents = Mutex::new(contents);
    let read = |paths: &[RepoPath]| -> Result<BTreeMap<RepoPath, Vec<u8>>, Infallible> {
        let mut contents = contents.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(paths.iter().filter_map(|path| contents.remove_entry(path)).collect())
    };
    match Build::new(options).run(listed, &read) {
        Ok((index, _)) => index,
        // Every file is there, reading does not fail, and nobody cancels.
        Err(BuildError::Read(never)) => match never {},
        Err(BuildError::Missing { .. } | BuildError::Cancelled) => Index::default(),
    }
}

#[cfg(test)]
mod tests;
