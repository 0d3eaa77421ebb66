//! `toryo keys`, `teams`, `users`, `budgets` and `usage`: the administration of the model gateway over HTTP.

mod show;

use crate::cli::gateway::{Asked, Budgets, Keys, Lifted, Limits, Teams, Usage, Users, Whose};
use crate::client::Client;
use crate::config::Config;
use crate::output;
use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};
use show::{accounts, analysed, budget, items, lines, secret, shown, table, used};
use std::process::ExitCode;
use toryo_models::accounts::master;

const NO_KEY: &str =
    "no key is set: put the operator's key, or one that administers, into the environment as TORYO_KEY";

/// The key that administers: `TORYO_KEY`, else the operator's own from the environment, else the one kept in the data
/// folder.
pub fn key(config: Option<&Config>) -> Option<String> {
    let set = |name| std::env::var(name).ok().filter(|key| !key.is_empty());
    let made = || {
        let data =
            set("TORYO_DATA").map_or_else(|| config.map(|it| it.data_dir.clone()), |it| Some(it.into()))?;
        let file = master::file(&data.join("gateway"));
        std::fs::read_to_string(file).ok().map(|key| key.trim().to_owned()).filter(|key| !key.is_empty())
    };
    set("TORYO_KEY").or_else(|| set("TORYO__GATEWAY__MASTER_KEY")).or_else(made)
}

/// `toryo keys`.
pub async fn keys(what: &Keys, key: Option<String>) -> Result<ExitCode> {
    match what {
        Keys::Create { asked, name, team, user, role, limits, expires } => {
            let client = client(asked, key)?;
            let mut body = body(limits, &[]);
            body.insert("name".into(), json!(name));
            body.insert("role".into(), json!(role));
            for (field, path, named) in [("team_id", "/teams", team), ("user_id", "/users", user)] {
                if let Some(named) = named {
                    body.insert(field.into(), json!(id(&client, path, named).await?));
                }
            }
            if let Some(expires) = expires {
                body.insert("expires_at".into(), json!(expires));
            }
            let made: Value = client.post_once("/keys", &Value::Object(body)).await?;
            secret(asked, &made)
        }
        Keys::List { asked, team, removed } => {
            let client = client(asked, key)?;
            let mut path = format!("/keys?limit=200&removed={removed}");
            if let Some(team) = team {
                path.push_str(&format!("&team_id={}", id(&client, "/teams", team).await?));
            }
            let page: Value = client.get(&path).await?;
            accounts(asked, &page)
        }
        Keys::Set { asked, key: account, limits, lift } => {
            set(&client(asked, key)?, asked, "/keys", account, limits, lift).await
        }
        Keys::Rotate { asked, key: account, overlap } => {
            let body = json!({ "overlap_seconds": overlap });
            let made: Value = client(asked, key)?.post(&format!("/keys/{account}/rotate"), &body).await?;
            secret(asked, &made)
        }
        Keys::Revoke { asked, key: account } => remove(&client(asked, key)?, "/keys", account).await,
    }
}

/// `toryo teams`.
pub async fn teams(what: &Teams, key: Option<String>) -> Result<ExitCode> {
    match what {
        Teams::Create { asked, name, members, limits } => {
            let mut body = body(limits, &[]);
            body.insert("name".into(), json!(name));
            let members = members.iter().map(|member| match member.strip_suffix(":admin") {
                Some(user) => json!({ "user": user, "role": "admin" }),
                None => json!({ "user": member, "role": "member" }),
            });
            body.insert("members".into(), members.collect());
            let team = client(asked, key)?.post_once("/teams", &Value::Object(body)).await?;
            shown(asked, &team)
        }
        Teams::List { asked } => accounts(asked, &client(asked, key)?.get("/teams?limit=200").await?),
        Teams::Show { asked, team } => {
            let client = client(asked, key)?;
            let id = id(&client, "/teams", team).await?;
            shown(asked, &client.get(&format!("/teams/{id}")).await?)
        }
        Teams::Set { asked, team, limits, lift } => {
            let client = client(asked, key)?;
            let id = id(&client, "/teams", team).await?;
            set(&client, asked, "/teams", &id, limits, lift).await
        }
        Teams::Add { asked, team, user, admin } => {
            let client = client(asked, key)?;
            let id = id(&client, "/teams", team).await?;
            let role = if *admin { "admin" } else { "member" };
            let body = json!({ "user": user, "role": role });
            shown(asked, &client.put(&format!("/teams/{id}/members"), &body).await?)
        }
        Teams::Leave { asked, team, user } => {
            let client = client(asked, key)?;
            let (team, user) = (id(&client, "/teams", team).await?, id(&client, "/users", user).await?);
            client.delete(&format!("/teams/{team}/members/{user}")).await?;
            output::note("left");
            Ok(ExitCode::SUCCESS)
        }
        Teams::Remove { asked, team } => {
            let client = client(asked, key)?;
            let id = id(&client, "/teams", team).await?;
            remove(&client, "/teams", &id).await
        }
    }
}

/// `toryo users`.
pub async fn users(what: &Users, key: Option<String>) -> Result<ExitCode> {
    match what {
        Users::Create { asked, name, limits } => {
            let mut body = body(limits, &[]);
            body.insert("name".into(), json!(name));
            shown(asked, &client(asked, key)?.post_once("/users", &Value::Object(body)).await?)
        }
        Users::List { asked } => accounts(asked, &client(asked, key)?.get("/users?limit=200").await?),
        Users::Set { asked, user, limits, lift } => {
            let client = client(asked, key)?;
            let id = id(&client, "/users", user).await?;
            set(&client, asked, "/users", &id, limits, lift).await
        }
        Users::Remove { asked, user } => {
            let client = client(asked, key)?;
            let id = id(&client, "/users", user).await?;
            remove(&client, "/users", &id).await
        }
    }
}

/// `toryo budgets`.
pub async fn budgets(what: &Budgets, key: Option<String>) -> Result<ExitCode> {
    match what {
        Budgets::List { asked } => {
            let page: Value = client(asked, key)?.get("/budgets?limit=200").await?;
            if asked.json {
                return lines(&page);
            }
            let rows: Vec<_> = items(&page).iter().map(budget).collect();
            table(&["BUDGET", "OF", "NAME", "PERIOD", "LIMIT", "SPENT", "HELD", "ALERTS"], &rows);
            Ok(ExitCode::SUCCESS)
        }
        Budgets::Set { asked, whose, period, usd, soft } => {
            let client = client(asked, key)?;
            let account = account(&client, whose).await?;
            let body = json!({ "account_id": account, "period": period, "usd": usd, "soft_usd": soft });
            let set: Value = client.put("/budgets", &body).await?;
            if asked.json {
                output::json(&set)?;
            } else {
                output::note(&budget(&set).join("  "));
            }
            Ok(ExitCode::SUCCESS)
        }
        Budgets::Drop { asked, budget } => remove(&client(asked, key)?, "/budgets", budget).await,
    }
}

/// `toryo usage`.
pub async fn usage(what: &Usage, key: Option<String>) -> Result<ExitCode> {
    let client = client(&what.asked, key)?;
    let mut query: Vec<(&str, &str)> = Vec::new();
    let span = [("from", &what.from), ("to", &what.to)];
    query.extend(span.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))));
    if what.analysis {
        let analysis: Value = client.get(&path("/usage/analysis", &query)).await?;
        if what.asked.json {
            output::json(&analysis)?;
        } else {
            analysed(&analysis);
        }
        return Ok(ExitCode::SUCCESS);
    }
    query.push(("by", &what.by));
    query.extend(what.grain.as_deref().map(|grain| ("grain", grain)));
    for only in &what.only {
        query.push(only.split_once('=').with_context(|| format!("`{only}` is not of the form NAME=VALUE"))?);
    }
    if what.csv {
        query.push(("format", "csv"));
        let csv = client.text(&path("/usage", &query)).await?;
        csv.lines().for_each(output::line);
        return Ok(ExitCode::SUCCESS);
    }
    let answer: Value = client.get(&path("/usage", &query)).await?;
    if what.asked.json {
        output::json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    used(&answer, &what.by, what.grain.is_some());
    Ok(ExitCode::SUCCESS)
}

fn client(asked: &Asked, key: Option<String>) -> Result<Client> {
    Ok(Client::new(&asked.server.server)?.with_key(key.context(NO_KEY)?))
}

fn path(path: &str, query: &[(&str, &str)]) -> String {
    let mut text = format!("{path}?");
    for (name, value) in query {
        for part in [name, "=", value, "&"] {
            match part {
                "=" | "&" => text.push_str(part),
                part => part.bytes().for_each(|byte| match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b',' => {
                        text.push(char::from(byte))
                    }
                    other => text.push_str(&format!("%{other:02X}")),
                }),
            }
        }
    }
    text.pop();
    text
}

/// The id of what is named by an id or a name.
async fn id(client: &Client, path: &str, named: &str) -> Result<String> {
    if named.parse::<uuid::Uuid>().is_ok() {
        return Ok(named.to_owned());
    }
    let mut cursor = String::new();
    loop {
        let page: Value = client.get(&format!("{path}?limit=200{cursor}")).await?;
        let found = items(&page).iter().find(|item| item["name"].as_str() == Some(named));
        if let Some(id) = found.and_then(|item| item["id"].as_str()) {
            return Ok(id.to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => bail!("there is no `{named}` under {path}"),
        }
    }
}

async fn account(client: &Client, whose: &Whose) -> Result<String> {
    let named = [
        ("/organisations", &whose.organisation),
        ("/teams", &whose.team),
        ("/users", &whose.user),
        ("/keys", &whose.key),
    ];
    for (path, named) in named {
        if let Some(named) = named {
            return id(client, path, named).await;
        }
    }
    bail!("say whose budget it is")
}

fn body(limits: &Limits, lift: &[Lifted]) -> Map<String, Value> {
    let mut body = Map::new();
    for lifted in lift {
        let name = match lifted {
            Lifted::Routes => "routes",
            Lifted::Rpm => "rpm",
            Lifted::Tpm => "tpm",
            Lifted::Parallel => "parallel",
        };
        body.insert(name.into(), Value::Null);
    }
    if !limits.routes.is_empty() {
        body.insert("routes".into(), json!(limits.routes));
    }
    let numbers = [
        ("rpm", limits.rpm.map(u64::from)),
        ("tpm", limits.tpm),
        ("parallel", limits.parallel.map(u64::from)),
    ];
    body.extend(numbers.into_iter().filter_map(|(name, number)| Some((name.to_owned(), json!(number?)))));
    body
}

async fn set(
    client: &Client,
    asked: &Asked,
    path: &str,
    id: &str,
    limits: &Limits,
    lift: &[Lifted],
) -> Result<ExitCode> {
    let body = Value::Object(body(limits, lift));
    shown(asked, &client.patch(&format!("{path}/{id}"), &body).await?)
}

async fn remove(client: &Client, path: &str, id: &str) -> Result<ExitCode> {
    client.delete(&format!("{path}/{id}")).await?;
    output::note("removed");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_hides_nothing_from_the_server() {
        let query = [("team", "R&D=all"), ("by", "team,model")];
        assert_eq!(path("/usage", &query), "/usage?team=R%26D%3Dall&by=team,model");
        assert_eq!(path("/usage", &[]), "/usage");
    }
}
