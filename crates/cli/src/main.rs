//! The `ptunifier` command: parses arguments, calls the library, prints.

mod command;
mod device;
mod interrupt;
mod memory;
mod output;
mod progress;
mod usage;

use std::process::ExitCode;

fn main() -> ExitCode {
    memory::keep();
    let arguments = usage::read::<command::Arguments>();
    match interrupt::listen().and_then(|()| command::run(arguments)) {
        Ok(code) => code,
        Err(error) => match error.downcast_ref::<interrupt::Interrupted>() {
            Some(interrupted) => {
                output::say(&interrupted.to_string());
                ExitCode::from(interrupt::EXIT_CODE)
            }
            None => {
                output::print_error(&error);
                if usage::is_usage(&error) { ExitCode::from(usage::WRONG_ARGUMENTS) } else { ExitCode::FAILURE }
            }
        },
    }
}
