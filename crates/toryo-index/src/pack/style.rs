//! Code near by whose conventions new code should follow.
//!
//! Which names are usual here, how errors are raised, how tests are laid out: people look at the file beside, and at
//! the function above. Near is what lies in the same folder, is called alike and has the same shape; the words of the
//! goal play no part.

use super::select::{Packing, STYLE};
use super::source::Part;
use super::targets::{Target, changing};
use crate::index::{Index, IndexedFile, IndexedSymbol};
use crate::kind::kind_of;
use crate::terms::parts_of;
use std::cmp::Reverse;
use toryo_code::SymbolKind;
use toryo_domain::RepoPath;

/// Least likeness of a file that is shown: the same folder, or nearly so and a like name.
const LEAST_OF_FILE: usize = 4;
/// Least likeness of a function that is shown.
const LEAST_OF_SYMBOL: usize = 3;
/// Lines of a function that says something and is not long.
const LINES: std::ops::RangeInclusive<u32> = 3..=60;

impl Packing<'_> {
    /// One sibling of a target, and one file like those that are to change; a file to be written comes first, since
    /// nothing else shows how it should look.
    pub(super) fn add_style(&mut self, index: &Index, targets: &[Target], plan_files: &[RepoPath]) {
        for target in changing(targets) {
            let Some(symbol) = index.symbol(&target.path, &target.symbol) else { continue };
            let Some(at) = self.file(&target.path) else { continue };
            if let Some(sibling) = sibling(index, symbol) {
                let why = format!("style: beside {}", target.symbol);
                self.add(at, &Part::Symbol(sibling.path.to_string()), &why, STYLE, false);
                break;
            }
        }
        let (new, old): (Vec<&RepoPath>, Vec<&RepoPath>) = plan_files
            .iter()
            .chain(changing(targets).map(|target| &target.path))
            .partition(|path| index.file(path).is_none());
        let likes = new.into_iter().chain(old).find_map(|path| Some((path, file_like(index, path)?)));
        let Some((path, like)) = likes else { return };
        let why = format!("style: like {path}");
        if self.file(&like.path).is_some() || self.files.len() >= self.max_files {
            return;
        }
        if let Some(at) = self.open(&like.path, &why, STYLE) {
            self.add(at, &Part::Head, &why, STYLE, false);
            if let Some(function) = typical(index, like) {
                self.add(at, &Part::Symbol(function.path.to_string()), &why, STYLE, false);
            }
            self.add_outline(at, STYLE);
        }
    }
}

/// The file most like one at this path, which need not be there: same language and kind.
fn file_like<'a>(index: &'a Index, path: &RepoPath) -> Option<&'a IndexedFile> {
    let kind = kind_of(path, false);
    let fits = |file: &&IndexedFile| {
        file.path != *path
            && file.kind == kind
            && file.path.extension() == path.extension()
            && typical(index, file).is_some()
    };
    let scored = index.files().iter().filter(fits).map(|file| (alike(path, file), file));
    // Of equals the first path.
    let best = scored.max_by_key(|(score, file)| (*score, Reverse(&file.path)));
    best.filter(|(score, _)| *score >= LEAST_OF_FILE).map(|(_, file)| file)
}

fn alike(path: &RepoPath, file: &IndexedFile) -> usize {
    let folders = |path: &RepoPath| -> Vec<String> {
        let mut parts: Vec<String> = path.as_str().split('/').map(str::to_owned).collect();
        parts.pop();
        parts
    };
    let (own, other) = (folders(path), folders(&file.path));
    let shared = own.iter().zip(&other).take_while(|(a, b)| a == b).count();
    let near = match own.len().max(other.len()) - shared {
        0 => 4,
        1 => 2,
        _ => 0,
    };
    let readable = usize::from((20..=400).contains(&file.lines));
    let (first, last) = shared_ends(stem(path), stem(&file.path));
    near + readable + 2 * (first + last)
}

fn stem(path: &RepoPath) -> &str {
    path.file_name().split('.').next().unwrap_or_default()
}

/// Whether two names share their first, and their last word; names of one word share none.
fn shared_ends(a: &str, b: &str) -> (usize, usize) {
    let words = |name: &str| parts_of(name).map(str::to_lowercase).collect::<Vec<_>>();
    let (a, b) = (words(a), words(b));
    if a.len() < 2 || b.len() < 2 {
        return (0, 0);
    }
    (usize::from(a.first() == b.first()), usize::from(a.last() == b.last()))
}

/// A function of a file that shows how functions look there: the first that is neither tiny nor long.
fn typical<'a>(index: &'a Index, file: &IndexedFile) -> Option<&'a IndexedSymbol> {
    index.symbols_in(file).iter().find(|one| is_function(one) && LINES.contains(&lines(one)))
}

/// The function beside a function that is most like it: same parent, a like name, a like length; of equals the nearest.
fn sibling<'a>(index: &'a Index, symbol: &IndexedSymbol) -> Option<&'a IndexedSymbol> {
    let file = index.file(index.path_of(symbol))?;
    let fits = |other: &&IndexedSymbol| {
        is_function(other) && other.first_line != symbol.first_line && other.parent == symbol.parent
    };
    let readable = |other: &&IndexedSymbol| LINES.contains(&lines(other));
    let candidates =
        index.symbols_in(file).iter().filter(fits).filter(readable).filter(|_| is_function(symbol));
    let score = |other: &IndexedSymbol| {
        let (longer, shorter) = (lines(symbol).max(lines(other)), lines(symbol).min(lines(other)));
        // The first word is what a function does, the last what it does it to.
        let (verb, noun) = shared_ends(&symbol.name, &other.name);
        2 + 3 * verb + noun + usize::from(longer <= 2 * shorter)
    };
    let distance = |other: &IndexedSymbol| other.first_line.abs_diff(symbol.first_line);
    let best =
        candidates.max_by_key(|other| (score(other), Reverse(distance(other)), Reverse(other.first_line)));
    best.filter(|other| score(other) >= LEAST_OF_SYMBOL)
}

const fn is_function(symbol: &IndexedSymbol) -> bool {
    matches!(symbol.kind, SymbolKind::Function | SymbolKind::Method)
}

const fn lines(symbol: &IndexedSymbol) -> u32 {
    symbol.last_line - symbol.first_line + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{at, files, index};
    use crate::pack::PackRequest;

    const HANDLERS: &str = "//- app/handlers/user_handler.py\nimport log\n\n\ndef handle_user(request):\n    check(request)\n    return request.user\n\n\ndef drop_user(request):\n    check(request)\n    return None\n\n\ndef handle_name(request):\n    check(request)\n    return request.name\n//- app/handlers/zip.py\ndef zipped(a):\n    b = a\n    return b\n//- app/db.py\ndef connect(url):\n    check(url)\n    return url\n//- tests/test_user_handler.py\ndef test_it():\n    assert handle_user(1)\n    assert 1\n";

    #[test]
    fn a_file_to_be_written_is_shown_one_like_it() {
        let index = index(HANDLERS);
        let like = |path: &str| file_like(&index, &at(path)).map(|file| file.path.as_str());
        assert_eq!(like("app/handlers/order_handler.py"), Some("app/handlers/user_handler.py"));
        assert_eq!(like("app/handlers/order.py"), Some("app/handlers/user_handler.py"));
        assert_eq!(like("tests/test_order_handler.py"), Some("tests/test_user_handler.py"));
        assert_eq!(like("web/order_handler.ts"), None);
        assert_eq!(like("elsewhere/deep/order.py"), None);
    }

    #[test]
    fn a_function_is_shown_the_one_beside_it_that_is_most_like_it() {
        let index = index(HANDLERS);
        let path = at("app/handlers/user_handler.py");
        let of = |name: &str| {
            sibling(&index, index.symbol(&path, name).expect("a function")).map(|one| one.path.to_string())
        };
        assert_eq!(of("handle_user").as_deref(), Some("handle_name"));
        assert_eq!(of("drop_user").as_deref(), Some("handle_user"));
        let lone = index.symbol(&at("app/db.py"), "connect").expect("a function");
        assert_eq!(sibling(&index, lone).map(|one| one.path.to_string()), None);
    }

    #[test]
    fn a_pack_says_which_style_to_follow() {
        let mut request = PackRequest::new("orders");
        request.files = vec![at("app/handlers/order_handler.py")];
        request.symbols = vec!["nowhere".to_owned()];
        let texts = files(HANDLERS);
        let pack = index(HANDLERS).pack(&request, |path| texts.get(path).cloned());
        let shown = pack.files.iter().find(|file| file.path == at("app/handlers/user_handler.py"));
        let why: Vec<&str> =
            shown.into_iter().flat_map(|file| &file.sections).map(|one| one.why.as_str()).collect();
        assert!(why.contains(&"style: like app/handlers/order_handler.py"), "{}", pack.render());
    }
}
