//! Shows a run while it goes: a line a step on a terminal, a line a change elsewhere.

mod tree;

use crate::client::Client;
use crate::output;
use anyhow::Result;
use futures::{StreamExt, pin_mut};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};
use toryo_domain::RunId;
use tree::{Mark, State, Tree};

/// How often clocks on the display move.
const TICK: Duration = Duration::from_millis(200);

/// Shows a run until it ends or waits for a person; `true` where a pull request stands.
///
/// # Errors
/// The server went away for long.
pub async fn watch(client: &Client, run: RunId) -> Result<bool> {
    let mut tree = Tree::default();
    let mut display = Display::new();
    let events = client.events(run, 0);
    pin_mut!(events);
    let mut told = State::Going;
    while let Some(event) = events.next().await {
        let event = event?;
        tree.take(&event);
        display.show(&tree, &event);
        if let State::Waiting(what) = &tree.state
            && tree.state != told
        {
            display.say(&format!("The run waits for {what}"));
            display.say(&format!("Go on at {}", client.url(&format!("/ui/runs/{run}"))));
        }
        told = tree.state.clone();
    }
    display.close();
    finish(client, run, &tree);
    Ok(tree.state == State::Succeeded)
}

/// The result, on standard output.
fn finish(client: &Client, run: RunId, tree: &Tree) {
    match (&tree.state, &tree.result) {
        (State::Succeeded, Some(result)) => {
            let field = |name: &str| output::plain(result[name].as_str().unwrap_or("?"));
            output::line(&format!("branch        {}", field("branch")));
            output::line(&format!("commit        {}", field("commit")));
            let url = output::plain(result["pull_request"]["url"].as_str().unwrap_or("?"));
            output::line(&format!("pull request  {url}"));
            if tree.recorded {
                output::note(
                    "This run replayed recorded replies; set a model key to work on your own repositories.",
                );
            }
        }
        (State::Ended(reason), _) => {
            output::error(&format!("the run {reason}; see {}", client.url(&format!("/ui/runs/{run}"))));
        }
        (State::Going | State::Waiting(_) | State::Succeeded, _) => {
            output::error("the stream ended before the run did");
        }
    }
}

/// A tree of steps on a terminal; plain lines elsewhere.
struct Display {
    bars: Option<MultiProgress>,
    head: ProgressBar,
    steps: Vec<ProgressBar>,
    began: Instant,
}

impl Display {
    fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let bars = terminal.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        let head = match &bars {
            Some(bars) => {
                bars.add(ProgressBar::new_spinner().with_style(style("{spinner} {wide_msg} {elapsed}")))
            }
            None => ProgressBar::hidden(),
        };
        head.enable_steady_tick(TICK);
        Self { bars, head, steps: Vec::new(), began: Instant::now() }
    }

    fn show(&mut self, tree: &Tree, event: &toryo_domain::Event) {
        let Some(bars) = &self.bars else {
            self.write(tree, event);
            return;
        };
        let title = tree.title.as_deref().unwrap_or("reading the task");
        let replay = if tree.recorded { "replay of recorded replies · " } else { "" };
        self.head.set_message(format!("{title} · {replay}{}", tree.cost));
        for (n, step) in tree.steps.iter().enumerate() {
            if n == self.steps.len() {
                let bar = bars.add(ProgressBar::new_spinner().with_style(style("  {prefix} {wide_msg}")));
                self.steps.push(bar);
            }
            let bar = &self.steps[n];
            bar.set_prefix(format!("{} {:<28}", step.mark.sign(), step.key.to_string()));
            bar.set_message(step.text.clone());
            if step.mark == Mark::Running {
                bar.set_style(style("  {prefix} {wide_msg} {elapsed}"));
                bar.enable_steady_tick(TICK);
            } else {
                bar.disable_steady_tick();
                bar.set_style(style("  {prefix} {wide_msg}"));
                bar.tick();
            }
        }
    }

    /// One line where a step changed, with the time since the start.
    fn write(&self, tree: &Tree, event: &toryo_domain::Event) {
        let Some(step) =
            event.step_key.as_ref().and_then(|key| tree.steps.iter().find(|step| step.key == *key))
        else {
            return;
        };
        if event.kind.as_str().starts_with("step.") && event.kind != toryo_domain::EventType::StepLog {
            let seconds = self.began.elapsed().as_secs();
            let line = format!(
                "{:02}:{:02} {} {} {}",
                seconds / 60,
                seconds % 60,
                step.mark.sign(),
                step.key,
                step.text
            );
            output::note(line.trim_end());
        }
    }

    fn say(&self, text: &str) {
        match &self.bars {
            Some(bars) => {
                let _closed = bars.println(text);
            }
            None => output::note(text),
        }
    }

    fn close(&self) {
        for bar in &self.steps {
            bar.abandon();
        }
        self.head.abandon();
    }
}

/// A template that is known to be right; a wrong one falls back to the library's own.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
