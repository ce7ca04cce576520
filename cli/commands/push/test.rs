//! `slipway push test`: a webhook as a registry sends it.

use clap::ValueEnum;
use imageref::Reference;
use reqwest::header::HeaderName;
use serde_json::{Value, json};

use crate::client::{Answer, Request};
use crate::documents::push::Push;
use crate::failure::{Exit, Failure, Outcome, Result};
use crate::images;
use crate::output::text;
use crate::session::Session;

/// Flags of `slipway push test`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The image with its tag, such as `redis:7.5-alpine`
    #[arg(value_name = "IMAGE:TAG")]
    image: String,
    /// Whose body to send [default: GitHub's for ghcr.io, else Docker Hub's]
    #[arg(long, value_enum)]
    vendor: Option<Vendor>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Vendor {
    /// Docker Hub
    Dockerhub,
    /// GitHub and GHCR
    Github,
}

/// Sends it, and tells what was decided.
pub async fn run(args: Args, session: &Session) -> Outcome {
    let reference = images::reference(&args.image)?;
    let Some(tag) = reference.tag() else {
        return Err(Failure::usage(format!("`{}` names no tag", args.image))
            .hint(format!("write `{}:TAG`", reference.repository().familiar())));
    };
    let vendor = args.vendor.unwrap_or(match reference.host() {
        "ghcr.io" => Vendor::Github,
        _ => Vendor::Dockerhub,
    });
    let request = Request::post(["webhooks", "docker-registry"]).unsigned();
    let request = match vendor {
        Vendor::Dockerhub => request.body(dockerhub(&reference, tag.as_str())),
        Vendor::Github => request
            .header(HeaderName::from_static("x-github-event"), "package")
            .body(github(&reference, tag.as_str())),
    };
    let answer = session.api.ask(request).await?;
    tell(session, &answer, &reference.familiar())
}

/// Docker Hub's body for a push.
fn dockerhub(reference: &Reference, tag: &str) -> Value {
    let repository = reference.repository();
    let name = match repository.registry() {
        imageref::DOCKER_HUB => repository.familiar(),
        _ => repository.as_str(),
    };
    json!({
        "push_data": {"tag": tag},
        "repository": {"repo_name": name, "name": repository.name()},
    })
}

/// GitHub's body for a published container.
fn github(reference: &Reference, tag: &str) -> Value {
    let path = reference.path();
    let (owner, name) = path.split_once('/').unwrap_or(("", path));
    json!({
        "action": "published",
        "package": {
            "name": name,
            "namespace": owner,
            "package_type": "CONTAINER",
            "ecosystem": "CONTAINER",
            "package_version": {
                "container_metadata": {"tag": {"name": tag}},
                "package_url": format!("{}/{path}:{tag}", reference.host()),
            },
        },
        "repository": {"full_name": path, "owner": {"login": owner}},
    })
}

fn tell(session: &Session, answer: &Answer, image: &str) -> Outcome {
    let document = answer.document();
    let pushes: Vec<Push> = match document.get("events") {
        Some(events) => crate::client::read(events)?,
        None => Vec::new(),
    };
    if pushes.is_empty() && !answer.is_success() {
        return Err(session.api.refusal(answer));
    }
    if let Some(members) = session.out.json() {
        session.out.document(members, document)?;
    }
    let mut exit = Exit::Done;
    for push in &pushes {
        let (word, token) = push.word();
        let word = session.out.styles().paint(token, &word);
        let why = push.because();
        say(session, &format!("{}  {word}{}", text::clean(image), text::clean(&why)))?;
        if let Some(line) = next_line(push) {
            session.out.note(&format!("next: {line}"));
        }
        if matches!(push.state.as_str(), "held" | "denied") {
            exit = Exit::Refused;
        }
    }
    if pushes.is_empty() {
        let message =
            document.get("message").and_then(Value::as_str).unwrap_or("nothing to decide");
        say(session, &text::clean(message))?;
    }
    Ok(exit)
}

fn say(session: &Session, line: &str) -> Result {
    match session.out.json() {
        Some(_) => session.out.note(line),
        None => session.out.say(line)?,
    }
    Ok(())
}

fn next_line(push: &Push) -> Option<String> {
    match (&push.rollout_id, &push.review_id) {
        (Some(rollout), _) => Some(format!("slipway rollout watch {rollout}")),
        (None, Some(review)) => Some(format!("slipway review show {review}")),
        (None, None) => Some(format!("slipway push explain {}", push.id)),
    }
}
