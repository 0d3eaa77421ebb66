//! A repository's test suite, from its files to a report that people and models can read.

use crate::support::{docker, file, job, labels, run};
use tokio_util::sync::CancellationToken;
use toryo_domain::TestOutcome;
use toryo_sandbox::python::{is_requirement_file, python_path};
use toryo_sandbox::report::{cobertura, failure_digest, junit};
use toryo_sandbox::{Command, Exit, Job, Preparation, Progress, Sandbox};

#[tokio::test]
async fn a_failing_suite_is_run_and_read() {
    let sandbox = docker().await;
    let files = vec![
        file("pyproject.toml", "[project]\nname = 'shop'\nversion = '1'\ndependencies = []\n", false),
        file("src/shop/__init__.py", "", false),
        file(
            "src/shop/dates.py",
            "def days(first, last):\n    return list(range(first, last))\n\n\ndef unused():\n    return 1\n",
            false,
        ),
        file(
            "tests/test_dates.py",
            "from shop.dates import days\n\n\ndef test_inclusive():\n    assert days(1, 3) == [1, 2, 3]\n\n\ndef test_empty():\n    assert days(1, 1) == []\n",
            false,
        ),
    ];
    let requirements = files.iter().filter(|file| is_requirement_file(&file.path)).cloned().collect();
    let preparation = Preparation { files: requirements, labels: labels(), ..Preparation::default() };
    let image =
        sandbox.prepare(&preparation, &Progress::none(), &CancellationToken::new()).await.expect("an image");
    let pytest = [
        "python3",
        "-m",
        "pytest",
        "-q",
        "--junit-xml=.toryo/junit.xml",
        "--cov=src",
        "--cov-report=xml:.toryo/coverage.xml",
    ];
    let path = python_path(files.iter().map(|file| &file.path));
    let job = Job {
        image,
        files,
        collect: vec![".toryo".parse().expect("a plain path")],
        ..job(&sandbox, vec![Command::new(pytest).env("PYTHONPATH", path)]).await
    };
    let result = run(&sandbox, &job).await.expect("a report");
    assert_eq!(result.outputs[0].exit, Exit::Code(1), "{}", result.outputs[0].text);

    let report =
        junit::parse(result.file(".toryo/junit.xml").expect("a report of tests")).expect("JUnit XML");
    assert_eq!((report.count(TestOutcome::Failed), report.count(TestOutcome::Passed)), (1, 1));
    let digest = failure_digest(Some(&report), &result.outputs[0].text);
    assert!(digest.contains("tests/test_dates.py:5: assert days(1, 3) == [1, 2, 3]"), "{digest}");

    let coverage = cobertura::parse(result.file(".toryo/coverage.xml").expect("a report of lines"))
        .expect("Cobertura XML");
    let dates = &coverage.files["src/shop/dates.py"];
    assert_eq!(
        (dates.covered.iter().copied().collect::<Vec<_>>(), dates.missed.iter().copied().collect::<Vec<_>>()),
        (vec![1, 2, 5], vec![6])
    );
}
