//! The `vend` program: parse, run, return the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    vend::cli::run(std::env::args_os())
}
