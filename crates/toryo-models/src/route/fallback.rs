//! Which route comes next: a pure function of what is configured, what was tried and what went wrong.

use crate::config::Fallbacks;
use crate::provider::ProviderError;

/// What went wrong, as far as another route may do better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The prompt does not fit into the model.
    ContextWindow,
    /// The provider's rules forbid the question or the answer.
    ContentPolicy,
    /// Too many requests, or the account is used up.
    RateLimit,
    /// Anything else that is not the request's own fault.
    Other,
}

impl Trouble {
    /// `None` where no other model would do better: the request itself is wrong, or nobody waits any more.
    pub(crate) const fn of(error: &ProviderError) -> Option<Self> {
        match error {
            ProviderError::ContextLength { .. } => Some(Self::ContextWindow),
            ProviderError::ContentPolicy { .. } => Some(Self::ContentPolicy),
            ProviderError::RateLimited { .. } | ProviderError::QuotaExhausted { .. } => Some(Self::RateLimit),
            ProviderError::Unavailable { .. }
            | ProviderError::TimedOut { .. }
            | ProviderError::KeyRefused { .. }
            | ProviderError::Unsupported { .. } => Some(Self::Other),
            // A wrong model name is the operator's mistake on this route only; any other refusal follows the request.
            ProviderError::Rejected { status: 404, .. } => Some(Self::Other),
            ProviderError::Rejected { .. } | ProviderError::NotRecorded { .. } | ProviderError::Cancelled => {
                None
            }
        }
    }
}

/// The next route, of those that were not tried: first from the list of this trouble, then from `any`.
pub(crate) fn next<'a>(fallbacks: &'a Fallbacks, trouble: Trouble, tried: &[&str]) -> Option<&'a str> {
    let own = match trouble {
        Trouble::ContextWindow => &fallbacks.context_window[..],
        Trouble::ContentPolicy => &fallbacks.content_policy[..],
        Trouble::RateLimit => &fallbacks.rate_limit[..],
        Trouble::Other => &[],
    };
    let mut named = own.iter().chain(&fallbacks.any).map(String::as_str);
    named.find(|name| !tried.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn the_list_of_the_trouble_comes_before_the_list_for_any() {
        let fallbacks = Fallbacks {
            context_window: names(&["long"]),
            any: names(&["backup", "long"]),
            ..Fallbacks::default()
        };
        assert_eq!(next(&fallbacks, Trouble::ContextWindow, &["coder"]), Some("long"));
        assert_eq!(next(&fallbacks, Trouble::ContextWindow, &["coder", "long"]), Some("backup"));
        assert_eq!(next(&fallbacks, Trouble::RateLimit, &["coder"]), Some("backup"));
        assert_eq!(next(&fallbacks, Trouble::Other, &["coder", "backup", "long"]), None);
    }

    #[test]
    fn a_request_that_is_wrong_goes_nowhere_else() {
        let rejected = |status| ProviderError::Rejected { status, message: "no".into() };
        assert_eq!(Trouble::of(&rejected(400)), None);
        assert_eq!(Trouble::of(&rejected(404)), Some(Trouble::Other));
        assert_eq!(Trouble::of(&ProviderError::Cancelled), None);
    }

    fn graph() -> impl Strategy<Value = BTreeMap<String, Fallbacks>> {
        let route = proptest::sample::select(vec!["a", "b", "c", "d"]).prop_map(str::to_owned);
        let list = proptest::collection::vec(route.clone(), 0..4);
        let fallbacks = (list.clone(), list.clone(), list.clone(), list).prop_map(
            |(context_window, content_policy, rate_limit, any)| Fallbacks {
                context_window,
                content_policy,
                rate_limit,
                any,
            },
        );
        proptest::collection::btree_map(route, fallbacks, 4)
    }

    proptest! {
        #[test]
        fn no_graph_of_fallbacks_loops(graph in graph(), troubles in proptest::collection::vec(0u8..4, 1..40)) {
            let mut tried = vec!["a"];
            for trouble in troubles.into_iter().cycle() {
                let trouble = match trouble {
                    0 => Trouble::ContextWindow,
                    1 => Trouble::ContentPolicy,
                    2 => Trouble::RateLimit,
                    _ => Trouble::Other,
                };
                let Some(route) = graph.get(*tried.last().unwrap()) else { break };
                let Some(target) = next(route, trouble, &tried) else { break };
                prop_assert!(!tried.contains(&target), "{target} twice in {tried:?}");
                tried.push(target);
                prop_assert!(tried.len() <= 4);
            }
        }
    }
}
