//! The one screen that `up` prints: where everything is, and what to try next.

use super::Args;
use super::data_dir::DataDir;
use super::endpoints::{Endpoints, url};
use crate::context::Remembered;

/// Prints the screen.
pub fn print(
    data: &DataDir,
    endpoints: &Endpoints,
    args: &Args,
    first_start: bool,
    context: Option<&Remembered>,
) {
    let gateway = endpoints.gateway_url();
    println!();
    println!(
        "Slipway runs.{}",
        if endpoints.is_usual { "" } else { " The usual ports are not used; these are:" }
    );
    println!();
    println!("  REST, webhooks, events   {gateway}/api/v1");
    println!("  API documentation        {gateway}/docs");
    for (name, address) in endpoints.all().into_iter().skip(1) {
        let what = match name {
            "link" => "devices (gRPC)".to_owned(),
            name => format!("{name} (gRPC)"),
        };
        println!("  {what:<24} {}", url(address));
    }
    for (index, (name, url)) in endpoints.metrics_urls().enumerate() {
        let what = if index == 0 { "metrics (Prometheus)" } else { "" };
        println!("  {what:<24} {url}  {name}");
    }
    println!("  data, logs               {}", data.path().display());
    if args.no_auth {
        println!(
            "  authentication           OFF (--no-auth): whoever reaches these ports may do everything"
        );
    } else {
        println!("  administrator's token    {}", data.admin_token().display());
    }
    if let Some(context) = context {
        command_line(context);
    }
    println!();
    if !args.no_demo {
        if first_start {
            println!(
                "There are {} simulated devices in three fleets, and one review waits.",
                args.devices
            );
        }
        println!("Try next, in another terminal:");
        println!();
        println!("  push     curl -X POST {gateway}/api/v1/webhooks/docker-registry \\");
        println!("             -H 'Content-Type: application/json' \\");
        println!(
            "             -d '{{\"repository\":{{\"repo_name\":\"redis\"}},\"push_data\":{{\"tag\":\"7.5-alpine\"}}}}'"
        );
        println!("  approve  slipway review list && slipway review approve <REVIEW>");
        println!("  watch    slipway rollout watch");
        println!();
    }
    println!("Ctrl-C stops everything; the data stays.");
}

/// The context that is set, and how to get back to what was there before.
fn command_line(context: &Remembered) {
    let gap = " ".repeat(26);
    println!(
        "  command line             context `{}` is set: `slipway status` works",
        context.name
    );
    if let Some((url, kept)) = &context.moved {
        println!("{gap} it was {url} before, which is `{kept}` now: `slipway context use {kept}`");
    }
    if let Some(left) = &context.left {
        println!("{gap} `{left}` was in use before: `slipway context use {left}` goes back");
    }
}
