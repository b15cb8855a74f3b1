//! Counts instructions by what is installed: `perf stat` where the processor's counters can be read, else callgrind, which
//! takes some fifty times as long and counts the same every time.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// What counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// `perf stat`, in user mode, of all processes of the command.
    Perf,
    /// valgrind's callgrind, of all processes of the command.
    Callgrind,
}

impl Counter {
    /// The better one that works here.
    ///
    /// # Errors
    /// Where neither does.
    pub fn find() -> Result<Self> {
        let file = std::env::temp_dir().join(format!("bench-ab-{}-probe", std::process::id()));
        let found = [Self::Perf, Self::Callgrind].into_iter().find(|counter| {
            let mut words = counter.around(&file).into_iter();
            let Some(program) = words.next() else { return false };
            let quiet = Stdio::null;
            let run = Command::new(program).args(words).arg("true").stdout(quiet()).stderr(quiet()).status();
            run.is_ok_and(|status| status.success()) && counter.read(&file).is_ok()
        });
        // It is not there where nothing ran.
        let _ = std::fs::remove_file(&file);
        found.context(
            "neither `perf stat` nor `valgrind` counts instructions here; one of them has to be installed",
        )
    }

    /// What stands before a command so that its instructions are counted into a file.
    pub fn around(self, file: &Path) -> Vec<String> {
        let file = file.display();
        let words = match self {
            Self::Perf => format!("perf stat -x , -e instructions:u -o {file} --"),
            Self::Callgrind => format!(
                "valgrind --tool=callgrind --trace-children=yes --callgrind-out-file=/dev/null --log-file={file}"
            ),
        };
        words.split(' ').map(str::to_owned).collect()
    }

    /// Reads what was counted.
    ///
    /// # Errors
    /// Where nothing was.
    pub fn read(self, file: &Path) -> Result<u64> {
        let text = std::fs::read_to_string(file).context("failed to read what was counted")?;
        let found = match self {
            Self::Perf => of_perf(&text),
            Self::Callgrind => of_callgrind(&text),
        };
        match found {
            Some(count) if count > 0 => Ok(count),
            _ => bail!("no instructions were counted: {}", text.trim()),
        }
    }
}

/// `1234,,instructions:u,…`, or `<not supported>` in its place.
fn of_perf(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains("instructions"))?;
    line.split(',').next()?.trim().parse().ok()
}

/// `==PID== Collected : 1234`, once for each process.
fn of_callgrind(text: &str) -> Option<u64> {
    let counts = text.lines().filter_map(|line| line.split_once("Collected : "));
    counts.map(|(_, count)| count.trim().parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perfs_line_is_read_and_a_counter_that_is_not_supported_is_none() {
        let text = "# started on Mon\n\n1234567,,instructions:u,812345,100.00,,\n";
        assert_eq!(of_perf(text), Some(1_234_567));
        assert_eq!(of_perf("<not supported>,,instructions:u,0,100.00,,\n"), None);
        assert_eq!(of_perf(""), None);
    }

    #[test]
    fn callgrinds_processes_add_up() {
        let text = "==7== Callgrind\n==7== Collected : 100\n==8== \n==8== Collected : 23\n";
        assert_eq!(of_callgrind(text), Some(123));
        assert_eq!(of_callgrind("==7== Collected : many\n"), None);
    }
}
