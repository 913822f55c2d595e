//! The `ptunifier` command: parses arguments, calls the library, prints.

mod command;
mod device;
mod memory;
mod progress;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    memory::keep();
    match command::run(command::Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            progress::print_error(&error);
            ExitCode::FAILURE
        }
    }
}
