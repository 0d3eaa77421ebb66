//! What the kernel says of a process: for benchmarks, which trust processor time more than the clock.

use std::fs;

/// Clock ticks a second in `/proc`: the kernel's interface fixes it at 100 for programs.
const TICK_MS: f64 = 10.0;

/// Processor time of a process so far, in user and system mode, in milliseconds; 0 where it is gone.
#[must_use]
pub fn cpu_ms(id: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    // The name stands in brackets and may hold anything.
    let fields = text.rsplit_once(") ").map_or(Vec::new(), |(_, tail)| tail.split_whitespace().collect());
    let number = |at: usize| fields.get(at).and_then(|field: &&str| field.parse::<f64>().ok()).unwrap_or(0.0);
    (number(11) + number(12)) * TICK_MS
}

/// A line of `/proc/ID/status` in MiB, such as `VmRSS` (now) or `VmHWM` (at most so far); 0 where it is gone.
#[must_use]
pub fn memory_mib(id: u32, line: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let value =
        text.lines().find_map(|it| it.strip_prefix(line)?.strip_prefix(':')?.split_whitespace().next());
    value.and_then(|kib| kib.parse::<f64>().ok()).map_or(0.0, |kib| kib / 1024.0)
}
