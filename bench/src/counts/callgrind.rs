//! This program under callgrind: started anew, looked at while it is in one function, and its profile read.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

/// The function that is looked at.
const FUNCTION: &str = "tillflow_counted";
/// Where profiles are kept, beside the program: for `callgrind_annotate` and KCachegrind.
const PROFILES: &str = "profiles";

/// What came of a look.
#[derive(Debug)]
pub struct Looked {
    /// Instructions in the function, and in all that it called.
    pub instructions: u64,
    /// What the program printed.
    pub output: String,
}

/// Runs this program with arguments under callgrind.
///
/// # Errors
/// Where valgrind is not there, the program fails, or was never in the function.
pub fn look_at(name: &str, arguments: &[&str]) -> Result<Looked> {
    let program = std::env::current_exe()?;
    let profiles = program.parent().context("this program lies in no folder")?.join(PROFILES);
    std::fs::create_dir_all(&profiles)?;
    let profile = profiles.join(format!("{}.callgrind", name.replace(['/', ' '], "-")));
    let output = Command::new("valgrind")
        .args(["--quiet", "--tool=callgrind", &format!("--toggle-collect={FUNCTION}")])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("failed to run valgrind, which counts the instructions (Debian's package valgrind)")?;
    if !output.status.success() {
        bail!("{name}: {} under valgrind", output.status);
    }
    let text =
        std::fs::read_to_string(&profile).with_context(|| format!("failed to read {}", profile.display()))?;
    let instructions = instructions(&text).with_context(|| format!("{} has no totals", profile.display()))?;
    ensure!(
        instructions > 0,
        "{name}: callgrind never saw {FUNCTION}; is the build stripped of its symbols?"
    );
    Ok(Looked { instructions, output: String::from_utf8(output.stdout)? })
}

/// The sum of a profile whose first event is instructions.
fn instructions(profile: &str) -> Option<u64> {
    let value = |key: &str| profile.lines().find_map(|line| line.strip_prefix(key));
    value("events:")?.trim_start().strip_prefix("Ir")?;
    value("totals:")?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profiles_totals_are_read_and_another_event_is_not_taken_for_instructions() {
        let profile = "version: 1\nevents: Ir\n\nfn=(1) main\n1 5\n\ntotals: 1234\n";
        assert_eq!(instructions(profile), Some(1_234));
        assert_eq!(instructions("events: Ir Dr\ntotals: 7 8\n"), Some(7));
        assert_eq!(instructions("events: Dr\ntotals: 7\n"), None);
        assert_eq!(instructions("events: Ir\n"), None);
    }
}
