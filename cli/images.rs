//! Image names as people write them, and the images behind them.

use imageref::{Reference, Repository};
use serde_json::Value;

use crate::client::{Answer, Request, read};
use crate::documents::image::{Image, Tag};
use crate::failure::{Exit, Failure, Result};
use crate::session::Session;
use runtime::nearest::nearest;

/// How many images are looked through for the nearest name.
const LOOKED_THROUGH: usize = 1_000;
/// How many tags of an image are looked through.
const TAGS: usize = 20_000;

/// A canonical name in the form that people write: `redis:7-alpine`.
pub fn familiar(name: &str) -> String {
    match imageref::canonical(name) {
        Ok(reference) => reference.without_digest().familiar(),
        Err(_) => name.to_owned(),
    }
}

/// A repository that was typed, without tag and digest.
pub fn repository(typed: &str) -> Result<Repository> {
    Repository::parse(typed).map_err(|error| not_a_name(typed, "repository", &error))
}

/// An image that was typed, with a tag.
pub fn tagged(typed: &str) -> Result<(Repository, String)> {
    let reference =
        imageref::canonical(typed).map_err(|error| not_a_name(typed, "image", &error))?;
    match reference.tag() {
        Some(tag) if reference.digest().is_none() => {
            Ok((reference.repository().clone(), tag.to_string()))
        }
        Some(_) | None => Err(Failure::usage(format!("`{typed}` names no tag"))
            .hint(format!("write `{}:TAG`", reference.repository().familiar()))),
    }
}

/// An image that was typed, with tag, digest or both.
pub fn reference(typed: &str) -> Result<Reference> {
    imageref::canonical(typed).map_err(|error| not_a_name(typed, "image", &error))
}

/// The canonical name of what was typed, when it is an image's and no id.
pub fn typed_image(typed: &str) -> Option<String> {
    let reference = imageref::canonical(typed).ok()?;
    (typed.contains([':', '/'])).then(|| reference.without_digest().to_string())
}

fn not_a_name(typed: &str, kind: &str, error: &imageref::Error) -> Failure {
    Failure::usage(format!("`{typed}` names no {kind}: {error}"))
}

/// The number of an image, typed as its number or its name.
pub async fn resolve(session: &Session, typed: &str) -> Result<i64> {
    if let Ok(number) = typed.parse() {
        return Ok(number);
    }
    let wanted = repository(typed)?;
    find(session, &wanted).await
}

/// The number of a repository's image.
pub async fn find(session: &Session, wanted: &Repository) -> Result<i64> {
    let search = Request::get(["images"]).query("search", wanted.name());
    let page = session.api.list(search, "images", LOOKED_THROUGH).await?;
    let images: Vec<Image> = page.read_items()?;
    if let Some(image) = images.iter().find(|image| image.is(wanted)) {
        return Ok(image.id);
    }
    let all = session.api.list(Request::get(["images"]), "images", LOOKED_THROUGH).await?;
    let names: Vec<String> =
        all.read_items::<Image>()?.iter().map(|image| image.familiar()).collect();
    let name = wanted.familiar();
    let failure = Failure::new(Exit::NotFound, format!("there is no image `{name}`"));
    Err(match nearest(name, names.iter().map(String::as_str)) {
        Some(nearest) => failure.hint(format!("did you mean `{nearest}`?")),
        None => failure.hint(format!("`slipway image add {name}` adds it")),
    })
}

/// An image as the API shows it, with its tags however many there are, as they came.
pub async fn with_tags(session: &Session, id: i64) -> Result<(Answer, Image, Vec<Value>)> {
    let request = Request::get(["images".to_owned(), id.to_string()]);
    let first = session.call(request.clone()).await?;
    let image: Image = first.read()?;
    let mut tags = image.tags.clone();
    let mut token = image.next_page_token.clone();
    while let Some(next) = token.filter(|_| tags.len() < TAGS) {
        let more: Image = session.call(request.clone().query("page_token", next)).await?.read()?;
        tags.extend(more.tags);
        token = more.next_page_token;
    }
    Ok((first, image, tags))
}

/// One tag of an image, with what the API shows of it.
pub async fn find_tag(session: &Session, typed: &str) -> Result<(Image, Tag, Vec<Tag>)> {
    let (wanted, name) = tagged(typed)?;
    let id = find(session, &wanted).await?;
    let (_, image, tags) = with_tags(session, id).await?;
    let tags = tags.iter().map(read::<Tag>).collect::<Result<Vec<_>>>()?;
    if let Some(tag) = tags.iter().find(|tag| tag.tag == name) {
        return Ok((image, tag.clone(), tags));
    }
    let image = image.familiar();
    let failure = Failure::new(Exit::NotFound, format!("`{image}` has no tag `{name}`"));
    Err(match nearest(&name, tags.iter().map(|tag| tag.tag.as_str())) {
        Some(nearest) => failure.hint(format!("did you mean `{image}:{nearest}`?")),
        None => failure.hint(format!("`slipway tag add {image}:{name}` adds it")),
    })
}

/// The body that names a repository to the API.
pub fn body_of(repository: &Repository) -> [(&'static str, Value); 3] {
    [
        ("image_name", Value::from(repository.name())),
        ("registry", Value::from(repository.registry())),
        ("namespace", Value::from(repository.namespace())),
    ]
}
