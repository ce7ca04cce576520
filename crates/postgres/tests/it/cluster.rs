//! The whole life of a private server.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::thread;
use std::time::Duration;

use postgres::{Cluster, Error, Installation, Options, Search, Shutdown};
use sqlx::{Connection, PgConnection};

use crate::support::{
    PATIENCE, Scratch, assert_passed, block_on, handed, is_rerun, is_root, rerun,
};

/// Creates, starts and stops a durable server, whoever one is.
fn live_a_whole_life(scratch: &Scratch) {
    let home = scratch.cluster(Options::durable());
    assert_eq!(home.running(), None);
    home.init().unwrap();
    let pid = home.start();
    assert_eq!(home.running(), Some(pid));
    assert!(home.is_ready());

    let data = fs::metadata(home.data_dir()).unwrap();
    assert_ne!(data.uid(), 0);
    assert_eq!(data.uid(), home.account().uid());
    for (setting, value) in [
        ("select current_setting('fsync')", "on"),
        ("select current_setting('full_page_writes')", "on"),
        ("select current_setting('synchronous_commit')", "on"),
        ("select current_setting('data_checksums')", "on"),
        ("select current_setting('listen_addresses')", ""),
        ("select current_setting('server_encoding')", "UTF8"),
        (
            "select datcollate || ' ' || datctype from pg_database where datname = 'template1'",
            "C C",
        ),
    ] {
        assert_eq!(home.ask(setting), value, "{setting}");
    }

    home.stop(Shutdown::Fast, PATIENCE).unwrap();
    assert!(home.wait().success());
    assert_eq!(home.running(), None);
    assert!(!home.data_dir().join("postmaster.pid").exists());
    assert_eq!(fs::read_dir(home.socket_dir()).unwrap().count(), 0);
    home.stop(Shutdown::Fast, PATIENCE).expect("nothing is left to stop");
}

#[test]
fn a_server_lives_its_whole_life() {
    let scratch = Scratch::new();
    live_a_whole_life(&scratch);
    if is_root() {
        let name = scratch.cluster(Options::durable()).account().name().to_owned();
        assert!(["postgres", "nobody"].contains(&name.as_str()), "{name}");
    }
}

#[test]
fn an_ordinary_user_runs_it_as_itself() {
    let scratch = Scratch::new();
    if is_root() && !is_rerun() {
        let test = "cluster::an_ordinary_user_runs_it_as_itself";
        assert_passed(&rerun(&scratch, test, true, "", scratch.path()).output().unwrap());
        return;
    }
    assert!(!is_root());
    live_a_whole_life(&scratch);
    let own = rustix::process::geteuid().as_raw();
    assert_eq!(scratch.cluster(Options::durable()).account().uid(), own);
}

#[test]
fn root_goes_on_with_what_an_ordinary_user_began_and_the_other_way_round() {
    let scratch = Scratch::new();
    let test = "cluster::root_goes_on_with_what_an_ordinary_user_began_and_the_other_way_round";
    if is_rerun() {
        let found = Installation::find(&Search::from_env()).unwrap();
        let (data, socket) = (handed().join("data"), handed().join("socket"));
        let cluster = Cluster::new(found, &data, &socket, Options::durable()).unwrap();
        cluster.init().unwrap();
        let mut child = cluster.start(&scratch.join("log"), PATIENCE).unwrap();
        cluster.stop(Shutdown::Fast, PATIENCE).unwrap();
        assert!(child.wait().unwrap().success());
        return;
    }
    fs::set_permissions(scratch.path(), Permissions::from_mode(0o777)).unwrap();
    for _ in 0..2 {
        assert_passed(&rerun(&scratch, test, true, "", scratch.path()).output().unwrap());
        let home = scratch.cluster(Options::durable());
        home.init().unwrap();
        home.start();
        home.stop(Shutdown::Fast, PATIENCE).unwrap();
    }
}

#[test]
fn everybody_needs_a_password_and_the_superusers_is_for_the_account_alone() {
    let scratch = Scratch::new();
    let home = scratch.running_cluster();
    let file = fs::metadata(home.data_dir().join("superuser.password")).unwrap();
    assert_eq!((file.mode() & 0o777, file.uid()), (0o600, home.account().uid()));
    assert_eq!(fs::metadata(home.data_dir()).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(home.socket_dir()).unwrap().mode() & 0o777, 0o700);

    home.execute("create role \"a b\" login password 'p:/?#&=% ü'");
    let connect = |url: String| block_on(async move { PgConnection::connect(&url).await });
    connect(home.url("a b", "p:/?#&=% ü", "postgres")).unwrap();
    for (user, password) in [("postgres", "guess"), ("a b", "guess")] {
        let error = connect(home.url(user, password, "postgres")).unwrap_err().to_string();
        assert!(error.contains("password authentication failed"), "{error}");
    }
}

#[test]
fn a_disposable_server_waits_for_no_disk() {
    let scratch = Scratch::new();
    let home = scratch.running_cluster();
    for setting in [
        "select current_setting('fsync')",
        "select current_setting('full_page_writes')",
        "select current_setting('synchronous_commit')",
    ] {
        assert_eq!(home.ask(setting), "off", "{setting}");
    }
    assert_eq!(home.ask("select current_setting('max_connections')"), "500");
}

#[test]
fn several_at_once_create_the_data_once() {
    let scratch = Scratch::new();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| scratch.cluster(Options::disposable()).init().unwrap());
        }
    });
    let mut names: Vec<_> = fs::read_dir(scratch.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, [".data.lock", "data"], "nothing half-built is left");
}

#[test]
fn what_a_cut_off_creation_left_is_cleared_away() {
    let scratch = Scratch::new();
    let left = scratch.join(".data.new-4711");
    fs::create_dir_all(left.join("data/base")).unwrap();
    fs::write(left.join("data/PG_VERSION"), "15\n").unwrap();
    fs::create_dir(scratch.join("data")).unwrap();

    scratch.cluster(Options::disposable()).init().unwrap();

    assert!(!left.exists());
    assert!(scratch.join("data/global/pg_control").exists());
}

#[test]
fn a_second_server_on_the_same_data_is_refused_and_the_first_is_named() {
    let scratch = Scratch::new();
    let home = scratch.running_cluster();
    let first = home.running().unwrap();
    let second = scratch.cluster(Options::durable());
    assert_eq!(second.running(), Some(first));
    second.init().expect("the data is there");
    second.wait_ready(Duration::ZERO).expect("the first one answers");

    let error = second.start_error();

    assert!(matches!(error, Error::Running { pid, .. } if pid == first), "{error}");
    assert!(home.is_ready());
}

#[test]
fn a_socket_path_that_is_too_long_gives_way_to_a_short_one() {
    let scratch = Scratch::new();
    let long = scratch.join(&"long".repeat(40));
    let found = Installation::find(&Search::from_env()).unwrap();
    let data = scratch.join("data");
    let cluster = Cluster::new(found, &data, &long, Options::disposable()).unwrap();
    assert!(cluster.socket_dir().starts_with("/tmp"), "{:?}", cluster.socket_dir());
    cluster.init().unwrap();

    let started = cluster.start(&scratch.join("log"), PATIENCE);
    let url = cluster.superuser_url("postgres").unwrap();
    let connected = block_on(async move { PgConnection::connect(&url).await });
    cluster.stop(Shutdown::Fast, PATIENCE).unwrap();
    let mode = fs::metadata(cluster.socket_dir()).unwrap().mode();
    fs::remove_dir(cluster.socket_dir()).unwrap();

    assert!(started.unwrap().wait().unwrap().success());
    connected.unwrap();
    assert_eq!(mode & 0o777, 0o700);
    assert!(!long.exists());
}

#[test]
fn what_is_in_the_place_of_the_data_is_left_alone() {
    let refused = |lay: fn(&Path)| {
        let scratch = Scratch::new();
        lay(&scratch.join("data"));
        let error = scratch.cluster(Options::durable()).init().unwrap_err();
        let kept = fs::read_dir(scratch.join("data")).map_or(1, Iterator::count);
        assert_eq!(kept, 1, "{error}");
        error
    };
    let file = refused(|data| fs::write(data, "mine").unwrap());
    assert!(matches!(file, Error::NotAFolder { .. }), "{file}");
    assert!(file.to_string().ends_with("is not a folder; move it away or choose another place"));

    let foreign = refused(|data| {
        fs::create_dir(data).unwrap();
        fs::write(data.join("thesis.txt"), "mine").unwrap();
    });
    assert!(matches!(foreign, Error::ForeignFiles { .. }), "{foreign}");
}

#[test]
fn a_file_on_the_way_to_the_data_is_named() {
    let scratch = Scratch::new();
    fs::write(scratch.join("file"), "mine").unwrap();
    let found = Installation::find(&Search::from_env()).unwrap();
    let data = scratch.join("file/data");
    let cluster = Cluster::new(found, &data, &scratch.join("socket"), Options::durable()).unwrap();
    let error = cluster.init().unwrap_err().to_string();
    assert!(error.contains(&scratch.join("file").display().to_string()), "{error}");
    assert!(error.ends_with("move what is in the way or choose another place"), "{error}");
}

#[test]
fn data_of_another_version_is_refused_with_the_way_out() {
    let scratch = Scratch::new();
    let home = scratch.cluster(Options::disposable());
    home.init().unwrap();
    fs::write(home.data_dir().join("PG_VERSION"), "9\n").unwrap();
    for error in [home.init().unwrap_err(), home.start_error()] {
        assert!(matches!(error, Error::OtherVersion { data: 9, .. }), "{error}");
        assert!(error.to_string().contains("install PostgreSQL 9 or"), "{error}");
    }
}

#[test]
fn a_start_without_data_says_so() {
    let scratch = Scratch::new();
    let error = scratch.cluster(Options::disposable()).start_error();
    assert!(matches!(error, Error::NoData { .. }), "{error}");
}

#[test]
fn a_folder_that_the_account_cannot_enter_is_named() {
    if !is_root() {
        // Somebody who runs it as themselves creates the folder themselves.
        return;
    }
    let scratch = Scratch::new();
    let shut = scratch.join("shut");
    fs::create_dir(&shut).unwrap();
    fs::set_permissions(&shut, Permissions::from_mode(0o700)).unwrap();
    let found = Installation::find(&Search::from_env()).unwrap();
    let (data, socket) = (shut.join("deep/data"), scratch.join("socket"));
    let cluster = Cluster::new(found, &data, &socket, Options::durable()).unwrap();

    let error = cluster.init().unwrap_err().to_string();

    assert!(error.contains(&format!("may not enter `{}`", shut.display())), "{error}");
    assert!(error.contains(&format!("`chmod a+x {}`", shut.display())), "{error}");
    assert_eq!(fs::read_dir(&shut).unwrap().count(), 0, "nothing was created in vain");
}

#[test]
fn somebody_elses_data_is_refused() {
    let scratch = Scratch::new();
    let test = "cluster::somebody_elses_data_is_refused";
    if is_rerun() {
        let found = Installation::find(&Search::from_env()).unwrap();
        let (data, socket) = (handed().join("data"), scratch.join("socket"));
        let cluster = Cluster::new(found, &data, &socket, Options::durable()).unwrap();
        let error = cluster.init().unwrap_err();
        assert!(matches!(error, Error::ForeignOwner { .. }), "{error}");
        return;
    }
    if is_root() {
        fs::set_permissions(scratch.path(), Permissions::from_mode(0o777)).unwrap();
        scratch.cluster(Options::disposable()).init().unwrap();
        // Its own, so that the data is what it stumbles over.
        fs::remove_file(scratch.join(".data.lock")).unwrap();
        assert_passed(&rerun(&scratch, test, true, "", scratch.path()).output().unwrap());
    }
}

#[test]
fn a_limit_on_file_sizes_is_told_in_a_sentence_and_leaves_nothing() {
    let scratch = Scratch::new();
    let test = "cluster::a_limit_on_file_sizes_is_told_in_a_sentence_and_leaves_nothing";
    if !is_rerun() {
        let output = rerun(&scratch, test, false, "ulimit -f 100", scratch.path()).output();
        assert_passed(&output.unwrap());
        return;
    }
    let error = scratch.cluster(Options::durable()).init().unwrap_err().to_string();
    assert!(error.contains("could not create"), "{error}");
    assert!(error.contains("files may not grow that large; raise `ulimit -f`"), "{error}");
    assert!(!error.contains('\n'), "{error}");
    let left: Vec<_> = fs::read_dir(scratch.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(left, [scratch.join(".data.lock")]);
}
