//! Flags that say what devices shall run, and the body made of them.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::documents::device::Service;
use crate::failure::{Exit, Failure, Result};
use crate::images;
use crate::session::read_document;
use runtime::nearest::nearest;

/// What shall run.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Change {
    /// Let a service run this image; the others stay
    #[arg(long = "set", value_name = "SERVICE=IMAGE:TAG", value_parser = parse_set)]
    set: Vec<(String, String)>,
    /// Let a service end
    #[arg(long = "remove", value_name = "SERVICE")]
    remove: Vec<String>,
    /// All services out of a JSON file: `[{"name", "image", "config"}]`; `-` = standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["set", "remove"])]
    file: Option<PathBuf>,
}

impl Change {
    /// Whether nothing shall change.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty() && self.file.is_none()
    }

    /// The body: what runs now with the change in it.
    pub fn body(&self, now: &[Service]) -> Result<Value> {
        if let Some(file) = &self.file {
            let document = read_document(file)?;
            return match document {
                Value::Array(_) => Ok(json!({"services": document})),
                Value::Object(_) => Ok(json!({"services": document.get("services")})),
                _ => Err(Failure::usage(format!("`{}` lists no services", file.display()))
                    .hint(r#"write [{"name": "cache", "image": "redis:7-alpine"}]"#)),
            };
        }
        let mut services: Vec<Service> = now.to_vec();
        for name in &self.remove {
            let Some(place) = services.iter().position(|service| service.name == *name) else {
                return Err(unknown(name, &services));
            };
            services.remove(place);
        }
        for (name, image) in &self.set {
            let image = images::reference(image)?.to_string();
            match services.iter_mut().find(|service| service.name == *name) {
                Some(service) => {
                    service.image = image;
                    service.digest.clear();
                }
                None => services.push(Service { name: name.clone(), image, ..Service::default() }),
            }
        }
        Ok(json!({"services": services.iter().map(shown).collect::<Vec<_>>()}))
    }
}

/// The flags that bring services back as they were.
pub fn flags(before: &[Service], after: &[Service]) -> String {
    let set = before
        .iter()
        .filter(|service| !after.iter().any(|other| other.is_as(service)))
        .map(|service| format!("--set {}={}", service.name, service.familiar()));
    let removed = after
        .iter()
        .filter(|service| !before.iter().any(|other| other.name == service.name))
        .map(|service| format!("--remove {}", service.name));
    set.chain(removed).collect::<Vec<_>>().join(" ")
}

/// A service as it is sent. What does not change keeps its digest.
fn shown(service: &Service) -> Value {
    let image = match service.digest.as_str() {
        "" => service.image.clone(),
        digest => format!("{}@{digest}", service.image),
    };
    let mut body = json!({"name": service.name, "image": image});
    if service.config.as_object().is_some_and(|config| !config.is_empty()) {
        body["config"] = service.config.clone();
    }
    body
}

fn unknown(name: &str, services: &[Service]) -> Failure {
    let failure = Failure::new(Exit::NotFound, format!("there is no service `{name}` to remove"));
    match nearest(name, services.iter().map(|service| &*service.name)) {
        Some(nearest) => failure.hint(format!("did you mean `{nearest}`?")),
        None => {
            let names: Vec<_> = services.iter().map(|service| &*service.name).collect();
            failure.hint(format!("there are: {}", names.join(", ")))
        }
    }
}

fn parse_set(text: &str) -> std::result::Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, image)) if !name.is_empty() && !image.is_empty() => {
            Ok((name.to_owned(), image.to_owned()))
        }
        Some(_) | None => Err(format!("`{text}` is no service; write SERVICE=IMAGE:TAG")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, image: &str, digest: &str) -> Service {
        Service {
            name: name.to_owned(),
            image: image.to_owned(),
            digest: digest.to_owned(),
            config: json!({"restart": "always"}),
            ..Service::default()
        }
    }

    #[test]
    fn what_is_not_named_stays_as_it_is_by_its_digest() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let now = [
            service("cache", "docker.io/library/redis:7-alpine", &digest),
            service("web", "docker.io/library/nginx:1", &digest),
            service("old", "docker.io/library/busybox:1", ""),
        ];
        let change = Change {
            set: vec![
                ("web".into(), "nginx:2".into()),
                ("new".into(), "grafana/grafana:11".into()),
            ],
            remove: vec!["old".into()],
            file: None,
        };
        let config = json!({"restart": "always"});
        assert_eq!(
            change.body(&now).unwrap(),
            json!({"services": [
                {"name": "cache", "image": format!("docker.io/library/redis:7-alpine@{digest}"), "config": config},
                {"name": "web", "image": "docker.io/library/nginx:2", "config": config},
                {"name": "new", "image": "docker.io/grafana/grafana:11"},
            ]})
        );
        let missing = Change { remove: vec!["cahce".into()], ..Change::default() };
        assert_eq!(missing.body(&now).unwrap_err().exit(), Exit::NotFound);
    }

    #[test]
    fn the_undo_names_what_changed() {
        let before = [service("a", "redis:7", ""), service("b", "nginx:1", "")];
        let after = [service("b", "nginx:2", ""), service("c", "busybox:1", "")];
        assert_eq!(flags(&before, &after), "--set a=redis:7 --set b=nginx:1 --remove c");
    }
}
