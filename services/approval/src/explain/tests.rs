use sqlx::types::Json;
use uuid::Uuid;

use super::*;
use crate::finding::Reason;
use crate::review::ReviewId;

fn push(state: State, step: Step, code: &str) -> Push {
    let reasons = Json(vec![Reason::new(code, "so it is")]);
    Push { state, step, reasons, ..Push::sample() }
}

#[test]
fn every_state_has_its_sentence_and_its_next_step() {
    let id = Uuid::from_u128(1);
    let done = |outcome, rollout: &str| Push {
        outcome: Some(outcome),
        rollout_id: rollout.to_owned(),
        ..push(State::Done, Step::Resolve, "X")
    };
    let rejected = Push {
        decision: Some(Decision::Rejected),
        ..push(State::Denied, Step::Resolve, reason::SOURCE_NOT_AUTHORISED)
    };
    let cases = [
        (push(State::Received, Step::Resolve, "X"), "is being decided", String::new()),
        (
            push(State::Waiting, Step::Resolve, reason::UPSTREAM_NOT_CONFIGURED),
            "waits for its digest",
            "slipway registry add --host docker.io".to_owned(),
        ),
        (
            push(State::Waiting, Step::Admit, reason::PEER_UNREACHABLE),
            "waits for the gate",
            "slipway status".to_owned(),
        ),
        (
            push(State::Waiting, Step::Create, reason::PEER_UNREACHABLE),
            "may run and waits for its rollout",
            "slipway status".to_owned(),
        ),
        (
            push(State::Waiting, Step::Review, reason::REVIEW_APPROVED),
            "goes on by itself",
            String::new(),
        ),
        (
            push(State::Denied, Step::Resolve, reason::TAG_DEPRECATED),
            "may not run",
            "slipway tag list redis".to_owned(),
        ),
        (
            push(State::Denied, Step::Resolve, reason::REVIEW_EXPIRED),
            "may not run",
            format!("slipway push retry {id}"),
        ),
        (rejected, "cannot be taken", "slipway receiver list".to_owned()),
        (done(Outcome::Rollout, "r1"), "is decided", "slipway rollout watch r1".to_owned()),
        (done(Outcome::NoPolicy, ""), "is decided", "slipway policy list".to_owned()),
        (done(Outcome::NoTarget, ""), "is decided", "slipway device list".to_owned()),
        (done(Outcome::Unchanged, "r1"), "is decided", String::new()),
        (done(Outcome::Quarantined, "r1"), "is decided", "slipway rollout explain r1".to_owned()),
        (push(State::Ignored, Step::Resolve, reason::NO_TAG), "needs no decision", String::new()),
        (
            push(State::Ignored, Step::Resolve, reason::EVENT_TOO_OLD),
            "needs no decision",
            format!("slipway push retry {id}"),
        ),
    ];
    for (push, words, next_step) in cases {
        let told = explain(&push, None);
        assert!(told.summary.starts_with("`redis:7` ") && told.summary.contains(words), "{told:?}");
        assert_eq!(told.next_step, next_step, "{told:?}");
    }
}

#[test]
fn a_held_push_names_its_review() {
    let held = push(State::Held, Step::Resolve, reason::IMAGE_PENDING);
    let review =
        crate::review::Review { id: ReviewId(Uuid::from_u128(9)), ..crate::review::sample() };
    let told = explain(&held, Some(&review));
    assert_eq!(told.next_step, format!("slipway review approve {}", review.id));
    assert!(told.summary.contains("so it is"));
    let following = push(State::Waiting, Step::Review, reason::REVIEW_APPROVED);
    let stuck = crate::review::Review { follow_up_error: "away".to_owned(), ..review };
    assert!(explain(&following, Some(&stuck)).summary.ends_with("the last try failed: away"));
}
