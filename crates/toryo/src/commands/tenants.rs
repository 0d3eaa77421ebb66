//! `toryo tenants`: who shares the workers, and how much each may take.

use crate::cli::Tenants;
use crate::client::Client;
use crate::output;
use anyhow::Result;
use serde_json::{Value, json};
use std::process::ExitCode;

/// Lists tenants or sets a limit.
pub async fn run(what: &Tenants) -> Result<ExitCode> {
    match what {
        Tenants::List { server, json } => {
            let page: Value = Client::new(&server.server)?.get("/tenants").await?;
            let tenants = page["items"].as_array().cloned().unwrap_or_default();
            for tenant in &tenants {
                if *json {
                    output::json(tenant)?;
                } else {
                    output::line(&row(tenant));
                }
            }
            if tenants.is_empty() && !json {
                output::note("no tenant has work or a limit");
            }
        }
        Tenants::Limit { server, name, max_steps } => {
            let body = json!({ "name": name, "max_steps": max_steps });
            let tenant: Value = Client::new(&server.server)?.put("/tenants", &body).await?;
            output::note(&row(&tenant));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn row(tenant: &Value) -> String {
    let name = output::plain(tenant["name"].as_str().unwrap_or_default());
    let most = match tenant["max_steps"].as_u64() {
        Some(0) => "stopped".to_owned(),
        Some(most) => format!("at most {most} at once"),
        None => "no limit of its own".to_owned(),
    };
    format!("{name:<30} {most}, {} running, {} ready", tenant["running"], tenant["ready"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_is_a_line() {
        let tenant =
            |most: Value| json!({ "name": "github.com/acme", "max_steps": most, "ready": 3, "running": 1 });
        assert_eq!(
            row(&tenant(json!(2))),
            "github.com/acme                at most 2 at once, 1 running, 3 ready"
        );
        assert!(row(&tenant(json!(0))).contains("stopped"));
        assert!(row(&tenant(Value::Null)).contains("no limit of its own"));
    }
}
