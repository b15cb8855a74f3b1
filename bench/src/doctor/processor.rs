//! The processor, its clock, and the build that runs on it. Pure.

use super::judge::finding;
use super::{Facts, Finding, Level};
use crate::machine;

/// Clock sources that are read without a system call.
const FAST_CLOCKS: [&str; 6] =
    ["tsc", "tsc-early", "arch_sys_counter", "kvm-clock", "hyperv_clocksource_tsc_page", "riscv_clocksource"];
/// With fewer, generator, pipeline and stores take turns.
const CORES_ENOUGH: u32 = 4;

pub(super) fn build(facts: &Facts) -> Option<Finding> {
    let (level, found) =
        if facts.debug_build { (Level::Spoils, "without optimisation") } else { (Level::Ok, "optimised") };
    finding(
        "build",
        level,
        found,
        "without optimisation the code is several times slower, and not evenly so",
        "run it with `cargo run --release`",
    )
}

pub(super) fn cores(facts: &Facts) -> Option<Finding> {
    let cores = machine::cores(&facts.cpuinfo);
    let level = match cores {
        0 => return None,
        1 => Level::Spoils,
        few if few < CORES_ENOUGH => Level::Note,
        _ => Level::Ok,
    };
    finding(
        "cores",
        level,
        cores.to_string(),
        "generator, pipeline and servers share them: what one takes the others lack, so that rates are those of all together, \
         and the generator may be late",
        "quote CPU an order rather than rates, keep the load well under what both can do, or run the generator elsewhere",
    )
}

pub(super) fn clock(facts: &Facts) -> Option<Finding> {
    let source = facts.clock_source.as_str();
    if source.is_empty() {
        return None;
    }
    let level = if FAST_CLOCKS.contains(&source) { Level::Ok } else { Level::Spoils };
    finding(
        "clock source",
        level,
        format!("{source}, of {}", facts.clock_sources),
        "reading this clock is a system call or a slow device, at every instant that is taken",
        "write tsc, if it is available, to /sys/devices/system/clocksource/clocksource0/current_clocksource; if the kernel has \
         marked it unstable, see dmesg for why",
    )
}

pub(super) fn governor(facts: &Facts) -> Option<Finding> {
    let governor = facts.governor.as_str();
    if governor.is_empty() {
        return None;
    }
    finding(
        "governor",
        if governor == "performance" { Level::Ok } else { Level::Note },
        governor,
        "the frequency follows the load with a delay, so that a low load is measured on a slower processor",
        "`cpupower frequency-set -g performance` while measuring",
    )
}

pub(super) fn turbo(facts: &Facts) -> Option<Finding> {
    let on = match (facts.boost.as_str(), facts.no_turbo.as_str()) {
        ("1", _) | (_, "0") => true,
        ("0", _) | (_, "1") => false,
        _ => return None,
    };
    finding(
        "turbo",
        if on { Level::Note } else { Level::Ok },
        if on { "on" } else { "off" },
        "the first seconds run faster than the rest, until the processor is warm; and alone faster than with company",
        "warm up for longer, or turn it off: 0 to /sys/devices/system/cpu/cpufreq/boost, or 1 to intel_pstate/no_turbo",
    )
}

/// What it costs belongs to the machine; turning it off to measure would measure another one.
pub(super) fn mitigations(facts: &Facts) -> Option<Finding> {
    let mitigated = facts.vulnerabilities.values().filter(|state| state.starts_with("Mitigation")).count();
    let all = facts.vulnerabilities.len();
    (all > 0).then_some(())?;
    finding(
        "mitigations",
        Level::Ok,
        format!("against {mitigated} of {all} known weaknesses of processors"),
        "",
        "",
    )
}
