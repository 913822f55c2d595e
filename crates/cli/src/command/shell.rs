//! Shell completions and manual pages, generated from the same definitions as the help.

use std::path::PathBuf;

use anyhow::Context;
use clap_complete::Shell;

use crate::output::print;
use crate::usage;

/// Print completions for a shell
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier completions bash > ~/.local/share/bash-completion/completions/ptunifier
  ptunifier completions zsh > ~/.zfunc/_ptunifier")]
pub struct Completions {
    /// Which shell
    shell: Shell,
}

/// Write manual pages, one for each command
#[derive(clap::Args)]
#[command(after_help = "Examples:
  ptunifier man ~/.local/share/man/man1")]
pub struct Man {
    /// A folder; created if it does not exist
    out: PathBuf,
}

pub fn completions(arguments: &Completions) -> anyhow::Result<()> {
    let mut script = vec![];
    clap_complete::generate(arguments.shell, &mut usage::command::<super::Arguments>(), "ptunifier", &mut script);
    print(String::from_utf8(script)?.trim_end())
}

pub fn man(arguments: &Man) -> anyhow::Result<()> {
    let out = arguments.out.display();
    std::fs::create_dir_all(&arguments.out).with_context(|| format!("cannot create the folder `{out}`"))?;
    // Built, so that pages are named after the whole command: `ptunifier-prepare-table.1`.
    let mut command = usage::command::<super::Arguments>().disable_help_subcommand(true);
    command.build();
    clap_mangen::generate_to(command, &arguments.out)
        .with_context(|| format!("cannot write manual pages into `{out}`"))?;
    print(&format!("manual pages in {out}"))
}
