//! The `ptunifier` command: parses arguments, calls the library, prints.

mod command;
mod device;
mod progress;

use std::process::ExitCode;

use clap::Parser;

/// Memory comes and goes in every step; the system's allocator costs a fifth of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match command::run(command::Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress::print_error(&error);
            ExitCode::FAILURE
        }
    }
}
