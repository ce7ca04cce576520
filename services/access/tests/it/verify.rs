//! `VerifyChain`, after somebody with the owner's rights has been at the tables.

use access::Sources;
use proto::access::v1 as pb;
use proto::reason as codes;

use crate::source::{FakeSource, Faults, Served};
use crate::support::{Access, Database, nobody, problem};

/// A log of so many entries.
async fn log_of(count: i64) -> (Database, Served, Access) {
    let database = Database::create().await;
    let source = FakeSource::new("registry", Faults::default());
    source.emit(usize::try_from(count).unwrap() - 1);
    let served = source.serve();
    let access = database.start_with(Sources { registry: source.uri(), ..nobody() }, |_| {}).await;
    access.admin().wait_for_entries(count).await;
    (database, served, access)
}

async fn verify_from(access: &Access, from_sequence: i64) -> pb::VerifyChainResponse {
    let request = pb::VerifyChainRequest { from_sequence };
    access.admin().audit.verify_chain(request).await.unwrap().into_inner()
}

#[tokio::test]
async fn a_log_as_it_was_written_is_intact_from_anywhere() {
    let (_database, _served, access) = log_of(2_500).await;
    for (from, checked) in [(0, 2_500), (1, 2_500), (2, 2_499), (2_500, 1), (2_501, 0)] {
        let answer = verify_from(&access, from).await;
        assert!(answer.intact && answer.broken_at == 0 && answer.problem.is_empty(), "{answer:?}");
        assert_eq!(answer.checked_count, checked, "from {from}");
        assert_eq!(answer.checked_to, if checked == 0 { 0 } else { 2_500 }, "from {from}");
    }
    let request = pb::VerifyChainRequest { from_sequence: -1 };
    let refused = problem(access.admin().audit.verify_chain(request).await);
    assert_eq!(refused.reason(), codes::INVALID_ARGUMENT);
}

#[tokio::test]
async fn whatever_was_changed_is_found_and_named() {
    // The entries before 1,003 fill a chunk; 1,100 is the last.
    let swapped = "create temporary table kept as select * from access.audit_log where sequence in (40, 1003);
        delete from access.audit_log where sequence in (40, 1003);
        update kept set sequence = 1043 - sequence;
        insert into access.audit_log select * from kept";
    let (database, _served, access) = log_of(1_100).await;
    database
        .execute(
            "create table public.log as table access.audit_log;
            create table public.head as table access.audit_head",
        )
        .await;
    for (broken_at, tampering) in [
        (
            1_003,
            "update access.audit_log set envelope = replace(envelope, 'Olga', 'Anna') where sequence = 1003",
        ),
        (1_003, "update access.audit_log set envelope = envelope || ' ' where sequence = 1003"),
        (7, "update access.audit_log set source = 'rollout' where sequence = 7"),
        (7, "update access.audit_log set hash = sha256('x') where sequence = 7"),
        (7, "update access.audit_log set previous_hash = sha256('x') where sequence = 7"),
        (7, "update access.audit_log set actor_name = 'Anna' where sequence = 7"),
        (7, "update access.audit_log set on_behalf_of_id = 'anna' where sequence = 7"),
        (7, "update access.audit_log set resource_id = 'x' where sequence = 7"),
        (
            7,
            "update access.audit_log set created_at = created_at - interval '1 microsecond' where sequence = 7",
        ),
        (7, "update access.audit_log set type = 'image.tag.deleted' where sequence = 7"),
        (7, "update access.audit_log set event_id = gen_random_uuid() where sequence = 7"),
        (1, "delete from access.audit_log where sequence = 1"),
        (1_003, "delete from access.audit_log where sequence = 1003"),
        (40, swapped),
        (1_100, "delete from access.audit_log where sequence = 1100"),
        (501, "delete from access.audit_log where sequence > 500"),
        (1, "delete from access.audit_log"),
        (1_100, "update access.audit_head set hash = sha256('x')"),
        (1_091, "update access.audit_head set last_sequence = 1090"),
        (
            1_101,
            "insert into access.audit_log select 1101, source, source_sequence, envelope,
                gen_random_uuid(), type, created_at, actor_kind, actor_id, actor_name,
                on_behalf_of_id, on_behalf_of_name, resource_kind, resource_id, resource_name,
                hash, hash from access.audit_log where sequence = 1100",
        ),
    ] {
        database.execute(tampering).await;
        let answer = verify_from(&access, 0).await;
        assert!(!answer.intact, "{tampering}");
        assert_eq!(answer.broken_at, broken_at, "{tampering}: {}", answer.problem);
        assert!(!answer.problem.is_empty());
        database
            .execute(
                "delete from access.audit_log; insert into access.audit_log table public.log;
                delete from access.audit_head; insert into access.audit_head table public.head",
            )
            .await;
        assert!(verify_from(&access, 0).await.intact, "{tampering} is undone");
    }
}

#[tokio::test]
async fn what_is_before_the_first_checked_entry_has_to_be_there() {
    let (database, _served, access) = log_of(20).await;
    database.execute("delete from access.audit_log where sequence = 10").await;
    let answer = verify_from(&access, 11).await;
    assert_eq!((answer.intact, answer.broken_at), (false, 10));
    assert!(verify_from(&access, 12).await.intact, "what is older is taken as it is");
    let beyond = verify_from(&access, 900).await;
    assert_eq!((beyond.intact, beyond.broken_at), (false, 21), "somebody has seen 899 entries");
}

#[tokio::test]
async fn the_chain_is_verified_while_it_grows() {
    let database = Database::create().await;
    let source = FakeSource::new("registry", Faults::default());
    let _served = source.serve();
    let access = database.start_with(Sources { registry: source.uri(), ..nobody() }, |_| {}).await;
    for _ in 0..30 {
        source.emit(100);
        let answer = verify_from(&access, 0).await;
        assert!(answer.intact, "{answer:?}");
    }
    access.admin().wait_for_entries(3_001).await;
    assert_eq!(verify_from(&access, 0).await.checked_count, 3_001);
}

#[tokio::test]
async fn anybody_can_check_the_chain_with_nothing_but_sql() {
    let (database, _served, _access) = log_of(300).await;
    let wrong = "select count(*) from (
            select hash, sha256(
                coalesce(lag(hash) over (order by sequence), decode(repeat('00', 32), 'hex'))
                    || int8send(sequence) || convert_to(source, 'UTF8') || '\\x00'::bytea
                    || convert_to(envelope, 'UTF8')
            ) as computed from access.audit_log
        ) as entries where hash <> computed";
    assert_eq!(database.number(wrong).await, 0);
    assert_eq!(database.number("select count(*) from access.audit_log").await, 300);
}
