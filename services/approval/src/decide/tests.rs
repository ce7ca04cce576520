use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::answer::Verdict;
use crate::finding::Platform;

const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn codes(push: &Push) -> Vec<&str> {
    push.reasons.0.iter().map(|why| why.code.as_str()).collect()
}

fn says(digest: &str) -> Resolved {
    let platform = Platform {
        os: "linux".to_owned(),
        architecture: "arm64".to_owned(),
        variant: String::new(),
        digest: B.to_owned(),
        size_bytes: 1,
    };
    Resolved::Digest { digest: digest.to_owned(), platforms: vec![platform] }
}

fn verdict(ruling: Ruling, code: &str) -> Admitted {
    Admitted::Verdict(Verdict {
        ruling,
        reasons: vec![Reason::new(code, "the gate says so")],
        checks: vec![Check::new("image approved", CheckResult::Pass, "yes")],
        internal: false,
        tag_added: false,
    })
}

fn told() -> String {
    "told".to_owned()
}

#[test]
fn the_registrys_word_counts_and_the_senders_only_where_it_is_trusted() {
    let event = |digest: Option<&str>, trusted, asked| Push {
        event_digest: digest.map(str::to_owned),
        digest_asked: asked,
        trusted,
        ..Push::sample()
    };
    // What the push knew, what was said, and what comes of it: step, digest, pinned, codes.
    let cases = [
        (event(None, false, false), says(A), Some(A), true, reason::DIGEST_RESOLVED),
        (event(Some(A), false, false), says(A), Some(A), true, reason::DIGEST_RESOLVED),
        (event(Some(B), true, false), says(A), Some(A), true, reason::STALE_EVENT),
        (event(Some(B), true, true), says(A), Some(B), true, reason::STALE_EVENT),
        (event(None, true, false), Resolved::NotConfigured, None, false, reason::PAYLOAD_TRUSTED),
        (
            event(Some(B), true, false),
            Resolved::NotConfigured,
            Some(B),
            true,
            reason::PAYLOAD_TRUSTED,
        ),
    ];
    for (push, answer, digest, pinned, code) in cases {
        let (push, next) = resolved(push, answer, NOW);
        assert_eq!((push.step, next), (Step::Admit, Next::Go));
        assert_eq!((push.digest.as_deref(), push.pinned), (digest, pinned));
        assert_eq!(codes(&push), [code]);
        let known = push.digest.as_deref() == Some(A);
        assert_eq!(!push.platforms.0.is_empty(), known, "platforms are those of the digest");
    }
}

#[test]
fn a_digest_that_cannot_be_known_is_waited_for() {
    let away = || Resolved::Away(told());
    for (answer, code, pause) in [
        (Resolved::NotConfigured, reason::UPSTREAM_NOT_CONFIGURED, Pause::For(SLOW)),
        (Resolved::NotFound, reason::NOT_RESOLVABLE, Pause::For(Duration::from_secs(1))),
        (Resolved::Refused(told()), reason::UPSTREAM_REFUSED, Pause::For(SLOW)),
        (Resolved::Unreachable(told()), reason::UPSTREAM_UNREACHABLE, Pause::Backoff),
        (away(), reason::PEER_UNREACHABLE, Pause::Backoff),
        (
            Resolved::RateLimited(Duration::from_secs(77)),
            reason::UPSTREAM_RATE_LIMITED,
            Pause::For(Duration::from_secs(77)),
        ),
        (
            Resolved::RateLimited(Duration::from_secs(99_999)),
            reason::UPSTREAM_RATE_LIMITED,
            Pause::For(LONGEST_WAIT),
        ),
        (
            Resolved::RateLimited(Duration::ZERO),
            reason::UPSTREAM_RATE_LIMITED,
            Pause::For(Duration::from_secs(1)),
        ),
    ] {
        let (push, next) = resolved(Push::sample(), answer, NOW);
        assert_eq!((push.state, push.step), (State::Waiting, Step::Resolve));
        assert_eq!((push.decision, next), (Some(Decision::Hold), Next::Wait(pause)));
        assert_eq!(codes(&push), [code]);
        let (again, _) = resolved(push.clone(), away(), NOW);
        assert_eq!((again.attempts, codes(&again)), (2, vec![reason::PEER_UNREACHABLE]));
    }
    let (push, next) = resolved(Push::sample(), Resolved::Malformed(told()), NOW);
    assert_eq!((push.state, push.decision), (State::Denied, Some(Decision::Rejected)));
    assert_eq!((next, codes(&push)), (Next::Settled, vec![reason::INVALID_REFERENCE]));
}

#[test]
fn a_tag_that_is_not_known_yet_is_looked_for_ever_more_rarely() {
    let mut push = Push::sample();
    let mut pauses = Vec::new();
    for _ in 0..5 {
        let (tried, next) = resolved(push, Resolved::NotFound, NOW);
        pauses.push(next);
        push = tried;
    }
    let expected = [1, 5, 30, 300, 300].map(|s| Next::Wait(Pause::For(Duration::from_secs(s))));
    assert_eq!(pauses, expected);
}

#[test]
fn what_a_person_must_mend_is_waited_for_a_week_and_an_outage_for_ever() {
    let later = NOW + GIVE_UP + TimeDelta::seconds(1);
    for answer in [Resolved::NotConfigured, Resolved::NotFound, Resolved::Refused(told())] {
        let (push, _) = resolved(Push::sample(), answer.clone(), NOW + GIVE_UP);
        assert_eq!(push.state, State::Waiting);
        let (push, next) = resolved(push, answer, later);
        assert_eq!((push.state, push.decision), (State::Denied, Some(Decision::Deny)));
        assert_eq!((next, codes(&push).len()), (Next::Settled, 1));
    }
    for answer in [Resolved::Away(told()), Resolved::RateLimited(SLOW)] {
        let (push, _) = resolved(Push::sample(), answer, later);
        assert_eq!(push.state, State::Waiting);
    }
}

#[test]
fn the_gates_ruling_is_followed_and_what_is_known_of_the_digest_is_kept() {
    let resolved = || resolved(Push::sample(), says(A), NOW).0;
    let (push, next) = admitted(resolved(), verdict(Ruling::Allow, reason::IMAGE_APPROVED));
    assert_eq!((push.step, push.decision, next), (Step::Create, Some(Decision::Allow), Next::Go));
    assert_eq!(codes(&push), [reason::IMAGE_APPROVED, reason::DIGEST_RESOLVED]);
    let names: Vec<_> = push.checks.0.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, [DIGEST, "image approved"]);

    let (push, next) = admitted(resolved(), verdict(Ruling::Deny, reason::TAG_DEPRECATED));
    assert_eq!((push.state, push.decision), (State::Denied, Some(Decision::Deny)));
    assert_eq!(next, Next::Settled);
    let (_, next) =
        admitted(resolved(), verdict(Ruling::Hold(Scope::Tag), reason::TAG_NOT_APPROVED));
    assert_eq!(next, Next::Ask(Scope::Tag));

    let (push, next) = admitted(resolved(), Admitted::Away(told()));
    assert_eq!((push.state, push.step), (State::Waiting, Step::Admit));
    assert_eq!(next, Next::Wait(Pause::Backoff));
    let (push, _) = admitted(push, verdict(Ruling::Allow, reason::IMAGE_APPROVED));
    assert_eq!(
        codes(&push),
        [reason::IMAGE_APPROVED, reason::DIGEST_RESOLVED],
        "the outage is over"
    );
    let (push, _) = admitted(resolved(), Admitted::Malformed(told()));
    assert_eq!(push.decision, Some(Decision::Rejected));
}

#[test]
fn a_held_push_finds_its_review() {
    let [own, other] = [1, 2].map(|number| ReviewId(Uuid::from_u128(number)));
    let refused = Placement::Refused { by: other, who: "anna".into(), reason: "no".into() };
    let open = Placement::Open { supersedes: Vec::new() };
    for (placement, state, review, code) in [
        (Placement::Attach(other), State::Held, other, None),
        (open, State::Held, own, None),
        (Placement::Approving(other), State::Waiting, other, Some(reason::REVIEW_APPROVED)),
        (Placement::Approved(other), State::Received, other, Some(reason::IMAGE_APPROVED)),
        (refused, State::Denied, other, Some(reason::REVIEW_REJECTED)),
    ] {
        let hold = verdict(Ruling::Hold(Scope::Tag), reason::TAG_NOT_APPROVED);
        let (push, _) = admitted(Push::sample(), hold);
        let (push, next) = asked(push, &placement, own);
        assert_eq!((push.state, push.review_id), (state, Some(review)), "{placement:?}");
        assert_eq!(codes(&push)[0], code.unwrap_or(reason::TAG_NOT_APPROVED));
        assert_eq!(next == Next::Go, push.step == Step::Create);
    }
}

#[test]
fn what_rollout_answers_is_the_outcome() {
    let id = || "r".to_owned();
    for (answer, outcome, code, rollout) in [
        (Created::Rollout { id: id() }, Outcome::Rollout, reason::ROLLOUT_CREATED, "r"),
        (Created::NoPolicy { disabled: false }, Outcome::NoPolicy, reason::NO_POLICY, ""),
        (Created::NoPolicy { disabled: true }, Outcome::NoPolicy, reason::POLICY_DISABLED, ""),
        (Created::NoTarget { excluded: 2 }, Outcome::NoTarget, reason::NO_TARGET, ""),
        (Created::Unchanged { rollout_id: id() }, Outcome::Unchanged, reason::UNCHANGED, "r"),
        (Created::Quarantined { rollout_id: id() }, Outcome::Quarantined, reason::QUARANTINED, "r"),
    ] {
        let (push, _) = resolved(Push::sample(), says(A), NOW);
        let (push, _) = admitted(push, verdict(Ruling::Allow, reason::IMAGE_APPROVED));
        let (push, _) = created(push, Created::Away(told()));
        assert_eq!((push.state, push.decision), (State::Waiting, Some(Decision::Allow)));
        assert_eq!(codes(&push)[0], reason::PEER_UNREACHABLE);
        let (push, next) = created(push, answer);
        assert_eq!((push.state, push.outcome, next), (State::Done, Some(outcome), Next::Settled));
        assert_eq!((push.decision, push.rollout_id.as_str()), (Some(Decision::Allow), rollout));
        assert_eq!(codes(&push), [reason::IMAGE_APPROVED, reason::DIGEST_RESOLVED, code]);
    }
    let why = Reason::new(reason::POLICY_NOT_FOUND, "there is no such policy");
    let (push, _) = created(Push::sample(), Created::Refused(why));
    assert_eq!((push.state, codes(&push)[0]), (State::Denied, reason::POLICY_NOT_FOUND));
}

#[test]
fn the_worst_decision_is_that_of_the_delivery() {
    use Decision::{Allow, Deny, Hold, Ignored, Rejected};
    for (decisions, expected) in [
        (vec![], Ignored),
        (vec![Some(Ignored)], Ignored),
        (vec![Some(Ignored), Some(Allow)], Allow),
        (vec![Some(Allow), None], Hold),
        (vec![Some(Hold), Some(Deny), Some(Allow)], Deny),
        (vec![Some(Deny), Some(Rejected)], Rejected),
    ] {
        assert_eq!(worst(decisions.clone()), expected, "{decisions:?}");
    }
}

#[test]
fn an_older_push_ends_where_a_newer_one_goes_on() {
    let newer = Push { id: crate::push::PushId(Uuid::from_u128(9)), ..Push::sample() };
    let push = overtaken(Push::sample(), &newer);
    assert_eq!((push.state, push.outcome), (State::Done, Some(Outcome::Unchanged)));
    assert_eq!(codes(&push), [reason::SUPERSEDED]);
}

fn any_resolved() -> impl Strategy<Value = Resolved> {
    prop::sample::select(vec![
        says(A),
        says(B),
        Resolved::NotConfigured,
        Resolved::NotFound,
        Resolved::Refused(told()),
        Resolved::Unreachable(told()),
        Resolved::RateLimited(SLOW),
        Resolved::Away(told()),
        Resolved::Malformed(told()),
    ])
}

fn any_admitted() -> impl Strategy<Value = Admitted> {
    prop::sample::select(vec![
        verdict(Ruling::Allow, reason::IMAGE_APPROVED),
        verdict(Ruling::Hold(Scope::Image), reason::IMAGE_PENDING),
        verdict(Ruling::Hold(Scope::Tag), reason::TAG_NOT_APPROVED),
        verdict(Ruling::Deny, reason::TAG_DEPRECATED),
        Admitted::Away(told()),
        Admitted::Malformed(told()),
    ])
}

fn any_created() -> impl Strategy<Value = Created> {
    prop::sample::select(vec![
        Created::Rollout { id: "r".to_owned() },
        Created::NoPolicy { disabled: false },
        Created::NoTarget { excluded: 0 },
        Created::Unchanged { rollout_id: String::new() },
        Created::Away(told()),
        Created::Refused(Reason::new(reason::POLICY_NOT_FOUND, "told")),
    ])
}

/// One turn of the world: what each would answer, where a held push goes, and how much time passes.
type Turn = (Resolved, Admitted, Created, u8, i64);

fn turn() -> impl Strategy<Value = Turn> {
    (any_resolved(), any_admitted(), any_created(), 0..5u8, 0..90_000i64)
}

/// Takes the step that a push is at.
fn take(push: Push, turn: Turn, now: DateTime<Utc>) -> (Push, Next) {
    let (tag, gate, rollout, place, _) = turn;
    let review = ReviewId(Uuid::from_u128(7));
    let placement = match place {
        0 => Placement::Attach(review),
        1 => Placement::Open { supersedes: Vec::new() },
        2 => Placement::Approving(review),
        3 => Placement::Approved(review),
        _ => Placement::Refused { by: review, who: told(), reason: told() },
    };
    let (push, next) = match push.step {
        Step::Resolve => resolved(push, tag, now),
        Step::Admit => admitted(push, gate),
        Step::Create => created(push, rollout),
        Step::Review => (restart(push, now), Next::Go),
    };
    match next {
        Next::Ask(_) => asked(push, &placement, review),
        Next::Go | Next::Wait(_) | Next::Settled => (push, next),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn every_history_of_a_push_keeps_the_rules(
        turns in prop::collection::vec(turn(), 1..30),
        trusted: bool,
        asked_digest: bool,
    ) {
        let mut push = Push {
            trusted,
            digest_asked: asked_digest,
            event_digest: asked_digest.then(|| A.to_owned()),
            ..Push::sample()
        };
        let mut now = NOW;
        let mut asked_for = None;
        for turn in turns {
            if !push.state.is_open() {
                break;
            }
            now += TimeDelta::seconds(turn.4);
            let before = push.clone();
            let (after, next) = take(push, turn, now);
            if before.step == Step::Create {
                // What `rollout` is asked for never changes once it was asked.
                let release = (after.digest.clone(), after.pinned);
                prop_assert_eq!(asked_for.get_or_insert(release.clone()), &release);
            }
            prop_assert_eq!(after.state == State::Done, after.outcome.is_some());
            prop_assert!(!after.pinned || after.digest.is_some());
            prop_assert!(after.state == State::Received || !after.reasons.0.is_empty());
            match next {
                Next::Go => prop_assert_eq!(after.state, State::Received),
                Next::Wait(_) => {
                    prop_assert_eq!((after.state, after.step), (State::Waiting, before.step));
                    prop_assert!(after.attempts > before.attempts);
                }
                Next::Settled => prop_assert!(!after.is_moving()),
                Next::Ask(_) => prop_assert!(false, "somebody was asked"),
            }
            if after.state == State::Done {
                prop_assert_eq!(after.decision, Some(Decision::Allow));
                prop_assert!(after.pinned || after.trusted, "nobody vouched for it");
            }
            if asked_digest && after.state == State::Done {
                prop_assert_eq!(after.digest.as_deref(), Some(A));
            }
            push = after;
        }
    }
}
