//! The settings of a process on the command line: environment, usual ports, and what is wrong with
//! them in one sentence.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, Error};

/// Each process with its port; its metrics are 100 above.
pub const PORTS: [(&str, u16); 5] = [
    ("registry", 4011),
    ("approval", 4012),
    ("rollout", 4013),
    ("access", 4014),
    ("gateway", 4002),
];

/// Gives every flag of a process its environment variable, and the addresses their usual ports.
pub fn of(command: Command, name: &str, port: u16) -> Command {
    let usual = |port: u16| format!("127.0.0.1:{port}");
    runtime::args::with_environment(command, name)
        .mut_arg("listen", |arg| arg.required(false).default_value(usual(port)))
        .mut_arg("metrics_listen", |arg| {
            arg.default_value(usual(port + 100)).help("Address to serve Prometheus metrics on")
        })
}

/// What is wrong with the settings of a process, in a sentence with the next step. None where it is
/// no setting that is wrong.
pub fn sentence(error: &Error, process: &str) -> Option<String> {
    let next = format!("`slipway serve {process} --help` tells every setting");
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(_) | None => None,
    };
    match error.kind() {
        ErrorKind::MissingRequiredArgument => {
            let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else {
                return None;
            };
            let missing: Vec<_> = missing.iter().map(|flag| named(flag, process)).collect();
            Some(format!(
                "`serve {process}` needs {}; `slipway migrate` makes these files, and {next}",
                missing.join(", ")
            ))
        }
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => {
            let (flag, value) =
                (text(ContextKind::InvalidArg)?, text(ContextKind::InvalidValue).unwrap_or(""));
            let why = std::error::Error::source(error).map(|why| format!(": {why}"));
            let why = why.unwrap_or_default();
            Some(format!("{} cannot be `{value}`{why}; {next}", named(flag, process)))
        }
        _ => None,
    }
}

/// `--peers-file <FILE>` with the variable that sets it too.
fn named(flag: &str, process: &str) -> String {
    let long = flag.split([' ', '=']).next().unwrap_or(flag);
    let variable = long.trim_start_matches('-').replace('-', "_").to_uppercase();
    format!("{long} ({}_{variable})", process.to_uppercase())
}
