//! The operators' commands, one file per noun. They use the public API only.

mod audit;
mod completion;
mod context;
mod device;
mod doctor;
mod enrolment_key;
mod event;
mod fleet;
mod gate;
mod image;
mod login;
mod policy;
mod push;
mod receiver;
mod registry;
mod review;
pub mod rollout;
mod selector;
mod services;
mod status;
mod tag;
mod token;
mod version;
mod whoami;

use std::process::ExitCode;

use clap::Subcommand;

use crate::documents::Check;
use crate::failure::{Outcome, Result};
use crate::options::Options;
use crate::output::{Output, text, words};
use crate::session::Session;

pub use completion::VARIABLE as COMPLETION_VARIABLE;

/// An operators' command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show what runs, what moves, and what waits for a person
    Status,
    /// Look for what is wrong, and say how to mend it
    Doctor(doctor::Args),
    /// Sign in: check a token and keep it in the context
    Login(login::Login),
    /// Forget the context's token
    Logout,
    /// Show who you are and what you may do
    Whoami,
    /// Which Slipway to talk to, and as whom
    #[command(subcommand)]
    Context(context::Verb),
    /// Images: repositories that may run, or not
    #[command(subcommand)]
    Image(image::Verb),
    /// Tags: versions of an image
    #[command(subcommand)]
    Tag(tag::Verb),
    /// Reviews: images and tags that wait for a person's yes
    #[command(subcommand)]
    Review(review::Verb),
    /// Pushes: what registries said is new, and what came of it
    #[command(subcommand)]
    Push(push::Verb),
    /// Policies: which images go to which devices, in which steps
    #[command(subcommand)]
    Policy(policy::Verb),
    /// Rollouts: releases on their way to the devices
    #[command(subcommand)]
    Rollout(rollout::Verb),
    /// Devices: what they should run, and what they run
    #[command(subcommand)]
    Device(device::Verb),
    /// Fleets: groups of devices
    #[command(subcommand)]
    Fleet(fleet::Verb),
    /// Keys that devices enrol with
    #[command(subcommand)]
    EnrolmentKey(enrolment_key::Verb),
    /// The gate: the rules by which images are admitted
    #[command(subcommand)]
    Gate(gate::Verb),
    /// Registries elsewhere that Slipway asks for digests
    #[command(subcommand)]
    Registry(registry::Verb),
    /// Receivers: the addresses that registries send webhooks to
    #[command(subcommand)]
    Receiver(receiver::Verb),
    /// Access tokens
    #[command(subcommand)]
    Token(token::Verb),
    /// The audit log: who did what
    #[command(subcommand)]
    Audit(audit::Verb),
    /// Live events
    #[command(subcommand)]
    Event(event::Verb),
    /// Print what a shell needs to complete commands and names
    Completion(completion::Args),
    /// Print the versions of this program and of the server
    Version,
}

/// Runs a command to its end, and says why where it does not do what it should.
pub async fn run(command: Command, options: &Options) -> ExitCode {
    let out = Output::new(options);
    let exit = match carry_out(command, options, &out).await {
        Ok(exit) => exit,
        Err(failure) => {
            failure.tell(&out);
            failure.exit()
        }
    };
    exit.into()
}

async fn carry_out(command: Command, options: &Options, out: &Output) -> Outcome {
    let session = || Session::open(options, out);
    match command {
        Command::Status => status::run(&session()?).await,
        Command::Doctor(args) => doctor::run(args, options, out).await,
        Command::Login(args) => login::login(args, options, out).await,
        Command::Logout => login::logout(options, out),
        Command::Whoami => whoami::run(&session()?).await,
        Command::Context(verb) => context::run(verb, out),
        Command::Image(verb) => image::run(verb, &session()?).await,
        Command::Tag(verb) => tag::run(verb, &session()?).await,
        Command::Review(verb) => review::run(verb, &session()?).await,
        Command::Push(verb) => push::run(verb, &session()?).await,
        Command::Policy(verb) => policy::run(verb, &session()?).await,
        Command::Rollout(verb) => rollout::run(verb, &session()?).await,
        Command::Device(verb) => device::run(verb, &session()?).await,
        Command::Fleet(verb) => fleet::run(verb, &session()?).await,
        Command::EnrolmentKey(verb) => enrolment_key::run(verb, &session()?).await,
        Command::Gate(verb) => gate::run(verb, &session()?).await,
        Command::Registry(verb) => registry::run(verb, &session()?).await,
        Command::Receiver(verb) => receiver::run(verb, &session()?).await,
        Command::Token(verb) => token::run(verb, &session()?).await,
        Command::Audit(verb) => audit::run(verb, &session()?).await,
        Command::Event(verb) => event::run(verb, &session()?).await,
        Command::Completion(args) => completion::run(args, out),
        Command::Version => version::run(options, out).await,
    }
}

/// Prints rules or conditions, each with how it came out.
fn say_checks(out: &Output, checks: &[Check]) -> Result {
    let width = checks.iter().map(|check| text::width(&check.name)).max().unwrap_or(0);
    for check in checks {
        let (_, token) = words::check(&check.result);
        let name = text::clean(&check.name);
        let gap = " ".repeat(width.saturating_sub(text::width(&name)));
        let line =
            format!("{} {name}{gap}  {}", out.styles().sign(token), text::clean(&check.detail));
        out.say(line.trim_end())?;
    }
    Ok(())
}
