//! `rename`: a definition's name and its uses in the file. Which names mean it, the language says.

use super::Miss;
use super::source::{Source, Splice};
use crate::outline::Symbol;
use crate::refusal::Refusal;

/// The splices that rename a definition, all its equals and its uses.
pub(super) fn splices(symbol: &Symbol, to: &str, source: &Source) -> Result<Vec<Splice>, Miss> {
    let unfit = |why: String| Miss::from(Refusal::Unfit(why));
    let Some(language) = source.language else { return Ok(Vec::new()) };
    let is_first = |c: char| matches!(c, '_' | '$') || c.is_alphabetic();
    let bare = to.strip_prefix('#').filter(|_| symbol.name.starts_with('#')).unwrap_or(to);
    let is_name = bare.chars().enumerate().all(|(at, c)| is_first(c) || at > 0 && c.is_alphanumeric());
    if bare.is_empty() || !is_name || language.keywords.contains(&format!(" {to} ")) {
        return Err(unfit(format!("`{to}` is not a name")));
    }
    if symbol.name == to {
        return Ok(Vec::new());
    }
    if symbol.name != source.text[symbol.name_span.range()] {
        return Err(unfit(format!("`{}` has no name of its own to change", symbol.path)));
    }
    let owner = |path: &str| path.rsplit_once('.').map_or(String::new(), |(owner, _)| owner.to_owned());
    let taken = |other: &&Symbol| other.name == to && owner(&other.path) == owner(&symbol.path);
    if let Some(taken) = source.symbols().iter().find(taken) {
        return Err(unfit(format!("`{}` is defined already", taken.path)));
    }
    let mut places = (language.names_of)(symbol, source)?;
    places.sort_unstable();
    places.dedup();
    Ok(places.into_iter().map(|span| Splice::new(span.start, span.end, to)).collect())
}
