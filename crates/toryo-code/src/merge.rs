//! Three-way merge: by lines, and where those conflict by entity, for languages with a definition.
//!
//! Conflicts are values. No merged text ever holds conflict markers.

mod entity;
mod imports;
mod lines;
mod pieces;
mod structure;
#[cfg(test)]
mod tests;

use crate::apply::Encoding;
use crate::diff::is_binary;
use crate::language;
use lines::Region;
use pieces::Version;
use std::fmt;
use toryo_domain::{FailureClass, RepoPath};

const SAME_LINES: &str = "both sides changed the same lines";

/// Places where two sides changed the same in different ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The file.
    pub path: RepoPath,
    /// Every such place, in order; never empty.
    pub places: Vec<Clash>,
}

/// One place of a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// The line of the base where it starts, from 1.
    pub line: u32,
    /// What is at odds, in few words.
    pub reason: &'static str,
    /// Our text of the place; `None` if we deleted the file.
    pub ours: Option<String>,
    /// Their text of the place; `None` if they deleted the file.
    pub theirs: Option<String>,
}

impl std::error::Error for Conflict {}

impl Conflict {
    /// A conflict is the plan's or the model's to resolve: it is asked again.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        FailureClass::InvalidOutput
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "two changes of {} conflict", self.path)?;
        for clash in &self.places {
            write!(f, "; at line {}: {}", clash.line, clash.reason)?;
        }
        Ok(())
    }
}

/// Merges two changes of a file. `None` is a file that is not there.
///
/// # Errors
/// Every place where both sides changed the same lines differently and the language's structure does not say
/// how both can stand.
pub fn merge(
    path: &RepoPath,
    base: Option<&[u8]>,
    ours: Option<&[u8]>,
    theirs: Option<&[u8]>,
) -> Result<Option<Vec<u8>>, Conflict> {
    if ours == theirs || theirs == base {
        return Ok(ours.map(<[u8]>::to_vec));
    }
    if ours == base {
        return Ok(theirs.map(<[u8]>::to_vec));
    }
    let whole = |reason| {
        let text = |side: Option<&[u8]>| side.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        Conflict {
            path: path.clone(),
            places: vec![Clash { line: 1, reason, ours: text(ours), theirs: text(theirs) }],
        }
    };
    match (base, ours, theirs) {
        (Some(base), Some(ours), Some(theirs)) => {
            let is_text = |bytes: &[u8]| !is_binary(bytes) || Encoding::decode(None, bytes).is_ok();
            if ![base, ours, theirs].into_iter().all(is_text) {
                return Err(whole("both sides changed a binary file"));
            }
            merge_texts(path, base, ours, theirs).map(Some)
        }
        (None, ..) => Err(whole("both sides created the file differently")),
        (Some(_), None, _) => Err(whole("our side deleted the file that their side changed")),
        (Some(_), _, None) => Err(whole("their side deleted the file that our side changed")),
    }
}

/// The texts of a file in UTF-8 and the encoding of all three, if that is another one.
fn decoded(path: &RepoPath, versions: [&[u8]; 3]) -> Option<(Encoding, [String; 3])> {
    if versions.iter().all(|bytes| std::str::from_utf8(bytes).is_ok()) {
        return None;
    }
    let decode = |bytes| Encoding::decode(language::of(path), bytes).ok();
    let [(encoding, base), (of_ours, ours), (of_theirs, theirs)] =
        [decode(versions[0])?, decode(versions[1])?, decode(versions[2])?];
    (encoding == of_ours && encoding == of_theirs).then_some((encoding, [base, ours, theirs]))
}

fn merge_texts(path: &RepoPath, base: &[u8], ours: &[u8], theirs: &[u8]) -> Result<Vec<u8>, Conflict> {
    if let Some((encoding, [base, ours, theirs])) = decoded(path, [base, ours, theirs]) {
        let merged = merge_utf8(path, base.as_bytes(), ours.as_bytes(), theirs.as_bytes())?;
        let text = String::from_utf8_lossy(&merged);
        return encoding.encode(&text).map_err(|_| Conflict {
            path: path.clone(),
            places: vec![Clash {
                line: 1,
                reason: "the merged text has no form in its encoding",
                ours: None,
                theirs: None,
            }],
        });
    }
    merge_utf8(path, base, ours, theirs)
}

/// Merges texts; bytes that are not UTF-8 are merged by lines only.
fn merge_utf8(path: &RepoPath, base: &[u8], ours: &[u8], theirs: &[u8]) -> Result<Vec<u8>, Conflict> {
    // A missing final newline is a property of the file, not of its last line.
    let ends = |text: &[u8]| text.is_empty() || text.ends_with(b"\n");
    let end = if ends(ours) == ends(base) { ends(theirs) } else { ends(ours) };
    let [base, ours, theirs] = [base, ours, theirs].map(|text| {
        let mut text = text.to_vec();
        if !ends(&text) {
            text.push(b'\n');
        }
        text
    });
    let merged = merge_lines_or_entities(path, &base, &ours, &theirs);
    let mut merged = merged.map_err(|places| Conflict { path: path.clone(), places })?;
    if !end && merged.ends_with(b"\n") {
        merged.pop();
        if merged.ends_with(b"\r") {
            merged.pop();
        }
    }
    Ok(merged)
}

/// Merges lines; where those conflict, or what comes of them is at odds with itself, entities.
fn merge_lines_or_entities(
    path: &RepoPath,
    base: &[u8],
    ours: &[u8],
    theirs: &[u8],
) -> Result<Vec<u8>, Vec<Clash>> {
    let by_lines = lines::merge(base, ours, theirs);
    let mut clashes: Vec<Clash> = by_lines.clashes.iter().map(|region| clash(region, 0)).collect();
    let version = |text| Version::of(language::of(path)?, text);
    let (Some(base), Some(ours), Some(theirs)) = (version(base), version(ours), version(theirs)) else {
        return if clashes.is_empty() { Ok(by_lines.text) } else { Err(clashes) };
    };
    let versions = [&base, &ours, &theirs];
    if clashes.is_empty() {
        match entity::fault(versions, &by_lines.text) {
            None => return Ok(by_lines.text),
            Some(fault) => clashes.push(fault),
        }
    }
    // What the parser makes of faulty text is no structure to rely on.
    if versions.iter().any(|version| version.faults > 0) {
        return Err(clashes);
    }
    let Some((text, remaining)) = structure::merge(versions) else { return Err(clashes) };
    if !remaining.is_empty() {
        return Err(remaining);
    }
    match entity::fault(versions, text.as_bytes()) {
        None => Ok(text.into_bytes()),
        Some(fault) => Err(vec![fault]),
    }
}

/// A stretch of lines that both sides changed; `first` is the line at which the compared text starts, 0-based.
fn clash(region: &Region<'_>, first: usize) -> Clash {
    let text = |side: &Option<Vec<&[u8]>>| {
        side.as_ref().map(|lines| String::from_utf8_lossy(&lines.concat()).into_owned())
    };
    Clash {
        line: u32::try_from(first + region.base.start + 1).unwrap_or(u32::MAX),
        reason: SAME_LINES,
        ours: text(&region.ours),
        theirs: text(&region.theirs),
    }
}
