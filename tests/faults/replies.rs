//! What became of every model reply, from the notes that all workers took.

use anyhow::{Context, Result};
use std::collections::{BTreeMap, BTreeSet};

/// The figures of all calls.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Replies {
    /// Calls, each of them journalled in the end.
    pub calls: usize,
    /// Replies that were asked for again because the process that held them was killed or stood still before the
    /// journal had them: nobody else could know of them.
    pub lost_with_their_process: usize,
    /// Replies that were asked for again though nothing had happened to their process, and those that were asked for
    /// again though the journal had them: there may be none.
    pub paid_twice: Vec<String>,
}

#[derive(Default)]
struct Call {
    journalled: bool,
    /// Who looks now, and whether the journal had the reply when they began to.
    looking: BTreeMap<u32, bool>,
    /// Whose reply is not journalled yet.
    holding: BTreeSet<u32>,
    lost: BTreeSet<u32>,
}

impl Replies {
    /// Reads the notes; `excused` are the processes that something was done to.
    pub fn read(notes: &str, excused: &BTreeSet<u32>) -> Result<Self> {
        let mut calls: BTreeMap<(&str, &str), Call> = BTreeMap::new();
        let mut all = Self::default();
        for line in notes.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [what, step, number, pid] = words[..] else { anyhow::bail!("a note reads `{line}`") };
            let (pid, call) =
                (pid.parse().context(line.to_owned())?, calls.entry((step, number)).or_default());
            match what {
                "looking" => drop(call.looking.insert(pid, call.journalled)),
                "missing" if call.looking.remove(&pid) == Some(true) => {
                    all.paid_twice.push(format!("the journal lost call {number} of {step}"));
                }
                "answered" if !call.holding.insert(pid) => {
                    // The gateway asked again although it held an answer.
                    call.lost.insert(pid);
                }
                "journalled" => {
                    call.holding.remove(&pid);
                    call.journalled = true;
                }
                "found" | "missing" | "asking" | "answered" => {}
                _ => anyhow::bail!("a note reads `{line}`"),
            }
        }
        all.calls = calls.len();
        for ((step, number), call) in calls {
            // Who came second is told so by the journal, and uses the first reply.
            for pid in call.holding.iter().chain(&call.lost) {
                if excused.contains(pid) {
                    all.lost_with_their_process += 1;
                } else {
                    all.paid_twice
                        .push(format!("call {number} of {step} was asked for again by process {pid}"));
                }
            }
        }
        Ok(all)
    }
}

/// These rules, on notes whose meaning is plain: the suite has to be able to fail.
pub fn self_check() -> Result<()> {
    let lost = "looking s 1 7\nmissing s 1 7\nasking s 1 7\nanswered s 1 7\nlooking s 1 8\nmissing s 1 8\n\
                asking s 1 8\nanswered s 1 8\njournalled s 1 8\nlooking s 1 9\nfound s 1 9\n";
    let excused = Replies::read(lost, &BTreeSet::from([7]))?;
    anyhow::ensure!(
        (excused.calls, excused.lost_with_their_process) == (1, 1) && excused.paid_twice.is_empty()
    );
    anyhow::ensure!(Replies::read(lost, &BTreeSet::new())?.paid_twice.len() == 1);
    let forgotten =
        "looking s 1 8\nmissing s 1 8\nanswered s 1 8\njournalled s 1 8\nlooking s 1 9\nmissing s 1 9\n";
    anyhow::ensure!(Replies::read(forgotten, &BTreeSet::from([8, 9]))?.paid_twice.len() == 1);
    Ok(())
}
