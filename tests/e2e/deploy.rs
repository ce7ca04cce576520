//! What `deploy/` describes is what `slipway serve` and `slipway migrate` know.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use runtime::secret::Secret;
use serde_yaml_ng::Value;
use tempfile::TempDir;
use testbed::{Database, SERVICES, Tokens};
use tokio::process::Command;

use crate::PROGRAM;

/// The ports by default, each with that of its metrics 100 above.
const PORTS: [(&str, u16); 5] = [
    ("gateway", 4002),
    ("registry", 4011),
    ("approval", 4012),
    ("rollout", 4013),
    ("access", 4014),
];

type Environment = BTreeMap<String, String>;

fn deploy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy")
}

/// Services of the compose file, with command and environment.
fn compose() -> BTreeMap<String, (Vec<String>, Environment)> {
    let text = std::fs::read_to_string(deploy().join("compose.yaml")).unwrap();
    let mut file: Value = serde_yaml_ng::from_str(&text).unwrap();
    file.apply_merge().unwrap();
    let services = file["services"].as_mapping().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let described = services.iter().map(|(name, service)| {
        let command = service["command"].as_sequence().into_iter().flatten().map(text).collect();
        let environment = service["environment"].as_mapping().into_iter().flatten();
        let environment = environment.map(|(name, value)| (text(name), text(value))).collect();
        (text(name), (command, environment))
    });
    described.collect()
}

/// The command and the environment of a systemd unit.
fn unit(name: &str) -> (String, Environment) {
    let path = deploy().join(format!("systemd/slipway-{name}.service"));
    let text = std::fs::read_to_string(path).unwrap();
    let values = |key: &str| {
        let key = format!("{key}=");
        let lines: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix(&key)).map(str::to_owned).collect();
        lines
    };
    let environment = values("Environment").into_iter().map(|pair| {
        let (name, value) = pair.split_once('=').unwrap();
        (name.to_owned(), value.to_owned())
    });
    (values("ExecStart").join("\n"), environment.collect())
}

/// The environment variables that a command knows, by its own help.
async fn known(arguments: &[&str]) -> BTreeSet<String> {
    let output = Command::new(PROGRAM).args(arguments).arg("--help").output().await.unwrap();
    let help = String::from_utf8(output.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let named = help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
    named.map(str::to_owned).collect()
}

/// Files as a deployment has them.
struct Files {
    folder: TempDir,
    database: Database,
}

impl Files {
    async fn create() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::create().await;
        let tokens = Tokens::create(&database).await;
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("peers"), tokens.peers_file()).unwrap();
        for (name, _) in PORTS {
            tokens.of(name).write(&path(&format!("{name}.token"))).unwrap();
        }
        for name in SERVICES {
            let url = Secret::new(database.url_of(name));
            url.write(&path(&format!("{name}.url"))).unwrap();
        }
        Self { folder, database }
    }

    /// The same environment with files of this machine and free ports.
    fn here(&self, environment: &Environment) -> Environment {
        let here = |(name, value): (&String, &String)| {
            let value = match value.rsplit_once('/') {
                Some((_, file)) if name.ends_with("_FILE") => {
                    self.folder.path().join(file).to_str().unwrap().to_owned()
                }
                _ if name.ends_with("LISTEN") => "127.0.0.1:0".to_owned(),
                _ => value.clone(),
            };
            (name.clone(), value)
        };
        environment.iter().map(here).collect()
    }
}

/// A process's environment is all known, names the usual ports, and passes the process's own check.
async fn holds(files: &Files, name: &str, environment: &Environment) {
    let known = known(&["serve", name]).await;
    let unknown: Vec<_> = environment.keys().filter(|name| !known.contains(*name)).collect();
    assert!(unknown.is_empty(), "`serve {name}` does not know {unknown:?}");

    let ports: BTreeMap<_, _> = PORTS.into_iter().chain([("link", 4020)]).collect();
    let prefix = name.to_uppercase();
    let port = |value: &str| -> u16 { value.rsplit_once(':').unwrap().1.parse().unwrap() };
    assert_eq!(port(&environment[&format!("{prefix}_LISTEN")]), ports[name]);
    assert_eq!(port(&environment[&format!("{prefix}_METRICS_LISTEN")]), ports[name] + 100);
    for (variable, value) in environment {
        let peer = variable.strip_prefix(&format!("{prefix}_")).unwrap().strip_suffix("_URL");
        if let Some(peer) = peer.map(str::to_lowercase) {
            assert_eq!(port(value), ports[peer.as_str()], "{variable}");
        }
    }

    let mut check = Command::new(PROGRAM);
    check.args(["serve", name, "--check"]).env_clear().envs(files.here(environment));
    let output = check.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`serve {name} --check`: {said}");
}

#[tokio::test]
async fn the_compose_file_runs_every_process_as_serve_knows_it() {
    let files = Files::create().await;
    let services = compose();
    for (name, _) in PORTS {
        let (command, environment) = &services[name];
        assert_eq!(command, &["serve", name]);
        holds(&files, name, environment).await;
    }
}

#[tokio::test]
async fn the_units_run_every_process_as_serve_knows_it() {
    let files = Files::create().await;
    let target = std::fs::read_to_string(deploy().join("systemd/slipway.target")).unwrap();
    for (name, _) in PORTS {
        let (command, environment) = unit(name);
        assert_eq!(command, format!("/usr/local/bin/slipway serve {name}"));
        assert!(target.contains(&format!("slipway-{name}.service")), "{target}");
        holds(&files, name, &environment).await;
    }
}

#[tokio::test]
async fn migrate_makes_all_that_the_processes_need() {
    let known = known(&["migrate"]).await;
    let (_, described) = &compose()["migrate"];
    let (_, of_unit) = unit("migrate");
    let names: BTreeSet<_> = described.keys().cloned().collect();
    assert_eq!(names, of_unit.keys().cloned().collect());
    assert_eq!(names, known);

    // A database that was migrated before: migrating again changes nothing, and makes the files.
    let files = Files::create().await;
    let folder = files.folder.path();
    let owner = folder.join("owner.url");
    Secret::new(files.database.owner_url()).write(&owner).unwrap();
    let (roles, secrets) = (folder.join("roles"), folder.join("secrets"));
    std::fs::create_dir(&roles).unwrap();
    // Roles belong to the whole server, which other tests use too: they keep their password.
    for name in SERVICES {
        let url = Secret::new(files.database.url_of(name));
        url.write(&roles.join(format!("{name}.url"))).unwrap();
    }
    Secret::new(files.database.reader_url()).write(&roles.join("reader.url")).unwrap();
    let mut migrate = Command::new(PROGRAM);
    migrate
        .arg("migrate")
        .env("MIGRATE_DATABASE_URL_FILE", &owner)
        .env("MIGRATE_ROLES_DIR", &roles)
        .env("MIGRATE_SECRETS_DIR", &secrets);
    let output = migrate.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (name, environment) in PORTS.map(|(name, _)| (name, compose()[name].1.clone())) {
        for (variable, path) in environment.iter().filter(|(name, _)| name.ends_with("_FILE")) {
            let path = Path::new(path);
            let made = folder.join(path.strip_prefix("/").unwrap());
            assert!(made.exists(), "{name} needs {variable}, and {} is not there", path.display());
        }
    }
}
