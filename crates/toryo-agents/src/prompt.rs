//! Prompts: templates with a version, rendered into a system and a user message.
//!
//! A prompt file is TOML front matter between `+++` lines, the system text, a line `=== user ===`, the user text. Text that
//! comes from people, repositories or tools goes through the filter `fenced(label, tokens)`, which cuts it and marks it as
//! untrusted; so the template shows what every part may cost.

use crate::assets::Error;
use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior, Value};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use toryo_index::tokens::estimate;

const BORDER: &str = "\n=== user ===\n";

/// A prompt file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Its name, that of the file.
    pub name: String,
    /// Raised with every change of its text.
    pub version: u32,
    /// One line for people.
    pub summary: String,
    system: String,
    /// Empty for a part that others include.
    user: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrontMatter {
    name: String,
    version: u32,
    summary: String,
}

impl Prompt {
    /// Reads a prompt file.
    ///
    /// # Errors
    /// No front matter, or a name other than the file's.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let text = text.replace("\r\n", "\n");
        let rest =
            text.strip_prefix("+++\n").ok_or("it does not begin with front matter between +++ lines")?;
        let (front, body) = rest.split_once("\n+++\n").ok_or("its front matter does not end with +++")?;
        let front: FrontMatter = toml::from_str(front).map_err(|error| error.to_string())?;
        if front.name != name {
            return Err(format!("its front matter says `{}`", front.name));
        }
        let (system, user) = body.split_once(BORDER).unwrap_or((body, ""));
        Ok(Self {
            name: front.name,
            version: front.version,
            summary: front.summary,
            system: system.to_owned(),
            user: user.to_owned(),
        })
    }
}

/// A prompt after rendering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The prompt and its version: `code v1`.
    pub name: String,
    /// Instructions.
    pub system: String,
    /// The question.
    pub user: String,
}

/// What a template may use, by name.
#[derive(Debug, Clone, Default)]
pub struct Variables(BTreeMap<&'static str, Value>);

impl Variables {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets one.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.0.insert(name, value.into());
        self
    }

    /// Sets one to a text, or to nothing where there is none.
    #[must_use]
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        self.with(name, value.map_or(Value::from(()), Into::into))
    }
}

/// All prompts, compiled.
#[derive(Debug, Clone)]
pub struct Prompts {
    by_name: BTreeMap<String, Prompt>,
    templates: Arc<Environment<'static>>,
}

impl Prompts {
    /// Compiles the prompts.
    ///
    /// # Errors
    /// A template that cannot be read, with its place.
    pub fn new(prompts: Vec<Prompt>) -> Result<Self, Error> {
        let mut templates = Environment::new();
        // A line that holds only a block leaves no empty line.
        let syntax = SyntaxConfig::builder().trim_blocks(true).keep_trailing_newline(true).build();
        templates.set_syntax(syntax.map_err(|error| Error::wrong("prompts", error))?);
        templates.set_undefined_behavior(UndefinedBehavior::Strict);
        templates.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        templates.add_filter("fenced", fenced);
        templates.add_filter("bullets", bullets);
        for prompt in &prompts {
            let wrong = |error: minijinja::Error| {
                Error::wrong(format!("prompts/{}.md", prompt.name), format!("{error:#}"))
            };
            templates.add_template_owned(prompt.name.clone(), prompt.system.clone()).map_err(wrong)?;
            templates
                .add_template_owned(format!("{}.user", prompt.name), prompt.user.clone())
                .map_err(wrong)?;
        }
        let by_name = prompts.into_iter().map(|prompt| (prompt.name.clone(), prompt)).collect();
        Ok(Self { by_name, templates: Arc::new(templates) })
    }

    /// These prompts with another text for one of them, in force for one call: what a fork tries out.
    ///
    /// # Errors
    /// The text is no prompt file of this name.
    pub fn with(&self, name: &str, text: &str) -> Result<Self, Error> {
        let other =
            Prompt::parse(name, text).map_err(|reason| Error::wrong(format!("prompts/{name}.md"), reason))?;
        let prompts = self.by_name.values().filter(|prompt| prompt.name != name).cloned();
        Self::new(prompts.chain([other]).collect())
    }

    /// The prompt of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Prompt> {
        self.by_name.get(name)
    }

    /// Renders a prompt. The template uses a variable that is not given only if it was changed by an operator.
    ///
    /// # Errors
    /// The template's own error, with its place.
    pub fn render(&self, name: &str, schema: &str, variables: Variables) -> Result<Rendered, Error> {
        let wrong =
            |error: minijinja::Error| Error::wrong(format!("prompts/{name}.md"), format!("{error:#}"));
        let version = self.get(name).map_or(0, |prompt| prompt.version);
        let context: BTreeMap<&str, Value> =
            variables.0.into_iter().chain([("schema", Value::from(schema))]).collect();
        let context = Value::from_pairs(context);
        let render = |template: &str| self.templates.get_template(template)?.render(context.clone());
        Ok(Rendered {
            name: format!("{name} v{version}"),
            system: render(name).map_err(wrong)?,
            user: render(&format!("{name}.user")).map_err(wrong)?,
        })
    }
}

fn fenced(text: &str, label: &str, tokens: usize) -> String {
    toryo_policy::untrusted::fence(label, &cap(text, tokens))
}

fn bullets(lines: Vec<String>) -> String {
    lines.iter().map(|line| format!("* {}", line.trim().replace('\n', "\n  "))).collect::<Vec<_>>().join("\n")
}

/// The text cut to about so many tokens: three quarters from its start, the rest from its end, whole lines where they
/// are not longer than the limit, and a line that says how many are missing.
#[must_use]
pub fn cap(text: &str, tokens: usize) -> String {
    if estimate(text) <= tokens {
        return text.to_owned();
    }
    let lines: Vec<&str> = text.lines().collect();
    let head = take(lines.iter(), tokens * 3 / 4);
    let tail = take(lines[head..].iter().rev(), tokens / 4);
    if head + tail == 0 {
        // One endless line: characters are all there is to cut by. A token is at least one character.
        return toryo_sandbox::clip(text, tokens * 3 / 4, tokens / 4);
    }
    let left_out = lines.len() - head - tail;
    let mut kept = lines[..head].join("\n");
    kept.push_str(&format!("\n[... {left_out} lines left out ...]\n"));
    kept.push_str(&lines[lines.len() - tail..].join("\n"));
    kept
}

/// How many of the lines fit.
fn take<'a>(lines: impl Iterator<Item = &'a &'a str>, tokens: usize) -> usize {
    let mut left = tokens;
    lines
        .take_while(|line| match left.checked_sub(estimate(line) + 1) {
            Some(rest) => {
                left = rest;
                true
            }
            None => false,
        })
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_long_text_keeps_both_ends() {
        let text: Vec<String> = (1..=100).map(|number| format!("line {number}")).collect();
        let short = cap(&text.join("\n"), 40);
        insta::assert_snapshot!(short);
        assert_eq!(cap("short", 40), "short");
    }

    #[test]
    fn a_missing_variable_is_an_error_not_a_hole() {
        let prompt = Prompt::parse(
            "p",
            "+++\nname = \"p\"\nversion = 1\nsummary = \"\"\n+++\nHi\n=== user ===\n{{ goal }}",
        )
        .unwrap();
        let prompts = Prompts::new(vec![prompt]).unwrap();
        assert!(prompts.render("p", "s", Variables::new()).unwrap_err().to_string().contains("prompts/p.md"));
        let rendered = prompts.render("p", "s", Variables::new().with("goal", "<b> & {{ x }}")).unwrap();
        assert_eq!(rendered.user, "<b> & {{ x }}");
    }

    proptest! {
        #[test]
        fn a_cut_text_is_about_as_long_as_allowed(text in "(\\PC{0,30}\n){0,40}", tokens in 8_usize..200) {
            prop_assert!(estimate(&cap(&text, tokens)) <= tokens + 24);
        }
    }
}
