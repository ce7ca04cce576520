//! `slipway completion`: what a shell needs to complete commands and names.

use clap::ValueEnum;
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Zsh};

use crate::failure::{Exit, Failure, Outcome};
use crate::output::Output;

/// Flags of `slipway completion`.
#[derive(Debug, clap::Args)]
#[command(after_help = "bash:  echo 'source <(slipway completion bash)' >> ~/.bashrc\n\
                        zsh:   echo 'source <(slipway completion zsh)' >> ~/.zshrc\n\
                        fish:  slipway completion fish > ~/.config/fish/completions/slipway.fish\n\n\
                        Names of things are asked of the server, for at most 200 ms.")]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// A shell.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
}

/// The variable by which the shell calls this program to complete a line.
pub const VARIABLE: &str = "SLIPWAY_COMPLETE";

/// Prints the script.
pub fn run(args: Args, out: &Output) -> Outcome {
    let shell: &dyn EnvCompleter = match args.shell {
        Shell::Bash => &Bash,
        Shell::Zsh => &Zsh,
        Shell::Fish => &Fish,
        Shell::Elvish => &Elvish,
    };
    let mut script = Vec::new();
    shell
        .write_registration(VARIABLE, "slipway", "slipway", "slipway", &mut script)
        .map_err(|error| Failure::new(Exit::Error, "the script cannot be made").cause(&error))?;
    out.write(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
