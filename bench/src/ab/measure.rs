//! Runs a command once and says what it used.

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Command as Process, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use wait4::Wait4;

use super::instructions::Counter;

/// Lines of a failed command's standard error that are shown.
const LINES_SHOWN: usize = 5;

/// What one run of a command used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// From its start to its end, in seconds.
    pub wall_seconds: f64,
    /// Processor time of it and of all that it waited for, in seconds.
    pub cpu_seconds: f64,
    /// Greatest resident memory of one of these processes, in bytes; never less than this program had when it started it.
    pub memory_bytes: u64,
    /// Instructions, where they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<u64>,
    /// The figure that it printed, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figure: Option<f64>,
}

/// A command.
#[derive(Clone, Debug)]
pub struct Command {
    /// As it was given.
    pub shown: String,
    /// The program and its arguments.
    pub arguments: Vec<String>,
    /// Where its figure is in the JSON that it prints, a pointer as `/latency_ms/response/p99`.
    pub figure: Option<String>,
    /// What counts its instructions, if they are wanted.
    pub counter: Option<Counter>,
}

impl Command {
    /// A command line for the shell, or, without shell, words between spaces.
    pub fn new(line: &str, shell: bool) -> Self {
        let arguments = if shell {
            ["sh", "-c", line].map(str::to_owned).to_vec()
        } else {
            line.split_whitespace().map(str::to_owned).collect()
        };
        Self { shown: line.to_owned(), arguments, figure: None, counter: None }
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// Where it does not start, fails, or does not print the figure.
    pub fn run(&self) -> Result<Measured> {
        let errors = Scratch::new("stderr");
        let counts = Scratch::folder("counts")?;
        let around = self.counter.map(|counter| counter.around(&counts.0)).unwrap_or_default();
        let mut words = around.iter().chain(&self.arguments);
        let program = words.next().context("the command is empty")?;
        let mut process = Process::new(program);
        process.args(words).stdin(Stdio::null());
        process.stderr(File::create(&errors.0).context("failed to create a file for standard error")?);
        process.stdout(if self.figure.is_some() { Stdio::piped() } else { Stdio::null() });
        let started = Instant::now();
        let mut child = process.spawn().with_context(|| format!("failed to start `{}`", self.shown))?;
        let mut printed = String::new();
        if let Some(mut output) = child.stdout.take() {
            output
                .read_to_string(&mut printed)
                .with_context(|| format!("failed to read from `{}`", self.shown))?;
        }
        let ended = child.wait4().with_context(|| format!("failed to wait for `{}`", self.shown))?;
        let wall = started.elapsed();
        if !ended.status.success() {
            let said = std::fs::read_to_string(&errors.0).unwrap_or_default();
            let lines: Vec<&str> = said.lines().collect();
            let last = lines.get(lines.len().saturating_sub(LINES_SHOWN)..).unwrap_or_default();
            bail!("`{}` ended with {}\n{}", self.shown, ended.status, last.join("\n"));
        }
        let figure = self.figure.as_deref().map(|pointer| figure(&printed, pointer));
        let figure =
            figure.transpose().with_context(|| format!("`{}` did not print its figure", self.shown))?;
        let instructions = match self.counter {
            None => None,
            Some(counter) => Some(counter.read(&counts.0).with_context(|| format!("of `{}`", self.shown))?),
        };
        Ok(Measured {
            wall_seconds: wall.as_secs_f64(),
            cpu_seconds: (ended.rusage.utime + ended.rusage.stime).as_secs_f64(),
            memory_bytes: ended.rusage.maxrss,
            instructions,
            figure,
        })
    }
}

/// The number at a JSON pointer of what was printed: of all of it, or of its last line that is JSON.
fn figure(printed: &str, pointer: &str) -> Result<f64> {
    let whole = serde_json::from_str::<serde_json::Value>(printed).ok();
    let line = || printed.lines().rev().find_map(|line| serde_json::from_str(line).ok());
    let value = whole.or_else(line).context("what it printed is not JSON, nor is a line of it")?;
    let number = value.pointer(pointer).and_then(serde_json::Value::as_f64);
    number.with_context(|| format!("the JSON has no number at {pointer}"))
}

/// A file or a folder of its own that goes when it is dropped.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    /// A file that is not there yet, by a name that no other has.
    fn new(name: &str) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("bench-ab-{}-{number}-{name}", std::process::id())))
    }

    /// An empty folder.
    pub(super) fn folder(name: &str) -> Result<Self> {
        let folder = Self::new(name);
        std::fs::create_dir_all(&folder.0).context("failed to make a folder for what is counted")?;
        Ok(folder)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // It is one of the two, if a command has made it at all.
        let _ = std::fs::remove_file(&self.0);
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_run_by_the_shell_or_word_by_word() {
        let mut line = Command::new("echo '{\"a\":{\"b\":2.5}}' && true", true);
        line.figure = Some("/a/b".to_owned());
        let measured = line.run().unwrap();
        assert_eq!(measured.figure, Some(2.5));
        assert!(measured.wall_seconds > 0.0 && measured.memory_bytes > 0);
        let words = Command::new("sh -c true", false);
        assert_eq!(words.arguments, ["sh", "-c", "true"]);
        words.run().unwrap();
    }

    #[test]
    fn a_command_that_fails_is_named_with_what_it_said() {
        let error = Command::new("echo sorry >&2; exit 3", true).run().unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("sorry"), "{error}");
    }

    #[test]
    fn no_file_and_no_folder_stays() {
        let (file, folder) = (Scratch::new("file"), Scratch::folder("folder").unwrap());
        let paths = [file.0.clone(), folder.0.clone(), folder.0.join("1")];
        [&paths[0], &paths[2]].into_iter().for_each(|path| std::fs::write(path, "").unwrap());
        assert!(paths.iter().all(|path| path.exists()));
        drop((file, folder));
        assert!(!paths.iter().any(|path| path.exists()));
    }

    #[test]
    fn the_processor_time_of_what_a_command_waits_for_is_its_own() {
        // A quarter of a second of work in a grandchild, against next to none.
        let work = "sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done'; true";
        let [busy, idle] = [work, "true"].map(|line| Command::new(line, true).run().unwrap().cpu_seconds);
        assert!(busy > idle * 3.0, "{busy} {idle}");
    }

    #[test]
    fn the_figure_is_that_of_all_that_is_printed_or_of_the_last_line_that_is_json() {
        assert_eq!(figure("{\n \"p99\": 3\n}\n", "/p99").unwrap(), 3.0);
        assert_eq!(figure("begun\n{\"p99\":4}\n{\"p99\":5}\nended\n", "/p99").unwrap(), 5.0);
        assert!(figure("{\"p99\":\"5\"}", "/p99").is_err());
        assert!(figure("nothing", "/p99").is_err());
    }
}
