//! Operations on a definition: each leaves the rest of it as it was.

mod body;
mod decorators;
mod docstring;
mod signature;
mod wrap;

use super::locate::{Place, locate};
use super::source::{Source, Splice};
use super::{Miss, check, rename};
use crate::edit::{Operation, Target};
use crate::outline::Symbol;
use crate::refusal::Refusal;

/// The most operations of one edit.
const MOST_OPERATIONS: usize = 50;

fn unfit(why: impl Into<String>) -> Miss {
    Refusal::Unfit(why.into()).into()
}

/// The text after the operations, applied in order to the one located definition.
pub(super) fn apply(operations: &[Operation], target: &Target, source: &Source) -> Result<Source, Miss> {
    if operations.is_empty() {
        return Err(unfit("the patch has no operations"));
    }
    if operations.len() > MOST_OPERATIONS {
        let size = operations.len();
        return Err(Refusal::TooLarge { what: "the list of operations", size, limit: MOST_OPERATIONS }.into());
    }
    let only_imports = operations.iter().all(|operation| matches!(operation, Operation::AddImport { .. }));
    let mut symbol = match locate(target, source)? {
        Place::Symbol(symbol) => Some(symbol),
        Place::WholeFile | Place::Lines { .. } if only_imports => None,
        Place::Node(_) | Place::Lines { .. } | Place::WholeFile => {
            return Err(unfit("an ast_patch needs a symbol, or a query whose target is a definition"));
        }
    };
    let mut now = source.clone();
    for (index, operation) in operations.iter().enumerate() {
        let splices = match (operation, &symbol) {
            (Operation::AddImport { text }, _) => add_imports(text, &now)?,
            (_, Some(symbol)) => splices(operation, symbol, &now)?,
            (_, None) => return Err(unfit("the operation needs a symbol")),
        };
        let next = now.spliced(&splices)?;
        check::no_new_faults(&now, &next)?;
        if let Some(old) = &symbol {
            let start = moved(old.definition.start, &splices);
            let name = match operation {
                Operation::Rename { to } => to,
                _ => &old.name,
            };
            let at_start = || next.symbols().iter().filter(|new| new.definition.start == start);
            // A signature may bring a word such as `export`, behind which the definition starts.
            let around =
                || next.symbols().iter().find(|new| new.span.start <= start && start < new.name_span.end);
            let new = at_start()
                .find(|new| new.name == *name)
                .or_else(|| at_start().next())
                .or_else(around)
                .cloned();
            symbol = Some(new.ok_or_else(|| unfit(format!("operation {} leaves no definition", index + 1)))?);
        }
        now = next;
    }
    Ok(now)
}

fn add_imports(text: &str, source: &Source) -> Result<Vec<Splice>, Miss> {
    let language = source.language.ok_or_else(|| unfit("imports of this kind of file are not understood"))?;
    (language.add_imports)(text, source)
}

/// Where a byte is after splices that do not replace it.
fn moved(at: usize, splices: &[Splice]) -> usize {
    let before = splices.iter().filter(|splice| splice.span.end <= at);
    before.fold(at, |place, splice| place + splice.text.len() - (splice.span.end - splice.span.start))
}

fn splices(operation: &Operation, symbol: &Symbol, source: &Source) -> Result<Vec<Splice>, Miss> {
    match operation {
        Operation::ReplaceBody { text } => body::replace(text, symbol, source),
        Operation::SetSignature { text } => signature::set(text, symbol, source),
        Operation::AddDecorator { text } => decorators::add(text, symbol, source),
        Operation::RemoveDecorator { name } => decorators::remove(name, symbol, source),
        Operation::AddImport { text } => add_imports(text, source),
        Operation::Rename { to } => rename::splices(symbol, to, source),
        Operation::Wrap { before, after } => wrap::splices(before, after, symbol, source),
        Operation::SetDocstring { text } => docstring::set(text, symbol, source),
    }
}
