use runtime::ActorKind;

use super::*;
use crate::finding::Platform;

const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;
const A: &str = "sha256:aa";
const B: &str = "sha256:bb";

fn person(name: &str) -> Actor {
    Actor::new(ActorKind::User, name, name)
}

fn review(number: u128, scope: Scope, tag: &str, digest: &str) -> Review {
    let id = ReviewId(Uuid::from_u128(number));
    Review { id, scope, tag: tag.to_owned(), digest: digest.to_owned(), ..sample() }
}

fn question(scope: Scope, tag: &str, digest: &str) -> Question {
    Question {
        scope,
        repository: "docker.io/library/redis".to_owned(),
        tag: tag.to_owned(),
        digest: digest.to_owned(),
        platforms: Vec::new(),
        requester: person("anna"),
        image_is_pending: false,
    }
}

#[test]
fn a_question_joins_the_review_that_asks_the_same() {
    use Scope::{Image, Tag};
    let id = |number| ReviewId(Uuid::from_u128(number));
    let open = |supersedes: &[u128]| Placement::Open {
        supersedes: supersedes.iter().map(|number| id(*number)).collect(),
    };
    for (name, question, reviews, expected) in [
        ("nobody asked", question(Image, "7", A), vec![], open(&[])),
        (
            "the same",
            question(Image, "7", A),
            vec![review(1, Image, "7", A)],
            Placement::Attach(id(1)),
        ),
        ("another tag", question(Image, "8", A), vec![review(1, Image, "7", A)], open(&[])),
        ("the tag moved", question(Image, "7", B), vec![review(1, Image, "7", A)], open(&[1])),
        (
            "a digest is known now",
            question(Image, "7", A),
            vec![review(1, Image, "7", "")],
            open(&[1]),
        ),
        (
            "who knows no digest asks nothing new",
            question(Image, "7", ""),
            vec![review(1, Image, "7", A)],
            Placement::Attach(id(1)),
        ),
        ("by digest only", question(Tag, "", B), vec![review(1, Tag, "", A)], open(&[])),
    ] {
        assert_eq!(place(&question, &reviews), expected, "{name}");
    }
    let waiting = Question { image_is_pending: true, ..question(Image, "7", A) };
    assert_eq!(place(&waiting, &[review(1, Image, "", "")]), Placement::Attach(id(1)));
    assert_eq!(place(&question(Image, "7", A), &[review(1, Image, "", "")]), open(&[]));
}

#[test]
fn what_was_decided_is_not_asked_again() {
    let decided = |number, scope, tag: &str, digest: &str, state, follow_up| Review {
        state,
        follow_up,
        reviewed_by: Some("bert".to_owned()),
        rejection_reason: "no".to_owned(),
        ..review(number, scope, tag, digest)
    };
    let (approved, rejected) = (ReviewState::Approved, ReviewState::Rejected);
    let id = ReviewId(Uuid::from_u128(1));
    let refused = || Placement::Refused { by: id, who: "bert".to_owned(), reason: "no".to_owned() };
    let open = || Placement::Open { supersedes: Vec::new() };
    use Scope::{Image, Tag};
    for (name, question, review, expected) in [
        (
            "an image whose approval is on its way",
            question(Image, "8", B),
            decided(1, Image, "7", A, approved, Some(FollowUp::Approve)),
            Placement::Approving(id),
        ),
        (
            "an image whose rejection is on its way",
            question(Image, "8", B),
            decided(1, Image, "7", A, rejected, Some(FollowUp::Reject)),
            refused(),
        ),
        (
            "a tag whose approval is on its way",
            question(Tag, "7", B),
            decided(1, Tag, "7", A, approved, Some(FollowUp::Approve)),
            Placement::Approving(id),
        ),
        (
            "another tag is another question",
            question(Tag, "8", A),
            decided(1, Tag, "7", A, approved, Some(FollowUp::Approve)),
            open(),
        ),
        (
            "an approved digest",
            question(Tag, "", A),
            decided(1, Tag, "", A, approved, None),
            Placement::Approved(id),
        ),
        (
            "a rejected digest",
            question(Tag, "7", A),
            decided(1, Tag, "7", A, rejected, None),
            refused(),
        ),
        (
            "another digest is another question",
            question(Tag, "7", B),
            decided(1, Tag, "7", A, rejected, None),
            open(),
        ),
        (
            "an approved tag without a digest is for the gate to know",
            question(Tag, "7", ""),
            decided(1, Tag, "7", "", approved, None),
            open(),
        ),
        (
            "an image decided long ago is for the gate to know",
            question(Image, "7", A),
            decided(1, Image, "7", A, rejected, None),
            open(),
        ),
    ] {
        assert_eq!(place(&question, &[review]), expected, "{name}");
    }
}

#[test]
fn a_vote_counts_once_by_another_person_on_what_they_saw() {
    let open = review(1, Scope::Image, "7", A);
    let vote = |review: &Review, voter: &Actor, askers: &[Actor], seen: Seen<'_>| {
        review.may_vote(voter, askers, seen, NOW)
    };
    let nothing = Seen::default();
    assert_eq!(vote(&open, &person("bert"), &[], nothing), Ok(()));
    assert_eq!(vote(&open, &person("anna"), &[], nothing), Err(Refusal::SelfReview));
    assert_eq!(vote(&open, &person("bert"), &[person("bert")], nothing), Err(Refusal::SelfReview));
    let service = Actor::new(ActorKind::ServiceAccount, "ci", "ci");
    let by_service = Review { requester: Json(service.clone()), ..open.clone() };
    assert_eq!(vote(&by_service, &service, &[], nothing), Ok(()), "the rule is about persons");

    let seen = |digest, evidence_hash| Seen { digest, evidence_hash };
    assert_eq!(vote(&open, &person("bert"), &[], seen(A, "hash")), Ok(()));
    assert_eq!(vote(&open, &person("bert"), &[], seen(B, "")), Err(Refusal::EvidenceChanged));
    assert_eq!(vote(&open, &person("bert"), &[], seen("", "other")), Err(Refusal::EvidenceChanged));

    for state in [
        ReviewState::Approved,
        ReviewState::Rejected,
        ReviewState::Expired,
        ReviewState::Cancelled,
        ReviewState::Superseded,
    ] {
        let ended = Review { state, ..open.clone() };
        assert_eq!(vote(&ended, &person("bert"), &[], nothing), Err(Refusal::Decided(state)));
    }
    let overdue = Review { expires_at: NOW, ..open };
    assert_eq!(
        vote(&overdue, &person("bert"), &[], nothing),
        Err(Refusal::Decided(ReviewState::Expired))
    );
}

#[test]
fn the_evidence_is_all_that_a_vote_is_about_in_any_order() {
    let platform = |architecture: &str, digest: &str| Platform {
        os: "linux".to_owned(),
        architecture: architecture.to_owned(),
        variant: String::new(),
        digest: digest.to_owned(),
        size_bytes: 1,
    };
    let hash = |tag: &str, digest: &str, platforms: &[Platform]| {
        evidence_hash("docker.io/library/redis", tag, digest, platforms)
    };
    let (arm, amd) = (platform("arm64", A), platform("amd64", B));
    let known = hash("7", A, &[arm.clone(), amd.clone()]);
    assert_eq!(known, hash("7", A, &[amd.clone(), arm.clone()]));
    let others = [
        hash("8", A, &[arm.clone(), amd.clone()]),
        hash("7", B, &[arm.clone(), amd]),
        hash("7", A, &[arm]),
        hash("7", A, &[]),
    ];
    assert!(others.iter().all(|other| *other != known) && known.len() == 64);
}
