//! Finding PostgreSQL among what machines have lying around.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use postgres::{Error, Installation, Platform, Search};

use crate::support::Scratch;

/// A search that finds nothing but what a test lays below `root`.
fn search(root: &Path) -> Search {
    Search { bin: None, path: None, root: root.to_owned(), major: None }
}

/// Lays a pair of programs into a folder that claim to be of a version.
fn lay(dir: &Path, version: &str) {
    for name in ["postgres", "initdb"] {
        script(&dir.join(name), &format!("echo '{name} (PostgreSQL) {version}'"));
    }
}

fn script(path: &Path, line: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, format!("#!/bin/sh\n{line}\n")).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_installation_of_this_machine_is_found() {
    let found = Installation::find(&Search::from_env()).unwrap();
    assert!(found.version().major() >= 14, "{found:?}");
    assert!(found.initdb().is_file() && found.postgres().is_file(), "{found:?}");
}

#[test]
fn with_nothing_installed_it_says_where_it_looked_and_how_to_install() {
    let scratch = Scratch::new();
    fs::create_dir_all(scratch.join("etc")).unwrap();
    fs::write(scratch.join("etc/os-release"), "ID=alpine\n").unwrap();

    let error = Installation::find(&search(scratch.path())).unwrap_err().to_string();

    let install = Platform::detect(scratch.path()).install_line();
    if cfg!(target_os = "linux") {
        assert_eq!(install, "install it with `sudo apk add postgresql`");
    }
    for part in ["SLIPWAY_POSTGRES_BIN", "`PATH`", "/usr/lib/postgresql/*/bin", install] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn the_newest_of_several_versions_is_taken() {
    let scratch = Scratch::new();
    for version in ["9.6", "16", "14", "15"] {
        let dir = scratch.join(&format!("usr/lib/postgresql/{version}/bin"));
        lay(&dir, &format!("{version}.1"));
    }
    let found = Installation::find(&search(scratch.path())).unwrap();
    assert_eq!(found.version().to_string(), "16.1");
    assert_eq!(found.bin(), scratch.join("usr/lib/postgresql/16/bin"));
}

#[test]
fn path_comes_before_the_places_of_packages() {
    let scratch = Scratch::new();
    lay(&scratch.join("usr/lib/postgresql/17/bin"), "17.1");
    lay(&scratch.join("mine"), "15.2");
    let path = Some(std::env::join_paths(["relative".into(), scratch.join("mine")]).unwrap());
    let found = Installation::find(&Search { path, ..search(scratch.path()) }).unwrap();
    assert_eq!(found.bin(), scratch.join("mine"));
}

#[test]
fn data_at_hand_decides_the_version() {
    let scratch = Scratch::new();
    for version in ["15", "16", "17"] {
        lay(&scratch.join(&format!("usr/lib/postgresql/{version}/bin")), version);
    }
    let data = scratch.join("data");
    fs::create_dir(&data).unwrap();
    let of_data = |data: &Path| {
        let found = Installation::find(&search(scratch.path()).for_data(data)).unwrap();
        found.version().major()
    };
    assert_eq!(of_data(&data), 17);
    fs::write(data.join("PG_VERSION"), "15\n").unwrap();
    assert_eq!(of_data(&data), 15);
    fs::write(data.join("PG_VERSION"), "14\n").unwrap();
    assert_eq!(of_data(&data), 17, "what does not fit is found, and refused by the cluster");
}

#[test]
fn what_is_unusable_is_passed_over_and_named_with_its_fault() {
    let scratch = Scratch::new();
    lay(&scratch.join("old"), "13.9");
    script(&scratch.join("shim/postgres"), "echo 'no such command' >&2; exit 127");
    script(&scratch.join("mute/postgres"), "exit 0");
    script(&scratch.join("alone/postgres"), "echo 'postgres (PostgreSQL) 16.1'");
    lay(&scratch.join("mixed"), "16.1");
    script(&scratch.join("mixed/initdb"), "echo 'initdb (PostgreSQL) 15.1'");
    fs::create_dir_all(scratch.join("plain")).unwrap();
    fs::write(scratch.join("plain/postgres"), "not a program").unwrap();
    let dirs = ["old", "shim", "mute", "alone", "mixed", "plain"].map(|name| scratch.join(name));
    let path: Option<OsString> = Some(std::env::join_paths(&dirs).unwrap());

    let nothing = Search { path: path.clone(), ..search(scratch.path()) };
    let error = Installation::find(&nothing).unwrap_err().to_string();
    for (dir, fault) in [
        (&dirs[0], "version 13.9 is older than 14"),
        (&dirs[1], "--version` fails"),
        (&dirs[2], "names none"),
        (&dirs[3], "initdb` cannot be run"),
        (&dirs[4], "`postgres` is version 16.1, `initdb` is 15.1"),
        (&dirs[5], "cannot be run as user"),
    ] {
        let (_, part) = error.split_once(&format!("`{}`: ", dir.display())).expect(&error);
        assert!(part.split("; passed over").next().unwrap().contains(fault), "{fault}: {error}");
    }

    lay(&scratch.join("usr/lib/postgresql/14/bin"), "14.1");
    let found = Installation::find(&Search { path, ..search(scratch.path()) }).unwrap();
    assert_eq!(found.version().to_string(), "14.1");
}

#[test]
fn links_lead_to_the_folder_where_the_programs_lie_and_wrappers_stay() {
    let scratch = Scratch::new();
    let home = scratch.join("pg/16/bin");
    lay(&home, "16.1");
    fs::create_dir(scratch.join("links")).unwrap();
    symlink(home.join("postgres"), scratch.join("links/postgres")).unwrap();
    for name in ["postgres", "initdb"] {
        let line = format!("exec '{}' \"$@\"", home.join(name).display());
        script(&scratch.join("wrappers").join(name), &line);
    }
    let bin = |dir: &str| {
        let path = Some(scratch.join(dir).into_os_string());
        Installation::find(&Search { path, ..search(scratch.path()) }).unwrap().bin().to_owned()
    };
    assert_eq!(bin("links"), home);
    assert_eq!(bin("wrappers"), scratch.join("wrappers"));
}

#[test]
fn a_folder_named_by_hand_is_the_only_one_that_counts() {
    let scratch = Scratch::new();
    lay(&scratch.join("usr/lib/postgresql/17/bin"), "17.1");
    lay(&scratch.join("mine"), "15.2");
    let named =
        |bin: PathBuf| Installation::find(&Search { bin: Some(bin), ..search(scratch.path()) });
    assert_eq!(named(scratch.join("mine")).unwrap().version().to_string(), "15.2");
    let program = named(scratch.join("mine/postgres")).unwrap();
    assert_eq!(program.bin(), scratch.join("mine"), "the program itself may be named");

    let error = named(scratch.join("missing")).unwrap_err();
    assert!(matches!(error, Error::UnusableBin { .. }), "{error}");
    assert!(error.to_string().ends_with("or unset it"), "{error}");
}
