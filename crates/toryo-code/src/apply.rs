//! Applies an edit set to files in memory: the whole set or nothing.
//!
//! Reading order: `apply` here, `locate` (where), `plan` (which bytes), `fit` (indentation), `operations`
//! (changes of definitions), `hunks` (diffs as patches) with `quote` (where their lines stand), `check` (what a
//! change may not bring), `source` (bytes, characters and what earlier edits moved), `excerpt` (which statements are
//! enough to judge an edit).

mod bodies;
mod braces;
mod check;
mod comments;
mod encoding;
mod excerpt;
pub(crate) mod fit;
mod hunks;
pub(crate) mod imports;
mod locate;
mod operations;
mod parts;
mod plan;
mod quote;
mod rename;
pub(crate) mod scopes;
mod source;

use crate::edit::{EditSet, EditType, Operation, Patch, Position, ProposeEdit, Target};
use crate::refusal::{Candidate, Refusal};
pub(crate) use encoding::{Encoding, text_of};
pub(crate) use excerpt::{LogicalLine, Statements};
use locate::Place;
use serde::Serialize;
use serde::ser::SerializeStruct;
pub(crate) use source::{Source, Splice};
use std::collections::BTreeMap;
use toryo_domain::RepoPath;

/// The largest patch of one edit, in bytes.
pub const LARGEST_PATCH: usize = 200 * 1024;

/// The most edits of one set.
pub const MOST_EDITS: usize = 500;

/// Where the text of files comes from.
pub trait Files {
    /// The content of a file; `None` if there is no such file.
    ///
    /// # Errors
    /// The file may be there and cannot be read as a file of the repository.
    fn read(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, ReadError>;
}

/// A file that cannot be read; the text says why and goes to whoever proposed the edit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ReadError(pub String);

impl Files for BTreeMap<RepoPath, Vec<u8>> {
    fn read(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, ReadError> {
        Ok(self.get(path).cloned())
    }
}

impl<F: Fn(&RepoPath) -> Result<Option<Vec<u8>>, ReadError>> Files for F {
    fn read(&self, path: &RepoPath) -> Result<Option<Vec<u8>>, ReadError> {
        self(path)
    }
}

/// What became of an edit set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// One result an edit, in their order.
    pub results: Vec<EditResult>,
    /// The files that differ now, by path. `None` if any edit was refused: then nothing is applied.
    pub changes: Option<Vec<FileChange>>,
}

/// What became of one edit; serialises as the line that `toryo edit apply` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EditResult {
    /// The path as it was proposed.
    pub file_path: String,
    /// Applied or refused.
    pub status: Status,
}

/// Whether an edit is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It is part of the changes.
    Applied,
    /// It is not, and with it the whole set is not.
    Refused {
        /// Why.
        reason: Refusal,
        /// Places that may have been meant.
        candidates: Vec<Candidate>,
    },
}

/// A file before and after; `None` where it is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The file.
    pub path: RepoPath,
    /// Its content as it was read.
    pub before: Option<Vec<u8>>,
    /// Its content with the edits.
    pub after: Option<Vec<u8>>,
}

impl FileChange {
    /// The change that takes this one back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        Self { path: self.path.clone(), before: self.after.clone(), after: self.before.clone() }
    }
}

impl Applied {
    /// The changes that take these back; `None` if nothing was applied.
    #[must_use]
    pub fn inverse(&self) -> Option<Vec<FileChange>> {
        self.changes.as_ref().map(|changes| changes.iter().map(FileChange::inverse).collect())
    }
}

impl Serialize for EditResult {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_struct("EditResult", 4)?;
        line.serialize_field("file_path", &self.file_path)?;
        match &self.status {
            Status::Applied => line.serialize_field("status", "applied")?,
            Status::Refused { reason, candidates } => {
                line.serialize_field("status", "refused")?;
                line.serialize_field("reason", &reason.to_string())?;
                if !candidates.is_empty() {
                    line.serialize_field("candidates", candidates)?;
                }
            }
        }
        line.end()
    }
}

/// A refusal with the places that may have been meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Miss {
    pub(crate) refusal: Refusal,
    pub(crate) candidates: Vec<Candidate>,
}

impl From<Refusal> for Miss {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, candidates: Vec::new() }
    }
}

/// Applies the edits in order, in memory. Edits of one file see what earlier ones made of it, but `line_range`
/// counts lines as the file was read. After a refusal the other edits are still tried, so that one answer names
/// all that is wrong.
#[must_use]
pub fn apply(edits: &EditSet, files: &dyn Files) -> Applied {
    let mut tree = Tree { files, opened: BTreeMap::new() };
    let mut outcomes: Vec<Result<(), Miss>> = Vec::with_capacity(edits.edits.len());
    for (index, edit) in edits.edits.iter().enumerate() {
        let within = index < MOST_EDITS;
        let too_many = Refusal::TooLarge { what: "the edit set", size: edits.edits.len(), limit: MOST_EDITS };
        outcomes.push(if within { tree.apply(edit) } else { Err(too_many.into()) });
    }
    let changes =
        if outcomes.iter().all(Result::is_ok) { tree.changes() } else { Err(Refusal::OthersRefused) };
    let status = |outcome: Result<(), Miss>| match (outcome, &changes) {
        (Err(miss), _) => Status::Refused { reason: miss.refusal, candidates: miss.candidates },
        (Ok(()), Err(refusal)) => Status::Refused { reason: refusal.clone(), candidates: Vec::new() },
        (Ok(()), Ok(_)) => Status::Applied,
    };
    let results = outcomes.into_iter().zip(&edits.edits);
    let results = results
        .map(|(outcome, edit)| EditResult { file_path: edit.file_path.clone(), status: status(outcome) });
    Applied { results: results.collect(), changes: changes.clone().ok() }
}

/// The files that a set has touched, as they are now.
struct Tree<'a> {
    files: &'a dyn Files,
    opened: BTreeMap<RepoPath, Opened>,
}

struct Opened {
    before: Option<Vec<u8>>,
    now: Option<Content>,
}

/// A file's content; text only once an edit looks into it.
enum Content {
    Bytes(Vec<u8>),
    Text(Box<Source>),
}

impl Tree<'_> {
    fn apply(&mut self, edit: &ProposeEdit) -> Result<(), Miss> {
        let path: RepoPath = edit.file_path.parse().map_err(Refusal::Path)?;
        let size = edit.patch.size();
        if size > LARGEST_PATCH {
            return Err(Refusal::TooLarge { what: "the patch", size, limit: LARGEST_PATCH }.into());
        }
        if !self.opened.contains_key(&path) {
            let before = self.files.read(&path).map_err(|error| Refusal::Unreadable(error.0))?;
            let now = before.clone().map(Content::Bytes);
            self.opened.insert(path.clone(), Opened { before, now });
        }
        let Some(opened) = self.opened.get_mut(&path) else { return Err(Refusal::NoSuchFile.into()) };
        let is_diff = edit.edit_type == EditType::Replace
            && matches!(&edit.patch, Patch::Text(text) if hunks::is_diff(text));
        if is_diff && edit.locator.target == Target::WholeFile && opened.now.is_none() {
            let Patch::Text(text) = &edit.patch else { return Err(Refusal::NoSuchFile.into()) };
            let empty = Source::read(&path, b"")?;
            let created = empty.spliced(&hunks::splices(text, &empty)?)?;
            check::no_faults(&created)?;
            opened.now = Some(Content::Text(Box::new(created)));
            return Ok(());
        }
        if edit.locator.target == Target::WholeFile && !is_diff {
            match edit.edit_type {
                EditType::Insert | EditType::Replace => return opened.create(&path, edit),
                EditType::Delete => {
                    return opened.now.take().map(|_| ()).ok_or_else(|| Refusal::NoSuchFile.into());
                }
                EditType::AstPatch => {}
            }
        }
        let source = opened.text(&path)?;
        let next = match within_excerpt(edit, source) {
            Some(next) => next,
            None => {
                source.parse()?;
                changed(edit, source)?
            }
        };
        *source = next;
        Ok(())
    }

    /// What differs from what was read.
    fn changes(self) -> Result<Vec<FileChange>, Refusal> {
        let mut changes = Vec::new();
        for (path, opened) in self.opened {
            let after = match opened.now {
                None => None,
                Some(Content::Bytes(bytes)) => Some(bytes),
                Some(Content::Text(source)) => {
                    source.check_declaration()?;
                    Some(source.bytes()?)
                }
            };
            if after != opened.before {
                changes.push(FileChange { path, before: opened.before, after });
            }
        }
        Ok(changes)
    }
}

impl Opened {
    /// Creates the file; an existing one is left alone unless it is empty.
    fn create(&mut self, path: &RepoPath, edit: &ProposeEdit) -> Result<(), Miss> {
        let is_empty = match &self.now {
            None => true,
            Some(Content::Bytes(bytes)) => bytes.is_empty(),
            Some(Content::Text(source)) => source.text.is_empty(),
        };
        if !is_empty {
            let replaces = edit.edit_type == EditType::Replace;
            return Err(if replaces { Refusal::ReplacesWholeFile } else { Refusal::FileExists }.into());
        }
        let Patch::Text(text) = &edit.patch else {
            return Err(Refusal::Unfit("a new file needs its text as the patch".to_owned()).into());
        };
        let bytes = Encoding::encode_new(crate::language::of(path), text)?;
        let source = Source::read(path, &bytes)?;
        check::no_faults(&source)?;
        self.now = Some(Content::Text(Box::new(source)));
        Ok(())
    }

    /// The content as text.
    fn text(&mut self, path: &RepoPath) -> Result<&mut Source, Refusal> {
        let content = self.now.as_mut().ok_or(Refusal::NoSuchFile)?;
        if let Content::Bytes(bytes) = content {
            *content = Content::Text(Box::new(Source::decode(path, bytes)?));
        }
        match content {
            Content::Text(source) => Ok(source),
            Content::Bytes(_) => Err(Refusal::NoSuchFile),
        }
    }
}

/// The text with one edit that looks no further than into one definition, made in the statements that may hold it.
/// `None` where the whole file has to be asked: whatever is refused here is judged again with all of it.
fn within_excerpt(edit: &ProposeEdit, source: &Source) -> Option<Source> {
    let Target::Symbol(path) = &edit.locator.target else { return None };
    let stays_inside = match (edit.edit_type, &edit.patch) {
        (EditType::AstPatch, Patch::Operations(operations)) => operations.iter().all(Operation::stays_inside),
        (EditType::Replace, Patch::Text(text)) => !hunks::is_diff(text),
        (EditType::Insert, Patch::Text(_)) => {
            matches!(edit.locator.position, Some(Position::BodyStart | Position::BodyEnd))
        }
        (EditType::AstPatch | EditType::Replace | EditType::Insert | EditType::Delete, _) => false,
    };
    let excerpt = source.excerpt(path).filter(|_| stays_inside)?;
    changed(edit, &excerpt).ok().map(Source::whole)
}

/// The text with one edit.
fn changed(edit: &ProposeEdit, source: &Source) -> Result<Source, Miss> {
    let text = match (edit.edit_type, &edit.patch) {
        (EditType::AstPatch, Patch::Operations(operations)) => {
            return operations::apply(operations, &edit.locator.target, source);
        }
        (EditType::AstPatch, Patch::Text(_)) => {
            return Err(
                Refusal::Unfit("an ast_patch needs a list of operations as its patch".to_owned()).into()
            );
        }
        (EditType::Insert | EditType::Replace, Patch::Operations(_)) => {
            return Err(Refusal::Unfit("operations belong to edit_type ast_patch".to_owned()).into());
        }
        (EditType::Delete, _) => "",
        (_, Patch::Text(text)) => text.as_str(),
    };
    if edit.edit_type != EditType::Delete && hunks::is_diff(text) {
        if edit.edit_type == EditType::Insert {
            return Err(Refusal::Unfit("a unified diff belongs to edit_type replace".to_owned()).into());
        }
        let next = source.spliced(&hunks::splices(text, source)?)?;
        check::no_new_faults(source, &next)?;
        return Ok(next);
    }
    let place = locate::locate(&edit.locator.target, source)?;
    let plans = match edit.edit_type {
        EditType::Insert => plan::insert(&place, edit.locator.position, text, source),
        EditType::Replace => plan::replace(&place, text, source),
        EditType::Delete | EditType::AstPatch => plan::delete(&place, source).map(|splices| vec![splices]),
    }?;
    check::first_sound(source, &plans, matches!(place, Place::Lines { .. })).map_err(Miss::from)
}
