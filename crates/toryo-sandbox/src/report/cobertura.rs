//! Coverage in Cobertura's XML, as coverage.py and many others write it.

use super::Error;
use super::xml::{self, Part, value};
use crate::port::WORKSPACE;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many lines are read.
const MOST_LINES: usize = 5_000_000;

/// Which lines ran.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// By path in the repository, as far as the report tells it.
    pub files: BTreeMap<String, FileCoverage>,
}

/// Which lines of one file ran. Lines that hold no code are in neither set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileCoverage {
    /// Lines that ran, counted from 1.
    pub covered: BTreeSet<u32>,
    /// Lines that did not.
    pub missed: BTreeSet<u32>,
}

impl FileCoverage {
    /// The part of the lines that ran, from 0 to 1; 1 where there are none.
    #[must_use]
    pub fn line_rate(&self) -> f64 {
        rate(self.covered.len(), self.missed.len())
    }
}

impl Coverage {
    /// The part of all lines that ran, from 0 to 1; 1 where there are none. Counted from the lines, because tools
    /// round their own figure differently.
    #[must_use]
    pub fn line_rate(&self) -> f64 {
        let count = |lines: fn(&FileCoverage) -> usize| self.files.values().map(lines).sum();
        rate(count(|file| file.covered.len()), count(|file| file.missed.len()))
    }
}

fn rate(covered: usize, missed: usize) -> f64 {
    if covered + missed == 0 { 1.0 } else { covered as f64 / (covered + missed) as f64 }
}

/// Reads a report. File names are given relative to one of its `source` folders; where there is exactly one, it is
/// put in front, so that paths are those of the repository.
///
/// # Errors
/// It is no Cobertura XML, no XML, or over a limit.
pub fn parse(bytes: &[u8]) -> Result<Coverage, Error> {
    let mut reader = Reader::default();
    xml::read(bytes, |part| reader.see(part))?;
    let folder = match &reader.sources[..] {
        [source] => in_workspace(source),
        _ => String::new(),
    };
    let mut coverage = Coverage::default();
    for (name, found) in reader.files {
        let file: &mut FileCoverage = coverage.files.entry(path(&folder, &name)).or_default();
        file.covered.extend(found.covered);
        file.missed.extend(found.missed);
        // A line in several classes ran if it ran in one of them.
        file.missed.retain(|line| !file.covered.contains(line));
    }
    Ok(coverage)
}

#[derive(Default)]
struct Reader {
    rooted: bool,
    sources: Vec<String>,
    source: Option<String>,
    file: Option<String>,
    files: BTreeMap<String, FileCoverage>,
    lines: usize,
}

impl Reader {
    fn see(&mut self, part: Part) -> Result<(), Error> {
        match part {
            Part::Open { name, attributes } => self.open(&name, &attributes)?,
            Part::Text(text) => {
                if let Some(source) = &mut self.source {
                    source.push_str(&text);
                }
            }
            Part::Close { name } => match name.as_str() {
                "source" => self.sources.extend(self.source.take()),
                "class" => self.file = None,
                _ => {}
            },
        }
        Ok(())
    }

    fn open(&mut self, name: &str, attributes: &[(String, String)]) -> Result<(), Error> {
        if !std::mem::replace(&mut self.rooted, true) && name != "coverage" {
            return Err(Error::OtherKind { wanted: "`coverage`", found: name.chars().take(80).collect() });
        }
        match name {
            "source" => self.source = Some(String::new()),
            "class" => {
                self.file = value(attributes, "filename").map(Into::into);
                // A file without code is in the report as well.
                self.files.extend(
                    self.file
                        .clone()
                        .filter(|file| !self.files.contains_key(file))
                        .map(|file| (file, FileCoverage::default())),
                );
            }
            "line" => self.line(attributes)?,
            _ => {}
        }
        Ok(())
    }

    fn line(&mut self, attributes: &[(String, String)]) -> Result<(), Error> {
        let number = value(attributes, "number").and_then(|number| number.parse().ok());
        let hits = value(attributes, "hits").and_then(|hits| hits.parse::<u64>().ok());
        let file = self.file.as_ref().and_then(|file| self.files.get_mut(file));
        let (Some(file), Some(number), Some(hits)) = (file, number, hits) else { return Ok(()) };
        self.lines += 1;
        if self.lines > MOST_LINES {
            return Err(Error::TooMany { what: "lines", limit: MOST_LINES });
        }
        if hits > 0 {
            file.covered.insert(number)
        } else {
            file.missed.insert(number)
        };
        Ok(())
    }
}

/// A source folder relative to the workspace; empty for the workspace itself and for folders elsewhere.
fn in_workspace(source: &str) -> String {
    let source = source.trim().replace('\\', "/");
    let inside = source.strip_prefix(WORKSPACE).filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let relative = inside.or_else(|| (!source.starts_with('/')).then_some(&source)).unwrap_or_default();
    let relative = relative.trim_start_matches("./").trim_matches('/');
    if relative == "." { String::new() } else { relative.to_owned() }
}

fn path(folder: &str, name: &str) -> String {
    let name = name.replace('\\', "/");
    let name = name.strip_prefix(&format!("{WORKSPACE}/")).map_or(name.clone(), Into::into);
    let name = name.trim_start_matches("./");
    if folder.is_empty() || name.starts_with('/') { name.to_owned() } else { format!("{folder}/{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COVERAGE: &[u8] = include_bytes!("samples/coverage.xml");

    #[test]
    fn coverages_report_is_read() {
        let coverage = parse(COVERAGE).unwrap();
        insta::assert_json_snapshot!(coverage);
        assert!((coverage.line_rate() - 5.0 / 7.0).abs() < 1e-9);
        assert!((coverage.files["src/shop/__init__.py"].line_rate() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn paths_are_those_of_the_repository() {
        let of = |sources: &[&str], file: &str| {
            let sources: String = sources.iter().map(|source| format!("<source>{source}</source>")).collect();
            let text = format!("<coverage><sources>{sources}</sources><class filename='{file}'/></coverage>");
            parse(text.as_bytes()).unwrap().files.into_keys().next().unwrap()
        };
        assert_eq!(of(&["/workspace"], "pkg/a.py"), "pkg/a.py");
        assert_eq!(of(&["/workspace/src/"], "pkg/a.py"), "src/pkg/a.py");
        assert_eq!(of(&["."], "pkg/a.py"), "pkg/a.py");
        assert_eq!(of(&["src"], "pkg/a.py"), "src/pkg/a.py");
        assert_eq!(of(&["/workspace/a", "/workspace/b"], "x.py"), "x.py");
        assert_eq!(of(&["/elsewhere"], "/workspace/pkg/a.py"), "pkg/a.py");
        assert_eq!(of(&["/workspace2"], "x.py"), "x.py");
    }

    #[test]
    fn other_documents_are_refused() {
        assert!(matches!(parse(b"<testsuites/>"), Err(Error::OtherKind { .. })));
        assert!(matches!(parse(b"<coverage>"), Err(Error::Broken { .. })));
        assert_eq!(parse(b"<coverage/>").unwrap(), Coverage::default());
    }

    proptest! {
        #[test]
        fn a_damaged_report_never_panics_and_no_line_is_in_both_sets(at in 0..COVERAGE.len(), byte in any::<u8>()) {
            let mut damaged = COVERAGE.to_vec();
            damaged[at] = byte;
            if let Ok(coverage) = parse(&damaged) {
                prop_assert!(coverage.files.values().all(|file| file.covered.is_disjoint(&file.missed)));
                prop_assert!((0.0..=1.0).contains(&coverage.line_rate()));
            }
        }
    }
}
