//! `slipway image`: repositories that may run, or not.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use crate::client::{Request, read};
use crate::complete::{self, IMAGES};
use crate::documents::image::{Image, Tag};
use crate::failure::{Exit, Outcome, Result};
use crate::images;
use crate::output::table::Facts;
use crate::output::{Cell, Table, Token, text, time, words};
use crate::session::{Session, body};

/// Verbs of `slipway image`.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// List images
    List {
        /// Only images with this status
        #[arg(long, value_enum)]
        status: Option<Status>,
        /// Only images of this category
        #[arg(long)]
        category: Option<String>,
        /// Only images whose name or description contains this
        #[arg(long, value_name = "TEXT")]
        search: Option<String>,
        /// At most this many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Show an image and its tags
    Show {
        /// Its name or number
        #[arg(add = complete::of(&IMAGES))]
        image: String,
    },
    /// Add an image; it is approved at once when you may approve
    Add {
        /// Its repository, such as `redis`, `grafana/grafana` or `ghcr.io/acme/agent`
        image: String,
        /// For people
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// A free word such as `database`
        #[arg(long)]
        category: Option<String>,
        /// The registry's own team makes it
        #[arg(long)]
        official: bool,
    },
    /// Let an image run
    Approve {
        /// Its name or number
        #[arg(add = complete::of(&IMAGES))]
        image: String,
    },
    /// Let an image not run: its pushes are denied
    Reject {
        /// Its name or number
        #[arg(add = complete::of(&IMAGES))]
        image: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Remove an image with its tags
    Remove {
        /// Its name or number
        #[arg(add = complete::of(&IMAGES))]
        image: String,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
}

/// Whether an image may run.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Status {
    /// It may run
    Approved,
    /// A person has yet to decide
    Pending,
    /// It may not run
    Rejected,
}

impl Status {
    fn word(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
        }
    }
}

/// Runs a verb.
pub async fn run(verb: Verb, session: &Session) -> Outcome {
    match verb {
        Verb::List { status, category, search, limit } => {
            let request = Request::get(["images"])
                .query_if("status", status.map(Status::word))
                .query_if("category", category)
                .query_if("search", search);
            list(session, request, limit).await?;
        }
        Verb::Show { image } => show(session, &image).await?,
        Verb::Add { image, description, category, official } => {
            add(session, &image, (description, category, official)).await?;
        }
        Verb::Approve { image } => decide(session, &image, Status::Approved).await?,
        Verb::Reject { image, yes } => {
            session.confirm_at_terminal(&format!("this denies every push of {image}"), yes)?;
            decide(session, &image, Status::Rejected).await?;
        }
        Verb::Remove { image, yes } => {
            session.confirm_at_terminal(&format!("this removes {image} with its tags"), yes)?;
            remove(session, &image).await?;
        }
    }
    Ok(Exit::Done)
}

async fn list(session: &Session, request: Request, limit: usize) -> Result {
    let Some(page) = session.list(request, "images", limit).await? else { return Ok(()) };
    let mut table = Table::new(&[">ID", "IMAGE", "STATUS", ">TAGS", "CATEGORY", "DESCRIPTION"]);
    for image in page.read_items::<Image>()? {
        table.row([
            image.id.to_string().into(),
            image.familiar().into(),
            Cell::word(words::approval(&image.approval_status)),
            text::number(image.tag_count).into(),
            image.category.unwrap_or_default().into(),
            image.description.unwrap_or_default().into(),
        ]);
    }
    table.print(&session.out, "there is no such image; `slipway image add NAME` adds one")
}

async fn show(session: &Session, typed: &str) -> Result {
    let id = images::resolve(session, typed).await?;
    if session.out.json().is_some() {
        session.show(Request::get(["images".to_owned(), id.to_string()])).await?;
        return Ok(());
    }
    let (answer, image, tags) = images::with_tags(session, id).await?;
    let tags = tags.iter().map(read).collect::<Result<Vec<Tag>>>()?;
    let now = session.now(answer.time());
    let approved = match (&image.approved_by, image.approved_at) {
        (Some(by), Some(at)) => format!("by {by}, {}", time::since(at, now)),
        (_, Some(at)) => time::since(at, now),
        (_, None) => String::new(),
    };
    Facts::default()
        .with("image", image.familiar())
        .with("number", image.id.to_string())
        .with("status", Cell::word(words::approval(&image.approval_status)))
        .with("approved", approved)
        .with("category", image.category.as_deref().unwrap_or_default())
        .with("official", if image.is_official { "yes" } else { "no" })
        .with("unknown tags", image.unknown_tag.as_deref().unwrap_or_default())
        .with("description", image.description.as_deref().unwrap_or_default())
        .print(&session.out)?;
    session.out.say("")?;
    let empty = format!("it has no tags; `slipway tag add {}:TAG` adds one", image.familiar());
    tag_table(&tags).print(&session.out, &empty)
}

/// Tags as a table.
pub fn tag_table(tags: &[Tag]) -> Table {
    let mut table = Table::new(&["TAG", "MARK", "DIGEST", ">SIZE", "PLATFORM", "SCAN"]);
    for tag in tags {
        let platform = match (&tag.os, &tag.architecture) {
            (Some(os), Some(architecture)) => format!("{os}/{architecture}"),
            (None, Some(one)) | (Some(one), None) => one.clone(),
            (None, None) => String::new(),
        };
        table.row([
            (&tag.tag).into(),
            Cell::word(words::tag(tag.is_recommended, tag.is_deprecated)),
            text::short_digest(tag.digest.as_deref().unwrap_or_default()).into(),
            tag.size_bytes.filter(|size| *size > 0).map(text::bytes).unwrap_or_default().into(),
            platform.into(),
            scan(tag),
        ]);
    }
    table
}

fn scan(tag: &Tag) -> Cell {
    let status = tag.security_scan_status.as_deref().unwrap_or_default();
    let found = match tag.vulnerabilities_count {
        Some(0) | None => String::new(),
        Some(count) => format!(", {} found", text::number(count)),
    };
    let cell = Cell::new(format!("{status}{found}"));
    match status {
        "passed" => cell.painted(Token::Good),
        "failed" | "error" => cell.painted(Token::Bad),
        "warned" | "stale" => cell.painted(Token::Need),
        _ => cell,
    }
}

async fn add(
    session: &Session,
    typed: &str,
    (description, category, official): (Option<String>, Option<String>, bool),
) -> Result {
    let repository = images::repository(typed)?;
    let [name, registry, namespace] = images::body_of(&repository);
    let request = Request::post(["images"]).body(body([
        name,
        registry,
        namespace,
        ("description", json!(description)),
        ("category", json!(category)),
        ("is_official", if official { json!(true) } else { Value::Null }),
    ]));
    let answer = session.call(request).await?;
    let image: Image = answer.read()?;
    for warning in &image.warnings {
        session.out.note(&format!("warning: {}", text::clean(warning)));
    }
    let name = image.familiar();
    let sentence = match &*image.approval_status {
        "approved" => format!("Added {name} (number {}); it is approved.", image.id),
        status => format!(
            "Added {name} (number {}); it is {status}, and a review asks another person.",
            image.id
        ),
    };
    session.out.done(answer.document(), &sentence, &format!("slipway image remove {name}"))
}

async fn decide(session: &Session, typed: &str, wanted: Status) -> Result {
    let id = images::resolve(session, typed).await?;
    let path = ["images".to_owned(), id.to_string()];
    let before = session.call(Request::get(path.clone())).await?;
    let was: Image = before.read()?;
    let request =
        Request::put(path).body(json!({"approval_status": wanted.word()})).if_match(before.etag());
    let answer = session.call(request).await?;
    let image: Image = answer.read()?;
    let name = image.familiar();
    let sentence = match wanted {
        Status::Approved => format!("Approved {name}; pushes that were held for it go on."),
        Status::Rejected => format!("Rejected {name}; its pushes are denied from now on."),
        Status::Pending => format!("Set {name} back to pending."),
    };
    let undo = match (&*was.approval_status, wanted) {
        ("approved", Status::Approved) | ("rejected", Status::Rejected) => {
            "none needed; it was so before".to_owned()
        }
        (_, Status::Approved) => format!("slipway image reject {name}"),
        (_, Status::Rejected | Status::Pending) => format!("slipway image approve {name}"),
    };
    session.out.done(answer.document(), &sentence, &undo)
}

async fn remove(session: &Session, typed: &str) -> Result {
    let id = images::resolve(session, typed).await?;
    let path = ["images".to_owned(), id.to_string()];
    let image: Image = session.call(Request::get(path.clone())).await?.read()?;
    let answer = session.call(Request::delete(path)).await?;
    let name = image.familiar();
    let tags = text::count(image.tag_count, "tag");
    session.out.done(
        answer.document(),
        &format!("Removed {name} with {tags}; devices keep what they run."),
        &format!("slipway image add {name}, then its tags again"),
    )
}
