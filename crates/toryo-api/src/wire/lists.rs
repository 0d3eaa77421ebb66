//! Cursor-paged lists.

use crate::problem::{FieldError, Problem};
use serde::{Deserialize, Serialize};
use toryo_blackboard::Page;
use utoipa::{IntoParams, ToSchema};

/// Most items of one page.
pub const MOST: u32 = 200;
const USUAL: u32 = 50;

/// Which page of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PageParams {
    /// Items a page, 1 to 200; 50 where it is not named.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

impl PageParams {
    /// Limit and cursor, checked.
    ///
    /// # Errors
    /// The limit is out of range, or the cursor is not one.
    pub fn check(&self) -> Result<(u32, Option<&str>), Problem> {
        check(self.limit, self.cursor.as_deref())
    }
}

/// Limit and cursor, checked.
///
/// # Errors
/// The limit is out of range, or the cursor is not one.
pub fn check(limit: Option<u32>, cursor: Option<&str>) -> Result<(u32, Option<&str>), Problem> {
    let limit = limit.unwrap_or(USUAL);
    let mut errors = vec![];
    if !(1..=MOST).contains(&limit) {
        errors.push(FieldError::at("/limit", format!("`limit` is 1 to {MOST}")));
    }
    if cursor.is_some_and(|cursor| !is_cursor(cursor)) {
        errors.push(FieldError::at("/cursor", "`cursor` is not one that a list gave"));
    }
    if errors.is_empty() { Ok((limit, cursor)) } else { Err(Problem::invalid(errors)) }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct List<T> {
    /// The items.
    pub items: Vec<T>,
    /// What to ask the next page with; null on the last one.
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// A page, each item presented.
    pub fn of<S>(page: Page<S>, present: impl Fn(S) -> T) -> Self {
        Self { items: page.items.into_iter().map(present).collect(), next_cursor: page.next_cursor }
    }

    /// A list that is short by its nature and comes whole.
    #[must_use]
    pub const fn whole(items: Vec<T>) -> Self {
        Self { items, next_cursor: None }
    }
}

/// Cursors are ids of the items they stand behind.
fn is_cursor(text: &str) -> bool {
    text.parse::<toryo_domain::RunId>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_bounds() {
        assert_eq!(check(None, None).unwrap(), (50, None));
        assert!(check(Some(200), None).is_ok());
        let problem = check(Some(0), Some("'; drop table runs")).unwrap_err();
        let pointers: Vec<_> = problem.errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/limit", "/cursor"]);
        assert!(check(Some(201), None).is_err());
    }
}
