//! How a command that answers ends: what it says, where, and with which exit code.

use crate::ways::process::program;

#[test]
fn a_reader_that_leaves_early_is_no_fault() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ended = program().arg("config").stdout(writer).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!((ended.status.code(), said.as_ref()), (Some(141), ""));
}

#[test]
fn an_answer_that_cannot_be_written_is_a_fault() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let ended = program().arg("config").stdout(full).output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2));
    assert!(said.starts_with("pipeline: failed to write to standard output: "), "{said}");
}

#[test]
fn settings_that_contradict_each_other_are_shown_before_it_is_said() {
    let ended = program().args(["config", "--set", "log.partitions=0"]).output().unwrap();
    let (shown, said) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert_eq!(ended.status.code(), Some(2));
    assert!(shown.contains("\nlog.partitions = 0  # "), "{shown}");
    assert!(said.starts_with("pipeline: ") && said.contains("log.partitions = 0 (flag)"), "{said}");
}
