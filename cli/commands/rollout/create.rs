//! A rollout by hand, and what one would do.

use imageref::{ImagePattern, Reference};
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::super::policy;
use super::super::selector::Selector;
use crate::client::{Request, read};
use crate::complete::{self, POLICIES};
use crate::documents::policy::Policy;
use crate::documents::push::Push;
use crate::documents::rollout::Rollout;
use crate::failure::{Exit, Failure, Outcome, Result};
use crate::ids::short;
use crate::images;
use crate::output::text;
use crate::session::{Session, body};
use crate::watch;

/// Flags of `slipway rollout create`.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// The image with tag, digest or both
    #[arg(value_name = "IMAGE:TAG")]
    image: String,
    /// The policy to follow, by name or id [default: the first that matches]
    #[arg(long, add = complete::of(&POLICIES))]
    policy: Option<String>,
    #[command(flatten)]
    selector: Selector,
    /// Follow it to its end
    #[arg(long)]
    watch: bool,
}

/// Flags of `slipway rollout preview`.
#[derive(Debug, clap::Args)]
pub struct Preview {
    /// The image with tag, digest or both
    #[arg(value_name = "IMAGE:TAG")]
    image: String,
    /// The policy to try, by name or id [default: the first that matches]
    #[arg(long, add = complete::of(&POLICIES))]
    policy: Option<String>,
}

/// Asks for a rollout. It passes the same door as a push.
pub async fn create(session: &Session, create: Create) -> Outcome {
    let reference = images::reference(&create.image)?;
    let policy = match &create.policy {
        Some(policy) => json!(policy::KIND.resolve(session, policy).await?),
        None => Value::Null,
    };
    let selector = create.selector.body(session).await?.unwrap_or(Value::Null);
    let request = Request::post([super::KIND.path]).body(body([
        ("image", json!(reference.to_string())),
        ("policy_id", policy),
        ("device_selector", selector),
    ]));
    let answer = session.call(request).await?;
    let document = answer.document();
    if answer.status() != StatusCode::CREATED {
        return waits(session, document, &reference.familiar());
    }
    let rollout = Rollout::of(document)?;
    let devices = text::count(rollout.device_count, "device");
    let id = short(&rollout.id);
    session.out.done(
        document,
        &format!("Made a rollout of {} for {devices}.", rollout.image()),
        &format!("slipway rollout cancel {id} --revert"),
    )?;
    if create.watch {
        return watch::run(session, &rollout.id, None).await;
    }
    session.out.note(&format!("follow: slipway rollout watch {id}"));
    if rollout.status == "pending" {
        session
            .out
            .note(&format!("where its policy lets a person start it: slipway rollout start {id}"));
    }
    Ok(Exit::Done)
}

/// No rollout was made: it waits, or there is nothing to do.
fn waits(session: &Session, document: &Value, image: &str) -> Outcome {
    let push: Push = read(document)?;
    let why = push.because();
    let (word, token) = push.word();
    match session.out.json() {
        Some(members) => session.out.document(members, document)?,
        None => {
            let word = session.out.styles().paint(token, &word);
            session.out.say(&format!("{}  {word}{}", text::clean(image), text::clean(&why)))?;
        }
    }
    if let (Some(review), "held") = (&push.review_id, push.state.as_str()) {
        session.out.note(&format!("next: slipway review show {}", short(review)));
        return Ok(Exit::Refused);
    }
    session.out.note(&format!("next: slipway push explain {}", short(&push.id)));
    Ok(Exit::Done)
}

/// Tells what a rollout would do.
pub async fn preview(session: &Session, preview: Preview) -> Result {
    let reference = images::reference(&preview.image)?;
    let rule = match &preview.policy {
        Some(policy) => policy::find(session, policy).await?,
        None => first_match(session, &reference).await?,
    };
    policy::try_out(session, policy::without_read_only(&rule), &reference).await
}

/// The policy that a push of the image would follow.
async fn first_match(session: &Session, reference: &Reference) -> Result<Value> {
    let page = session.api.list(Request::get([policy::KIND.path]), "policies", 5_000).await?;
    for item in page.items() {
        let rule: Policy = read(item)?;
        let Ok(pattern) = ImagePattern::parse(&rule.image_pattern) else { continue };
        if rule.enabled && pattern.matches(reference.repository(), reference.tag()) {
            session.out.note(&format!("policy: {}", text::clean(rule.title())));
            return Ok(item.clone());
        }
    }
    let image = reference.familiar();
    Err(Failure::new(Exit::NotFound, format!("no enabled policy matches `{image}`"))
        .hint("`slipway policy list` shows their patterns; `--policy NAME` tries one anyway"))
}
