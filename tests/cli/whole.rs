//! The commands against the real thing: all processes, a real database, simulated devices.

use agent::simulator::{Connections, SimulatedGroup, Simulator, SimulatorConfig};
use agent::timing::Timing;
use runtime::Clock;
use runtime::secret::Secret;
use testbed::{Slipway, eventually};
use tokio::task::block_in_place;

use crate::slipway::{Machine, Run};

/// A machine whose context is the administrator's of a running Slipway.
fn administrator(slipway: &Slipway) -> Machine {
    Machine::signed_in_at(slipway.api.url(), slipway.tokens.admin.expose())
}

/// Devices that enrol with a key.
fn devices(slipway: &Slipway, number: usize, key: &str) -> Simulator {
    bad_devices(slipway, number, key, "good")
}

/// Devices that enrol with a key, and on which things go wrong as the profile says.
fn bad_devices(slipway: &Slipway, number: usize, key: &str, profile: &str) -> Simulator {
    let group = SimulatedGroup::new("north", number, Secret::new(key));
    Simulator::start(SimulatorConfig {
        link_url: slipway.link.clone(),
        groups: vec![SimulatedGroup { profile: profile.parse().unwrap(), ..group }],
        timing: Timing::fast(),
        clock: Clock::system(),
        storage: None,
        connections: Connections::Own,
        seed: 7,
    })
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_fails_is_told_with_the_devices_it_failed_on() {
    let slipway = Slipway::start().await;
    let machine = administrator(&slipway);
    let key = block_in_place(|| {
        machine.run("fleet template north --set cache=redis:7-alpine").answer();
        machine
            .run(
                "policy create redis --images redis:* --fleet north --percent 100 --healthy-for 1s \
                 --on-failure rollback",
            )
            .answer();
        machine.run("enrolment-key create line-3 --fleet north").answer().trim().to_owned()
    });
    let _devices = bad_devices(&slipway, 3, &key, "start-fails:100%@docker.io/library/redis:7.4");
    in_sync(&machine, 3).await;
    block_in_place(|| {
        let watched = machine.run("rollout create redis:7.4 --watch");
        assert_eq!(watched.code, 8, "{watched:?}");
        // The first device that fails ends the rollout; which one that is, is chance.
        let told = watched.out.split("device=").nth(1).unwrap_or_else(|| panic!("{watched:?}"));
        let device = told.split(' ').next().unwrap();
        assert!(
            told.contains("failed: service `cache`: the container did not start"),
            "{watched:?}"
        );
        let shown = machine.run("rollout show redis:7.4");
        let row = shown.answer().lines().find(|line| line.starts_with(device));
        assert!(row.is_some_and(|row| row.contains("did not start")), "{device}: {shown:?}");
    });
}

/// The id that begins the first row of a table.
fn first_id(run: &Run) -> String {
    let row = run.answer().lines().nth(1).unwrap_or_else(|| panic!("no row: {run:?}"));
    row.split_whitespace().next().unwrap().to_owned()
}

/// Waits until so many devices run their template.
async fn in_sync(machine: &Machine, number: usize) {
    eventually(&format!("{number} devices that run their template"), async || {
        let told = block_in_place(|| machine.run("fleet list --json=in_sync_count"));
        let wanted = format!("[{{\"in_sync_count\":{number}}}]\n");
        if told.answer() == wanted { Ok(()) } else { Err(told.out) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_goes_to_its_devices_and_every_command_shows_it() {
    let slipway = Slipway::start().await;
    let machine = administrator(&slipway);
    let key = block_in_place(|| {
        machine.run("fleet template north --set cache=redis:7-alpine").answer();
        machine.run("enrolment-key create line-3 --fleet north").answer().trim().to_owned()
    });
    let _devices = devices(&slipway, 5, &key);
    in_sync(&machine, 5).await;
    block_in_place(|| the_whole_way(&machine));
}

fn the_whole_way(machine: &Machine) {
    let made = machine.run(
        "policy create redis-north --images redis:* --fleet north --percent 40,100 --delay 1s \
         --healthy-for 1s",
    );
    assert!(made.answer().contains("go to fleet north, 40 %, 100 %."), "{made:?}");
    let preview = machine.run("rollout preview redis:7.4-alpine");
    assert!(preview.answer().contains("would go to 5 devices in 2 batches"), "{preview:?}");
    let rollout = machine.run("rollout create redis:7.4-alpine --watch");
    assert!(rollout.answer().ends_with("redis:7.4-alpine is on 5 devices.\n"), "{rollout:?}");

    let id = first_id(&machine.run("rollout list"));
    let shown = machine.run(&format!("rollout show {id}"));
    assert!(shown.answer().contains("state    completed"), "{shown:?}");
    let devices = machine.run(&format!("rollout devices {id}"));
    assert_eq!(devices.answer().matches("updated").count(), 5, "{devices:?}");
    machine.run(&format!("rollout explain {id}")).answer();
    machine.run(&format!("rollout pause {id}")).failure(5);

    let push = first_id(&machine.run("push list"));
    let why = machine.run(&format!("push explain {push}"));
    assert!(why.answer().contains("became a rollout"), "{why:?}");

    let list = machine.run("device list --fleet north --image redis");
    assert_eq!(list.answer().matches("redis:7.4-alpine").count(), 5, "{list:?}");
    let device = first_id(&list);
    assert!(machine.run(&format!("device show {device}")).answer().contains("running"));
    machine.run(&format!("device explain {device}")).answer();
    machine.run(&format!("device label {device} line=3")).answer();
    let labelled = machine.run("device list --label line=3 --json=labels");
    assert_eq!(labelled.answer(), "[{\"labels\":{\"line\":\"3\"}}]\n");
    machine.run(&format!("device pin {device} --reason test")).answer();
    machine.run(&format!("device unpin {device}")).answer();
    machine.run(&format!("device target {device}")).answer();
    let north = machine.run("fleet list");
    assert!(north.answer().contains("north        5       5"), "{north:?}");
    machine.run("fleet show north").answer();
    assert!(machine.run("fleet show nroth").failure(3).contains("did you mean `north`?"));
    changes_things(machine);
    looks_around(machine);
}

/// What changes: each command sends what the server takes, and says how it is undone.
fn changes_things(machine: &Machine) {
    for line in [
        "policy disable redis-north",
        "policy enable redis-north",
        "policy apply - --yes",
        "policy apply -",
        "image add grafana/loki --category monitoring",
        "image reject grafana/loki",
        "image approve grafana/loki",
        "tag add grafana/loki:3.1",
        "tag recommend grafana/loki:3.1",
        "tag deprecate grafana/loki:3.1",
        "tag restore grafana/loki:3.1",
        "tag remove grafana/loki:3.1",
        "image remove grafana/loki",
        "gate set --unknown-tag request --yes",
        "registry add mirror http://127.0.0.1:1 --allow-plain-http --host mirror.example",
        "registry remove mirror",
        "enrolment-key revoke line-3",
        "device create north-9 --fleet north --label line=9",
        "device rename north-9 south-9",
        "device move south-9 south",
        "device target south-9 --set cache=redis:7-alpine",
        "device token south-9",
        "device revoke south-9 --yes",
        "device remove south-9 --yes",
        "token create ci --role viewer --expires 30d",
    ] {
        let rule = "{\"name\": \"redis-north\", \"image_pattern\": \"redis:*\", \
                     \"update_strategy\": \"auto\", \"device_selector\": {\"fleet\": \"north\"}}";
        let run = machine.run_with(line, rule);
        let (answer, undo) = (run.answer(), run.err.lines().last().unwrap_or_default());
        assert!(!answer.is_empty() && undo.starts_with("undo: "), "{line}: {run:?}");
    }
    let revision = machine.run("policy show redis-north --json=revision");
    assert_eq!(revision.answer(), "{\"revision\":4}\n", "what is applied again changes nothing");
    let token = first_id(&machine.run("token list"));
    machine.run(&format!("token revoke {token}")).answer();
    let push = first_id(&machine.run("push list"));
    machine.run(&format!("push replay {push}")).answer();
}

/// What is read only: each command knows the shape that it is answered with.
fn looks_around(machine: &Machine) {
    for line in [
        "status",
        "doctor --offline",
        "whoami",
        "version",
        "image list",
        "image show redis",
        "tag list redis",
        "gate show",
        "review list --status all",
        "policy list",
        "policy show redis-north",
        "receiver list",
        "registry list",
        "enrolment-key list",
        "token list",
        "audit list",
        "audit verify",
    ] {
        machine.run(line).answer();
        if !line.starts_with("audit verify") {
            let json = machine.run(&format!("{line} --json"));
            let is_json = serde_json::from_str::<serde_json::Value>(json.answer()).is_ok();
            assert!(is_json, "{line}: {json:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_image_waits_for_a_persons_yes() {
    let slipway = Slipway::start().await;
    let machine = administrator(&slipway);
    block_in_place(|| {
        let added = machine.run("receiver add hub --vendor dockerhub --repository library/**");
        assert!(added.answer().contains("/api/v1/webhooks/receivers/"), "{added:?}");
        let asked = machine.run("rollout create memcached:1.6-alpine");
        assert_eq!(asked.code, 6, "{asked:?}");
        let review = first_id(&machine.run("review list"));
        let shown = machine.run(&format!("review show {review}"));
        assert!(shown.answer().contains("image     memcached:1.6-alpine"), "{shown:?}");
        let why = machine.run(&format!("review reject {review}"));
        assert!(why.failure(2).contains("--reason"), "{why:?}");
        let own = machine.run(&format!("review approve {review}"));
        assert!(own.failure(4).contains("SELF_REVIEW"), "{own:?}");
    });
}
