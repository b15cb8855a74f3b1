//! Counts instructions by what is installed: `perf stat` where the processor's counters can be read, else callgrind, which
//! takes some fifty times as long and counts the same every time.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::measure::Scratch;

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
        let works = |counter: &Self| -> Option<u64> {
            let counts = Scratch::folder("probe").ok()?;
            let mut words = counter.around(&counts.0).into_iter();
            let quiet = Stdio::null;
            let mut command = Command::new(words.next()?);
            let run = command.args(words).arg("true").stdout(quiet()).stderr(quiet()).status();
            run.ok()?.success().then(|| counter.read(&counts.0).ok())?
        };
        let found = [Self::Perf, Self::Callgrind].into_iter().find(|counter| works(counter).is_some());
        found.context(
            "neither `perf stat` nor `valgrind` counts instructions here; one of them has to be installed",
        )
    }

    /// What stands before a command so that its instructions are counted into an empty folder. Each process that valgrind
    /// follows has a file of its own there: in one for all of them the lines may be jumbled.
    pub fn around(self, folder: &Path) -> Vec<String> {
        let folder = folder.display();
        let words = match self {
            Self::Perf => format!("perf stat -x , -e instructions:u -o {folder}/all --"),
            Self::Callgrind => format!(
                "valgrind --tool=callgrind --trace-children=yes --callgrind-out-file=/dev/null --log-file={folder}/%p"
            ),
        };
        words.split(' ').map(str::to_owned).collect()
    }

    /// Reads what was counted, all processes together.
    ///
    /// # Errors
    /// Where nothing was.
    pub fn read(self, folder: &Path) -> Result<u64> {
        let (mut all, mut said) = (0, String::new());
        for entry in std::fs::read_dir(folder).context("failed to read what was counted")? {
            let text = std::fs::read_to_string(entry?.path()).context("failed to read what was counted")?;
            let found = match self {
                Self::Perf => of_perf(&text),
                Self::Callgrind => of_callgrind(&text),
            };
            all += found.unwrap_or(0);
            said += text.trim();
        }
        if all == 0 {
            bail!("no instructions were counted: {said}");
        }
        Ok(all)
    }
}

/// `1234,,instructions:u,…`, or `<not supported>` in its place.
fn of_perf(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains("instructions"))?;
    line.split(',').next()?.trim().parse().ok()
}

/// `==PID== Collected : 1234`, from a process that came to its end.
fn of_callgrind(text: &str) -> Option<u64> {
    let (_, count) = text.lines().find_map(|line| line.split_once("Collected : "))?;
    count.trim().parse().ok()
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
    fn callgrinds_processes_have_a_file_each_and_add_up() {
        let counts = Scratch::folder("two-processes").unwrap();
        assert!(Counter::Callgrind.read(&counts.0).is_err());
        let log = format!("--log-file={}/%p", counts.0.display());
        assert!(Counter::Callgrind.around(&counts.0).contains(&log));
        std::fs::write(counts.0.join("7"), "==7== Callgrind\n==7== Collected : 100\n").unwrap();
        std::fs::write(counts.0.join("8"), "==8== \n==8== Collected : 23\n").unwrap();
        assert_eq!(Counter::Callgrind.read(&counts.0).unwrap(), 123);
        assert_eq!(of_callgrind("==7== Collected : many\n"), None);
    }
}
