//! `cargo xtask bench ranking`: how well `toryo retrieve` finds what bug-fix commits changed.
//!
//! Tasks come from the histories of repositories given by path; no model and no network is asked. Only the parent
//! of each commit is indexed, with the commits before it. Beside the ranking stands plain BM25 of the same index.

mod message;
mod repository;
mod score;
mod tasks;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use clap::Args;
use toryo_index::{BuildOptions, Index, RetrieveOptions, Weights};

use super::{machine, quantile};
use repository::Repository;
use score::Score;
use tasks::Task;

/// Earlier commits that are read, as `toryo index` does.
const HISTORY: usize = 2000;
/// Places of a ranking that are looked at. Tests among them are left out afterwards.
const PLACES: usize = 60;

/// On what it is measured.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A repository, bare or not; may be given several times
    #[arg(long = "repo", value_name = "PATH", required = true)]
    repos: Vec<PathBuf>,
    /// Most tasks of a repository
    #[arg(long, value_name = "N", default_value_t = 30)]
    tasks: usize,
    /// How many of the newest commits tasks are taken from
    #[arg(long, value_name = "N", default_value_t = 6000)]
    newest: usize,
    /// Takes the tasks from this file, one JSON object a line, in place of the histories
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Writes the tasks to this file
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// Scores of one repository by what was asked and how it was ranked: files and functions.
type Scores = BTreeMap<(&'static str, &'static str), [Score; 2]>;

/// Measures all repositories in turn.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let mut written = String::new();
    let mut all = Scores::new();
    let mut times = Vec::new();
    println!("{}\n{:<42}{:>6}  file R@5  R@10   MRR  function R@5  R@10   MRR", machine(), "", "tasks");
    for path in &arguments.repos {
        let (name, repository) = (name_of(path), Repository::open(path)?);
        let tasks = match &arguments.from {
            Some(file) => read(file, &name)?,
            None => tasks::tasks(&repository, &name, arguments.newest, arguments.tasks)?,
        };
        for task in &tasks {
            written.push_str(&(serde_json::to_string(task)? + "\n"));
        }
        let scores = measure(&repository, &tasks, &mut times)?;
        print(&name, &scores);
        for (key, [files, functions]) in scores {
            let sums = all.entry(key).or_default();
            sums[0].join(&files);
            sums[1].join(&functions);
        }
    }
    ensure!(all.values().any(|[files, _]| files.tasks > 0), "no bug-fix commit was found");
    print("all", &all);
    let milliseconds = |share| quantile(&times, share).unwrap_or_default();
    println!("query p50 {:.1} ms, p99 {:.1} ms", milliseconds(0.5), milliseconds(0.99));
    if let Some(file) = &arguments.write {
        fs::write(file, written).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn name_of(path: &Path) -> String {
    let names = path.components().rev().filter_map(|part| part.as_os_str().to_str());
    names.into_iter().find(|name| !["repo", ".git", "."].contains(name)).unwrap_or("repository").to_owned()
}

/// The tasks of a file that belong to a repository of this name: `owner+name`, `owner/name` or `name`.
fn read(file: &Path, name: &str) -> Result<Vec<Task>> {
    let text = fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let last = |name: &str| name.rsplit(['/', '+']).next().unwrap_or_default().to_owned();
    let mut tasks = Vec::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let mut task: Task = serde_json::from_str(line).context("a line is no task")?;
        if task.query_words.is_empty() {
            task.query_words = tasks::users_words(&task.query);
        }
        tasks.extend(Some(task).filter(|task| last(&task.repo) == last(name)));
    }
    Ok(tasks)
}

fn measure(repository: &Repository, tasks: &[Task], times: &mut Vec<f64>) -> Result<Scores> {
    let mut scores = Scores::new();
    for task in tasks {
        let options =
            BuildOptions { history: repository.past(&task.parent, HISTORY)?, ..BuildOptions::default() };
        let index = Index::build(repository.files(&task.parent)?.into_iter(), &options);
        let asked = [("messages", &task.query), ("users' words", &task.query_words)];
        for (how, query) in asked.into_iter().filter(|(_, query)| !query.is_empty()) {
            for (ranked, weights) in [("BM25", Weights::bm25()), ("ranking", Weights::default())] {
                let options = RetrieveOptions { k: PLACES, weights, ..RetrieveOptions::default() };
                let began = Instant::now();
                let hits = index.retrieve(query, &options);
                if ranked == "ranking" {
                    times.push(began.elapsed().as_secs_f64() * 1000.0);
                }
                let [files, functions] = scores.entry((how, ranked)).or_default();
                let paths = hits.files.iter().map(|hit| hit.path.as_str());
                files.add(&task.gold_files, paths.filter(|path| !tasks::is_test(path)));
                let symbols = hits.symbols.iter().filter(|hit| !tasks::is_test(hit.path.as_str()));
                let symbols: Vec<String> =
                    symbols.map(|hit| format!("{}::{}", hit.path, hit.symbol)).collect();
                functions.add(&task.gold_functions, symbols.iter().map(String::as_str));
            }
        }
    }
    Ok(scores)
}

fn print(name: &str, scores: &Scores) {
    for ((how, ranked), [files, functions]) in scores {
        let [file_5, file_10, file_mean] = files.means();
        let [function_5, function_10, function_mean] = functions.means();
        println!(
            "{:<42}{:>6}     {file_5:.3} {file_10:.3} {file_mean:.3}         {function_5:.3} {function_10:.3} {function_mean:.3}",
            format!("{name}, {how}, {ranked}"),
            files.tasks,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_called_by_its_folder() {
        assert_eq!(name_of(Path::new("/a/owner+name/repo/.git")), "owner+name");
        assert_eq!(name_of(Path::new("/a/name/.")), "name");
    }

    #[test]
    fn tasks_are_derived_and_measured() {
        let folder = std::env::temp_dir().join(format!("toryo-ranking-{}", std::process::id()));
        fs::create_dir_all(folder.join("src")).expect("a folder");
        let git = |arguments: &[&str]| {
            let identity =
                ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"];
            let done = std::process::Command::new("git")
                .arg("-C")
                .arg(&folder)
                .args(identity)
                .args(arguments)
                .env("GIT_CONFIG_GLOBAL", "/dev/null")
                .output()
                .expect("git runs");
            assert!(done.status.success(), "{arguments:?} {done:?}");
        };
        let write = |path: &str, text: &str| fs::write(folder.join(path), text).expect("a file");
        git(&["init", "-q"]);
        write(
            "src/price.py",
            "def discount(price):\n    return price * 2\n\ndef tax(price):\n    return price\n",
        );
        write("src/report.py", "def title(text):\n    return text.upper()\n");
        git(&["add", "."]);
        git(&["commit", "-qm", "Add prices"]);
        write(
            "src/price.py",
            "def discount(price):\n    return price / 2\n\ndef tax(price):\n    return price\n",
        );
        git(&["commit", "-qam", "Fix wrong price where something costs half (#12)"]);
        let repository = Repository::open(&folder).expect("a repository");
        let tasks = tasks::tasks(&repository, "shop", 100, 10).expect("tasks");
        assert_eq!(tasks.len(), 1);
        assert_eq!(tasks[0].gold_functions, ["src/price.py::discount"]);
        assert_eq!(tasks[0].query, "Fix wrong price where something costs half");
        let scores = measure(&repository, &tasks, &mut Vec::new()).expect("scores");
        assert_eq!(scores[&("users' words", "ranking")][0].means(), [1.0, 1.0, 1.0]);
        fs::remove_dir_all(&folder).expect("removed");
    }
}
