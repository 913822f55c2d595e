//! The `ptunifier` command: parses arguments, calls the library, prints.

mod command;
mod device;
mod interrupt;
mod memory;
mod progress;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    memory::keep();
    let arguments = command::Arguments::parse();
    match interrupt::listen().and_then(|()| command::run(arguments)) {
        Ok(code) => code,
        Err(error) => match error.downcast_ref::<interrupt::Interrupted>() {
            Some(interrupted) => {
                progress::say(&interrupted.to_string());
                ExitCode::from(interrupt::EXIT_CODE)
            }
            None => {
                progress::print_error(&error);
                ExitCode::FAILURE
            }
        },
    }
}
