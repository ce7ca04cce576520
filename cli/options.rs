//! The flags that every operators' command takes.

use clap::{Args, ValueEnum};

/// Flags of every operators' command.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Which Slipway to talk to, by the name that `slipway context list` shows
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "SLIPWAY_CONTEXT",
        hide_env_values = true
    )]
    pub context: Option<String>,
    /// Which Slipway to talk to, by its URL; takes the token from SLIPWAY_TOKEN only
    #[arg(long, global = true, value_name = "URL", env = "SLIPWAY_URL", hide_env_values = true)]
    pub url: Option<String>,
    /// Print JSON; with `=id,status` only these members
    #[arg(
        long,
        global = true,
        value_name = "MEMBERS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    pub json: Option<String>,
    /// When to use colours
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = Colour::Auto, hide_possible_values = true)]
    pub color: Colour,
    /// Also tell the causes of an error
    #[arg(long, short, global = true)]
    pub verbose: bool,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Colour {
    /// On a terminal that shows them
    Auto,
    /// Everywhere
    Always,
    /// Nowhere
    Never,
}
