//! Histories by chance.

use super::*;

pub(super) fn any_policy() -> impl Strategy<Value = Policy> {
    let batches = prop_oneof![
        Just(Vec::new()),
        proptest::collection::vec((1..6_u32, 0..120_u64, any::<bool>()), 1..4),
    ];
    let way = prop_oneof![Just(Way::Auto), Just(Way::Staged), Just(Way::Manual)];
    let on_failure =
        prop_oneof![Just(OnFailure::Rollback), Just(OnFailure::Pause), Just(OnFailure::Cancel)];
    (way, batches, on_failure, 0.0..=1.0_f64, 0..4_u32, 0..4_u32, 0..3_u32).prop_map(
        |(strategy, batches, on_failure, ratio, max_failures, max_consecutive, retries)| {
            let now = DateTime::UNIX_EPOCH;
            let batches = batches
                .into_iter()
                .map(|(count, soak, manual_gate)| BatchRule {
                    size: Size::Count(count),
                    soak: Duration::from_secs(soak),
                    success_threshold: 1.0,
                    manual_gate,
                })
                .collect();
            let mut rules = Rules { batches, on_failure, ..Rules::default() };
            rules.max_failure_ratio = ratio;
            rules.max_failures = max_failures;
            rules.max_consecutive = max_consecutive;
            rules.retry.max = retries;
            Policy {
                id: PolicyId(Uuid::nil()),
                name: None,
                priority: 0,
                image_pattern: "redis:*".to_owned(),
                strategy,
                enabled: true,
                batch_size: None,
                batch_delay: Some(Duration::from_secs(60)),
                rules,
                revision: 1,
                created_at: now,
                updated_at: now,
            }
        },
    )
}

pub(super) fn any_fates() -> impl Strategy<Value = Vec<Vec<Fate>>> {
    let fate = prop_oneof![
        12 => Just(Fate::Works),
        2 => Just(Fate::PullFails),
        2 => Just(Fate::Unhealthy),
        1 => Just(Fate::RevertsAlone),
        1 => Just(Fate::Refuses),
        1 => Just(Fate::CannotRun),
        1 => Just(Fate::FallsSilent),
    ];
    proptest::collection::vec(proptest::collection::vec(fate, 1..3), 1..14)
}

pub(super) fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        12 => any::<usize>().prop_map(Event::Act),
        8 => Just(Event::ActAll),
        3 => any::<usize>().prop_map(Event::Leave),
        3 => any::<usize>().prop_map(Event::Return),
        8 => Just(Event::WaitUntilDue),
        4 => (1..4_000_u32).prop_map(Event::Wait),
        2 => Just(Event::Start),
        2 => Just(Event::Promote),
        1 => Just(Event::Pause),
        2 => Just(Event::Resume),
        1 => any::<bool>().prop_map(|revert| Event::Cancel { revert }),
        1 => Just(Event::RollBack),
        1 => Just(Event::LoseApproval),
        1 => Just(Event::Supersede),
    ]
}

pub(super) fn any_history() -> impl Strategy<Value = (Policy, Vec<Vec<Fate>>, Vec<bool>, Vec<Event>)>
{
    let online = proptest::collection::vec(prop::bool::weighted(0.85), 1..14);
    let events = proptest::collection::vec(any_event(), 0..60);
    (any_policy(), any_fates(), online, events)
}
