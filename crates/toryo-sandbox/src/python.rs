//! Python: which of a repository's files say what has to be installed, how to install it, and where its own
//! packages lie. Pure: reads texts, runs nothing.

mod literals;
mod lock;
mod pyproject;
mod requirement;

use crate::WorkspaceFile;
use crate::port::WORKSPACE;
use std::collections::BTreeSet;
use toryo_domain::RepoPath;

/// Where generated files lie in the workspace while dependencies are installed.
const GENERATED: &str = ".toryo";

/// Names of extras and groups that tests need, as projects commonly call them.
const TEST_EXTRAS: [&str; 6] = ["test", "tests", "testing", "dev", "develop", "development"];

/// Files and shell commands that install dependencies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Setup {
    /// What the commands need to find in the workspace.
    pub files: Vec<WorkspaceFile>,
    /// Run one after another; none means that there is nothing to install.
    pub commands: Vec<String>,
}

/// Whether a file of the repository says what has to be installed. Only those at the top and in `requirements/`
/// count; anything else is the business of explicit setup commands.
#[must_use]
pub fn is_requirement_file(path: &RepoPath) -> bool {
    let name = path.file_name();
    let known = matches!(name, "pyproject.toml" | "setup.cfg" | "setup.py" | "uv.lock" | "poetry.lock");
    match path.as_str().split_once('/') {
        None => known || is_requirements_txt(name) || is_constraints_txt(name),
        Some(("requirements", rest)) => !rest.contains('/') && rest.ends_with(".txt"),
        Some(_) => false,
    }
}

fn is_requirements_txt(name: &str) -> bool {
    name.ends_with(".txt") && name.contains("requirements")
}

fn is_constraints_txt(name: &str) -> bool {
    name.ends_with(".txt") && name.contains("constraints")
}

/// How to install what these files ask for, tests' needs included. The repository's own package is left out: its
/// sources are on [`python_path`] instead. Lock files bind versions and ask for nothing by themselves, because they
/// also list what other platforms and groups need.
#[must_use]
pub fn derive(files: &[WorkspaceFile]) -> Setup {
    let text = |name: &str| {
        let file = files.iter().find(|file| file.path.as_str() == name)?;
        std::str::from_utf8(&file.content).ok()
    };
    let mut wanted = text("pyproject.toml").map(pyproject::requirements).unwrap_or_default();
    wanted.extend(text("setup.cfg").map(literals::of_setup_cfg).unwrap_or_default());
    wanted.extend(text("setup.py").map(literals::of_setup_py).unwrap_or_default());
    let wanted: BTreeSet<String> = wanted.into_iter().filter(|line| requirement::is_plain(line)).collect();

    let mut setup = Setup::default();
    let mut arguments = String::new();
    for file in files.iter().filter(|file| is_requirement_file(&file.path)) {
        let Some(content) = texts_of_requirements(file) else { continue };
        let asks = content.lines().any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        if asks && is_installed(&file.path) {
            arguments.push_str(&format!(" -r {}", quoted(file.path.as_str())));
        }
        setup.files.push(WorkspaceFile { content: content.into(), ..file.clone() });
    }
    if !wanted.is_empty() {
        arguments.push_str(&format!(" -r {GENERATED}/requirements.txt"));
        setup.files.extend(generated("requirements.txt", wanted.into_iter()));
    }
    if arguments.is_empty() {
        return Setup::default();
    }
    let locks = [("uv.lock", lock::of_uv as fn(&str) -> _), ("poetry.lock", lock::of_poetry)];
    let pins = locks.into_iter().find_map(|(name, read)| text(name).map(read)).unwrap_or_default();
    if !pins.is_empty() {
        arguments.push_str(&format!(" -c {GENERATED}/constraints.txt"));
        setup.files.extend(generated("constraints.txt", pins.into_iter()));
    }
    setup.commands =
        vec![format!("/opt/venv/bin/python3 -m pip install --progress-bar off --prefer-binary{arguments}")];
    setup
}

/// A requirements or constraints file without the lines that ask for the repository itself.
fn texts_of_requirements(file: &WorkspaceFile) -> Option<String> {
    let name = file.path.file_name();
    let in_folder = file.path.as_str().starts_with("requirements/");
    if !(in_folder || is_requirements_txt(name) || is_constraints_txt(name)) {
        return None;
    }
    let text = std::str::from_utf8(&file.content).ok()?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let kept = text.lines().filter(|line| !requirement::is_local(line));
    Some(kept.fold(String::new(), |all, line| all + line + "\n"))
}

/// Whether a requirements file is installed itself, rather than only included or bound by another one.
fn is_installed(path: &RepoPath) -> bool {
    let name = path.as_str().to_ascii_lowercase();
    !["constraint", "doc", "lint", "lock", "release", "publish"].iter().any(|word| name.contains(word))
}

fn generated(name: &str, lines: impl Iterator<Item = String>) -> Option<WorkspaceFile> {
    let content = lines.fold(String::new(), |all, line| all + &line + "\n");
    let path = format!("{GENERATED}/{name}").parse().ok()?;
    Some(WorkspaceFile { path, content: content.into(), executable: false })
}

/// One word for a POSIX shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// The value of `PYTHONPATH` that makes a repository's own packages importable without installing them: the
/// workspace, its `src` folder, and the same for each nested project.
#[must_use]
pub fn python_path<'a>(paths: impl IntoIterator<Item = &'a RepoPath>) -> String {
    let paths: Vec<&str> = paths.into_iter().map(AsRef::as_ref).collect();
    let mut roots = BTreeSet::from([String::new()]);
    for path in &paths {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        // Deeper ones are test data rather than projects.
        if matches!(name, "pyproject.toml" | "setup.py" | "setup.cfg") && folder.matches('/').count() < 2 {
            roots.insert(if folder.is_empty() { String::new() } else { format!("{folder}/") });
        }
    }
    let mut entries = Vec::new();
    for root in roots {
        let source = format!("{root}src/");
        // A `src` that is itself a package is imported as `src`.
        let is_package = paths.contains(&format!("{source}__init__.py").as_str());
        let has_python = paths.iter().any(|path| path.starts_with(&source) && path.ends_with(".py"));
        if has_python && !is_package {
            entries.push(source);
        }
        entries.push(root);
    }
    let full = entries.iter().map(|entry| format!("{WORKSPACE}/{entry}").trim_end_matches('/').to_owned());
    full.collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Several files in a text: `//- name`, then the content.
    fn files(text: &str) -> Vec<WorkspaceFile> {
        text.split("//- ")
            .skip(1)
            .map(|part| {
                let (path, content) = part.split_once('\n').unwrap();
                WorkspaceFile {
                    path: path.trim().parse().unwrap(),
                    content: content.to_owned().into(),
                    executable: false,
                }
            })
            .collect()
    }

    fn check(text: &str) -> String {
        let setup = derive(&files(text));
        let mut shown = String::new();
        for file in &setup.files {
            shown += &format!("//- {}\n{}", file.path, String::from_utf8_lossy(&file.content));
        }
        shown + &setup.commands.join("\n")
    }

    #[test]
    fn nothing_to_install_is_no_setup() {
        assert_eq!(derive(&[]), Setup::default());
        assert_eq!(check("//- pyproject.toml\n[project]\nname = 'x'\n//- requirements.txt\n# none\n"), "");
        assert_eq!(check("//- pyproject.toml\nnot toml [\n"), "");
    }

    #[test]
    fn requirement_files_are_installed_without_the_repository_itself() {
        insta::assert_snapshot!(check(
            "//- requirements.txt\n\u{feff}requests>=2\n-e .\n.[test]\n./vendored\n-r requirements/base.txt\n\
             //- requirements/base.txt\nattrs\n\
             //- requirements/docs.txt\nsphinx\n\
             //- constraints.txt\nrequests==2.31\n\
             //- dev-requirements.txt\n# empty\n\
             //- README.md\nx\n"
        ));
    }

    #[test]
    fn pyproject_setup_cfg_and_setup_py_are_read() {
        insta::assert_snapshot!(check(
            "//- pyproject.toml\n[project]\nname = 'My_Pkg'\ndependencies = ['click>=8', '--index-url http://evil', 'a\\nb']\n\
             [project.optional-dependencies]\ntest = ['hypothesis', 'my-pkg[extra]']\nextra = ['rich']\ndocs = ['sphinx']\n\
             [dependency-groups]\ndev = ['mock', {include-group = 'more'}]\nmore = ['freezegun']\n\
             //- setup.cfg\n[options]\ninstall_requires =\n    attrs>=20  # why\n    six; python_version < '3'\n\
             [options.extras_require]\ntests = pytest-mock\ndocs =\n  sphinx\n\
             //- setup.py\nsetup(install_requires=['tabulate', \"toml [x]\"], extras_require={'dev': ['flaky'], 'doc': ['sphinx']})\n"
        ));
    }

    #[test]
    fn poetry_projects_and_locks_are_read() {
        insta::assert_snapshot!(check(
            "//- pyproject.toml\n[tool.poetry]\nname = 'x'\n[tool.poetry.dependencies]\npython = '^3.9'\nrequests = '^2.28'\n\
             click = {version = '~8.1', extras = ['x']}\nlocal = {path = '../x'}\nany = '*'\nzero = '^0.3.1'\nexact = '1.2'\nopt = {version = '1', optional = true}\n\
             [tool.poetry.group.dev.dependencies]\nmock = '>=4,<6'\n\
             //- poetry.lock\n[[package]]\nname = 'requests'\nversion = '2.31.0'\n[[package]]\nname = 'gitdep'\nversion = '1'\n[package.source]\ntype = 'git'\nurl = 'x'\n"
        ));
        insta::assert_snapshot!(check(
            "//- pyproject.toml\n[project]\nname = 'x'\ndependencies = ['numpy']\n\
             //- uv.lock\nversion = 1\n[[package]]\nname = 'x'\nversion = '0.1'\nsource = { editable = '.' }\n\
             [[package]]\nname = 'numpy'\nversion = '2.1'\nsource = { registry = 'https://packages.example/simple' }\n\
             [[package]]\nname = 'twice'\nversion = '1'\nsource = { registry = 'r' }\n[[package]]\nname = 'twice'\nversion = '2'\nsource = { registry = 'r' }\n"
        ));
    }

    #[test]
    fn the_python_path_finds_src_layouts() {
        let path = |paths: &[&str]| {
            let paths: Vec<RepoPath> = paths.iter().map(|path| path.parse().unwrap()).collect();
            python_path(&paths)
        };
        assert_eq!(path(&["pkg/__init__.py"]), "/workspace");
        assert_eq!(path(&["src/pkg/__init__.py", "tests/test_a.py"]), "/workspace/src:/workspace");
        assert_eq!(path(&["src/__init__.py"]), "/workspace");
        assert_eq!(
            path(&["libs/a/pyproject.toml", "libs/a/src/a.py", "tests/data/x/y/setup.py"]),
            "/workspace:/workspace/libs/a/src:/workspace/libs/a"
        );
    }

    #[test]
    fn a_hostile_file_name_stays_one_word() {
        let setup = derive(&files("//- requirements/$(touch x)';ls'.txt\nattrs\n"));
        assert!(
            setup.commands[0].ends_with(r"-r 'requirements/$(touch x)'\'';ls'\''.txt'"),
            "{:?}",
            setup.commands
        );
    }
}
