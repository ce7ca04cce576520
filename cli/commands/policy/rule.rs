//! Policies as they are written.

use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::KIND;
use crate::client::{Request, read};
use crate::commands::selector::Selector;
use crate::documents::policy::Policy;
use crate::failure::{Failure, Result};
use crate::output::time;
use crate::session::{Session, body};

/// Members that only the server writes.
const READ_ONLY: [&str; 6] = ["id", "revision", "etag", "created_at", "updated_at", "whole_fleet"];

/// Flags of `slipway policy create`.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// What to call it
    name: String,
    /// Which images: `repository:tag`, `*` as a wildcard, such as `redis:*`
    #[arg(long, value_name = "PATTERN")]
    images: String,
    /// How rollouts go forward
    #[arg(long, value_enum, default_value_t = Strategy::Staged)]
    strategy: Strategy,
    #[command(flatten)]
    selector: Selector,
    /// It takes every device
    #[arg(long)]
    whole_fleet: bool,
    /// The steps as shares of all devices, such as `10,50,100`
    #[arg(long, value_name = "SHARES", value_delimiter = ',', conflicts_with = "batch_size")]
    percent: Vec<f64>,
    /// Steps of this many devices each
    #[arg(long, value_name = "N")]
    batch_size: Option<u32>,
    /// How long a complete step is watched, such as `30m`
    #[arg(long, value_name = "LENGTH", value_parser = time::parse_duration)]
    delay: Option<std::time::Duration>,
    /// How long a device must stay healthy to count as updated, such as `60s`
    #[arg(long, value_name = "LENGTH", value_parser = time::parse_duration)]
    healthy_for: Option<std::time::Duration>,
    /// How many devices may move at once: a number, or a share such as `20%`
    #[arg(long, value_name = "N")]
    max_in_flight: Option<String>,
    /// The share of failed devices above which a rollout stops, such as `20%`
    #[arg(long, value_name = "SHARE", value_parser = parse_share)]
    max_failed: Option<f64>,
    /// What stopping means
    #[arg(long, value_enum)]
    on_failure: Option<OnFailure>,
    /// When a scheduled rollout starts, such as `2026-11-21T02:00:00Z`
    #[arg(long, value_name = "TIME", required_if_eq("strategy", "scheduled"))]
    start_at: Option<chrono::DateTime<chrono::Utc>>,
    /// Higher ones are asked first
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    priority: Option<i32>,
    /// Add it, but let it match nothing yet
    #[arg(long)]
    disabled: bool,
    /// Do not ask, also where it takes the whole fleet
    #[arg(long, short)]
    yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Strategy {
    /// All devices at once
    Auto,
    /// Step after step, each after the one before was watched
    Staged,
    /// As staged, but a person starts it and promotes each step
    Manual,
    /// As staged, from a time on
    Scheduled,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum OnFailure {
    /// Devices go back to what they ran
    Rollback,
    /// Nothing more is sent until a person says so
    Pause,
    /// Nothing more is sent; devices keep what they have
    Cancel,
}

/// Adds a policy out of flags.
pub async fn create(session: &Session, create: Create) -> Result {
    let selector = create.selector.body(session).await?;
    if selector.is_none() && !create.whole_fleet {
        return Err(Failure::usage("it is not said which devices")
            .hint("add --fleet, --label or --device; --whole-fleet takes every device"));
    }
    if selector.is_some() && create.whole_fleet {
        return Err(Failure::usage(
            "--whole-fleet takes every device; leave out the other choices",
        ));
    }
    let strategy = match create.strategy {
        Strategy::Auto => "auto",
        Strategy::Staged => "staged",
        Strategy::Manual => "manual",
        Strategy::Scheduled => "scheduled",
    };
    let on_failure = create.on_failure.map(|on_failure| match on_failure {
        OnFailure::Rollback => "rollback",
        OnFailure::Pause => "pause",
        OnFailure::Cancel => "cancel",
    });
    let batches: Vec<_> =
        create.percent.iter().map(|percent| json!({"percent": percent})).collect();
    let rule = body([
        ("name", json!(create.name)),
        ("image_pattern", json!(create.images)),
        ("update_strategy", json!(strategy)),
        ("device_selector", json!(selector)),
        ("batches", if batches.is_empty() { Value::Null } else { json!(batches) }),
        ("batch_size", json!(create.batch_size)),
        ("batch_delay_minutes", json!(create.delay.map(|delay| delay.as_secs_f64() / 60.0))),
        ("soak_device_seconds", json!(create.healthy_for.map(|length| length.as_secs()))),
        ("max_in_flight", quota(create.max_in_flight.as_deref())),
        ("max_failure_ratio", json!(create.max_failed)),
        ("on_failure", json!(on_failure)),
        ("start_at", json!(create.start_at)),
        ("priority", json!(create.priority)),
        ("enabled", json!(!create.disabled)),
    ]);
    add(session, rule, create.yes).await
}

/// Adds the policy of a document, or changes the one of its name.
pub async fn apply(session: &Session, rule: Value, yes: bool) -> Result {
    if !rule.is_object() {
        return Err(Failure::usage("the document is no policy: it must be a JSON object"));
    }
    let rule = without_read_only(&rule);
    let page = session.api.list(Request::get([KIND.path]), KIND.items, 5_000).await?;
    let name = rule.get("name").and_then(Value::as_str);
    let pattern = rule.get("image_pattern");
    let is_it = |item: &&Value| match name {
        Some(name) => item.get("name").and_then(Value::as_str) == Some(name),
        None => item.get("name").is_none_or(Value::is_null) && item.get("image_pattern") == pattern,
    };
    match page.items().iter().find(is_it) {
        Some(known) => change(session, known, rule, yes).await,
        None => add(session, rule, yes).await,
    }
}

async fn add(session: &Session, rule: Value, yes: bool) -> Result {
    confirm(session, &rule, yes)?;
    let answer = session.call(Request::post([KIND.path]).body(rule)).await?;
    let policy: Policy = answer.read()?;
    let sentence = format!(
        "Added the policy `{}`: pushes of {} go to {}, {}.",
        policy.title(),
        policy.image_pattern,
        policy.devices(),
        policy.steps()
    );
    let undo = format!("slipway policy remove {}", policy.title());
    session.out.done(answer.document(), &sentence, &undo)
}

/// Makes a policy as the document says: what it leaves out gets its default back.
async fn change(session: &Session, known: &Value, rule: Value, yes: bool) -> Result {
    let before: Policy = read(known)?;
    let before_rule = without_read_only(known);
    confirm(session, &rule, yes)?;
    let left_out = before_rule.as_object().into_iter().flatten().map(|(name, _)| name);
    let mut whole: Map<_, _> = left_out.map(|name| (name.clone(), Value::Null)).collect();
    whole.extend(rule.as_object().cloned().unwrap_or_default());
    let request =
        Request::put([KIND.path, &*before.id]).if_match(etag(known)).body(Value::Object(whole));
    let answer = session.call(request).await?;
    let policy: Policy = answer.read()?;
    let sentence = match policy.revision == before.revision {
        true => {
            format!("The policy `{}` is unchanged (revision {}).", policy.title(), policy.revision)
        }
        false => format!(
            "Changed the policy `{}` (revision {}): pushes of {} go to {}, {}.",
            policy.title(),
            policy.revision,
            policy.image_pattern,
            policy.devices(),
            policy.steps()
        ),
    };
    let undo = match policy.revision == before.revision {
        true => "none needed; it was so before",
        false => "slipway policy apply FILE, with what `slipway policy show --json` printed before",
    };
    session.out.done(answer.document(), &sentence, undo)
}

/// Lets a policy match, or not.
pub async fn enable(session: &Session, typed: &str, enabled: bool, yes: bool) -> Result {
    let known = super::find(session, typed).await?;
    if enabled {
        confirm(session, &known, yes)?;
    }
    let before: Policy = read(&known)?;
    let request = Request::put([KIND.path, &*before.id])
        .if_match(etag(&known))
        .body(json!({"enabled": enabled}));
    let answer = session.call(request).await?;
    let (title, pattern) = (before.title(), &before.image_pattern);
    let (sentence, inverse) = match enabled {
        true => (format!("The policy `{title}` is on: pushes of {pattern} follow it."), "disable"),
        false => (
            format!("The policy `{title}` is off; rollouts under way go on as they began."),
            "enable",
        ),
    };
    let undo = match before.enabled == enabled {
        true => "none needed; it was so before".to_owned(),
        false => format!("slipway policy {inverse} {title}"),
    };
    session.out.done(answer.document(), &sentence, &undo)
}

/// Asks before a policy takes every device.
fn confirm(session: &Session, rule: &Value, yes: bool) -> Result {
    if rule.get("device_selector").is_some_and(|selector| !selector.is_null()) {
        return Ok(());
    }
    session.confirm("this policy takes the whole fleet", yes)
}

fn etag(known: &Value) -> Option<String> {
    Some(format!("\"{}\"", known.get("etag")?.as_str()?))
}

/// A policy as it may be sent back.
pub fn without_read_only(rule: &Value) -> Value {
    let members = rule.as_object().into_iter().flatten();
    let kept = members.filter(|(name, value)| !READ_ONLY.contains(&&***name) && !value.is_null());
    Value::Object(kept.map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// `20%` as a text, `50` as a number.
fn quota(text: Option<&str>) -> Value {
    match text {
        None => Value::Null,
        Some(text) => text.parse::<u64>().map_or_else(|_| json!(text), |number| json!(number)),
    }
}

/// A share: `20%`, or `0.2`.
fn parse_share(text: &str) -> std::result::Result<f64, String> {
    let wrong = || format!("`{text}` is no share; write 20% or 0.2");
    let share = match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map_err(|_| wrong())? / 100.0,
        None => text.parse::<f64>().map_err(|_| wrong())?,
    };
    if (0.0..=1.0).contains(&share) { Ok(share) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_both_ways() {
        assert_eq!(parse_share("20%"), Ok(0.2));
        assert_eq!(parse_share("0.2"), Ok(0.2));
        for wrong in ["20", "-1%", "x", ""] {
            assert!(parse_share(wrong).is_err(), "{wrong}");
        }
        assert_eq!(quota(Some("50")), json!(50));
        assert_eq!(quota(Some("20%")), json!("20%"));
    }

    #[test]
    fn what_only_the_server_writes_is_not_sent_back() {
        let shown = json!({"id": "x", "name": null, "image_pattern": "redis:*", "revision": 3});
        assert_eq!(without_read_only(&shown), json!({"image_pattern": "redis:*"}));
    }
}
