//! What the ranking must not forget: a small library of its own, questions in the words of its users, and the
//! places they mean. Times are not measured here.

#![expect(clippy::expect_used, reason = "a test ends at what it did not expect")]

use toryo_domain::RepoPath;
use toryo_index::{BuildOptions, Index, PastCommit, RetrieveOptions, Weights};

/// A program that lends books: `//- path` starts a file.
const LIBRARY: &str = include_str!("ranking/library.txt");

/// What somebody asks, the file and the function that it is about.
const QUESTIONS: &[(&str, &str, &str)] = &[
    (
        "Reminders are sent twice to people who borrowed two books",
        "src/lending/mail.py",
        "Postman.send_reminders",
    ),
    ("Fees are rounded in the wrong direction", "src/lending/fees.py", "round_to_cents"),
    ("A loan that was renewed keeps its old due date", "src/lending/loans.py", "Loan.renew"),
    (
        "Search does not ignore upper and lower case of authors",
        "src/lending/catalogue.py",
        "Catalogue.search",
    ),
    ("The configuration file is read from the wrong directory", "src/lending/settings.py", "config_dir"),
    ("it stops with \"no member of this number is known\"", "src/lending/members.py", "Members.find"),
    (
        "crash on start\n  File \"/usr/lib/python3/runpy.py\", line 7, in run\n  File \"/home/ann/lending/cli.py\", line 9, in main\n  \
      File \"/home/ann/lending/settings.py\", line 8, in config_dir\nKeyError: 'HOME'",
        "src/lending/settings.py",
        "config_dir",
    ),
    ("`Loan.is_overdue` is true on the last day", "src/lending/loans.py", "Loan.is_overdue"),
    ("Import of members from spreadsheets loses the last line", "src/lending/members.py", "Members.load_csv"),
    ("People may borrow more books than the limit allows", "src/lending/loans.py", "Desk.lend"),
];

fn path(text: &str) -> RepoPath {
    text.parse().expect("a plain path")
}

fn library(history: &[(&str, &str)]) -> Index {
    let files = LIBRARY.split("//- ").skip(1).map(|part| {
        let (name, text) = part.split_once('\n').expect("a path and a text");
        (path(name.trim()), text.as_bytes().to_vec())
    });
    let past = |(subject, touched): &(&str, &str)| PastCommit {
        subject: (*subject).to_owned(),
        paths: vec![path(touched)],
    };
    Index::build(
        files,
        &BuildOptions { history: history.iter().map(past).collect(), ..BuildOptions::default() },
    )
}

/// Places (from 1) of the file and of the function asked for; 0 where they are not found.
fn places(index: &Index, weights: &Weights, question: &(&str, &str, &str)) -> (usize, usize) {
    let options = RetrieveOptions { weights: weights.clone(), ..RetrieveOptions::default() };
    let hits = index.retrieve(question.0, &options);
    let file = hits.files.iter().position(|hit| hit.path.as_str() == question.1);
    let symbol =
        hits.symbols.iter().position(|hit| hit.path.as_str() == question.1 && hit.symbol == question.2);
    (file.map_or(0, |at| at + 1), symbol.map_or(0, |at| at + 1))
}

fn mean_reciprocal(places: impl Iterator<Item = usize>) -> f64 {
    let of = |place: usize| if place == 0 { 0.0 } else { 1.0 / place as f64 };
    places.map(of).sum::<f64>() / QUESTIONS.len() as f64
}

#[test]
fn every_question_leads_to_its_file_and_near_its_function() {
    let index = library(&[]);
    for question in QUESTIONS {
        let (file, symbol) = places(&index, &Weights::default(), question);
        assert_eq!(file, 1, "{}", question.0);
        assert!((1..=3).contains(&symbol), "{} is at place {symbol}: {}", question.2, question.0);
    }
}

#[test]
fn the_ranking_is_not_worse_than_words_alone() {
    let index = library(&[]);
    let both = |weights: &Weights| {
        let all: Vec<_> = QUESTIONS.iter().map(|question| places(&index, weights, question)).collect();
        (mean_reciprocal(all.iter().map(|one| one.0)), mean_reciprocal(all.iter().map(|one| one.1)))
    };
    let (ranked, words) = (both(&Weights::default()), both(&Weights::bm25()));
    assert!(ranked.0 >= words.0 && ranked.1 > words.1, "{ranked:?} {words:?}");
}

#[test]
fn code_stands_before_tests_prose_and_copies_that_say_the_same() {
    let hits = library(&[]).retrieve("round fees to cents", &RetrieveOptions::default());
    let found: Vec<&str> = hits.files.iter().map(|hit| hit.path.as_str()).collect();
    assert_eq!(found[0], "src/lending/fees.py");
    for beside in ["tests/test_fees.py", "docs/fees.md", "src/lending/_vendor/rounding.py"] {
        assert!(found.contains(&beside), "{beside} is not found: {found:?}");
    }
}

#[test]
fn what_similar_and_recent_commits_changed_is_lifted_and_said() {
    let question = "Letters look ugly";
    let plain = library(&[]).retrieve(question, &RetrieveOptions::default());
    assert!(plain.files.iter().all(|hit| hit.path.as_str() != "src/lending/mail.py"));
    let index =
        library(&[("Make letters less ugly", "src/lending/mail.py"), ("Speed", "src/lending/cli.py")]);
    let hits = index.retrieve(question, &RetrieveOptions::default());
    assert_eq!(hits.files[0].path.as_str(), "src/lending/mail.py");
    assert_eq!(hits.files[0].reasons, ["a similar past commit changed it", "changed often of late"]);
}

#[test]
fn of_two_functions_that_say_the_same_the_longer_is_first() {
    let text = "def short_one(stamp):\n    return stamp\n\n\ndef long_one(stamp):\n    a = 1\n    b = 2\n    c = 3\n    d = a + b + c\n    return stamp, d\n";
    let other = "def apart():\n    return None\n";
    let files = [(path("a.py"), text.into()), (path("b.py"), other.into())];
    let index = Index::build(files.into_iter(), &BuildOptions::default());
    let order = |weights: Weights| {
        let hits = index.retrieve("the stamp", &RetrieveOptions { weights, ..RetrieveOptions::default() });
        hits.symbols.iter().map(|hit| hit.symbol.clone()).take(2).collect::<Vec<_>>()
    };
    assert_eq!(order(Weights::default()), ["long_one", "short_one"]);
    assert_eq!(order(Weights { size: 0.0, ..Weights::default() }), ["short_one", "long_one"]);
}
