//! Receivers: who may send webhooks, and what they may speak for.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use imageref::{Host, HostPattern, Repository, RepositoryGlob};
use runtime::secret::Secret;
use runtime::{Actor, ActorKind, Problem};
use serde_json::{Value, json};

use crate::vendor::{ResponseMode, Scheme, Vendor};

runtime::id! {
    /// Names a receiver.
    #[derive(sqlx::Type)]
    #[sqlx(transparent)]
    ReceiverId: Uuid
}

const NAME_LENGTH: std::ops::RangeInclusive<usize> = 1..=100;
const SECRET_LENGTH: std::ops::RangeInclusive<usize> = 16..=200;
const MOST_RULES: usize = 100;

/// An address for webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Receiver {
    pub id: ReceiverId,
    pub name: String,
    pub vendor: Vendor,
    pub has_secret: bool,
    pub allow_unauthenticated: bool,
    /// Hosts in canonical spelling, or `*`.
    pub registries: Vec<String>,
    /// Globs over repositories.
    pub repositories: Vec<String>,
    pub response_mode: ResponseMode,
    pub payload_trust: bool,
    pub is_default: bool,
    pub created_at: DateTime<Utc>,
}

/// What a receiver was sent of late.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Activity {
    pub last_delivery_at: Option<DateTime<Utc>>,
    /// Requests refused since then.
    pub refused_since: i32,
    /// Why the last one was refused; empty = none was.
    pub last_refusal: String,
}

/// What somebody wants a new receiver to be.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub name: String,
    pub vendor: Vendor,
    pub secret: Option<Secret>,
    pub allow_unauthenticated: bool,
    pub registries: Vec<String>,
    pub repositories: Vec<String>,
    pub response_mode: Option<ResponseMode>,
    pub payload_trust: bool,
    pub is_default: bool,
}

impl Receiver {
    /// Makes a receiver as somebody wishes.
    ///
    /// # Errors
    ///
    /// The field that does not hold what it may.
    pub(crate) fn create(id: ReceiverId, wish: &Wish, now: DateTime<Utc>) -> Result<Self, Problem> {
        let name = wish.name.trim();
        if !NAME_LENGTH.contains(&name.chars().count()) || name.contains(char::is_control) {
            return Err(Problem::invalid("receiver.name", "is not 1 to 100 plain characters"));
        }
        check_secret(wish)?;
        if wish.payload_trust && wish.secret.is_none() && !wish.is_default {
            return Err(Problem::invalid(
                "receiver.payload_trust",
                "needs a secret: without one anybody who learns the URL could start a rollout",
            ));
        }
        Ok(Self {
            id,
            name: name.to_owned(),
            vendor: wish.vendor,
            has_secret: wish.secret.is_some(),
            allow_unauthenticated: wish.allow_unauthenticated,
            registries: registries(wish)?,
            repositories: repositories(wish)?,
            response_mode: wish.response_mode.unwrap_or(wish.vendor.response_mode()),
            payload_trust: wish.payload_trust,
            is_default: wish.is_default,
            created_at: now,
        })
    }

    /// Whether it may speak for a repository.
    pub(crate) fn may_speak_for(&self, repository: &Repository) -> bool {
        let host = self.registries.iter().any(|registry| {
            HostPattern::parse(registry).is_ok_and(|host| host.matches(repository.registry()))
        });
        host && self
            .repositories
            .iter()
            .any(|glob| RepositoryGlob::parse(glob).is_ok_and(|glob| glob.matches(repository)))
    }

    /// Whether the word of a sender at this address counts where no registry can be asked. Without
    /// a signature only this machine's own word does: the demo.
    pub(crate) fn trusts(&self, peer: Option<IpAddr>) -> bool {
        let local = peer.is_some_and(|address| address.to_canonical().is_loopback());
        self.payload_trust && (self.has_secret || local)
    }

    /// Whether requests are checked against a secret.
    pub(crate) fn scheme(&self) -> Scheme {
        if self.has_secret { Scheme::HubSignature } else { Scheme::UrlToken }
    }

    /// Who acts when a delivery is believed.
    pub(crate) fn actor(&self) -> Actor {
        Actor::new(ActorKind::Receiver, self.id.to_string(), &self.name)
    }

    /// As events carry it.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "name": self.name,
            "vendor": self.vendor.word(),
            "has_secret": self.has_secret,
            "allow_unauthenticated": self.allow_unauthenticated,
            "registries": self.registries,
            "repositories": self.repositories,
            "payload_trust": self.payload_trust,
            "is_default": self.is_default,
        })
    }
}

fn check_secret(wish: &Wish) -> Result<(), Problem> {
    match (&wish.secret, wish.vendor.scheme()) {
        (Some(_), Scheme::UrlToken) => Err(Problem::invalid(
            "secret",
            format!(
                "is of no use: vendor `{}` signs nothing; leave it out, the URL is the secret",
                wish.vendor.word()
            ),
        )),
        (Some(secret), Scheme::HubSignature)
            if !SECRET_LENGTH.contains(&secret.expose().chars().count()) =>
        {
            Err(Problem::invalid("secret", "is not 16 to 200 characters long"))
        }
        (Some(_), Scheme::HubSignature) => Ok(()),
        (None, _) if wish.allow_unauthenticated => Ok(()),
        // The default receiver's URL is known to everybody.
        (None, Scheme::UrlToken) if !wish.is_default => Ok(()),
        (None, _) => Err(Problem::invalid(
            "secret",
            "is missing; give one, or say `allow_unauthenticated` if everybody may send",
        )),
    }
}

fn registries(wish: &Wish) -> Result<Vec<String>, Problem> {
    if wish.registries.is_empty() {
        return Ok(wish.vendor.hosts().iter().map(|host| (*host).to_owned()).collect());
    }
    let field = |index| format!("receiver.registries[{index}]");
    if wish.registries.len() > MOST_RULES {
        return Err(Problem::invalid(field(MOST_RULES), "is one too many; use `*`"));
    }
    let canonical = |(index, text): (usize, &String)| match HostPattern::parse(text) {
        Ok(HostPattern::Any) => Ok("*".to_owned()),
        Ok(HostPattern::Only(host)) => Ok(Host::as_str(&host).to_owned()),
        Err(error) => Err(Problem::invalid(field(index), error.to_string())),
    };
    wish.registries.iter().enumerate().map(canonical).collect()
}

fn repositories(wish: &Wish) -> Result<Vec<String>, Problem> {
    if wish.repositories.is_empty() {
        return Ok(vec!["**".to_owned()]);
    }
    let field = |index| format!("receiver.repositories[{index}]");
    if wish.repositories.len() > MOST_RULES {
        return Err(Problem::invalid(field(MOST_RULES), "is one too many; use wider patterns"));
    }
    let checked = |(index, text): (usize, &String)| match RepositoryGlob::parse(text) {
        Ok(_) => Ok(text.clone()),
        Err(error) => Err(Problem::invalid(field(index), error.to_string())),
    };
    wish.repositories.iter().enumerate().map(checked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(vendor: &str) -> Wish {
        Wish {
            name: " hub ".to_owned(),
            vendor: Vendor::from_word(vendor).unwrap(),
            secret: None,
            allow_unauthenticated: false,
            registries: Vec::new(),
            repositories: Vec::new(),
            response_mode: None,
            payload_trust: false,
            is_default: false,
        }
    }

    fn create(wish: &Wish) -> Result<Receiver, Problem> {
        let now = DateTime::UNIX_EPOCH;
        Receiver::create(ReceiverId::new(now), wish, now)
    }

    fn refused_field(wish: &Wish) -> String {
        create(wish).expect_err("refused").field_violations()[0].field.clone()
    }

    #[test]
    fn a_receiver_without_a_secret_must_say_so_unless_its_url_is_the_secret() {
        assert_eq!(create(&wish("dockerhub")).unwrap().name, "hub");
        assert_eq!(refused_field(&wish("github")), "secret");
        assert_eq!(refused_field(&wish("generic")), "secret");
        assert_eq!(refused_field(&Wish { is_default: true, ..wish("dockerhub") }), "secret");
        assert!(create(&Wish { allow_unauthenticated: true, ..wish("generic") }).is_ok());
        let secret = |text: &str| Some(Secret::new(text));
        assert_eq!(
            refused_field(&Wish { secret: secret("0123456789abcde"), ..wish("github") }),
            "secret"
        );
        assert!(create(&Wish { secret: secret("0123456789abcdef"), ..wish("github") }).is_ok());
        let useless = Wish { secret: secret("0123456789abcdef"), ..wish("dockerhub") };
        assert_eq!(refused_field(&useless), "secret");
    }

    #[test]
    fn a_senders_word_counts_when_it_is_signed_or_comes_from_this_machine() {
        let open = Wish { allow_unauthenticated: true, payload_trust: true, ..wish("generic") };
        assert_eq!(refused_field(&open), "receiver.payload_trust");
        let demo = create(&Wish { is_default: true, ..open.clone() }).unwrap();
        let from = |text: &str| Some(text.parse().unwrap());
        assert!(demo.trusts(from("127.0.0.1")) && demo.trusts(from("::1")));
        assert!(demo.trusts(from("::ffff:127.0.0.1")));
        assert!(!demo.trusts(from("192.0.2.1")) && !demo.trusts(None));
        let signed = Wish { secret: Some(Secret::new("0123456789abcdef")), ..open };
        assert!(create(&signed).unwrap().trusts(from("192.0.2.1")));
        assert!(
            !create(&Wish { payload_trust: false, ..signed }).unwrap().trusts(from("127.0.0.1"))
        );
    }

    #[test]
    fn a_receiver_speaks_for_its_hosts_and_repositories_only() {
        let repository = |text: &str| Repository::parse(text).unwrap();
        let hub = create(&wish("dockerhub")).unwrap();
        assert!(hub.may_speak_for(&repository("redis")));
        assert!(hub.may_speak_for(&repository("acme/deep/app")));
        assert!(!hub.may_speak_for(&repository("ghcr.io/acme/app")));
        let narrow = Wish {
            registries: vec!["GHCR.IO:443".to_owned()],
            repositories: vec!["acme/*".to_owned()],
            ..wish("dockerhub")
        };
        let narrow = create(&narrow).unwrap();
        assert_eq!(narrow.registries, ["ghcr.io"]);
        assert!(narrow.may_speak_for(&repository("ghcr.io/acme/app")));
        assert!(!narrow.may_speak_for(&repository("ghcr.io/acme-evil/app")));
        assert!(!narrow.may_speak_for(&repository("acme/app")));
        let any = create(&Wish { registries: vec!["*".to_owned()], ..wish("dockerhub") }).unwrap();
        assert!(any.may_speak_for(&repository("localhost:5000/x")));
    }

    #[test]
    fn a_rule_that_is_none_names_its_place() {
        let bad = Wish { registries: vec!["ghcr.io".into(), "a b".into()], ..wish("dockerhub") };
        assert_eq!(refused_field(&bad), "receiver.registries[1]");
        let bad = Wish { repositories: vec!["Acme/**".into()], ..wish("dockerhub") };
        assert_eq!(refused_field(&bad), "receiver.repositories[0]");
        assert_eq!(
            refused_field(&Wish { name: "  ".into(), ..wish("dockerhub") }),
            "receiver.name"
        );
    }
}
