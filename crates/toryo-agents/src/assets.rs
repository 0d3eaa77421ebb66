//! Manifests, prompts and schemas: embedded in the binary, single files replaced by an operator's folder.

use crate::prompt::{Prompt, Prompts};
use crate::schema::Schema;
use rust_embed::RustEmbed;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use toryo_domain::{FailureClass, Role, StepKind};

#[derive(RustEmbed)]
#[folder = "../../agents/"]
struct EmbeddedAgents;

#[derive(RustEmbed)]
#[folder = "../../prompts/"]
struct EmbeddedPrompts;

#[derive(RustEmbed)]
#[folder = "../../schemas/"]
struct EmbeddedSchemas;

/// Names of the schemas that a model may be asked for (design §5.2).
const SCHEMAS: [&str; 8] = [
    "edit_set",
    "failure_analysis",
    "plan",
    "pull_request",
    "refined_spec",
    "retrieval_query",
    "review",
    "test_plan",
];

/// What an agent is: read by operators, shown by `GET /agents`, obeyed by the agents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its role.
    pub role: Role,
    /// One line for people.
    pub summary: String,
    /// What it may do.
    pub may: Vec<String>,
    /// What it never does.
    pub may_not: Vec<String>,
    /// The kinds of step it executes.
    pub steps: Vec<StepKind>,
    /// The model route it asks.
    pub route: String,
    /// The route it asks instead once its work went round in circles; usually a stronger model's. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_when_stuck: Option<String>,
    /// Tools it is given, as words for people.
    pub tools: Vec<String>,
    /// Its model calls.
    pub calls: Vec<Call>,
    /// Its limits.
    pub limits: Limits,
}

/// A model call of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The prompt's name.
    pub prompt: String,
    /// The schema of the reply.
    pub schema: String,
}

/// Limits of an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Tokens of one reply.
    pub max_output_tokens: u32,
    /// Estimated tokens of a prompt's text; longer texts are cut.
    pub context_tokens: u32,
    /// How often the same question is asked in all, where replies do not fit the schema. 1 to 3.
    pub asks: u32,
    /// How often a reply is judged in all, where what it proposes is refused. 1 to 5.
    #[serde(default = "default_rounds")]
    pub rounds: u32,
}

const fn default_rounds() -> u32 {
    3
}

/// Everything agents are made of besides code. Checked when it is loaded.
#[derive(Debug, Clone)]
pub struct Assets {
    manifests: BTreeMap<Role, Manifest>,
    prompts: Prompts,
    schemas: BTreeMap<String, Schema>,
}

/// Why the assets cannot be used; says which file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of the operator's folder cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file does not say what it should.
    #[error("{file}: {reason}")]
    Wrong {
        /// The file, as `prompts/coder.md`.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

impl Error {
    pub(crate) fn wrong(file: impl Into<String>, reason: impl ToString) -> Self {
        Self::Wrong { file: file.into(), reason: reason.to_string() }
    }

    /// What kind of failure it is: always the operator's to mend.
    #[must_use]
    pub const fn class(&self) -> FailureClass {
        match self {
            Self::Unreadable { .. } | Self::Wrong { .. } => FailureClass::Input,
        }
    }
}

impl Assets {
    /// The embedded files, each replaced by the one of the same name in the folder's `agents/`, `prompts/` and
    /// `schemas/`, and checked together: a manifest that names a missing prompt is an error here, not in a run.
    ///
    /// # Errors
    /// The first file that is wrong.
    pub fn load(folder: Option<&Path>) -> Result<Self, Error> {
        let schemas = schemas(texts::<EmbeddedSchemas>("schemas", ".json", folder)?)?;
        let prompts = prompts(texts::<EmbeddedPrompts>("prompts", ".md", folder)?)?;
        let manifests = manifests(texts::<EmbeddedAgents>("agents", ".toml", folder)?)?;
        let assets = Self { manifests, prompts, schemas };
        assets.check()?;
        Ok(assets)
    }

    /// The manifest of a role.
    #[must_use]
    pub fn manifest(&self, role: Role) -> Option<&Manifest> {
        self.manifests.get(&role)
    }

    /// All manifests, by role.
    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.manifests.values()
    }

    /// The prompts.
    #[must_use]
    pub const fn prompts(&self) -> &Prompts {
        &self.prompts
    }

    /// The schema of this name.
    #[must_use]
    pub fn schema(&self, name: &str) -> Option<&Schema> {
        self.schemas.get(name)
    }

    fn check(&self) -> Result<(), Error> {
        for role in Role::ALL {
            let file = format!("agents/{role}.toml");
            let manifest =
                self.manifests.get(role).ok_or_else(|| Error::wrong(&file, "there is no such file"))?;
            for call in &manifest.calls {
                if self.prompts.get(&call.prompt).is_none() {
                    let reason =
                        format!("names the prompt `{}`, but there is no prompts/{0}.md", call.prompt);
                    return Err(Error::wrong(file, reason));
                }
                if !self.schemas.contains_key(&call.schema) {
                    let known = SCHEMAS.join(", ");
                    let reason = format!("names the schema `{}`; there are {known}", call.schema);
                    return Err(Error::wrong(file, reason));
                }
            }
            if let Some(kind) = manifest.steps.iter().find(|kind| kind.role() != *role) {
                return Err(Error::wrong(file, format!("steps of kind `{kind}` belong to {}", kind.role())));
            }
            let limits = manifest.limits;
            if !(1..=3).contains(&limits.asks) || !(1..=5).contains(&limits.rounds) {
                return Err(Error::wrong(file, "limits: asks is 1 to 3 and rounds is 1 to 5"));
            }
            if limits.max_output_tokens == 0 || limits.context_tokens < 1000 {
                let reason = "limits: max_output_tokens is above 0 and context_tokens at least 1000";
                return Err(Error::wrong(file, reason));
            }
        }
        Ok(())
    }
}

/// The files of one kind by name without ending: embedded ones, then the folder's.
fn texts<Files: RustEmbed>(
    kind: &str,
    ending: &str,
    folder: Option<&Path>,
) -> Result<BTreeMap<String, String>, Error> {
    let mut texts = BTreeMap::new();
    for name in Files::iter() {
        if let (Some(stem), Some(file)) = (name.strip_suffix(ending), Files::get(&name)) {
            let text = std::str::from_utf8(&file.data)
                .map_err(|error| Error::wrong(format!("{kind}/{name}"), error))?;
            texts.insert(stem.to_owned(), text.to_owned());
        }
    }
    let Some(folder) = folder.map(|folder| folder.join(kind)).filter(|folder| folder.is_dir()) else {
        return Ok(texts);
    };
    let unreadable = |path: &Path, source| Error::Unreadable { path: path.to_owned(), source };
    for entry in std::fs::read_dir(&folder).map_err(|source| unreadable(&folder, source))? {
        let path = entry.map_err(|source| unreadable(&folder, source))?.path();
        let stem = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(ending));
        if let Some(stem) = stem {
            let text = std::fs::read_to_string(&path).map_err(|source| unreadable(&path, source))?;
            texts.insert(stem.to_owned(), text);
        }
    }
    Ok(texts)
}

fn schemas(texts: BTreeMap<String, String>) -> Result<BTreeMap<String, Schema>, Error> {
    let mut schemas = BTreeMap::new();
    for name in SCHEMAS {
        let file = format!("schemas/{name}.json");
        let text = texts.get(name).ok_or_else(|| Error::wrong(&file, "there is no such file"))?;
        let schema = Schema::parse(name, text).map_err(|reason| Error::wrong(&file, reason))?;
        schemas.insert(name.to_owned(), schema);
    }
    Ok(schemas)
}

fn prompts(texts: BTreeMap<String, String>) -> Result<Prompts, Error> {
    let mut prompts = Vec::new();
    for (name, text) in texts {
        let file = format!("prompts/{name}.md");
        prompts.push(Prompt::parse(&name, &text).map_err(|reason| Error::wrong(&file, reason))?);
    }
    Prompts::new(prompts)
}

fn manifests(texts: BTreeMap<String, String>) -> Result<BTreeMap<Role, Manifest>, Error> {
    let mut manifests = BTreeMap::new();
    for (name, text) in texts {
        let file = format!("agents/{name}.toml");
        let manifest: Manifest = toml::from_str(&text).map_err(|error| Error::wrong(&file, error))?;
        if manifest.role.as_str() != name {
            return Err(Error::wrong(
                &file,
                format!("its role is `{}`, not that of its name", manifest.role),
            ));
        }
        manifests.insert(manifest.role, manifest);
    }
    Ok(manifests)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An operator's folder with these files.
    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn error(files: &[(&str, &str)]) -> String {
        Assets::load(Some(folder(files).path())).unwrap_err().to_string()
    }

    fn embedded(role: Role) -> String {
        let file = EmbeddedAgents::get(&format!("{role}.toml")).unwrap();
        String::from_utf8(file.data.into_owned()).unwrap()
    }

    #[test]
    fn the_embedded_files_fit_together_and_cover_every_role_and_step() {
        let assets = Assets::load(None).unwrap();
        let mut kinds: Vec<StepKind> =
            assets.manifests().flat_map(|manifest| manifest.steps.clone()).collect();
        kinds.sort();
        let mut all = StepKind::ALL.to_vec();
        all.sort();
        assert_eq!(kinds, all);
        for manifest in assets.manifests() {
            assert!(!manifest.calls.is_empty(), "{} asks no model", manifest.role);
        }
    }

    #[test]
    fn a_folder_replaces_single_files() {
        let text = embedded(Role::Coder).replace("route = \"coder\"", "route = \"fast\"");
        let assets = Assets::load(Some(folder(&[("agents/coder.toml", &text)]).path())).unwrap();
        assert_eq!(assets.manifest(Role::Coder).unwrap().route, "fast");
        assert_eq!(assets.manifest(Role::Planner).unwrap().route, "planner");
    }

    #[test]
    fn mistakes_name_the_file_and_what_would_be_right() {
        let critic = embedded(Role::Critic);
        insta::assert_snapshot!(
            [
                error(&[(
                    "agents/critic.toml",
                    &critic.replace("prompt = \"review\"", "prompt = \"revue\"")
                )]),
                error(&[(
                    "agents/critic.toml",
                    &critic.replace("schema = \"review\"", "schema = \"revue\"")
                )]),
                error(&[("agents/critic.toml", &critic.replace("[\"critic\"]", "[\"code\"]"))]),
                error(&[("agents/critic.toml", &critic.replace("asks = 3", "asks = 9"))]),
                error(&[("agents/critic.toml", &critic.replace("role = \"critic\"", "role = \"coder\""))]),
                error(&[("agents/boss.toml", &critic)]),
                error(&[("schemas/plan.json", "{")]),
                error(&[("schemas/plan.json", "{\"type\": 7}")]),
                error(&[("prompts/plan.md", "no front matter")]),
                error(&[(
                    "prompts/plan.md",
                    "+++\nname = \"plan\"\nversion = 1\nsummary = \"\"\n+++\n{{ open\n=== user ===\n"
                )]),
            ]
            .join("\n---\n")
        );
    }
}
