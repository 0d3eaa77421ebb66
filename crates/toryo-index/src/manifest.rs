//! What manifests say about the folder they lie in: `pyproject.toml`, `package.json`, `Cargo.toml` and the like.

use serde::{Deserialize, Serialize};
use toryo_domain::RepoPath;

/// Longest name that is kept, in bytes.
const LONGEST_NAME: usize = 200;

/// Which system of packages a manifest belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum ManifestKind {
    /// `pyproject.toml`
    Python,
    /// `setup.py` and `setup.cfg`
    Setup,
    /// `package.json`
    Npm,
    /// `Cargo.toml`
    Cargo,
    /// `go.mod`
    Go,
    /// `pom.xml`
    Maven,
    /// `build.gradle` and `build.gradle.kts`
    Gradle,
}

impl ManifestKind {
    /// The kind of manifest that a file is, by its name.
    pub(crate) fn of(path: &RepoPath) -> Option<Self> {
        match path.file_name() {
            "pyproject.toml" => Some(Self::Python),
            "setup.py" | "setup.cfg" => Some(Self::Setup),
            "package.json" => Some(Self::Npm),
            "Cargo.toml" => Some(Self::Cargo),
            "go.mod" => Some(Self::Go),
            "pom.xml" => Some(Self::Maven),
            "build.gradle" | "build.gradle.kts" => Some(Self::Gradle),
            _ => None,
        }
    }

    /// A short word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Python => "python",
            Self::Setup => "setup",
            Self::Npm => "npm",
            Self::Cargo => "cargo",
            Self::Go => "go",
            Self::Maven => "maven",
            Self::Gradle => "gradle",
        }
    }
}

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) kind: ManifestKind,
    /// The name by which other code imports the package; for Go the module's path. Empty where none is written.
    pub(crate) name: Box<str>,
}

impl Manifest {
    /// Reads a manifest; what is not understood is left out.
    pub(crate) fn read(kind: ManifestKind, text: &str) -> Self {
        let name = match kind {
            ManifestKind::Python => in_table(text, &["project", "tool.poetry"]),
            ManifestKind::Cargo => in_table(text, &["package"]).map(|name| name.replace('-', "_")),
            ManifestKind::Npm => json_name(text),
            ManifestKind::Go => go_module(text),
            ManifestKind::Maven | ManifestKind::Gradle | ManifestKind::Setup => None,
        };
        let name = name.filter(|name| name.len() <= LONGEST_NAME).unwrap_or_default();
        Self { kind, name: name.into() }
    }
}

/// `name = "…"` in one of these tables of a TOML file. Read by line, because a manifest with a fault elsewhere
/// still names its package.
fn in_table(text: &str, tables: &[&str]) -> Option<String> {
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(table) = line.strip_prefix('[') {
            inside = table.split(']').next().is_some_and(|table| tables.contains(&table.trim()));
        } else if let Some(value) = line.strip_prefix("name").filter(|_| inside) {
            let quoted = value.trim_start().strip_prefix('=')?.trim_start();
            let quote = quoted.chars().next().filter(|c| matches!(c, '"' | '\''))?;
            return quoted[1..].split(quote).next().map(str::to_owned);
        }
    }
    None
}

/// The member `name` of the outermost object.
fn json_name(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    value.get("name")?.as_str().map(str::to_owned)
}

fn go_module(text: &str) -> Option<String> {
    let line = text.lines().map(str::trim).find_map(|line| line.strip_prefix("module "))?;
    line.split_whitespace().next().map(|name| name.trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_manifest_names_its_package() {
        for (kind, text, name) in [
            (
                ManifestKind::Python,
                "[build-system]\nname = 'x'\n[project]\nname = \"shop-core\"\n",
                "shop-core",
            ),
            (ManifestKind::Python, "[tool.poetry]\nname='shop'\n", "shop"),
            (
                ManifestKind::Cargo,
                "[workspace]\nmembers = []\n[package]\nname = \"shop-core\"\n",
                "shop_core",
            ),
            (ManifestKind::Cargo, "[[bin]]\nname = \"x\"\n", ""),
            (ManifestKind::Npm, r#"{"private": true, "name": "@shop/core"}"#, "@shop/core"),
            (ManifestKind::Npm, "{", ""),
            (ManifestKind::Go, "// c\nmodule example.org/shop // v1\n\ngo 1.22\n", "example.org/shop"),
            (ManifestKind::Maven, "<project/>", ""),
        ] {
            assert_eq!(&*Manifest::read(kind, text).name, name, "{text}");
        }
    }
}
