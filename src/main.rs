//! The `vend` program: parse, run, return the exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    vend::cli::run(std::env::args_os())
}
