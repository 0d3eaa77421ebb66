//! Names of branches: derived from the run alone, so that a repeated attempt finds its own branch.

use crate::{Error, text};
use toryo_domain::RunId;

/// Longest slug, in characters; a branch name stays readable in a list.
const LONGEST_SLUG: usize = 40;

/// Longest branch name accepted, in bytes: it becomes a file name with `.lock` behind it.
const LONGEST_BRANCH: usize = 240;

/// `toryo/<run>-<slug>`, where the slug is made from any text, for example a goal; it may be empty.
///
/// ```
/// let run: toryo_domain::RunId = "01890a5d-ac96-774b-bcce-b302099a8057".parse()?;
/// assert_eq!(toryo_forge::naming::branch(run, "Fix the Parser!"), "toryo/b302099a8057-fix-the-parser");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub fn branch(run: RunId, goal: &str) -> String {
    let slug = slug(goal);
    let dash = if slug.is_empty() { "" } else { "-" };
    format!("toryo/{}{dash}{slug}", run.short())
}

/// Lower-case ASCII letters, digits and single dashes from any text; at most 40 characters, cut between
/// words where there is a border.
#[must_use]
pub fn slug(goal: &str) -> String {
    let plain: String =
        goal.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let mut slug = String::new();
    for word in plain.split('-').filter(|word| !word.is_empty()) {
        let dash = usize::from(!slug.is_empty());
        let room = LONGEST_SLUG.saturating_sub(slug.len() + dash);
        if word.len() > room && !slug.is_empty() {
            break;
        }
        if dash == 1 {
            slug.push('-');
        }
        slug.push_str(&word[..word.len().min(room)]);
    }
    slug
}

/// Whether Git takes it as a branch: the rules of `git check-ref-format --branch`, and none that could be
/// read as an option or as `HEAD`.
///
/// # Errors
/// [`Error::BadBranch`].
pub fn check_branch(name: &str) -> Result<(), Error> {
    let full = format!("refs/heads/{name}");
    let valid = git2::Reference::is_valid_name(&full)
        && !name.starts_with('-')
        && name != "HEAD"
        && name.len() <= LONGEST_BRANCH;
    if valid { Ok(()) } else { Err(Error::BadBranch { branch: text::cut(&text::one_line(name), 200) }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slugs_are_readable() {
        for (goal, expected) in [
            ("Make `parse_dates` accept 2024-02-29", "make-parse-dates-accept-2024-02-29"),
            ("", ""),
            ("日本語だけ", ""),
            ("../../etc/passwd", "etc-passwd"),
            ("a\n\r\0b", "a-b"),
            (&"x".repeat(99), &"x".repeat(40)),
            ("one two three four five six seven eight nine ten", "one-two-three-four-five-six-seven-eight"),
        ] {
            assert_eq!(slug(goal), expected);
        }
    }

    #[test]
    fn names_that_git_refuses_are_refused() {
        for name in [
            "",
            "-x",
            "HEAD",
            "a..b",
            "a b",
            "a~1",
            "a^",
            "a:b",
            "a?",
            "a*",
            "a[",
            "a\\b",
            "/a",
            "a/",
            "a//b",
            "a.lock",
            ".a",
            "a.",
            "@{",
            "a\n",
            &"x".repeat(241),
        ] {
            assert!(check_branch(name).is_err(), "{name:?} was accepted");
        }
        for name in ["main", "feature/x-1", "日本語", "release-1.2"] {
            assert!(check_branch(name).is_ok(), "{name:?} was refused");
        }
    }

    proptest! {
        #[test]
        fn every_goal_makes_a_valid_branch(goal in any::<String>()) {
            let run = RunId::generate();
            let name = branch(run, &goal);
            prop_assert!(check_branch(&name).is_ok(), "{}", name);
            prop_assert!(name.is_ascii() && name.len() <= 64);
            prop_assert_eq!(&name, &branch(run, &goal));
        }
    }
}
