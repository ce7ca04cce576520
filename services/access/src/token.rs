//! Access tokens: whose they are, what they may do, whether they still hold.

use chrono::{DateTime, Utc};
use runtime::auth::Principal;
use runtime::{Actor, ActorKind, Caller, Problem};
use serde_json::{Value, json};

use crate::Error;
use crate::role::Role;

/// What every bearer string begins with.
pub const PREFIX: &str = "ghd_";
/// How many characters of the bearer string stay known, to recognise it by.
const SHOWN: usize = 10;
/// How long names may be.
const NAME_CHARS: usize = 100;

runtime::id! {
    /// A token's number.
    TokenId: i64
}

/// An access token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its number.
    pub id: TokenId,
    /// What its maker called it.
    pub name: String,
    /// Whose it is: the actor of everything done with it.
    pub subject: Actor,
    /// What it may do.
    pub role: Role,
    /// The first characters of the bearer string.
    pub prefix: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl Token {
    /// Refuses a token that no longer holds.
    ///
    /// # Errors
    ///
    /// That it was revoked, or has ended.
    pub fn check(&self, now: DateTime<Utc>) -> Result<(), Error> {
        if self.revoked_at.is_some() {
            return Err(Error::TokenRevoked);
        }
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(Error::TokenExpired);
        }
        Ok(())
    }

    /// Who bears it, with what it may do.
    #[must_use]
    pub fn principal(&self) -> Principal {
        Principal {
            actor: self.subject.clone(),
            role: Some(self.role.into()),
            permissions: Some(self.role.permissions()),
            expires: self.expires_at,
        }
    }

    /// What events tell about it.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let time = |time: DateTime<Utc>| time.to_rfc3339();
        json!({
            "name": self.name,
            "subject": self.subject.to_json(),
            "role": self.role.as_str(),
            "prefix": self.prefix,
            "expires_at": self.expires_at.map(time),
            "revoked_at": self.revoked_at.map(time),
        })
    }
}

/// Whose a new token is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// The caller's own.
    Caller,
    /// A person's, by user name.
    Person(String),
    /// A program's: a service account named like the token.
    Program,
}

/// A token that somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What to call it.
    pub name: String,
    /// Whose it is to be.
    pub owner: Owner,
    /// What it is to grant.
    pub role: Role,
    /// When it is to end.
    pub expires_at: Option<DateTime<Utc>>,
}

impl Wish {
    /// Decides whether the caller gets it, and returns its subject.
    ///
    /// # Errors
    ///
    /// That it would have ended already, grants more than the caller has, or is somebody else's.
    pub fn subject(&self, caller: &Caller, now: DateTime<Utc>) -> Result<Actor, Error> {
        if self.expires_at.is_some_and(|end| end <= now) {
            return Err(Problem::invalid("expire_time", "is in the past; name a later time").into());
        }
        if let Some(missing) = self.role.permissions().iter().find(|name| !caller.may(name)) {
            return Err(Error::RoleTooHigh { role: self.role, permission: missing.clone() });
        }
        let own = caller.person();
        match &self.owner {
            Owner::Caller if own.kind == ActorKind::System => Err(Problem::invalid(
                "user",
                "is missing; a process of Slipway has no access tokens, name the person",
            )
            .into()),
            Owner::Caller => Ok(own.clone()),
            Owner::Person(user) => {
                let person = Actor::new(ActorKind::User, user, user);
                if !person.is(own) && !is_admin(caller) {
                    return Err(Error::OthersToken(user.clone()));
                }
                Ok(person)
            }
            Owner::Program => Ok(Actor::new(ActorKind::ServiceAccount, &self.name, &self.name)),
        }
    }
}

fn is_admin(caller: &Caller) -> bool {
    Role::Admin.permissions().iter().all(|permission| caller.may(permission))
}

/// Checks a name of a token or a user.
///
/// # Errors
///
/// A violation of `field` when it is empty, too long, or would not read well in a table.
pub fn name(field: &str, text: &str) -> Result<String, Problem> {
    if text.is_empty() {
        return Err(Problem::invalid(field, "is empty; give 1 to 100 characters"));
    }
    if text.chars().count() > NAME_CHARS {
        return Err(Problem::invalid(field, "is longer than 100 characters; shorten it"));
    }
    if text.trim() != text || text.chars().any(char::is_control) {
        return Err(Problem::invalid(
            field,
            "holds a line break, another control character, or white space at an end; leave it out",
        ));
    }
    Ok(text.to_owned())
}

/// The part of a bearer string that stays known.
#[must_use]
pub fn prefix(bearer: &str) -> String {
    bearer.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {

    use chrono::TimeDelta;
    use proto::reason;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn caller(name: &str, role: Role) -> Caller {
        Caller::new(Principal {
            actor: Actor::new(ActorKind::User, name, name),
            role: Some(role.into()),
            permissions: Some(role.permissions()),
            expires: None,
        })
    }

    fn wish(role: Role, owner: Owner) -> Wish {
        Wish { name: "ci".to_owned(), owner, role, expires_at: None }
    }

    fn token() -> Token {
        Token {
            id: TokenId(1),
            name: "ci".to_owned(),
            subject: Actor::new(ActorKind::User, "ops", "ops"),
            role: Role::Operator,
            prefix: "ghd_abcdef".to_owned(),
            created_at: now(),
            expires_at: None,
            revoked_at: None,
            last_used_at: None,
        }
    }

    #[test]
    fn a_token_never_grants_more_than_its_maker_has() {
        for own in Role::ALL {
            for wanted in Role::ALL {
                let may = wanted.permissions().is_subset(&own.permissions());
                let made = wish(wanted, Owner::Caller).subject(&caller("ops", own), now());
                assert_eq!(made.is_ok(), may, "{own} makes {wanted}: {made:?}");
            }
        }
        let refused = wish(Role::Operator, Owner::Caller)
            .subject(&caller("eve", Role::Approver), now())
            .unwrap_err();
        let problem = Problem::from(refused);
        assert_eq!(problem.reason(), reason::PERMISSION_MISSING);
        assert_eq!(problem.metadata()["permission"], "devices.write");
    }

    #[test]
    fn only_an_admin_makes_tokens_for_other_people() {
        let anna = Owner::Person("anna".to_owned());
        let subject =
            |name, role| wish(Role::Viewer, anna.clone()).subject(&caller(name, role), now());
        assert!(subject("anna", Role::Viewer).is_ok());
        assert!(subject("root", Role::Admin).is_ok());
        for role in [Role::Viewer, Role::Operator, Role::Approver] {
            assert!(matches!(subject("eve", role), Err(Error::OthersToken(_))), "{role}");
        }
    }

    #[test]
    fn a_program_is_named_like_its_token_and_a_process_has_none() {
        let subject =
            wish(Role::Viewer, Owner::Program).subject(&caller("ops", Role::Admin), now());
        assert_eq!(subject.unwrap(), Actor::new(ActorKind::ServiceAccount, "ci", "ci"));
        let process = Caller::new(Principal::system("gateway"));
        assert!(wish(Role::Viewer, Owner::Caller).subject(&process, now()).is_err());
        let for_anna = process.acting_for(Some(Actor::new(ActorKind::User, "anna", "anna")));
        let subject = wish(Role::Viewer, Owner::Caller).subject(&for_anna, now()).unwrap();
        assert_eq!(subject.id, "anna");
    }

    #[test]
    fn an_end_that_has_passed_is_refused() {
        let mut wish = wish(Role::Viewer, Owner::Caller);
        for (end, good) in [(-1, false), (0, false), (1, true)] {
            wish.expires_at = Some(now() + TimeDelta::seconds(end));
            let result = wish.subject(&caller("ops", Role::Admin), now());
            assert_eq!(result.is_ok(), good, "{end}");
        }
    }

    #[test]
    fn a_token_holds_until_it_ends_or_is_revoked() {
        let mut token = token();
        assert!(token.check(now()).is_ok());
        token.expires_at = Some(now());
        assert!(matches!(token.check(now()), Err(Error::TokenExpired)));
        assert!(token.check(now() - TimeDelta::microseconds(1)).is_ok());
        token.revoked_at = Some(now());
        assert!(matches!(token.check(now()), Err(Error::TokenRevoked)), "revoked counts first");
    }

    #[test]
    fn names_read_well_in_a_table() {
        for good in ["a", "CI/CD Token", "jürgen", &"x".repeat(100)] {
            assert_eq!(name("name", good).as_deref(), Ok(good));
        }
        for bad in ["", " ", " a", "a ", "a\nb", "a\u{7}", &"x".repeat(101)] {
            assert!(name("name", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_events_tell_holds_no_secret() {
        let secret = runtime::secret::Secret::generate(PREFIX);
        let token = Token { prefix: prefix(secret.expose()), ..token() };
        assert_eq!(token.prefix.len(), 10);
        assert!(!token.to_json().to_string().contains(secret.expose()));
        let role = token.role.permissions();
        assert_eq!(token.principal().permissions.as_ref(), Some(&role));
    }
}
