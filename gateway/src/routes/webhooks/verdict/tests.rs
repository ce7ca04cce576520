use proto::types::v1::Reason;

use super::*;

fn push(state: State, outcome: Outcome, code: &str, message: &str) -> pb::Push {
    pb::Push {
        state: state.into(),
        outcome: outcome.into(),
        familiar_repository: "redis".to_owned(),
        tag: "7.6-alpine".to_owned(),
        reasons: vec![Reason { code: code.to_owned(), message: message.to_owned() }],
        ..pb::Push::default()
    }
}

fn said(pushes: Vec<pb::Push>, mode: ResponseMode) -> Verdict {
    let taken = pb::SubmitDeliveryResponse {
        pushes,
        response_mode: mode.into(),
        note: "nothing here".to_owned(),
        ..pb::SubmitDeliveryResponse::default()
    };
    Verdict::of(&taken)
}

#[test]
fn each_outcome_has_the_documents_status_in_both_modes() {
    use State::{Denied, Done, Held, Ignored, Received, Waiting};
    let none = Outcome::Unspecified;
    for (state, outcome, code, strict, ack) in [
        (Done, Outcome::Rollout, reason::INTERNAL_NAMESPACE, 200, 200),
        (Done, Outcome::Rollout, reason::IMAGE_APPROVED, 200, 200),
        (Done, Outcome::Rollout, reason::TAG_ADDED, 200, 200),
        (Done, Outcome::NoPolicy, reason::NO_POLICY, 200, 200),
        (Done, Outcome::NoTarget, reason::NO_TARGET, 200, 200),
        (Done, Outcome::Unchanged, reason::UNCHANGED, 200, 200),
        (Done, Outcome::Quarantined, reason::QUARANTINED, 200, 200),
        (Held, none, reason::TAG_NOT_APPROVED, 403, 202),
        (Denied, none, reason::TAG_NOT_LISTED, 404, 200),
        (Held, none, reason::IMAGE_NOT_APPROVED, 403, 202),
        (Held, none, reason::IMAGE_PENDING, 403, 202),
        (Denied, none, reason::IMAGE_REJECTED, 403, 200),
        (Denied, none, reason::TAG_DEPRECATED, 403, 200),
        (Denied, none, reason::REVIEW_REJECTED, 403, 200),
        (Denied, none, reason::SOURCE_NOT_AUTHORISED, 403, 200),
        (Denied, none, reason::INVALID_REFERENCE, 400, 400),
        (Waiting, none, reason::UPSTREAM_UNREACHABLE, 202, 202),
        (Waiting, none, reason::PEER_UNREACHABLE, 202, 202),
        (Received, none, "", 202, 202),
        (Ignored, none, reason::NO_TAG, 200, 200),
    ] {
        let one = || vec![push(state, outcome, code, "why")];
        assert_eq!(said(one(), ResponseMode::Strict).status.as_u16(), strict, "{code}");
        assert_eq!(said(one(), ResponseMode::Ack).status.as_u16(), ack, "{code}");
    }
}

#[test]
fn refusals_are_told_in_the_documents_words() {
    let refused = |state, code, message| {
        let Verdict { error, message, action_required, .. } =
            said(vec![push(state, Outcome::Unspecified, code, message)], ResponseMode::Strict);
        (error.expect("an error"), message, action_required)
    };
    let act = Some("Admin must approve this image before deployment");
    for (state, code, message, error, action) in [
        (
            State::Held,
            reason::IMAGE_NOT_APPROVED,
            "Image 'portainer/portainer-ce' is not in the approved registry",
            "Image not approved",
            act,
        ),
        (
            State::Held,
            reason::IMAGE_PENDING,
            "This image must be approved before deployment",
            "Image not approved",
            act,
        ),
        (
            State::Denied,
            reason::IMAGE_REJECTED,
            "This image must be approved before deployment",
            "Image not approved",
            None,
        ),
        (
            State::Denied,
            reason::TAG_DEPRECATED,
            "Tag '6-alpine' for image 'redis' is marked as deprecated",
            "Tag deprecated",
            None,
        ),
        (
            State::Denied,
            reason::TAG_NOT_LISTED,
            "This tag is not in the approved tags list",
            "Tag not found",
            None,
        ),
    ] {
        let expected = (error.to_owned(), message.to_owned(), action);
        assert_eq!(refused(state, code, message), expected);
    }
}

#[test]
fn what_is_done_is_told_by_its_outcome() {
    let told = |outcome| {
        let verdict = said(vec![push(State::Done, outcome, "X", "why")], ResponseMode::Strict);
        assert_eq!((verdict.error, verdict.action_required), (None, None));
        verdict.message
    };
    assert_eq!(told(Outcome::Rollout), "Rollout created");
    assert_eq!(told(Outcome::NoPolicy), "No matching policy");
}

#[test]
fn the_worst_push_speaks_for_a_delivery_of_several() {
    let done = || push(State::Done, Outcome::Rollout, reason::IMAGE_APPROVED, "fine");
    let waits = || push(State::Waiting, Outcome::Unspecified, reason::PEER_UNREACHABLE, "away");
    let held = || push(State::Held, Outcome::Unspecified, reason::IMAGE_NOT_APPROVED, "held");
    let denied = || push(State::Denied, Outcome::Unspecified, reason::TAG_DEPRECATED, "old");
    let status = |pushes| said(pushes, ResponseMode::Strict).status.as_u16();
    assert_eq!(status(vec![done(), waits(), done()]), 202);
    assert_eq!(status(vec![waits(), held()]), 403);
    let first = said(vec![done(), held(), denied()], ResponseMode::Strict);
    assert_eq!((first.status.as_u16(), first.message.as_str()), (403, "held"));
}

#[test]
fn a_delivery_without_pushes_says_why() {
    let said = said(Vec::new(), ResponseMode::Strict);
    assert_eq!((said.status.as_u16(), said.message.as_str()), (200, "nothing here"));
    assert_eq!(said.error, None);
}
