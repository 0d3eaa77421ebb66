//! Commit messages after Conventional Commits 1.0.0, made safe for texts that a model wrote.

use crate::text;
use std::fmt;
use std::str::FromStr;
use toryo_domain::RunId;

/// Longest first line, in characters, type and scope included.
pub const LONGEST_SUBJECT: usize = 72;

/// Longest body, in characters.
const LONGEST_BODY: usize = 4_000;

/// The trailer that marks a commit as made by a run.
const RUN_TRAILER: &str = "Toryo-Run";

/// The types of Conventional Commits that are in common use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitType {
    /// A new feature.
    Feat,
    /// A bug fix.
    Fix,
    /// Documentation alone.
    Docs,
    /// Formatting alone.
    Style,
    /// Neither a fix nor a feature.
    Refactor,
    /// Faster.
    Perf,
    /// Tests alone.
    Test,
    /// Build system or dependencies.
    Build,
    /// Continuous integration.
    Ci,
    /// Anything else.
    Chore,
    /// Takes an earlier commit back.
    Revert,
}

impl CommitType {
    /// Every type.
    pub const ALL: [Self; 11] = [
        Self::Feat,
        Self::Fix,
        Self::Docs,
        Self::Style,
        Self::Refactor,
        Self::Perf,
        Self::Test,
        Self::Build,
        Self::Ci,
        Self::Chore,
        Self::Revert,
    ];

    /// The word in front of the colon.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Feat => "feat",
            Self::Fix => "fix",
            Self::Docs => "docs",
            Self::Style => "style",
            Self::Refactor => "refactor",
            Self::Perf => "perf",
            Self::Test => "test",
            Self::Build => "build",
            Self::Ci => "ci",
            Self::Chore => "chore",
            Self::Revert => "revert",
        }
    }
}

impl fmt::Display for CommitType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A message as a model proposes it or a person wrote it; [`render`](Self::render) makes it harmless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConventionalCommit {
    /// What kind of change.
    pub kind: CommitType,
    /// The part of the code, if one is named.
    pub scope: Option<String>,
    /// Whether users have to change something.
    pub breaking: bool,
    /// One line without a full stop.
    pub subject: String,
    /// Paragraphs; may be empty.
    pub body: String,
}

/// What keeps a text from being a Conventional Commit. The text of the error can go back to a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadMessage {
    /// No `type: subject` in the first line.
    #[error("the first line is not `type(scope): subject`")]
    NoHeader,
    /// A type that is not in [`CommitType::ALL`].
    #[error(
        "`{0}` is not a commit type; use one of feat, fix, docs, style, refactor, perf, test, build, ci, chore, revert"
    )]
    UnknownType(String),
    /// A scope with other characters.
    #[error("a scope has lower-case letters, digits, `-`, `_`, `.` and `/`, at most 30 of them")]
    BadScope,
    /// Nothing after the colon.
    #[error("the subject is empty")]
    EmptySubject,
    /// The first line is longer than [`LONGEST_SUBJECT`].
    #[error("the first line has {0} characters; at most {LONGEST_SUBJECT} are allowed")]
    TooLong(usize),
    /// Ends in a full stop.
    #[error("the subject ends in a full stop")]
    FullStop,
    /// Subject or body hold control or invisible characters.
    #[error("the message holds control or invisible characters")]
    Characters,
    /// The second line is not empty.
    #[error("a blank line has to follow the first line")]
    NoBlankLine,
}

impl ConventionalCommit {
    /// Reads a whole message; trailers stay part of the body.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(message: &str) -> Result<Self, BadMessage> {
        let (first, rest) = message.split_once('\n').unwrap_or((message, ""));
        let (head, subject) = first.split_once(": ").ok_or(BadMessage::NoHeader)?;
        let (head, breaking) = head.strip_suffix('!').map_or((head, false), |head| (head, true));
        let (kind, scope) = match head.split_once('(') {
            Some((kind, scope)) => (kind, Some(scope.strip_suffix(')').ok_or(BadMessage::NoHeader)?)),
            None => (head, None),
        };
        if !rest.is_empty() && !rest.starts_with('\n') {
            return Err(BadMessage::NoBlankLine);
        }
        let commit = Self {
            kind: kind.parse()?,
            scope: scope.map(str::to_owned),
            breaking,
            subject: subject.to_owned(),
            body: rest.trim().to_owned(),
        };
        commit.check()?;
        Ok(commit)
    }

    /// Whether it keeps the rules as it is.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self) -> Result<(), BadMessage> {
        let scope_is_plain = |scope: &str| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_./".contains(c);
            (1..=30).contains(&scope.len()) && scope.chars().all(plain)
        };
        if self.scope.as_deref().is_some_and(|scope| !scope_is_plain(scope)) {
            return Err(BadMessage::BadScope);
        }
        if self.subject.trim().is_empty() {
            return Err(BadMessage::EmptySubject);
        }
        if self.subject != text::one_line(&self.subject) || self.body != text::plain_lines(&self.body) {
            return Err(BadMessage::Characters);
        }
        if self.subject.ends_with('.') {
            return Err(BadMessage::FullStop);
        }
        match self.first_line().chars().count() {
            length if length > LONGEST_SUBJECT => Err(BadMessage::TooLong(length)),
            _ => Ok(()),
        }
    }

    /// `type(scope)!: subject` as it is.
    #[must_use]
    pub fn first_line(&self) -> String {
        let scope = self.scope.as_ref().map(|scope| format!("({scope})")).unwrap_or_default();
        let breaking = if self.breaking { "!" } else { "" };
        format!("{}{scope}{breaking}: {}", self.kind, self.subject)
    }

    /// The nearest message that keeps the rules: a subject on one line, cut and neutralised, no control
    /// characters, a scope of plain characters or none.
    #[must_use]
    pub fn repaired(&self) -> Self {
        let scope =
            self.scope.as_ref().map(|scope| crate::naming::slug(scope)).filter(|scope| !scope.is_empty());
        let scope = scope.map(|scope| scope.chars().take(30).collect());
        let mut repaired =
            Self { scope, subject: String::new(), body: text::plain_lines(&self.body), ..*self };
        let room = LONGEST_SUBJECT - repaired.first_line().chars().count();
        // With the type in front, because `fix: #12` closes an issue as well.
        let whole = neutral(&format!("{}: {}", self.kind, text::one_line(&self.subject)));
        let subject = whole.split_once(": ").map_or("", |(_, subject)| subject).trim_matches(['.', ' ']);
        repaired.subject = text::cut(if subject.is_empty() { "change the code" } else { subject }, room);
        repaired
    }

    /// The message to commit: repaired, with text that would act on a forge neutralised (`@mentions`, closing
    /// keywords, trailers in the body), ending in the run's trailer and only that.
    #[must_use]
    pub fn render(&self, run: RunId) -> String {
        let repaired = self.repaired();
        let subject = repaired.first_line();
        let body = neutral_body(&text::cut(repaired.body.trim(), LONGEST_BODY));
        let body = if body.is_empty() { body } else { format!("{body}\n\n") };
        format!("{subject}\n\n{body}{RUN_TRAILER}: {run}\n")
    }
}

impl FromStr for CommitType {
    type Err = BadMessage;
    fn from_str(text: &str) -> Result<Self, BadMessage> {
        let known = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        known.ok_or_else(|| BadMessage::UnknownType(text::cut(&text::one_line(text), 40)))
    }
}

/// The run whose trailer ends the message, if one does.
#[must_use]
pub fn run_of(message: &str) -> Option<RunId> {
    let last = message.trim_end().rsplit("\n\n").next()?;
    let mut values = last.lines().filter_map(|line| line.strip_prefix(RUN_TRAILER)?.strip_prefix(": "));
    values.next_back()?.trim().parse().ok()
}

/// Words after which a forge closes an issue when the text reaches the default branch (GitHub and GitLab).
const CLOSING: [&str; 16] = [
    "close",
    "closes",
    "closed",
    "closing",
    "fix",
    "fixes",
    "fixed",
    "fixing",
    "resolve",
    "resolves",
    "resolved",
    "resolving",
    "implement",
    "implements",
    "implemented",
    "implementing",
];

/// The text with `@name` broken, `#12` written `no. 12`, and links and `GH-12` parted from a closing keyword:
/// nobody is notified and nothing is closed because a model or an issue says so.
pub(crate) fn neutral(text: &str) -> String {
    let mut neutral = String::with_capacity(text.len());
    let mut word = String::new();
    // Whether a closing keyword stands directly before, with nothing but blanks and marks since.
    let mut armed = false;
    for (at, c) in text.char_indices() {
        let next = text[at + c.len_utf8()..].chars().next();
        if c.is_alphanumeric() || c == '_' {
            if armed && word.is_empty() && starts_a_reference(&text[at..]) {
                neutral.push_str("see ");
            }
            armed &= word.is_empty() && c == '_';
            word.push(c);
            neutral.push(c);
            continue;
        }
        if !word.is_empty() {
            armed = CLOSING.contains(&word.trim_matches('_').to_lowercase().as_str());
            word.clear();
        }
        match c {
            '@' if next.is_some_and(|next| !next.is_whitespace()) => neutral.push_str("@ "),
            '#' if next.is_some_and(|next| next.is_ascii_digit()) => {
                let parted = neutral.chars().next_back().is_none_or(|last| !last.is_alphanumeric());
                neutral.push_str(if parted { "no. " } else { " no. " });
            }
            _ => neutral.push(c),
        }
        armed &= !c.is_alphanumeric();
    }
    neutral
}

fn starts_a_reference(text: &str) -> bool {
    let starts =
        |prefix: &str| text.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
    starts("http") || starts("gh-")
}

fn neutral_body(body: &str) -> String {
    let lines = body.lines().map(|line| {
        let line = neutral(line.trim_end());
        // Two blanks keep Git from taking the line as a trailer wherever it stands.
        if looks_like_a_trailer(&line) { format!("  {line}") } else { line }
    });
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

/// `Token: value` or `Token #value` with a token of letters, digits and dashes (git-interpret-trailers).
fn looks_like_a_trailer(line: &str) -> bool {
    let token = line.split([':', '#', '=']).next().unwrap_or("").trim_end();
    token.len() < line.trim_end().len()
        && !token.is_empty()
        && token.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests;
