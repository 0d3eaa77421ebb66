//! Guardrails: what a change may touch and how large it may be. Pure; a repository can only tighten them.

mod config;

pub use config::{BadGuardrails, Guardrails, RepoRules, Ruleset};

use crate::{constructs, secrets};
use std::collections::BTreeMap;
use toryo_domain::{Finding, RepoPath, Severity};

/// A change of one file, against the base commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProposedChange<'a> {
    /// The file.
    pub path: &'a RepoPath,
    /// Its content before; `None` for a new file.
    pub before: Option<&'a [u8]>,
    /// Its content after; `None` where it is deleted.
    pub after: Option<&'a [u8]>,
    /// Lines that the diff adds.
    pub added: u32,
    /// Lines that the diff removes.
    pub removed: u32,
}

/// Whether a change may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing forbids it; findings are warnings at most.
    Allow,
    /// At least one finding blocks.
    Refuse,
}

/// What the guardrails say of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may go on.
    pub decision: Decision,
    /// Every finding, those about the whole change first, then by file and line. None of them quotes a secret.
    pub findings: Vec<Finding>,
}

impl Ruleset {
    /// Judges the whole change of a run.
    #[must_use]
    pub fn judge(&self, changes: &[ProposedChange<'_>]) -> Verdict {
        let mut findings = self.totals(changes);
        for change in changes {
            self.judge_path(change, &mut findings);
            self.judge_content(change, &mut findings);
        }
        let blocked = findings.iter().any(|finding| finding.severity == Severity::Blocking);
        let decision = if blocked { Decision::Refuse } else { Decision::Allow };
        Verdict { decision, findings }
    }

    fn totals(&self, changes: &[ProposedChange<'_>]) -> Vec<Finding> {
        let rules = self.rules();
        let new = changes.iter().filter(|change| change.before.is_none()).count() as u64;
        let lines = changes.iter().map(|change| u64::from(change.added) + u64::from(change.removed)).sum();
        let limits = [
            ("guardrail.files", changes.len() as u64, rules.max_files, "changed files"),
            ("guardrail.changed_lines", lines, rules.max_changed_lines, "changed lines"),
            ("guardrail.new_files", new, rules.max_new_files, "new files"),
        ];
        let over = limits.into_iter().filter(|(_, count, limit, _)| *count > u64::from(*limit));
        over.map(|(rule, count, limit, what)| {
            blocking(rule, None, None, format!("the change has {count} {what}; at most {limit} are allowed"))
        })
        .collect()
    }

    fn judge_path(&self, change: &ProposedChange<'_>, findings: &mut Vec<Finding>) {
        if let Some(pattern) = self.denied_by(change.path) {
            let text = format!("files that match `{pattern}` are not changed by Toryo");
            findings.push(blocking("guardrail.denied_path", Some(change.path), None, text));
        } else if !self.is_allowed(change.path) {
            let text = "the file lies outside the paths that may be changed".to_owned();
            findings.push(blocking("guardrail.path_not_allowed", Some(change.path), None, text));
        }
    }

    fn judge_content(&self, change: &ProposedChange<'_>, findings: &mut Vec<Finding>) {
        let Some(after) = change.after else { return };
        let (path, rules) = (Some(change.path), self.rules());
        let size = after.len() as u64;
        // A file that was large before may still be mended, as long as it does not grow.
        if size > rules.max_file_bytes && change.before.is_none_or(|before| size > before.len() as u64) {
            let limit = rules.max_file_bytes;
            let text = format!("the file would have {size} bytes; at most {limit} are allowed");
            findings.push(blocking("guardrail.file_size", path, None, text));
        }
        let Some(text) = as_text(after) else {
            findings.push(blocking("guardrail.binary", path, None, "the content is not text".to_owned()));
            return;
        };
        let before = change.before.and_then(as_text).unwrap_or_default();
        let lines = NewLines::between(before, text);
        if lines.share_replaced > f64::from(rules.max_rewrite_percent) / 100.0
            && lines.before >= rules.rewrite_min_lines
        {
            let text = "nearly the whole file is replaced; change only the lines that need it".to_owned();
            findings.push(blocking("guardrail.rewrite", path, None, text));
        }
        findings.extend(secret_findings(change.path, text, &lines));
        findings.extend(self.construct_findings(change.path, text, &lines));
    }

    fn construct_findings(&self, path: &RepoPath, text: &str, lines: &NewLines) -> Vec<Finding> {
        let extension = path.extension().map(str::to_ascii_lowercase);
        let new = text.lines().zip(1_u32..).filter(|(_, number)| lines.is_new(*number));
        new.flat_map(|(line, number)| {
            let found = constructs::find(extension.as_deref(), line);
            found.into_iter().map(move |(rule, text)| (rule, number, text))
        })
        .map(|(rule, number, text)| Finding {
            severity: self.rules().constructs,
            rule: rule.to_owned(),
            path: Some(path.clone()),
            line: Some(number),
            text: text.to_owned(),
        })
        .collect()
    }
}

/// Secrets that touch a new line. What is only likely (an ordinary word as a password in a test) is a warning.
fn secret_findings(path: &RepoPath, text: &str, lines: &NewLines) -> Vec<Finding> {
    let number_at = |at: usize| u32::try_from(text[..at].matches('\n').count() + 1).unwrap_or(u32::MAX);
    let touches_new = |first: u32, last: u32| (first..=last).any(|number| lines.is_new(number));
    let found = secrets::find(text).into_iter();
    found
        .map(|secret| (number_at(secret.start), number_at(secret.end), secret))
        .filter(|(first, last, _)| touches_new(*first, *last))
        .map(|(first, _, secret)| Finding {
            severity: if secret.certain { Severity::Blocking } else { Severity::Warning },
            rule: format!("secret.{}", secret.kind),
            path: Some(path.clone()),
            line: Some(first),
            text: "the line holds what looks like a secret; read it from the environment instead".to_owned(),
        })
        .collect()
}

fn blocking(rule: &str, path: Option<&RepoPath>, line: Option<u32>, text: String) -> Finding {
    Finding { severity: Severity::Blocking, rule: rule.to_owned(), path: path.cloned(), line, text }
}

/// Text as Git sees it: no NUL; besides, it has to be UTF-8, so that people and models can read it.
fn as_text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

/// Which lines of the new content the old one does not have. A line that was moved is not new, whatever a diff
/// shows: it was there before.
struct NewLines {
    new: Vec<bool>,
    /// How many lines there were.
    before: u32,
    /// Which share of them is gone, 0 to 1.
    share_replaced: f64,
}

impl NewLines {
    fn between(before: &str, after: &str) -> Self {
        let mut left: BTreeMap<&str, u32> = BTreeMap::new();
        for line in before.lines() {
            *left.entry(line.trim()).or_default() += 1;
        }
        let new = after
            .lines()
            .map(|line| match left.get_mut(line.trim()) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    false
                }
                _ => true,
            })
            .collect();
        // Blank lines and brackets are in every file and say nothing about what was kept.
        let counted = |line: &&str| line.trim().len() > 3;
        let total = before.lines().filter(counted).count();
        let gone: u32 = left.iter().filter(|(line, _)| line.len() > 3).map(|(_, count)| count).sum();
        let share_replaced = if total == 0 { 0.0 } else { f64::from(gone) / total as f64 };
        Self { new, before: u32::try_from(before.lines().count()).unwrap_or(u32::MAX), share_replaced }
    }

    fn is_new(&self, number: u32) -> bool {
        (number as usize).checked_sub(1).and_then(|index| self.new.get(index)).is_some_and(|new| *new)
    }
}

#[cfg(test)]
mod tests;
