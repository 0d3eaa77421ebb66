//! What the administration's commands print: tables for people, JSON for scripts.

use crate::cli::gateway::Asked;
use crate::output;
use anyhow::Result;
use serde_json::Value;
use std::process::ExitCode;

/// The secret stands alone on standard output, so that it can be put into a file.
pub(super) fn secret(asked: &Asked, made: &Value) -> Result<ExitCode> {
    if asked.json {
        output::json(made)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::note(&format!("key {}; this is the only time its secret is shown:", text(&made["key"]["id"])));
    output::line(&text(&made["secret"]));
    Ok(ExitCode::SUCCESS)
}

pub(super) fn items(page: &Value) -> &[Value] {
    page["items"].as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn lines(page: &Value) -> Result<ExitCode> {
    items(page).iter().try_for_each(output::json)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn shown(asked: &Asked, account: &Value) -> Result<ExitCode> {
    if asked.json {
        output::json(account)?;
        return Ok(ExitCode::SUCCESS);
    }
    table(&ACCOUNT, &[row(account)]);
    let members = account["members"].as_array().map_or(&[][..], Vec::as_slice);
    if !members.is_empty() {
        let rows: Vec<_> = members
            .iter()
            .map(|it| vec![text(&it["user_id"]), text(&it["name"]), text(&it["role"])])
            .collect();
        output::line("");
        table(&["USER", "NAME", "ROLE"], &rows);
    }
    Ok(ExitCode::SUCCESS)
}

const ACCOUNT: [&str; 8] = ["ID", "NAME", "ROUTES", "RPM", "TPM", "PARALLEL", "SECRETS", "ENDS"];

pub(super) fn accounts(asked: &Asked, page: &Value) -> Result<ExitCode> {
    if asked.json {
        return lines(page);
    }
    let rows: Vec<_> = items(page).iter().map(row).collect();
    table(&ACCOUNT, &rows);
    if page["next_cursor"].is_string() {
        output::note("there are more");
    }
    Ok(ExitCode::SUCCESS)
}

fn row(account: &Value) -> Vec<String> {
    let joined = |list: &Value, field: &str| {
        let all = list.as_array().map_or(&[][..], Vec::as_slice);
        let texts: Vec<_> =
            all.iter().map(|it| text(if field.is_empty() { it } else { &it[field] })).collect();
        if texts.is_empty() { "-".to_owned() } else { texts.join(",") }
    };
    let ends =
        if account["removed_at"].is_string() { &account["removed_at"] } else { &account["expires_at"] };
    vec![
        text(&account["id"]),
        text(&account["name"]),
        joined(&account["routes"], ""),
        text(&account["rpm"]),
        text(&account["tpm"]),
        text(&account["parallel"]),
        joined(&account["secrets"], "prefix"),
        text(ends),
    ]
}

pub(super) fn budget(budget: &Value) -> Vec<String> {
    let raised = budget["raised"].as_array().map_or(&[][..], Vec::as_slice);
    let raised: Vec<_> = raised
        .iter()
        .map(|share| if share.as_u64() == Some(0) { "soft".to_owned() } else { format!("{share} %") })
        .collect();
    vec![
        text(&budget["id"]),
        text(&budget["account_kind"]),
        text(&budget["account_name"]),
        text(&budget["period"]),
        dollars(&budget["usd"]),
        dollars(&budget["spent_usd"]),
        dollars(&budget["held_usd"]),
        if raised.is_empty() { "-".into() } else { raised.join(" ") },
    ]
}

pub(super) fn used(answer: &Value, by: &str, grain: bool) {
    let mut names: Vec<&str> = if grain { vec!["at"] } else { vec![] };
    names.extend(by.split(',').map(str::trim).filter(|name| !name.is_empty()));
    let upper: Vec<String> = names.iter().map(|name| name.to_uppercase()).collect();
    let mut heading: Vec<&str> = upper.iter().map(String::as_str).collect();
    heading.extend(["CALLS", "ERRORS", "TOKENS IN", "CACHED", "TOKENS OUT", "COST", "MEAN MS"]);
    let figures = |sums: &Value| {
        let counts = ["calls", "errors", "input_tokens", "cached_input_tokens", "output_tokens"];
        let mut figures: Vec<_> = counts.iter().map(|name| text(&sums[*name])).collect();
        figures.extend([dollars(&sums["cost_usd"]), text(&sums["mean_latency_ms"])]);
        figures
    };
    let mut rows: Vec<Vec<String>> = items(answer)
        .iter()
        .map(|line| names.iter().map(|name| text(&line[*name])).chain(figures(line)).collect())
        .collect();
    let mut total: Vec<String> = names.iter().map(|_| String::new()).collect();
    if let Some(first) = total.first_mut() {
        "total".clone_into(first);
    }
    rows.push(total.into_iter().chain(figures(&answer["totals"])).collect());
    table(&heading, &rows);
    if answer["truncated"].as_bool() == Some(true) {
        output::note("lines were left out: ask for a shorter span or a coarser grain");
    }
}

pub(super) fn analysed(analysis: &Value) {
    let names = [
        ("total", "total_usd"),
        ("a day on average", "daily_average_usd"),
        ("more each day", "weekly_trend_usd"),
        ("in four weeks", "projected_usd"),
        ("limit of the month", "monthly_limit_usd"),
    ];
    for (name, field) in names {
        output::line(&format!("{name:<20} {}", dollars(&analysis[field])));
    }
    for model in analysis["models"].as_array().into_iter().flatten() {
        let share = model["share"].as_f64().unwrap_or_default() * 100.0;
        output::line(&format!("{:<20} {} ({share:.0} %)", text(&model["model"]), dollars(&model["usd"])));
    }
    for suggestion in analysis["suggestions"].as_array().into_iter().flatten() {
        let (severity, advice) = (text(&suggestion["severity"]), text(&suggestion["advice"]));
        output::line(&format!("{severity}: {advice} (may save {})", dollars(&suggestion["saves_usd"])));
    }
}

fn dollars(value: &Value) -> String {
    value.as_f64().and_then(toryo_domain::Usd::from_dollars).map_or_else(|| "-".into(), |usd| usd.to_string())
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) => output::plain(text),
        other => other.to_string(),
    }
}

pub(super) fn table(heading: &[&str], rows: &[Vec<String>]) {
    laid_out(heading, rows).iter().for_each(|line| output::line(line));
}

/// Columns as wide as their widest cell.
fn laid_out(heading: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heading[column].chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..heading.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let rows = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(line(heading.to_vec())).chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_table_is_as_wide_as_its_cells() {
        let rows = [vec!["a".to_owned(), "1".to_owned()], vec!["core team".to_owned(), "20".to_owned()]];
        assert_eq!(laid_out(&["NAME", "RPM"], &rows), ["NAME       RPM", "a          1", "core team  20"]);
    }

    #[test]
    fn an_account_is_a_row() {
        let account = json!({ "id": "1", "name": "core\u{1b}", "routes": ["light", "strong"], "rpm": 5, "tpm": null,
            "parallel": null, "secrets": [{ "prefix": "tk-abc" }] });
        assert_eq!(row(&account), ["1", "core ", "light,strong", "5", "-", "-", "tk-abc", "-"]);
    }
}
