//! What was measured, as a table and as JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::bench::{machine, quantile};

/// What became of one edit, or of one set of edits.
pub(super) struct Outcome {
    pub(super) cpu_ms: f64,
    /// Why it is not right, with its place.
    pub(super) fault: Option<String>,
}

/// The edits of one contender.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) outcomes: Vec<Outcome>,
}

impl Series {
    fn times(&self) -> Vec<f64> {
        self.outcomes.iter().map(|outcome| outcome.cpu_ms).collect()
    }

    fn at(&self, share: f64) -> f64 {
        quantile(&self.times(), share).unwrap_or(f64::NAN)
    }

    fn right(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.fault.is_none()).count()
    }

    fn edits_per_second(&self) -> f64 {
        self.outcomes.len() as f64 * 1e3 / self.times().iter().sum::<f64>()
    }

    fn faults(&self) -> impl Iterator<Item = &str> {
        self.outcomes.iter().filter_map(|outcome| outcome.fault.as_deref())
    }
}

/// How fast files are read.
pub(super) struct Reading {
    pub(super) lines: u64,
    pub(super) bytes: u64,
    /// What read them, with the time of each round in milliseconds.
    pub(super) times: Vec<(String, Vec<f64>)>,
}

impl Reading {
    pub(super) fn note(&mut self, name: String, cpu_ms: f64) {
        match self.times.iter_mut().find(|(known, _)| *known == name) {
            Some((_, times)) => times.push(cpu_ms),
            None => self.times.push((name, vec![cpu_ms])),
        }
    }

    /// Name, thousands of lines a second, megabytes a second; by the median round.
    fn rates(&self) -> impl Iterator<Item = (&str, f64, f64)> {
        self.times.iter().map(|(name, times)| {
            let cpu_ms = quantile(times, 0.5).unwrap_or(f64::NAN);
            (name.as_str(), self.lines as f64 / cpu_ms, self.bytes as f64 / cpu_ms / 1e3)
        })
    }
}

/// One run.
pub(super) struct Report {
    /// Where the files are from.
    pub(super) source: String,
    /// Lines of the edited files.
    pub(super) files: Vec<u64>,
    /// The contenders; the first is our own.
    pub(super) series: Vec<Series>,
    /// Contenders that were not measured, and why.
    pub(super) missing: Vec<(&'static str, String)>,
    /// Sets of edits of one file: how many edits, and what became of them.
    pub(super) sets: Vec<(usize, Outcome)>,
    pub(super) reading: Reading,
}

/// How many faults of a contender are named.
const MOST_FAULTS: usize = 5;

impl Report {
    /// Whether our own contender did everything right.
    pub(super) fn every_edit_is_right(&self) -> bool {
        let own = self.series.first().is_some_and(|own| own.right() == own.outcomes.len());
        own && self.sets.iter().all(|(_, outcome)| outcome.fault.is_none())
    }

    fn lines_of_files(&self, share: f64) -> f64 {
        let lines: Vec<f64> = self.files.iter().map(|lines| *lines as f64).collect();
        quantile(&lines, share).unwrap_or_default()
    }

    /// Milliseconds for each edit of a set.
    fn set_times(&self) -> Vec<f64> {
        self.sets.iter().map(|(edits, outcome)| outcome.cpu_ms / *edits as f64).collect()
    }

    /// The table.
    pub(super) fn table(&self) -> String {
        let mut out = format!(
            "Edits of {}: {} functions, files of {:.0} lines in the median (p99 {:.0}).\nMachine: {}; processor time.\n\n",
            self.source,
            self.files.len(),
            self.lines_of_files(0.5),
            self.lines_of_files(0.99),
            machine(),
        );
        let own = self.series.first().map_or(f64::NAN, |own| own.at(0.5));
        let _ = writeln!(
            out,
            "{:<28}{:>10}{:>10}{:>10}{:>14}{:>10}",
            "edit", "p50 ms", "p99 ms", "edits/s", "right", "× ours"
        );
        for series in &self.series {
            let right = format!("{}/{}", series.right(), series.outcomes.len());
            let _ = writeln!(
                out,
                "{:<28}{:>10.2}{:>10.2}{:>10.1}{right:>14}{:>10.1}",
                series.name,
                series.at(0.5),
                series.at(0.99),
                series.edits_per_second(),
                series.at(0.5) / own,
            );
        }
        for (name, why) in &self.missing {
            let _ = writeln!(out, "{name:<28}not measured: {why}");
        }
        let times = self.set_times();
        if let (Some(median), Some(p99)) = (quantile(&times, 0.5), quantile(&times, 0.99)) {
            let right = self.sets.iter().filter(|(_, outcome)| outcome.fault.is_none()).count();
            let _ = writeln!(
                out,
                "\nSets of {} edits of one file: {median:.2} ms an edit in the median, {p99:.2} at p99; {right}/{} right.",
                self.sets.first().map_or(0, |(edits, _)| *edits),
                self.sets.len()
            );
        }
        let _ = writeln!(out, "\n{:<28}{:>10}{:>10}", "reading", "kLOC/s", "MB/s");
        for (name, lines, bytes) in self.reading.rates() {
            let _ = writeln!(out, "{name:<28}{lines:>10.0}{bytes:>10.1}");
        }
        self.name_faults(&mut out);
        out
    }

    fn name_faults(&self, out: &mut String) {
        for series in self.series.iter().filter(|series| series.right() < series.outcomes.len()) {
            let _ = writeln!(out, "\nNot right by {}:", series.name);
            for fault in series.faults().take(MOST_FAULTS) {
                let _ = writeln!(out, "  {fault}");
            }
        }
        for fault in self.sets.iter().filter_map(|(_, outcome)| outcome.fault.as_deref()).take(MOST_FAULTS) {
            let _ = writeln!(out, "\nA set is not right: {fault}");
        }
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let own = self.series.first().map_or(f64::NAN, |own| own.at(0.5));
        let series = |series: &Series| {
            json!({
                "name": series.name, "edits": series.outcomes.len(), "right": series.right(),
                "p50_ms": series.at(0.5), "p99_ms": series.at(0.99), "edits_per_second": series.edits_per_second(),
                "ratio_of_medians": series.at(0.5) / own, "faults": series.faults().collect::<Vec<_>>(),
            })
        };
        let times = self.set_times();
        let sets = json!({
            "sets": self.sets.len(), "edits_of_a_set": self.sets.first().map_or(0, |(edits, _)| *edits),
            "right": self.sets.iter().filter(|(_, outcome)| outcome.fault.is_none()).count(),
            "p50_ms_of_an_edit": quantile(&times, 0.5), "p99_ms_of_an_edit": quantile(&times, 0.99),
        });
        let rate = |(name, lines, bytes): (&str, f64, f64)| json!({ "name": name, "thousand_lines_per_second": lines, "megabytes_per_second": bytes });
        json!({
            "machine": machine(), "source": self.source, "time": "processor",
            "median_lines_of_files": self.lines_of_files(0.5),
            "contenders": self.series.iter().map(series).collect::<Vec<_>>(),
            "not_measured": self.missing.iter().map(|(name, why)| json!({ "name": name, "why": why })).collect::<Vec<_>>(),
            "sets": sets,
            "reading": {
                "lines": self.reading.lines, "bytes": self.reading.bytes,
                "rates": self.reading.rates().map(rate).collect::<Vec<_>>(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(fault: Option<&str>) -> Report {
        let outcome = |cpu_ms, fault: Option<&str>| Outcome { cpu_ms, fault: fault.map(str::to_owned) };
        let series = |name: &str, outcomes| Series { name: name.to_owned(), outcomes };
        let mut reading = Reading { lines: 1_000, bytes: 40_000, times: Vec::new() };
        [4.0, 2.0, 3.0].into_iter().for_each(|cpu_ms| reading.note("ours, outline".to_owned(), cpu_ms));
        Report {
            source: "two files".to_owned(),
            files: vec![100, 200],
            series: vec![
                series("ours", vec![outcome(1.0, None), outcome(2.0, fault)]),
                series("theirs", vec![outcome(30.0, None), outcome(60.0, Some("a.py f: it is away"))]),
            ],
            missing: vec![("LibCST", "no PyPI".to_owned())],
            sets: vec![(10, outcome(5.0, None))],
            reading,
        }
    }

    #[test]
    fn a_report_reads_as_a_table() {
        let table = report(None).table();
        let shown: Vec<&str> = table.lines().filter(|line| !line.starts_with("Machine")).collect();
        insta::assert_snapshot!(shown.join("\n"));
    }

    #[test]
    fn one_wrong_edit_of_ours_is_a_failure_and_theirs_are_not() {
        assert!(report(None).every_edit_is_right());
        assert!(!report(Some("b.py g: moved")).every_edit_is_right());
        assert_eq!(report(None).json()["contenders"][1]["ratio_of_medians"], 30.0);
    }
}
