//! What a change may not bring: new syntax errors, and other definitions moved into or out of their owners.

use super::source::{Source, Splice};
use crate::refusal::Refusal;
use crate::syntax::{Fault, located};
use crate::text::Lines;
use std::collections::HashMap;

/// Refuses a text that has any fault.
pub(super) fn no_faults(source: &Source) -> Result<(), Refusal> {
    located(source.faults(), &source.text)
        .into_iter()
        .next()
        .map_or(Ok(()), |fault| Err(Refusal::Syntax(fault)))
}

/// Refuses a text with faults that it did not have before. A fault is the same if its line reads the same: an
/// edit elsewhere in a file that was faulty already must stay possible.
pub(super) fn no_new_faults(before: &Source, after: &Source) -> Result<(), Refusal> {
    if after.faults().is_empty() {
        return Ok(());
    }
    let mut known: HashMap<(&str, &str), usize> = HashMap::new();
    let lines = before.lines();
    for fault in before.faults() {
        *known.entry((&fault.1, line_of(fault, lines, &before.text))).or_default() += 1;
    }
    let is_python_2 = |fault: &Fault| fault.1.contains("Python ");
    let was_python_2 = before.faults().iter().any(is_python_2);
    let lines = after.lines();
    for fault in after.faults() {
        if was_python_2 && is_python_2(fault) {
            continue;
        }
        match known.get_mut(&(fault.1.as_str(), line_of(fault, lines, &after.text))) {
            Some(count) if *count > 0 => *count -= 1,
            _ => {
                let error = located(std::slice::from_ref(fault), &after.text);
                return error.into_iter().next().map_or(Ok(()), |error| Err(Refusal::Syntax(error)));
            }
        }
    }
    Ok(())
}

fn line_of<'a>(fault: &Fault, lines: &Lines, text: &'a str) -> &'a str {
    text.get(lines.start_of_line_at(fault.0)..lines.end_of_line_at(fault.0)).unwrap_or_default().trim()
}

/// The text after the first of several plans that brings no fault; `by_lines` plans also may not move other
/// definitions. If none is sound, the first plan's refusal.
pub(super) fn first_sound(source: &Source, plans: &[Vec<Splice>], by_lines: bool) -> Result<Source, Refusal> {
    let mut refusal = None;
    let mut parsable = None;
    // An excerpt judges only what is sound; a second plan counts where the whole file refuses the first.
    let plans = if source.is_excerpt() { plans.get(..1).unwrap_or_default() } else { plans };
    for plan in plans {
        let next = source.spliced(plan).and_then(|next| no_new_faults(source, &next).map(|()| next));
        match next {
            Ok(next) if !by_lines || plans.len() == 1 || keeps_owners(source, &next, plan) => {
                return Ok(next);
            }
            Ok(next) => {
                parsable.get_or_insert(next);
            }
            Err(error) => {
                refusal.get_or_insert(error);
            }
        }
    }
    let unfit = || Refusal::Unfit("the edit does not say what to do".to_owned());
    parsable.ok_or_else(|| refusal.unwrap_or_else(unfit))
}

/// Whether every definition outside the changed bytes still has the same owners.
fn keeps_owners(before: &Source, after: &Source, plan: &[Splice]) -> bool {
    let owners = |source: &Source, at: usize| {
        let mut names = Vec::new();
        let mut next = Some(at);
        while let Some(symbol) = next.and_then(|at| source.symbols().get(at)) {
            names.push(symbol.name.clone());
            next = symbol.parent;
        }
        names
    };
    let by_place: HashMap<usize, usize> =
        after.symbols().iter().enumerate().map(|(index, symbol)| (symbol.name_span.start, index)).collect();
    before.symbols().iter().enumerate().all(|(index, symbol)| {
        let name = symbol.name_span;
        if plan.iter().any(|splice| splice.span.start < name.end && name.start < splice.span.end) {
            return true;
        }
        let earlier = plan.iter().filter(|splice| splice.span.end <= name.start);
        let place = earlier
            .fold(name.start, |at, splice| at + splice.text.len() - (splice.span.end - splice.span.start));
        by_place.get(&place).is_some_and(|now| owners(after, *now) == owners(before, index))
    })
}
