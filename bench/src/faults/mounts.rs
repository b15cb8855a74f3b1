//! File systems in memory, which can be filled without harm to the machine. Only root on Linux may mount them.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// What they are called in the system's table.
const NAME: &str = "tillflow-faults";
/// The file that takes all room.
const FILLER: &str = "filler";

/// Whether they can be mounted here.
pub fn possible() -> bool {
    cfg!(target_os = "linux") && rustix::process::geteuid().is_root()
}

/// Mounts one on a folder, which is made.
///
/// # Errors
/// What `mount` says.
pub fn mount(folder: &Path, megabytes: u32) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
    let options = format!("size={megabytes}m");
    run(Command::new("mount").args(["-t", "tmpfs", "-o", &options, NAME]).arg(folder))
}

/// Unmounts all of a folder and below, also those that an earlier run left.
///
/// # Errors
/// What `umount` says.
pub fn unmount_below(folder: &Path) -> Result<()> {
    let Ok(folder) = folder.canonicalize() else { return Ok(()) };
    let table = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let own = table.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (name, place) = (fields.next()?, PathBuf::from(fields.next()?));
        (name == NAME && place.starts_with(&folder)).then_some(place)
    });
    for place in own.collect::<Vec<_>>() {
        // Lazily: a process that is ending may still have it open.
        run(Command::new("umount").arg("--lazy").arg(place))?;
    }
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().context("failed to run mount or umount")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Takes all the room that a file system has.
///
/// # Errors
/// Where the file cannot be created.
pub fn fill(folder: &Path) -> Result<()> {
    let mut filler =
        File::create(folder.join(FILLER)).context("failed to create the file that fills a disk")?;
    for piece in [vec![0; 1 << 20], vec![0; 4096], vec![0; 1]] {
        while filler.write_all(&piece).is_ok() {}
    }
    Ok(())
}

/// Gives the room back.
///
/// # Errors
/// Where the file cannot be deleted.
pub fn free(folder: &Path) -> Result<()> {
    let filler = folder.join(FILLER);
    if filler.exists() {
        fs::remove_file(filler).context("failed to delete the file that fills a disk")?;
    }
    Ok(())
}
