//! Databases for tests: copied at once by many, and cleared away whatever happened.

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use postgres::testing::{self, Error, Server, Template};
use postgres::{Installation, Search, Shutdown};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::{PATIENCE, Scratch, assert_passed, handed, is_rerun, rerun, wait_for};

/// A test server of this test alone, stopped at its end.
struct Own {
    server: Server,
    scratch: Scratch,
}

impl Own {
    fn new() -> Self {
        Self::within(Scratch::new())
    }

    fn within(scratch: Scratch) -> Self {
        let server = Server::open(&scratch.join("state")).unwrap();
        Self { server, scratch }
    }

    /// Another process's view of the same server.
    fn other(&self) -> Server {
        Server::open(&self.state()).unwrap()
    }

    fn state(&self) -> std::path::PathBuf {
        self.scratch.join("state")
    }

    async fn databases(&self) -> Vec<String> {
        databases(&self.server).await
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = self.server.cluster().stop(Shutdown::Immediate, PATIENCE);
    }
}

async fn databases(server: &Server) -> Vec<String> {
    let url = server.cluster().superuser_url("postgres").unwrap();
    let mut db = PgConnection::connect(&url).await.unwrap();
    let names = "select datname from pg_database where datname like 'slipway%' order by 1";
    sqlx::query_scalar(names).fetch_all(&mut db).await.unwrap()
}

async fn execute(url: &str, statement: &str) {
    let mut db = PgConnection::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut db).await.unwrap();
}

async fn count(url: &str) -> i64 {
    let mut db = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar("select count(*) from public.things").fetch_one(&mut db).await.unwrap()
}

/// Prepares a database with one row in it.
async fn one_thing(url: String) -> Result<(), Infallible> {
    execute(&url, "create table public.things (id int); insert into public.things values (1)")
        .await;
    Ok(())
}

async fn things(server: &Server) -> Template {
    server.template("things", one_thing).await.unwrap()
}

/// Waits until only the databases named so are left.
fn wait_for_databases(server: &Server, expected: &[&str]) {
    wait_for(&format!("{expected:?} alone to be left"), || {
        let names = std::thread::scope(|scope| {
            scope.spawn(|| crate::support::block_on(databases(server))).join().unwrap()
        });
        names == expected
    });
}

#[tokio::test]
async fn eight_tests_at_once_have_a_database_each_on_the_shared_server() {
    let prepared = AtomicU32::new(0);
    let prepare = async |url: String| {
        prepared.fetch_add(1, Ordering::Relaxed);
        one_thing(url).await
    };
    let template = testing::template("things of the crate postgres", prepare).await.unwrap();
    assert!(prepared.into_inner() <= 1);
    let tasks: Vec<_> = (0..8)
        .map(|number: i64| {
            let template = template.clone();
            tokio::spawn(async move {
                let database = testing::create_database(&template).await.unwrap();
                for _ in 0..number {
                    execute(database.url(), "insert into public.things values (2)").await;
                }
                (count(database.url()).await, database.name().to_owned())
            })
        })
        .collect();
    let mut names = Vec::new();
    for (number, task) in (0..8).zip(tasks) {
        let (count, name) = task.await.unwrap();
        assert_eq!(count, 1 + number);
        names.push(name);
    }
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 8);
}

#[test]
fn several_processes_at_once_share_one_server_and_one_template() {
    let scratch = Scratch::new();
    let test = "testing::several_processes_at_once_share_one_server_and_one_template";
    if is_rerun() {
        let server = Server::open(&handed()).unwrap();
        let prepare = async |url: String| {
            // Fails where two prepare.
            fs::File::create_new(handed().join("prepared")).unwrap();
            one_thing(url).await
        };
        crate::support::block_on(async {
            let template = server.template("things", prepare).await.unwrap();
            for _ in 0..3 {
                let database = server.create_database(&template).await.unwrap();
                assert_eq!(count(database.url()).await, 1);
            }
        });
        return;
    }
    let state = scratch.join("state");
    let runs: Vec<_> = (0..4)
        .map(|_| {
            let mut command = rerun(&scratch, test, false, "", &state);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let outputs: Vec<_> = runs.into_iter().map(|run| run.wait_with_output().unwrap()).collect();
    let own = Own::within(scratch);
    for output in &outputs {
        assert_passed(output);
    }
    assert!(!own.server.was_started(), "the server outlives the processes that use it");
    let template = crate::support::block_on(things(&own.server));
    wait_for_databases(&own.server, &[template.name()]);
}

#[tokio::test]
async fn a_database_goes_with_its_value_also_while_it_is_in_use() {
    let own = Own::new();
    let template = things(&own.server).await;
    let database = own.server.create_database(&template).await.unwrap();
    let client = PgConnection::connect(database.url()).await.unwrap();
    assert_eq!(own.databases().await, [template.name(), database.name()]);
    drop(database);
    wait_for_databases(&own.server, &[template.name()]);
    drop(client);
}

#[tokio::test]
async fn a_role_reaches_its_database_with_its_own_password() {
    let own = Own::new();
    let template = things(&own.server).await;
    let database = own.server.create_database(&template).await.unwrap();
    execute(database.url(), "create role clerk login password 'secret'").await;
    let mut db = PgConnection::connect(&database.url_as("clerk", "secret")).await.unwrap();
    let who: String = sqlx::query_scalar("select current_user || '@' || current_database()")
        .fetch_one(&mut db)
        .await
        .unwrap();
    assert_eq!(who, format!("clerk@{}", database.name()));
}

#[tokio::test]
async fn what_a_dead_process_left_is_swept_and_what_a_live_one_has_is_not() {
    let own = Own::new();
    let template = things(&own.server).await;
    let kept = own.server.create_database(&template).await.unwrap();
    let dead = own.other();
    std::mem::forget(dead.create_database(&template).await.unwrap());
    assert_eq!(own.databases().await.len(), 3);
    drop(dead);

    wait_for("the dead process's database to be swept", || {
        // Each one sweeps as it begins.
        let next = own.other();
        std::thread::scope(|scope| {
            scope.spawn(|| crate::support::block_on(databases(&next))).join().unwrap()
        })
        .len()
            == 2
    });

    assert_eq!(count(kept.url()).await, 1);
}

#[tokio::test]
async fn a_template_that_fails_leaves_nothing_and_can_be_tried_again() {
    let own = Own::new();
    let fail = async |url: String| {
        execute(&url, "create table public.half ()").await;
        Err("the disk of the migration is full")
    };
    let error = own.server.template("things", fail).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the template `things` could not be prepared: the disk of the migration is full"
    );
    assert!(own.databases().await.is_empty());

    let template = things(&own.server).await;
    let database = own.server.create_database(&template).await.unwrap();
    assert_eq!(count(database.url()).await, 1);
}

#[tokio::test]
async fn a_template_cut_off_in_the_middle_is_begun_anew() {
    let own = Own::new();
    let (reached, wait) = tokio::sync::oneshot::channel();
    let hang = async |url: String| {
        execute(&url, "create table public.half ()").await;
        reached.send(()).unwrap();
        std::future::pending::<Result<(), Infallible>>().await
    };
    tokio::select! {
        _ = own.server.template("things", hang) => panic!("it cannot end"),
        reached = wait => reached.unwrap(),
    }
    let template = things(&own.server).await;
    let database = own.server.create_database(&template).await.unwrap();
    assert_eq!(count(database.url()).await, 1);
}

#[tokio::test]
async fn connections_that_a_preparation_left_open_do_not_hinder() {
    let own = Own::new();
    let mut open = Vec::new();
    let prepare = async |url: String| {
        one_thing(url.clone()).await?;
        open.push(PgConnection::connect(&url).await.unwrap());
        Ok::<(), Infallible>(())
    };
    let template = own.server.template("things", prepare).await.unwrap();
    let database = own.server.create_database(&template).await.unwrap();
    assert_eq!(count(database.url()).await, 1);
}

#[tokio::test]
async fn a_template_that_nobody_used_for_a_day_is_dropped_unless_it_is_in_use() {
    let own = Own::new();
    let used = things(&own.server).await;
    let other = own.other();
    let unused = other.template("unused", one_thing).await.unwrap();
    drop(other);
    let url = own.server.cluster().superuser_url("postgres").unwrap();
    execute(&url, "update public.slipway_templates set used_at = now() - interval '2 days'").await;

    // The session of the value dropped above ends in its own time.
    let mut db = PgConnection::connect(&url).await.unwrap();
    let processes = "select count(*) from pg_locks
        where locktype = 'advisory' and mode = 'ExclusiveLock'";
    while sqlx::query_scalar::<_, i64>(processes).fetch_one(&mut db).await.unwrap() > 1 {
        tokio::task::yield_now().await;
    }

    own.server.template("new", one_thing).await.unwrap();

    let left = own.databases().await;
    assert!(!left.contains(&unused.name().to_owned()), "{left:?}");
    assert!(left.contains(&used.name().to_owned()), "{left:?}");
}

#[tokio::test]
async fn of_many_templates_the_twenty_used_last_stay() {
    let own = Own::new();
    let other = own.other();
    for number in 0..22 {
        let nothing = async |_: String| Ok::<(), Infallible>(());
        other.template(&format!("many {number}"), nothing).await.unwrap();
    }
    assert_eq!(own.databases().await.len(), 22, "a process keeps what it uses");
    drop(other);

    wait_for("the templates to be no more than twenty", || {
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    crate::support::block_on(async {
                        let next = own.other();
                        let number = next.was_started() as u32;
                        let key = format!("more {number} {}", databases(&next).await.len());
                        next.template(&key, one_thing).await.unwrap();
                        databases(&next).await.len() <= 20
                    })
                })
                .join()
                .unwrap()
        })
    });
}

fn kill(server: &Server) {
    let pid = i32::try_from(server.cluster().running().unwrap()).unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    wait_for("the killed server to be gone", || server.cluster().running().is_none());
}

#[tokio::test]
async fn a_killed_server_is_started_again_with_its_templates() {
    let own = Own::new();
    let template = things(&own.server).await;
    // What was committed last may be lost: nothing waits for the disk there.
    execute(&own.server.cluster().superuser_url("postgres").unwrap(), "checkpoint").await;
    kill(&own.server);
    let next = own.other();
    assert!(next.was_started());
    let again = next.template("things", async |_| Err("it is there already")).await.unwrap();
    assert_eq!(again, template);
    assert_eq!(count(next.create_database(&again).await.unwrap().url()).await, 1);
}

/// Kills the server, does something to its state, and expects the next process to begin anew.
async fn begin_anew_after(spoil: fn(&Path)) {
    let own = Own::new();
    things(&own.server).await;
    kill(&own.server);
    spoil(&own.state());
    let next = own.other();
    assert!(databases(&next).await.is_empty());
    let template = things(&next).await;
    assert_eq!(count(next.create_database(&template).await.unwrap().url()).await, 1);
}

#[tokio::test]
async fn broken_data_is_thrown_away() {
    begin_anew_after(|state| fs::remove_file(state.join("data/global/pg_control")).unwrap()).await;
}

#[tokio::test]
async fn data_from_before_a_reboot_is_thrown_away() {
    begin_anew_after(|state| fs::write(state.join("boot"), "another").unwrap()).await;
}

#[tokio::test]
async fn data_of_another_version_is_thrown_away() {
    begin_anew_after(|state| fs::write(state.join("data/PG_VERSION"), "13\n").unwrap()).await;
}

#[tokio::test]
async fn a_state_folder_of_somebody_else_is_refused() {
    let scratch = Scratch::new();
    let state = scratch.join("state");
    fs::write(&state, "mine").unwrap();
    let error = Server::open(&state).unwrap_err();
    assert!(matches!(error, Error::State { .. }), "{error}");
    assert!(error.to_string().contains(&state.display().to_string()), "{error}");
    Installation::find(&Search::from_env()).unwrap();
}
