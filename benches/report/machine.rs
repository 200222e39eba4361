//! Where and when a figure was measured, and what it cost: processor seconds and memory, as the kernel
//! counts them (`proc(5)`). Linux only; elsewhere the figures are absent.

use std::{fmt, fs, process::Command, time::Instant};

use serde::{Deserialize, Serialize};

/// What a reader must know to believe a figure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Provenance {
    pub machine: String,
    pub commit: String,
    pub date: String,
    pub wall_s: f64,
    /// Processor seconds of this process and of the children it waited for.
    pub cpu_s: f64,
    /// Share of the time in which some task waited for a processor while this was measured, in
    /// percent. Above a few the wall times are not the program's own.
    pub contention_percent: Option<f64>,
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} · commit {} · {} · {:.0} s, {:.0} CPU s",
            self.machine, self.commit, self.date, self.wall_s, self.cpu_s
        )?;
        if let Some(percent) = self.contention_percent {
            write!(f, " · processor contended {percent:.0} % of the time")?;
        }
        Ok(())
    }
}

/// A measurement under way.
pub struct Stopwatch {
    began: Instant,
    cpu_s: f64,
    waited_us: Option<u64>,
}

impl Stopwatch {
    /// Begins.
    pub fn start() -> Self {
        Self {
            began: Instant::now(),
            cpu_s: own_cpu_seconds(),
            waited_us: processor_wait_us(),
        }
    }

    /// Seconds since the start.
    pub fn wall_s(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Processor seconds since the start, of this process and of the children it waited for.
    pub fn cpu_s(&self) -> f64 {
        own_cpu_seconds() - self.cpu_s
    }

    /// Ends, and says all there is to say about the circumstances.
    pub fn provenance(&self) -> Provenance {
        let wall_s = self.wall_s();
        let waited = self.waited_us.zip(processor_wait_us());
        Provenance {
            machine: machine(),
            commit: commit(),
            date: jiff::Timestamp::now()
                .strftime("%Y-%m-%d %H:%M UTC")
                .to_string(),
            wall_s,
            cpu_s: self.cpu_s(),
            contention_percent: waited
                .map(|(before, after)| (after - before) as f64 / 1e6 / wall_s * 100.0),
        }
    }
}

fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let value = |text: &str, key: &str| {
        text.lines()
            .find(|line| line.starts_with(key))
            .and_then(|line| line.split(':').nth(1))
            .map(|value| value.trim().to_owned())
    };
    let model =
        value(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown processor".into());
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = value(&read("/proc/meminfo"), "MemTotal")
        .and_then(|kib| kib.split_whitespace().next()?.parse::<f64>().ok())
        .map_or_else(String::new, |kib| {
            format!(", {:.0} GiB", kib / 1024.0 / 1024.0)
        });
    format!("{model}, {cores} cores{memory}")
}

fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| text.trim().to_owned())
    };
    let Some(commit) = git(&["rev-parse", "--short", "HEAD"]) else {
        return "unknown".to_owned();
    };
    let changed = git(&["status", "--porcelain", "--untracked-files=no"]);
    if changed.is_some_and(|files| !files.is_empty()) {
        format!("{commit} with changes")
    } else {
        commit
    }
}

/// Microseconds that some runnable task had to wait for a processor since the machine started
/// (`/proc/pressure/cpu`).
fn processor_wait_us() -> Option<u64> {
    let text = fs::read_to_string("/proc/pressure/cpu").ok()?;
    let some = text.lines().find(|line| line.starts_with("some"))?;
    some.split("total=").nth(1)?.trim().parse().ok()
}

fn own_cpu_seconds() -> f64 {
    let Some(fields) = stat_fields("self") else {
        return 0.0;
    };
    // utime, stime, and those of the children that were waited for (fields 14 to 17 of proc(5)).
    ticks(&fields, 14..=17)
}

/// Processor seconds that a running process has used. `None` when there is no such process.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    stat_fields(&pid.to_string()).map(|fields| ticks(&fields, 14..=15))
}

/// Ticks per second of `proc(5)`'s times: `USER_HZ`, which is 100 wherever Linux runs today.
const TICKS: f64 = 100.0;

fn ticks(fields: &[String], places: std::ops::RangeInclusive<usize>) -> f64 {
    // The first two fields (pid and name) are cut off, and proc(5) counts from 1.
    let sum: u64 = places
        .filter_map(|place| fields.get(place - 3)?.parse::<u64>().ok())
        .sum();
    sum as f64 / TICKS
}

/// The fields after the name, which may itself hold spaces and parentheses.
fn stat_fields(pid: &str) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after) = text.rsplit_once(')')?;
    Some(after.split_whitespace().map(str::to_owned).collect())
}

/// Resident memory of a process, in MB (10⁶ bytes). `None` when there is no such process.
pub fn resident_mb(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024.0 / 1e6)
}

/// Running processes called `name` whose parent is `parent`.
pub fn children_named(parent: u32, name: &str) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| {
            let named = fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|comm| comm.trim() == name);
            let parent_of = || stat_fields(&pid.to_string())?.get(1)?.parse::<u32>().ok();
            named && parent_of() == Some(parent)
        })
        .collect()
}
