//! `slipway tag`: versions of an image.

use clap::Subcommand;
use serde_json::{Value, json};

use super::image::tag_table;
use crate::client::{Request, read};
use crate::complete::{self, IMAGES};
use crate::documents::image::{Image, Tag};
use crate::failure::{Exit, Outcome, Result};
use crate::images;
use crate::output::text;
use crate::session::{Session, body};

/// Verbs of `slipway tag`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List the tags of an image
    List {
        /// Its name or number
        #[arg(add = complete::of(&IMAGES))]
        image: String,
    },
    /// Add a tag to an image
    Add {
        /// The image with its tag, such as `redis:7.5-alpine`
        #[arg(value_name = "IMAGE:TAG")]
        tag: String,
        /// The digest it has
        #[arg(long)]
        digest: Option<String>,
        /// Mark it as the one to use
        #[arg(long)]
        recommended: bool,
    },
    /// Mark a tag as the one to use; the one before loses the mark
    Recommend {
        /// The image with its tag
        #[arg(value_name = "IMAGE:TAG")]
        tag: String,
    },
    /// Let no new rollout use a tag
    Deprecate {
        /// The image with its tag
        #[arg(value_name = "IMAGE:TAG")]
        tag: String,
    },
    /// Let rollouts use a deprecated tag again
    Restore {
        /// The image with its tag
        #[arg(value_name = "IMAGE:TAG")]
        tag: String,
    },
    /// Remove a tag from an image
    Remove {
        /// The image with its tag
        #[arg(value_name = "IMAGE:TAG")]
        tag: String,
    },
}

/// Runs a verb.
pub async fn run(verb: Verb, session: &Session) -> Outcome {
    match verb {
        Verb::List { image } => list(session, &image).await?,
        Verb::Add { tag, digest, recommended } => add(session, &tag, digest, recommended).await?,
        Verb::Recommend { tag } => recommend(session, &tag).await?,
        Verb::Deprecate { tag } => set_deprecated(session, &tag, true).await?,
        Verb::Restore { tag } => set_deprecated(session, &tag, false).await?,
        Verb::Remove { tag } => remove(session, &tag).await?,
    }
    Ok(Exit::Done)
}

async fn list(session: &Session, typed: &str) -> Result {
    let id = images::resolve(session, typed).await?;
    let (_, image, tags) = images::with_tags(session, id).await?;
    if let Some(members) = session.out.json() {
        return session.out.items(members, &tags);
    }
    let tags = tags.iter().map(read).collect::<Result<Vec<Tag>>>()?;
    let empty = format!("it has no tags; `slipway tag add {}:TAG` adds one", image.familiar());
    tag_table(&tags).print(&session.out, &empty)
}

async fn add(session: &Session, typed: &str, digest: Option<String>, recommended: bool) -> Result {
    let (repository, name) = images::tagged(typed)?;
    let id = images::find(session, &repository).await?;
    let path = ["images".to_owned(), id.to_string(), "tags".to_owned()];
    let request = Request::post(path).body(body([
        ("tag", json!(name)),
        ("digest", json!(digest)),
        ("is_recommended", if recommended { json!(true) } else { Value::Null }),
    ]));
    let answer = session.call(request).await?;
    let tag: Tag = answer.read()?;
    for warning in &tag.warnings {
        session.out.note(&format!("warning: {}", text::clean(warning)));
    }
    let image = repository.familiar();
    let mark = if tag.is_recommended { "; it is the recommended one" } else { "" };
    session.out.done(
        answer.document(),
        &format!("Added {image}:{name}{mark}."),
        &format!("slipway tag remove {image}:{name}"),
    )
}

async fn recommend(session: &Session, typed: &str) -> Result {
    let (image, tag, tags) = images::find_tag(session, typed).await?;
    let before = tags.iter().find(|other| other.is_recommended && other.id != tag.id);
    let answer = change(session, &image, &tag, json!({"is_recommended": true})).await?;
    let name = image.familiar();
    let (instead, undo) = match before {
        Some(before) => (
            format!(" instead of {}", before.tag),
            format!("slipway tag recommend {name}:{}", before.tag),
        ),
        None if tag.is_recommended => (String::new(), "none needed; it was so before".to_owned()),
        None => (String::new(), "none; recommending another tag takes the mark away".to_owned()),
    };
    session.out.done(
        &answer,
        &format!("{name}:{} is the recommended tag{instead}.", tag.tag),
        &undo,
    )
}

async fn set_deprecated(session: &Session, typed: &str, deprecated: bool) -> Result {
    let (image, tag, _) = images::find_tag(session, typed).await?;
    let answer = change(session, &image, &tag, json!({"is_deprecated": deprecated})).await?;
    let name = format!("{}:{}", image.familiar(), tag.tag);
    let undo = match deprecated {
        _ if tag.is_deprecated == deprecated => "none needed; it was so before".to_owned(),
        true => format!("slipway tag restore {name}"),
        false => format!("slipway tag deprecate {name}"),
    };
    let sentence = match deprecated {
        true => format!("Deprecated {name}; no new rollout uses it, devices that run it go on."),
        false => format!("Restored {name}; rollouts may use it again."),
    };
    session.out.done(&answer, &sentence, &undo)
}

async fn change(session: &Session, image: &Image, tag: &Tag, change: Value) -> Result<Value> {
    let path = path_of(image, tag);
    Ok(session.call(Request::put(path).body(change)).await?.document().clone())
}

async fn remove(session: &Session, typed: &str) -> Result {
    let (image, tag, _) = images::find_tag(session, typed).await?;
    let answer = session.call(Request::delete(path_of(&image, &tag))).await?;
    let name = format!("{}:{}", image.familiar(), tag.tag);
    session.out.done(
        answer.document(),
        &format!("Removed {name}; devices that run it go on."),
        &format!("slipway tag add {name}"),
    )
}

fn path_of(image: &Image, tag: &Tag) -> [String; 4] {
    ["images".to_owned(), image.id.to_string(), "tags".to_owned(), tag.id.to_string()]
}
