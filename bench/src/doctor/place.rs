//! Where the system runs: under WSL, in a virtual machine, in a container, and on what the data lies. Pure.

use std::path::Path;

use super::judge::finding;
use super::{Facts, Finding, Level};
use crate::figures::bytes;
use crate::machine;

/// File systems that are a network or another system away.
const FAR: [&str; 8] = ["9p", "drvfs", "nfs", "nfs4", "cifs", "smb3", "fuse", "virtiofs"];
/// File systems in memory.
const MEMORY: [&str; 2] = ["tmpfs", "ramfs"];

pub(super) fn wsl(facts: &Facts) -> Option<Finding> {
    let version = machine::wsl(&facts.kernel)?;
    let level = if version == "1" { Level::Spoils } else { Level::Note };
    finding(
        "wsl",
        level,
        format!("WSL {version}, kernel {}", facts.kernel.trim()),
        "WSL 1 translates each system call, so that its figures say nothing of Linux; WSL 2 is a virtual machine beside a \
         working Windows, whose virus scanner, updates and windows take their share",
        "WSL 1: `wsl --set-version DISTRIBUTION 2`. WSL 2: close what is open in Windows, measure in pairs",
    )
}

pub(super) fn wsl_limits(facts: &Facts) -> Option<Finding> {
    machine::wsl(&facts.kernel).filter(|version| version == "2")?;
    let config = facts.wslconfig.as_deref();
    let setting = |name: &str| {
        let lines = config?.lines().filter_map(|line| line.split_once('='));
        let value =
            lines.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim());
        // Where it is set twice, the later one counts.
        value.reduce(|_, later| later).map(str::to_owned)
    };
    let [memory, processors] =
        ["memory", "processors"].map(|name| setting(name).unwrap_or_else(|| "not set".to_owned()));
    let has = machine::kibibytes(&facts.meminfo, "MemTotal").unwrap_or(0);
    let set = memory != "not set" && processors != "not set";
    finding(
        "wsl limits",
        if set { Level::Ok } else { Level::Note },
        format!(
            ".wslconfig: memory {memory}, processors {processors}; the machine has {} and {} processors",
            bytes(has),
            machine::cores(&facts.cpuinfo)
        ),
        "without them WSL takes half of the memory and all processors of Windows, more or less with each version, and \
         leaves Windows none of its own to work on: runs on the same computer are not runs on the same machine",
        "set memory= and processors= under [wsl2] in %UserProfile%\\.wslconfig, two processors fewer than there are, then \
         `wsl --shutdown`",
    )
}

pub(super) fn virtualisation(facts: &Facts) -> Option<Finding> {
    let product = Some(facts.product.clone()).filter(|product| !product.is_empty());
    let around = machine::virtualisation(&facts.cpuinfo, product, facts.container);
    let level = if around.as_ref().is_some_and(|around| around.contains("virtual")) {
        Level::Note
    } else {
        Level::Ok
    };
    finding(
        "virtualisation",
        level,
        around.unwrap_or_else(|| "none is seen".to_owned()),
        "other guests of the same host take processor, caches and disk when they like, and nothing here shows it but steal",
        "compare in interleaved pairs (`bench ab`) and by CPU time; for figures to be quoted take a machine of your own",
    )
}

pub(super) fn data_folder(facts: &Facts) -> Option<Finding> {
    let (kind, point) = mount(&facts.mounts, &facts.data)?;
    let far = FAR.iter().any(|far| kind == *far || kind.starts_with("fuse."));
    let windows = facts.data.starts_with("/mnt/c") || kind == "drvfs";
    let (level, why, mend) = if MEMORY.contains(&kind) {
        (
            Level::Spoils,
            "a flush to memory costs nothing, so that being durable is measured as if it were free",
            "keep the data on a disk (--data, --out)",
        )
    } else if far {
        let mend = if windows || kind == "9p" {
            "keep project and data in the Linux file system, as ~/tillflow, not under /mnt/c"
        } else {
            "keep the data on a local disk"
        };
        (
            Level::Spoils,
            "each call goes to another system, ten to a hundred times slower than a local disk",
            mend,
        )
    } else if kind == "overlay" {
        (Level::Note, "each first write copies the file up from the image", "keep the data on a volume")
    } else {
        (Level::Ok, "", "")
    };
    finding(
        "data folder",
        level,
        // Not where it is: a report may be shown to others.
        format!("the data are on {kind}, mounted at {point}"),
        why,
        mend,
    )
}

/// The file system that holds a path: type and mount point of the longest mount point above it, the last of equals.
fn mount<'a>(mounts: &'a str, path: &Path) -> Option<(&'a str, &'a str)> {
    let each = mounts.lines().filter_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let point = place.split(' ').nth(4)?;
        path.starts_with(point).then(|| kind.split(' ').next().map(|kind| (kind, point)))?
    });
    each.max_by_key(|(_, point)| point.len())
}
