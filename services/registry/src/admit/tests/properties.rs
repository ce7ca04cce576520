//! What holds for every question.

use proptest::prelude::*;

use super::*;

fn any_unknown_tag() -> impl Strategy<Value = UnknownTag> {
    prop_oneof![Just(UnknownTag::AutoAdd), Just(UnknownTag::Request), Just(UnknownTag::Deny)]
}

prop_compose! {
    fn any_case()(
        repository in prop_oneof![
            Just("redis"), Just("iotistic/agent"), Just("ghcr.io/dsamborschi/x"), Just("a/b")
        ],
        named in prop_oneof![Just((true, false)), Just((false, true)), Just((true, true))],
        status in prop_oneof![
            Just(None), Just(Some(ApprovalStatus::Pending)), Just(Some(ApprovalStatus::Approved)),
            Just(Some(ApprovalStatus::Rejected))
        ],
        override_ in prop::option::of(any_unknown_tag()),
        unknown_tag in any_unknown_tag(),
        known in prop::option::of((any::<bool>(), prop::option::of(prop_oneof![Just(ONE), Just(TWO)]))),
        resolved in prop::option::of(prop_oneof![Just(ONE), Just(TWO)]),
        listing in prop_oneof![
            Just(Listing::Unlisted), Just(Listing::Listed), Just(Listing::Deprecated)
        ],
    ) -> Case {
        let version = match named {
            (true, false) => ":7".to_owned(),
            (false, _) => format!("@{ONE}"),
            (true, true) => format!(":7@{ONE}"),
        };
        let mut case = Case::of(&format!("{repository}{version}"));
        case.gate = gate(unknown_tag);
        case.image = status.map(|status| Image { unknown_tag: override_, ..image(status) });
        case.tag = known
            .filter(|_| case.image.is_some() && named.0)
            .map(|(deprecated, digest)| tag("7", deprecated, digest));
        case.resolved = resolved.map(|digest| Digest::parse(digest).unwrap());
        case.listing = listing;
        case
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    #[test]
    fn whatever_is_asked(case in any_case()) {
        let verdict = case.verdict();
        let approved = case
            .image
            .as_ref()
            .is_some_and(|image| image.approval_status == ApprovalStatus::Approved);
        prop_assert!(!verdict.reasons.is_empty());
        prop_assert_eq!(verdict.checks.len(), RULES.len());
        if verdict.ruling == Ruling::Allow {
            prop_assert!(verdict.internal || approved, "only what is approved or internal may run");
            let deprecated = case.tag.as_ref().is_some_and(|tag| tag.is_deprecated);
            prop_assert!(verdict.internal || !deprecated, "no deprecated tag may run");
        } else {
            prop_assert!(!verdict.adds_tag && !verdict.internal, "a refusal leaves nothing behind");
            prop_assert!(matches!(case.effect(), Effect::Nothing));
            let decided = |check: &&Check| {
                matches!(check.result, CheckResult::Fail | CheckResult::Waiting)
            };
            let deciding: Vec<_> = verdict.checks.iter().filter(decided).collect();
            prop_assert_eq!(deciding.len(), 1, "exactly one rule decides");
            prop_assert_eq!(&deciding[0].detail, &verdict.reasons[0].message);
        }
        prop_assert_eq!(&case.verdict(), &verdict, "the same question has the same answer");
    }

    #[test]
    fn recording_settles(case in any_case()) {
        let mut case = case;
        match case.effect() {
            Effect::Nothing => return Ok(()),
            Effect::AddTag(new) => {
                let digest = new.digest.map(|digest| digest.to_string());
                case.tag = Some(tag(new.tag.as_str(), false, digest.as_deref()));
            }
            Effect::PinTag(_, after) => case.tag = Some(*after),
        }
        prop_assert_eq!(case.verdict().ruling, Ruling::Allow);
        prop_assert!(matches!(case.effect(), Effect::Nothing), "the same push twice changes nothing");
    }
}
