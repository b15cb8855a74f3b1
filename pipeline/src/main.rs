//! The `pipeline` program; [`pipeline::cli`] is what it does.

use std::process::ExitCode;

fn main() -> ExitCode {
    pipeline::cli::main(std::env::args_os())
}
