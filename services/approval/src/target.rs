//! What devices should run from the start: checked, resolved and admitted like a push.

use std::time::Duration;

use imageref::Reference;
use proto::approval::v1 as pb;
use proto::reason;
use proto::rollout::v1 as rollout;
use runtime::problem::Violation;
use runtime::{Actor, Code, Problem, database, id};
use workload::{Config, ServiceName};

use crate::answer::{Admitted, Resolved, Ruling, Verdict};
use crate::ask::{self, Asked};
use crate::error::Why;
use crate::finding::{Platform, Reason};
use crate::peers::Admission;
use crate::review::{Placement, Question, Scope};
use crate::{App, Error};

/// How long a registry elsewhere may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A service that somebody wants, with all that can be said about it without asking anybody.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Its place in the request, for instance `services[0].image`.
    field: String,
    name: String,
    reference: Reference,
    config: String,
}

/// A service as it was admitted.
#[derive(Debug)]
pub(crate) struct Admissible {
    wanted: Wanted,
    /// `None` = it goes by tag.
    digest: Option<String>,
}

/// Checks services against each other and lists everything that is wrong with them.
pub(crate) fn check(services: Vec<pb::TargetService>) -> Result<Vec<Wanted>, Problem> {
    let mut violations = Vec::new();
    let mut note =
        |field: String, description: String| violations.push(Violation { field, description });
    let mut wanted = Vec::new();
    let mut group = Vec::new();
    for (index, service) in services.into_iter().enumerate() {
        let at = format!("services[{index}]");
        let name = ServiceName::parse(&service.name)
            .map_err(|error| note(format!("{at}.name"), error.to_string()));
        let config = Config::parse(&service.config).map_err(|found| {
            for violation in found {
                let violation = violation.within(&format!("{at}.config"));
                note(violation.path, violation.message);
            }
        });
        let reference = read(&service.image).map_err(|told| note(format!("{at}.image"), told));
        if let (Ok(name), Ok(config), Ok(reference)) = (name, config, reference) {
            let field = format!("{at}.image");
            let config_text = config.canonical_json().to_owned();
            let text = name.as_str().to_owned();
            group.push((name, config));
            wanted.push(Wanted { field, name: text, reference, config: config_text });
        }
    }
    if violations.is_empty() {
        let services: Vec<_> =
            group.iter().map(|(name, config)| workload::Service { name, config }).collect();
        if let Err(found) = workload::check_group(&services) {
            violations.extend(found.into_iter().map(|violation| Violation {
                field: violation.path,
                description: violation.message,
            }));
        }
    }
    if violations.is_empty() { Ok(wanted) } else { Err(Problem::violations(violations)) }
}

fn read(image: &str) -> Result<Reference, String> {
    let reference = Reference::parse(image).map_err(|error| error.to_string())?;
    if reference.tag().is_none() && reference.digest().is_none() {
        return Err(format!("names no version; write for instance `{image}:latest`"));
    }
    Ok(reference)
}

/// Asks registries and the gate about every service.
///
/// # Errors
///
/// The first service that may not run, or that cannot be asked about.
pub(crate) async fn admit(
    app: &App,
    person: &Actor,
    wanted: Vec<Wanted>,
) -> Result<Vec<Admissible>, Error> {
    let mut admitted = Vec::with_capacity(wanted.len());
    for wanted in wanted {
        let found = resolve(app, &wanted).await?;
        let given = wanted.reference.digest().map(ToString::to_string);
        // Where nobody can be asked, the operator's word counts.
        let known = match &found {
            Some((digest, _)) => digest.as_str(),
            None => given.as_deref().unwrap_or_default(),
        };
        // A digest that the tag does not have is for the gate to know.
        let vouched = if given.as_deref().is_none_or(|given| given == known) { known } else { "" };
        let platforms = match &found {
            Some((_, platforms)) if !vouched.is_empty() => platforms.as_slice(),
            Some(_) | None => &[],
        };
        ask_gate(app, person, &wanted, vouched, platforms).await?;
        let digest = given.or_else(|| found.map(|(digest, _)| digest));
        admitted.push(Admissible { wanted, digest });
    }
    Ok(admitted)
}

/// What a registry says about a service's image; `None` = nobody can be asked.
async fn resolve(app: &App, wanted: &Wanted) -> Result<Option<(String, Vec<Platform>)>, Error> {
    let reference = wanted.reference.to_string();
    let problem = match app.peers.resolve(reference.clone(), false, PATIENCE).await {
        Resolved::Digest { digest, platforms } => return Ok(Some((digest, platforms))),
        Resolved::NotConfigured => return Ok(None),
        Resolved::NotFound => Problem::new(
            Code::NotFound,
            reason::TAG_NOT_FOUND,
            format!("the registry does not know `{reference}`; look for a typing error"),
        ),
        Resolved::Unreachable(message) => {
            Problem::unavailable(reason::UPSTREAM_UNREACHABLE, message)
        }
        Resolved::Away(message) => Problem::unavailable(reason::REGISTRY_UNREACHABLE, message),
        Resolved::RateLimited(wait) => Problem::new(
            Code::ResourceExhausted,
            reason::UPSTREAM_RATE_LIMITED,
            "the registry asks to wait; try again later",
        )
        .retry_after(wait),
        Resolved::Refused(message) => {
            Problem::new(Code::PermissionDenied, reason::UPSTREAM_REFUSED, message)
        }
        Resolved::Malformed(message) => {
            Problem::new(Code::InvalidArgument, reason::INVALID_REFERENCE, message)
        }
    };
    Err(problem.at(&wanted.field).into())
}

async fn ask_gate(
    app: &App,
    person: &Actor,
    wanted: &Wanted,
    digest: &str,
    platforms: &[Platform],
) -> Result<(), Error> {
    let reference = wanted.reference.to_string();
    let asked =
        Admission { reference: &reference, digest, platforms, record: false, actor: person };
    let verdict = match app.peers.admit(asked).await {
        Admitted::Verdict(verdict) => verdict,
        Admitted::Away(message) => {
            return Err(Problem::unavailable(reason::REGISTRY_UNREACHABLE, message).into());
        }
        Admitted::Malformed(cause) => {
            return Err(Error::InvalidReference { field: wanted.field.clone(), cause });
        }
    };
    let review = match verdict.ruling {
        Ruling::Allow => return Ok(()),
        Ruling::Hold(scope) => {
            let question = question(person, wanted, digest, platforms, scope, &verdict);
            let asked = ask_person(app, &question).await?;
            if let Placement::Approved(_) = asked.placement {
                return Ok(());
            }
            asked.review()
        }
        Ruling::Deny => None,
    };
    let why = verdict
        .reasons
        .into_iter()
        .next()
        .unwrap_or_else(|| Reason::new(reason::IMAGE_NOT_APPROVED, "the gate refuses it"));
    Err(Error::NotAdmitted { field: wanted.field.clone(), why: Why(why), review })
}

fn question(
    person: &Actor,
    wanted: &Wanted,
    digest: &str,
    platforms: &[Platform],
    scope: Scope,
    verdict: &Verdict,
) -> Question {
    let first = verdict.reasons.first().map(|why| why.code.as_str());
    Question {
        scope,
        repository: wanted.reference.repository().to_string(),
        tag: wanted.reference.tag().map(ToString::to_string).unwrap_or_default(),
        digest: digest.to_owned(),
        platforms: platforms.to_vec(),
        requester: person.clone(),
        image_is_pending: first == Some(reason::IMAGE_PENDING),
    }
}

async fn ask_person(app: &App, question: &Question) -> Result<Asked, Error> {
    let mut tx = app.pool.begin().await?;
    let now = database::now(&mut tx, &app.clock).await?;
    let asked = ask::ask(&mut tx, app, question, now).await?;
    app.outbox.commit(tx).await?;
    Ok(asked)
}

impl Admissible {
    /// As `rollout` takes it. What is not pinned is told from the last time by a new release id.
    pub(crate) fn to_service(&self, app: &App) -> rollout::Service {
        let release_id = match self.digest {
            Some(_) => String::new(),
            None => id::uuid_v7(app.clock.now()).to_string(),
        };
        rollout::Service {
            name: self.wanted.name.clone(),
            image: self.image(),
            digest: self.digest.clone().unwrap_or_default(),
            release_id,
            config: self.wanted.config.clone(),
            rollout: None,
        }
    }

    /// The canonical reference with its tag, or by digest where there is none.
    fn image(&self) -> String {
        match self.wanted.reference.tag() {
            Some(_) => self.wanted.reference.clone().without_digest().to_string(),
            None => self.wanted.reference.to_string(),
        }
    }
}

impl From<&Admissible> for pb::AdmittedService {
    fn from(service: &Admissible) -> Self {
        Self {
            name: service.wanted.name.clone(),
            image: service.image(),
            digest: service.digest.clone().unwrap_or_default(),
            pinned: service.digest.is_some(),
        }
    }
}
