//! What the machine has left: room on a disk, memory, processor time, as the kernel counts them (`proc(5)`,
//! `cgroups(7)`). Where it does not say, nothing is known.

use std::{fs, path::Path};

/// Bytes that a process has resident. None when there is no such process.
#[must_use]
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    kib(&text, "VmRSS:")
}

/// Whether a process was stopped (SIGSTOP) and does nothing until it is told to go on.
#[must_use]
pub fn is_stopped(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|text| {
        text.rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('T'))
    })
}

/// Bytes that an ordinary user can still write below a folder.
///
/// # Errors
/// When the folder's disk cannot be asked.
pub fn free_bytes(folder: &Path) -> std::io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Memory: how much is used and how much there is, in bytes; of the container, where that has less than
/// the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    pub used: u64,
    pub of: u64,
}

impl Memory {
    /// As of now.
    #[must_use]
    pub fn now() -> Option<Self> {
        let machine = Self::of_machine(&fs::read_to_string("/proc/meminfo").ok()?)?;
        let read = |name| fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok();
        let container = read("memory.max")
            .zip(read("memory.current"))
            .zip(read("memory.stat"))
            .and_then(|((most, used), stat)| Self::of_container(&most, &used, &stat));
        Some(container.filter(|c| c.of < machine.of).unwrap_or(machine))
    }

    fn of_machine(meminfo: &str) -> Option<Self> {
        let of = kib(meminfo, "MemTotal:")?;
        let left = kib(meminfo, "MemAvailable:")?;
        Some(Self {
            used: of.saturating_sub(left),
            of,
        })
    }

    fn of_container(most: &str, used: &str, stat: &str) -> Option<Self> {
        let of: u64 = most.trim().parse().ok()?;
        let used: u64 = used.trim().parse().ok()?;
        // What the kernel would give back at once: pages of files that nobody has used for long.
        let spare = stat
            .lines()
            .find_map(|line| line.strip_prefix("inactive_file "))
            .and_then(|bytes| bytes.trim().parse().ok())
            .unwrap_or(0);
        Some(Self {
            used: used.saturating_sub(spare),
            of,
        })
    }

    /// The share that is used, in percent.
    #[must_use]
    pub fn percent(self) -> f64 {
        self.used as f64 / self.of.max(1) as f64 * 100.0
    }
}

fn kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

/// Processor time since the machine started, in ticks of all cores together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processor {
    busy: u64,
    all: u64,
}

impl Processor {
    /// As of now.
    #[must_use]
    pub fn now() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        // user nice system idle iowait irq softirq steal; guests are in user already.
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let ticks: Vec<u64> = line
            .split_whitespace()
            .take(8)
            .map_while(|ticks| ticks.parse().ok())
            .collect();
        let all: u64 = ticks.iter().sum();
        let idle = ticks.get(3)? + ticks.get(4)?;
        Some(Self {
            busy: all - idle,
            all,
        })
    }

    /// The share that was busy since `before`, in percent.
    #[must_use]
    pub fn percent_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all).max(1);
        self.busy.saturating_sub(before.busy) as f64 / all as f64 * 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_says_is_read() {
        let machine =
            Memory::of_machine("MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\n");
        let machine = machine.unwrap();
        assert_eq!((machine.used, machine.of), (750 * 1024, 1000 * 1024));
        assert!((machine.percent() - 75.0).abs() < 1e-9);
        let container = Memory::of_container("2000\n", "1500\n", "anon 1\ninactive_file 500\n");
        assert_eq!(
            container,
            Some(Memory {
                used: 1000,
                of: 2000
            })
        );
        assert_eq!(Memory::of_container("max\n", "1\n", ""), None);
        let before = Processor::parse("cpu  10 0 10 70 10 0 0 0 5 5\ncpu0 1").unwrap();
        let after = Processor::parse("cpu  60 0 20 100 20 0 0 0 5 5\n").unwrap();
        assert!((after.percent_since(before) - 60.0).abs() < 1e-9);
        assert_eq!(Processor::parse("intr 5"), None);
    }

    #[test]
    fn this_machine_says_so() {
        assert!(resident_bytes(std::process::id()).is_some_and(|bytes| bytes > 100_000));
        assert!(free_bytes(Path::new("/")).is_ok());
        assert!(free_bytes(Path::new("/no/such/folder")).is_err());
        assert!(Memory::now().is_some_and(|memory| memory.used > 0 && memory.used < memory.of));
        assert!(Processor::now().is_some());
    }
}
