//! Files and folders: their names, their length, and what must not stand in them.

use crate::sources::{Source, files, none, root};

const CRATES: [&str; 3] = ["pipeline", "loadgen", "bench"];
/// The folders at the root, beside those that begin with a point. Not all need be there.
const FOLDERS: [&str; 6] = ["pipeline", "loadgen", "bench", "deploy", "grafana-superset", "target"];
/// Names that say no stage hide what a file is for.
const EMPTY_NAMES: [&str; 8] = ["util", "utils", "common", "helper", "helpers", "types", "manager", "misc"];

/// No file is longer than this; one that is has two things in it.
const MOST_LINES: usize = 400;
/// A file over this is on the list below.
const MANY_LINES: usize = 300;
/// The long files and their length, which only goes down: whoever shortens one writes the new length here, and takes it
/// off when it is no longer long.
const LONG: [(&str, usize); 3] = [
    ("pipeline/src/order.rs", 303),
    ("pipeline/src/parse.rs", 303),
    ("pipeline/tests/it/invariants.rs", 302),
];

fn rust() -> impl Iterator<Item = Source> {
    CRATES.into_iter().flat_map(|folder| files(folder, &[".rs"]))
}

#[test]
fn a_file_has_at_most_400_lines_and_the_long_ones_only_get_shorter() {
    let mut complaints = Vec::new();
    for Source { path, text } in rust() {
        let lines = text.lines().count();
        let listed = LONG.iter().find(|(long, _)| *long == path).map(|(_, lines)| *lines);
        match listed {
            _ if lines > MOST_LINES => {
                complaints.push(format!("{path}: {lines} lines; the limit is {MOST_LINES}"))
            }
            None if lines > MANY_LINES => {
                complaints.push(format!("{path}: {lines} lines; split it at {MANY_LINES}"))
            }
            Some(before) if lines > before => {
                complaints.push(format!("{path}: grew from {before} to {lines} lines"))
            }
            Some(before) if lines < before => {
                complaints.push(format!("{path}: has {lines} lines now; say so in LONG"))
            }
            _ => {}
        }
    }
    for (path, _) in LONG.iter().filter(|(path, _)| !root().join(path).exists()) {
        complaints.push(format!("{path}: is gone; take it off LONG"));
    }
    none(complaints);
}

/// A test whose file no module names passes for ever.
#[test]
fn every_file_is_compiled() {
    let all: Vec<Source> = rust().collect();
    let declares = |source: &Source, name: &str| {
        source.text.lines().any(|line| {
            line.strip_suffix(&format!("mod {name};"))
                .is_some_and(|before| matches!(before.trim(), "" | "pub" | "pub(crate)" | "pub(super)"))
        })
    };
    let mut complaints = Vec::new();
    for Source { path, .. } in &all {
        let (folder, file) = path.rsplit_once('/').unwrap();
        // Cargo finds these by itself.
        let found = ["/src/bin", "/tests", "/benches", "/fuzz", "/fuzz_targets"]
            .iter()
            .any(|kind| folder.ends_with(kind));
        if found || matches!(file, "main.rs" | "lib.rs" | "build.rs") {
            continue;
        }
        let (folder, name) = match file {
            "mod.rs" => folder.rsplit_once('/').unwrap(),
            file => (folder, file.trim_end_matches(".rs")),
        };
        let parents = ["", "/mod", "/main", "/lib"].map(|parent| format!("{folder}{parent}.rs"));
        let by_place = || all.iter().any(|source| parents.contains(&source.path) && declares(source, name));
        // Or some module says where it lies.
        let by_path = || {
            all.iter().any(|source| {
                ['/', '"'].iter().any(|before| source.text.contains(&format!("{before}{file}\"]")))
            })
        };
        if !by_place() && !by_path() {
            complaints.push(format!("{path}: no module names it, so it is never compiled"));
        }
    }
    none(complaints);
}

#[test]
fn no_file_and_no_module_has_a_name_that_says_nothing() {
    let mut complaints = Vec::new();
    for source in rust() {
        let names = source.path.split(['/', '.']);
        let modules = source
            .text
            .lines()
            .filter_map(|line| line.trim().trim_start_matches("pub ").strip_prefix("mod "));
        let modules = modules.map(|rest| rest.trim_end_matches([';', '{', ' ']));
        for name in names.chain(modules).filter(|name| EMPTY_NAMES.contains(name)) {
            complaints.push(format!("{}: {name} says no stage", source.path));
        }
    }
    none(complaints);
}

#[test]
fn every_module_begins_by_saying_what_it_is_for() {
    let silent = rust().filter(|source| !source.text.starts_with("//!"));
    none(silent.map(|source| format!("{}: does not begin with //!", source.path)).collect());
}

#[test]
fn nothing_is_left_to_do_and_nothing_names_a_place_on_one_machine() {
    // Put together, so that this file does not hold what it looks for.
    let unfinished = [["TO", "DO"], ["FIX", "ME"], ["X", "XX"]].map(|parts| parts.concat());
    let places =
        [["/ho", "me/"], ["/ro", "ot/"], ["/Us", "ers/"], ["/wo", "rk/"]].map(|parts| parts.concat());
    let texts = [
        ".rs", ".toml", ".md", ".json", ".sh", ".py", ".nix", ".yml", ".yaml", ".css", ".sql", "run",
        "justfile",
    ];
    let mut complaints = Vec::new();
    for Source { path, text } in files(".", &texts) {
        for (line, number) in text.lines().zip(1..) {
            let words = line.split(|character: char| !character.is_ascii_alphanumeric());
            for word in words.filter(|word| unfinished.iter().any(|mark| mark == word)) {
                complaints.push(format!("{path}:{number}: {word}"));
            }
            for place in places.iter().filter(|place| line.contains(place.as_str())) {
                complaints.push(format!("{path}:{number}: {place}"));
            }
        }
    }
    none(complaints);
}

#[test]
fn the_root_holds_the_folders_that_the_map_shows() {
    for entry in std::fs::read_dir(root()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && !name.starts_with('.') {
            assert!(FOLDERS.contains(&name.as_str()), "{name} is on no map");
        }
    }
}
