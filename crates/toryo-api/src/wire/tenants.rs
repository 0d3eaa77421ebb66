//! Tenants over the wire.

use crate::problem::{FieldError, Problem};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use toryo_blackboard::tenants::Tenant;
use utoipa::ToSchema;

/// Most steps that a limit may name.
const MOST_STEPS: u32 = 999_999;
/// Longest name of a tenant, in characters.
const LONGEST_NAME: usize = 200;

/// A tenant's limit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutTenant {
    /// Host and owner of repositories, in lower case; `local` for those on the server's machine.
    #[schema(example = "github.com/acme")]
    pub name: String,
    /// Steps that may run at once: 0 stops the tenant; without a number the operator's default holds.
    #[schema(minimum = 0, maximum = 999_999)]
    pub max_steps: Option<u32>,
}

impl PutTenant {
    /// Name and limit, checked. The name is put into the form in which tasks carry it.
    ///
    /// # Errors
    /// The name cannot be one of a tenant, or the number is too high.
    pub fn check(self) -> Result<(String, Option<u32>), Problem> {
        let name = self.name.trim().to_lowercase();
        let mut errors = Vec::new();
        let plain = !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control());
        if !plain || name.chars().count() > LONGEST_NAME {
            errors.push(FieldError::at("/name", "a tenant is named `local` or as `github.com/acme` is"));
        }
        if self.max_steps.is_some_and(|most| most > MOST_STEPS) {
            errors.push(FieldError::at("/max_steps", format!("at most {MOST_STEPS} is accepted")));
        }
        if errors.is_empty() { Ok((name, self.max_steps)) } else { Err(Problem::invalid(errors)) }
    }
}

/// Whether the settings of a repository hold a limit that claims can read, or none.
///
/// # Errors
/// `max_steps` is no number that is accepted.
pub fn check_settings(settings: &Map<String, Value>) -> Result<(), Problem> {
    match settings.get("max_steps") {
        None | Some(Value::Null) => Ok(()),
        Some(value) if value.as_u64().is_some_and(|most| most <= u64::from(MOST_STEPS)) => Ok(()),
        Some(_) => {
            let detail = format!("`max_steps` is a whole number from 0 to {MOST_STEPS}");
            Err(Problem::invalid(vec![FieldError::at("/settings/max_steps", detail)]))
        }
    }
}

/// Who shares the workers.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Tenant)]
pub struct TenantView {
    /// The owner of repositories: `github.com/acme`; `local` for those on the server's machine.
    name: String,
    /// Steps it may have running at once; none where the operator's default holds.
    max_steps: Option<u32>,
    /// Steps that are ready.
    ready: u64,
    /// Steps that run.
    running: u64,
}

impl From<Tenant> for TenantView {
    fn from(tenant: Tenant) -> Self {
        let Tenant { name, max_steps, ready, running } = tenant;
        Self { name, max_steps, ready, running }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_tenant_is_named_as_tasks_name_it() {
        let put = |name: &str, max_steps| PutTenant { name: name.into(), max_steps }.check();
        assert_eq!(put(" GitHub.com/Acme ", Some(3)).unwrap(), ("github.com/acme".to_owned(), Some(3)));
        assert_eq!(put("local", None).unwrap(), ("local".to_owned(), None));
        for wrong in ["", "a b", "a\nb", &"x".repeat(201)] {
            assert_eq!(put(wrong, None).unwrap_err().errors[0].pointer, "/name");
        }
        assert_eq!(put("a", Some(1_000_000)).unwrap_err().errors[0].pointer, "/max_steps");
    }

    #[test]
    fn settings_hold_a_limit_that_claims_can_read() {
        let check = |value: Value| check_settings(json!({ "max_steps": value }).as_object().unwrap());
        assert!(check_settings(&Map::new()).is_ok());
        assert!(check(json!(0)).is_ok() && check(json!(999_999)).is_ok() && check(json!(null)).is_ok());
        for wrong in [json!(-1), json!(1.5), json!("3"), json!(1_000_000), json!([3])] {
            assert_eq!(check(wrong).unwrap_err().errors[0].pointer, "/settings/max_steps");
        }
    }
}
