//! This machine's own package sources: which mirror, suite and components to build the base image from.

use std::path::{Path, PathBuf};

/// Where packages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// `None`: whichever debootstrap itself takes for the suite.
    pub(crate) mirror: Option<String>,
    pub(crate) suite: String,
    pub(crate) components: Vec<String>,
    pub(crate) keyring: Option<PathBuf>,
}

/// The source this machine's own release comes from; debootstrap's usual one where apt's files name none.
pub(crate) fn of_this_machine(root: &Path) -> Source {
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    let release = read(root.join("etc/os-release"));
    let suite = value(&release, "VERSION_CODENAME").unwrap_or_else(|| "bookworm".into());
    let mut lists = vec![root.join("etc/apt/sources.list")];
    let parts = std::fs::read_dir(root.join("etc/apt/sources.list.d")).into_iter().flatten().flatten();
    lists.extend(parts.map(|part| part.path()));
    lists.sort();
    let sources =
        lists.into_iter().flat_map(|list| match list.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => of_stanzas(&read(list)),
            Some("list") => of_lines(&read(list)),
            _ => Vec::new(),
        });
    let mut own =
        sources.filter(|source| source.suite == suite && source.components.iter().any(|part| part == "main"));
    let found = own.next();
    found.unwrap_or_else(|| Source { mirror: None, suite, components: vec!["main".into()], keyring: None })
}

/// A variable of an `os-release` file.
fn value(release: &str, name: &str) -> Option<String> {
    let line = release.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    Some(line.trim().trim_matches(['"', '\'']).to_owned()).filter(|value| !value.is_empty())
}

/// Whether debootstrap can fetch from there.
fn is_usable(mirror: &str) -> bool {
    ["http://", "https://", "file:"].iter().any(|scheme| mirror.starts_with(scheme))
}

/// One-line sources: `deb [options] mirror suite component…` (sources.list(5)).
fn of_lines(text: &str) -> Vec<Source> {
    let lines = text.lines().filter_map(|line| line.trim().strip_prefix("deb ")).map(str::trim);
    lines
        .filter_map(|line| {
            let (options, line) = match line.strip_prefix('[') {
                Some(rest) => rest.split_once(']')?,
                None => ("", line),
            };
            let keyring = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
            let mut words = line.split_whitespace().take_while(|word| !word.starts_with('#'));
            let (mirror, suite) = (words.next()?, words.next()?);
            is_usable(mirror).then(|| Source {
                mirror: Some(mirror.into()),
                suite: suite.into(),
                components: words.map(Into::into).collect(),
                keyring: keyring.map(PathBuf::from),
            })
        })
        .collect()
}

/// Sources in paragraphs of fields (deb822 style, sources.list(5)); one for each suite and mirror.
fn of_stanzas(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    for stanza in text.split("\n\n") {
        let field = |name: &str| {
            let mut lines = stanza.lines().filter(|line| !line.starts_with('#'));
            let first = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
            Some(first.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        };
        let list = |name: &str| field(name).unwrap_or_default();
        if !list("Types").iter().any(|kind| kind == "deb") || list("Enabled") == ["no"] {
            continue;
        }
        // A key may also stand in the file itself, on the following lines: then the system's keyring has to do.
        let keyring =
            list("Signed-By").into_iter().next().filter(|path| path.starts_with('/')).map(PathBuf::from);
        for mirror in list("URIs").into_iter().filter(|mirror| is_usable(mirror)) {
            for suite in list("Suites") {
                let (mirror, keyring) = (mirror.clone(), keyring.clone());
                sources.push(Source { mirror: Some(mirror), suite, components: list("Components"), keyring });
            }
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> Source {
        let root = tempfile::tempdir().unwrap();
        for (path, content) in files {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        of_this_machine(root.path())
    }

    #[test]
    fn both_styles_of_sources_are_read() {
        let stanzas = "Types: deb\n# a comment\nURIs: http://mirror.example/debian\nSuites: trixie trixie-updates\nComponents: main\nSigned-By: /usr/share/keyrings/x.gpg\n\n\
                       Types: deb-src\nURIs: http://src.example\nSuites: trixie\nComponents: main\n";
        let debian = machine(&[
            ("etc/os-release", "ID=debian\nVERSION_CODENAME=trixie\n"),
            ("etc/apt/sources.list.d/debian.sources", stanzas),
            ("etc/apt/sources.list.d/a.list", "deb https://other.example stable main\n"),
        ]);
        assert_eq!(debian.mirror.as_deref(), Some("http://mirror.example/debian"));
        assert_eq!(
            (debian.suite.as_str(), debian.keyring),
            ("trixie", Some("/usr/share/keyrings/x.gpg".into()))
        );

        let lines = "# deb http://no.example noble main\ndeb cdrom:[x]/ noble main\n\
                     deb [arch=amd64 signed-by=/k.gpg] http://archive.example/ubuntu noble main universe # why\n";
        let ubuntu =
            machine(&[("etc/os-release", "VERSION_CODENAME=\"noble\"\n"), ("etc/apt/sources.list", lines)]);
        assert_eq!(ubuntu.mirror.as_deref(), Some("http://archive.example/ubuntu"));
        assert_eq!(ubuntu.components, ["main", "universe"]);
    }

    #[test]
    fn a_machine_without_apt_gets_the_usual_mirror() {
        let source = machine(&[]);
        assert_eq!((source.mirror, source.suite.as_str()), (None, "bookworm"));
    }
}
