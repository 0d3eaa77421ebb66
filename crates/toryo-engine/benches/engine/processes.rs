//! Processor time and memory of processes, as the kernel tells them.

use std::collections::HashMap;
use std::fs;

/// Clock ticks a second in `/proc`: the kernel's interface fixes it at 100 for programs.
const TICK_MS: f64 = 10.0;

/// One process.
#[derive(Debug)]
pub struct Process {
    parent: u32,
    name: String,
    own: u64,
    children: u64,
    /// Whether its parent is of the same program, which then counts it when it has ended.
    counted_by_parent: bool,
}

impl Process {
    /// Milliseconds in user and system mode, with those of children that have ended.
    pub fn cpu_ms(&self) -> f64 {
        let ended = if self.counted_by_parent { 0 } else { self.children };
        (self.own + ended) as f64 * TICK_MS
    }
}

/// All processes of the machine at one moment.
pub struct Processes(HashMap<u32, Process>);

impl Processes {
    pub fn look() -> Self {
        let entries = fs::read_dir("/proc").expect("/proc").flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let mut all: HashMap<u32, Process> = ids.filter_map(|id| Some((id, read(id)?))).collect();
        let names: HashMap<u32, String> = all.iter().map(|(id, it)| (*id, it.name.clone())).collect();
        for process in all.values_mut() {
            process.counted_by_parent = names.get(&process.parent) == Some(&process.name);
        }
        Self(all)
    }

    /// Descendants of this process whose program has this name.
    pub fn mine<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Process> {
        self.0.values().filter(move |process| process.name == name && self.is_mine(process))
    }

    fn is_mine(&self, process: &Process) -> bool {
        let mut parent = process.parent;
        while parent != std::process::id() {
            match self.0.get(&parent) {
                Some(next) => parent = next.parent,
                None => return false,
            }
        }
        true
    }
}

/// Processor time of one process so far, in milliseconds.
pub fn cpu_ms(id: u32) -> f64 {
    read(id).map_or(0.0, |process| process.own as f64 * TICK_MS)
}

fn read(id: u32) -> Option<Process> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name stands in brackets and may hold anything.
    let (head, tail) = text.rsplit_once(") ")?;
    let name = head.split_once('(')?.1.to_owned();
    let fields: Vec<&str> = tail.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process {
        parent: u32::try_from(number(1)?).ok()?,
        name,
        own: number(11)? + number(12)?,
        children: number(13)? + number(14)?,
        counted_by_parent: false,
    })
}

/// A line of `/proc/ID/status` in MiB: `VmRSS`, `VmHWM`.
pub fn memory_mib(id: u32, line: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let value =
        text.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(':')?.split_whitespace().next());
    value.and_then(|kib| kib.parse::<f64>().ok()).map_or(0.0, |kib| kib / 1024.0)
}

/// Files that a process has open.
pub fn open_files(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count)
}
