//! `toryo replay`: executes a finished run again, without a model, and compares.

use crate::cli::steer::Replay;
use crate::client::Client;
use crate::output;
use anyhow::{Result, bail};
use futures::{StreamExt, pin_mut};
use std::process::ExitCode;
use toryo_engine::replay::{Line, StepReplay, Summary, Verdict};

/// Replays. Status 0 where nothing differs, 1 where anything does.
pub async fn run(arguments: &Replay) -> Result<ExitCode> {
    let client = Client::new(&arguments.server.server)?;
    let lines = client.lines::<Line>(&format!("/runs/{}/replay", arguments.run)).await?;
    pin_mut!(lines);
    while let Some(line) = lines.next().await {
        let line = line?;
        if arguments.json {
            output::json(&line)?;
        }
        match line {
            Line::Step(step) if !arguments.json => show(&step),
            Line::Step(_) => {}
            Line::End(summary) => {
                if !arguments.json {
                    output::line(&ending(&summary));
                }
                return Ok(if summary.same { ExitCode::SUCCESS } else { ExitCode::FAILURE });
            }
        }
    }
    bail!("the server broke off the replay")
}

fn show(step: &StepReplay) {
    let verdict = match step.verdict {
        Verdict::Same => "same",
        Verdict::Different => "DIFFERENT",
        Verdict::Skipped => "skipped",
    };
    let note = step.note.as_deref().map(|note| format!("  {}", output::plain(note))).unwrap_or_default();
    output::line(&format!("{:<36} {verdict}{note}", step.step_key.to_string()));
    for difference in &step.differences {
        let plain = |text: &str| output::plain(text);
        output::line(&format!("    {}", plain(&difference.place)));
        output::line(&format!("      stored   {}", plain(&difference.stored)));
        output::line(&format!("      replayed {}", plain(&difference.replayed)));
    }
}

fn ending(summary: &Summary) -> String {
    let mut text = format!(
        "{} same, {} different, {} skipped; no model was asked",
        summary.steps_same, summary.steps_different, summary.steps_skipped
    );
    for difference in &summary.decisions {
        text.push_str(&format!(
            "\nthe engine decides differently: {} / {}",
            difference.stored, difference.replayed
        ));
    }
    text
}
