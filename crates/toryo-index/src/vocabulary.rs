//! What the words of an issue have to do with the words of code.

use crate::terms::{is_stop_word, stem, words};

/// Stems of words that speak about a change rather than about code.
const ABOUT_CHANGES: &[&str] = &[
    "abil",
    "accord",
    "actual",
    "add",
    "again",
    "allow",
    "alreadi",
    "alway",
    "avoid",
    "backport",
    "behav",
    "behavior",
    "behaviour",
    "better",
    "break",
    "broken",
    "bug",
    "caus",
    "chang",
    "correct",
    "correctli",
    "crash",
    "current",
    "edg",
    "enhanc",
    "ensur",
    "exampl",
    "expect",
    "fail",
    "featur",
    "fix",
    "give",
    "got",
    "handl",
    "happen",
    "implement",
    "improv",
    "incorrect",
    "incorrectli",
    "introduc",
    "issu",
    "lead",
    "mak",
    "make",
    "merg",
    "need",
    "new",
    "note",
    "prevent",
    "problem",
    "properli",
    "refactor",
    "regression",
    "remov",
    "report",
    "reproduc",
    "result",
    "see",
    "simplifi",
    "still",
    "support",
    "test",
    "thank",
    "try",
    "updat",
    "us",
    "use",
    "user",
    "want",
    "work",
    "wrong",
];

/// Short forms that programmers use and the words of prose they stand for, both as stems.
const SHORT_FORMS: &[(&str, &str)] = &[
    ("addr", "address"),
    ("arg", "argument"),
    ("async", "asynchronou"),
    ("attr", "attribut"),
    ("auth", "authenticat"),
    ("auth", "authorizat"),
    ("auth", "authoriz"),
    ("bool", "boolean"),
    ("char", "character"),
    ("cls", "class"),
    ("cmd", "command"),
    ("col", "column"),
    ("conf", "configur"),
    ("config", "configur"),
    ("conn", "connection"),
    ("ctx", "context"),
    ("db", "databas"),
    ("decl", "declarat"),
    ("del", "delet"),
    ("desc", "description"),
    ("dest", "destinat"),
    ("dict", "dictionari"),
    ("dir", "directori"),
    ("doc", "documentat"),
    ("elem", "element"),
    ("env", "environ"),
    ("env", "environment"),
    ("err", "error"),
    ("exc", "exception"),
    ("expr", "expression"),
    ("ext", "extension"),
    ("func", "function"),
    ("id", "identifi"),
    ("idx", "index"),
    ("impl", "implementat"),
    ("info", "informat"),
    ("init", "constructor"),
    ("init", "initialis"),
    ("init", "initializ"),
    ("int", "integer"),
    ("iter", "iterat"),
    ("len", "length"),
    ("lib", "librari"),
    ("loc", "locat"),
    ("max", "maximum"),
    ("mem", "memori"),
    ("min", "minimum"),
    ("mod", "modul"),
    ("msg", "messag"),
    ("num", "number"),
    ("obj", "object"),
    ("op", "operat"),
    ("opt", "option"),
    ("param", "parameter"),
    ("pkg", "packag"),
    ("pos", "position"),
    ("prev", "previou"),
    ("proc", "process"),
    ("prop", "properti"),
    ("ref", "referenc"),
    ("regex", "pattern"),
    ("repo", "repositori"),
    ("repr", "representat"),
    ("req", "request"),
    ("resp", "respons"),
    ("ret", "return"),
    ("seq", "sequenc"),
    ("sess", "session"),
    ("spec", "specificat"),
    ("src", "sourc"),
    ("stat", "statistic"),
    ("str", "string"),
    ("sync", "synchronou"),
    ("temp", "temporari"),
    ("tmp", "temporari"),
    ("tz", "timezon"),
    ("util", "utiliti"),
    ("val", "valu"),
    ("var", "variabl"),
    ("ver", "version"),
];

/// Whether a term speaks about the change ("fix", "improve") and says little about the place.
pub(crate) fn is_about_changes(term: &str) -> bool {
    ABOUT_CHANGES.binary_search(&term).is_ok()
}

/// Terms that mean nearly the same: short forms, and the doer of a deed (`parser` of `parse`) both ways.
pub(crate) fn related(term: &str) -> Vec<String> {
    let mut related: Vec<String> = SHORT_FORMS
        .iter()
        .filter_map(|(short, long)| match term {
            _ if term == *short => Some(*long),
            _ if term == *long => Some(*short),
            _ => None,
        })
        .map(str::to_owned)
        .collect();
    if term.len() >= 3 && term.bytes().all(|b| b.is_ascii_lowercase()) {
        related.push(match (term.strip_suffix("er"), term.strip_suffix('i')) {
            (Some(deed), _) if deed.len() >= 4 => deed.to_owned(),
            (_, Some(deed)) => format!("{deed}ier"),
            _ => format!("{term}er"),
        });
    }
    related
}

/// Neighbouring words of prose as one name: "feed exports" is `feedexport` or `feed_exports` in code.
pub(crate) fn joined(text: &str) -> Vec<String> {
    let mut terms = Vec::new();
    for line in text.lines() {
        let line: Vec<(usize, &str)> =
            words(line).filter(|(_, word)| word.len() > 1 && word.is_ascii()).collect();
        for pair in line.windows(2) {
            let [(at, first), (next, second)] = pair else { continue };
            let (first, second) = (first.to_ascii_lowercase(), second.to_ascii_lowercase());
            // Only a space (or one mark, such as a hyphen) lies between.
            if next - at - first.len() != 1 || is_stop_word(&first) || is_stop_word(&second) {
                continue;
            }
            terms.push(stem(format!("{first}{second}")));
            terms.push(format!("{first}_{}", second.trim_end_matches('s')));
            terms.push(format!("{first}_{second}"));
        }
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_for_the_binary_search() {
        assert!(ABOUT_CHANGES.is_sorted());
        assert!(is_about_changes("fix"));
    }

    #[test]
    fn related_terms_go_both_ways() {
        assert_eq!(related("pars"), ["parser"]);
        assert_eq!(related("parser"), ["pars"]);
        assert_eq!(related("directori")[0], "dir");
        assert_eq!(related("dir")[0], "directori");
        assert_eq!(related("max_length"), Vec::<String>::new());
    }

    #[test]
    fn neighbours_become_one_name() {
        assert_eq!(joined("the feed exports, now"), ["feedexport", "feed_export", "feed_exports"]);
        assert_eq!(joined("of the"), Vec::<String>::new());
    }
}
