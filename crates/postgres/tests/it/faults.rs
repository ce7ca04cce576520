//! What a start finds after something went wrong.

use std::fs;
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use postgres::{Error, Options, Shutdown};
use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, PgConnection};

use crate::support::{PATIENCE, Scratch, Stranger, block_on, wait_for};

fn kill(pid: u32) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}

#[test]
fn after_sigkill_of_the_server_the_next_start_recovers_what_was_committed() {
    let scratch = Scratch::new();
    let home = scratch.cluster(Options::durable());
    home.init().unwrap();
    let pid = home.start();
    home.execute("create table public.kept as select 'yes'::text as answer");
    // A session at work when it happens ends a little later than the server.
    let url = home.superuser_url();
    let busy = block_on(async move {
        let mut db = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql("begin; create table public.lost ()").execute(&mut db).await.unwrap();
        db
    });

    kill(pid);
    assert_eq!(home.wait().code(), None);
    assert_eq!(home.running(), None, "the pid file is there, and nobody behind it");
    let again = home.start();

    assert_eq!(home.running(), Some(again));
    assert_eq!(home.ask("select answer from public.kept"), "yes");
    assert_eq!(home.ask("select coalesce(to_regclass('public.lost')::text, 'gone')"), "gone");
    drop(busy);
}

#[test]
fn a_start_waits_for_the_last_processes_of_a_killed_server() {
    let scratch = Scratch::new();
    let home = scratch.running_cluster();
    let url = home.superuser_url();
    let (session, orphan) = block_on(async move {
        let mut db = PgConnection::connect(&url).await.unwrap();
        let pid = sqlx::query_scalar("select pg_backend_pid()").fetch_one(&mut db).await.unwrap();
        (db, Pid::from_raw(pid).unwrap())
    });
    // Stopped, it does not notice that its server is gone.
    kill_process(orphan, Signal::STOP).unwrap();
    kill(home.running().unwrap());
    home.wait();

    std::thread::scope(|scope| {
        scope.spawn(|| {
            let log = || fs::read_to_string(scratch.join("log")).unwrap();
            wait_for("the start to be refused", || log().contains("pre-existing shared memory"));
            kill_process(orphan, Signal::CONT).unwrap();
        });
        home.start();
    });

    assert_eq!(home.ask("select 'well'"), "well");
    drop(session);
}

#[test]
fn a_killed_server_that_nobody_waited_for_is_not_running() {
    let scratch = Scratch::new();
    let home = scratch.running_cluster();
    kill(home.running().unwrap());
    wait_for("the killed server to be taken for dead", || home.running().is_none());
}

#[test]
fn an_immediate_stop_needs_no_second_start() {
    let scratch = Scratch::new();
    let home = scratch.cluster(Options::durable());
    home.init().unwrap();
    home.start();
    home.execute("create table public.kept as select 'yes'::text as answer");
    home.stop(Shutdown::Immediate, PATIENCE).unwrap();
    home.wait();
    home.start();
    assert_eq!(home.ask("select answer from public.kept"), "yes");
}

#[test]
fn a_fast_stop_cuts_clients_off() {
    let scratch = Scratch::new();
    let home = scratch.running_cluster();
    let url = home.superuser_url();
    let client = block_on(async move { PgConnection::connect(&url).await.unwrap() });
    home.stop(Shutdown::Fast, PATIENCE).unwrap();
    assert!(home.wait().success());
    drop(client);
}

#[test]
fn a_process_number_that_a_stranger_has_got_since_hinders_nothing() {
    let scratch = Scratch::new();
    let home = scratch.running_cluster();
    let pid_file = home.data_dir().join("postmaster.pid");
    let lock_file = home.socket_dir().join(".s.PGSQL.5432.lock");
    let pid = home.running().unwrap();
    kill(pid);
    home.wait();
    // As after a reboot: the files are those of the dead server, its number is somebody else's.
    let stranger = Stranger::of(home.account());
    for file in [&pid_file, &lock_file] {
        let text = fs::read_to_string(file).unwrap();
        let text = text.replacen(&pid.to_string(), &stranger.pid().to_string(), 1);
        fs::write(file, text).unwrap();
    }

    assert_eq!(home.running(), None);
    home.stop(Shutdown::Immediate, PATIENCE).expect("nothing of ours to stop");
    let again = home.start();

    assert_eq!(home.running(), Some(again));
    assert_eq!(home.ask("select 'well'"), "well");
}

#[test]
fn a_socket_that_nobody_listens_on_hinders_nothing() {
    let scratch = Scratch::new();
    let home = scratch.cluster(Options::disposable());
    home.init().unwrap();
    fs::create_dir(home.socket_dir()).unwrap();
    let socket = home.socket_dir().join(".s.PGSQL.5432");
    drop(UnixListener::bind(&socket).unwrap());
    std::os::unix::fs::chown(home.socket_dir(), Some(home.account().uid()), None).unwrap();
    assert!(socket.exists());

    home.start();

    assert_eq!(home.ask("select 'well'"), "well");
}

#[test]
fn a_socket_folder_of_somebody_else_is_refused() {
    let scratch = Scratch::new();
    let home = scratch.cluster(Options::disposable());
    home.init().unwrap();
    fs::write(home.socket_dir(), "mine").unwrap();
    let error = home.start_error();
    assert!(matches!(error, Error::NotAFolder { .. }), "{error}");

    if crate::support::is_root() {
        fs::remove_file(home.socket_dir()).unwrap();
        fs::create_dir(home.socket_dir()).unwrap();
        fs::write(home.socket_dir().join("file"), "mine").unwrap();
        let error = home.start_error();
        assert!(matches!(error, Error::ForeignOwner { .. }), "{error}");
    }
}

#[test]
fn a_server_that_is_not_up_in_time_is_ended() {
    let scratch = Scratch::new();
    let home = scratch.cluster(Options::disposable());
    home.init().unwrap();
    let error = home.cluster.start(&scratch.join("log"), Duration::ZERO).unwrap_err();
    assert!(matches!(error, Error::NotReady { .. }), "{error}");
    assert_eq!(home.running(), None);
    home.start();
}

#[test]
fn of_several_starts_at_once_one_succeeds() {
    let scratch = Scratch::new();
    let home = scratch.cluster(Options::disposable());
    home.init().unwrap();
    let started = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (home, started, log) = (&home.cluster, &started, format!("log {number}"));
            let log = scratch.join(&log);
            scope.spawn(move || {
                let Ok(mut child) = home.start(&log, PATIENCE) else { return };
                started.fetch_add(1, Ordering::Relaxed);
                assert_eq!(home.running(), Some(child.id()));
                // The others are refused, however long it runs.
                assert_eq!(child.try_wait().unwrap(), None);
            });
        }
    });
    assert_eq!(started.into_inner(), 1);
    assert!(home.is_ready());
}

#[test]
fn a_server_that_refuses_to_start_is_told_with_its_last_words() {
    let scratch = Scratch::new();
    let home = scratch.cluster(Options::disposable());
    home.init().unwrap();
    fs::write(home.data_dir().join("postgresql.conf"), "no_such_setting = 1\n").unwrap();
    let error = home.start_error().to_string();
    assert!(error.contains("no_such_setting"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}
