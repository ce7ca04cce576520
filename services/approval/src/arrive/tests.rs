use super::*;
use crate::parse::{Action, Event};
use crate::receiver::{ReceiverId, Wish};
use crate::vendor::Vendor;

fn receiver() -> Receiver {
    let wish = Wish {
        name: "hub".to_owned(),
        vendor: Vendor::from_word("dockerhub").unwrap(),
        secret: None,
        allow_unauthenticated: false,
        registries: Vec::new(),
        repositories: vec!["acme/**".to_owned()],
        response_mode: None,
        payload_trust: false,
        is_default: false,
    };
    let now = DateTime::UNIX_EPOCH;
    Receiver::create(ReceiverId::new(now), &wish, now).unwrap()
}

fn event(repository: &str, tag: Option<&str>, age_hours: Option<i64>) -> Event {
    Event {
        action: Action::Push,
        repository: Repository::parse(repository).unwrap(),
        tag: tag.map(|tag| imageref::Tag::parse(tag).unwrap()),
        digest: None,
        media_type: None,
        occurred_at: age_hours.map(|hours| DateTime::UNIX_EPOCH - TimeDelta::hours(hours)),
        pusher: None,
    }
}

#[test]
fn an_event_is_decided_kept_or_refused() {
    let day = Some(TimeDelta::hours(24));
    let cases = [
        (event("acme/app", Some("1"), None), day, "evaluate"),
        (event("acme/app", Some("1"), Some(24)), day, "evaluate"),
        (event("acme/app", Some("1"), Some(25)), day, reason::EVENT_TOO_OLD),
        (event("acme/app", Some("1"), Some(25)), None, "evaluate"),
        // A sender whose clock is ahead is not refused for it.
        (event("acme/app", Some("1"), Some(-48)), day, "evaluate"),
        (event("acme/app", None, None), day, reason::NO_TAG),
        (event("evil/app", Some("1"), None), day, reason::SOURCE_NOT_AUTHORISED),
        (event("ghcr.io/acme/app", Some("1"), None), day, reason::SOURCE_NOT_AUTHORISED),
        // Who may not speak is refused, whatever else there is to say.
        (event("evil/app", None, Some(99)), day, reason::SOURCE_NOT_AUTHORISED),
    ];
    for (event, max_age, expected) in cases {
        let (arrival, check) = arrived(&event, &receiver(), DateTime::UNIX_EPOCH, max_age);
        let found = match &arrival {
            Arrival::Evaluate => "evaluate",
            Arrival::Observe(why) | Arrival::Refuse(why) => why.code.as_str(),
        };
        assert_eq!(found, expected, "{event:?}");
        let refused = matches!(arrival, Arrival::Refuse(_));
        assert_eq!(check.result == CheckResult::Fail, refused, "{event:?}");
    }
}
