//! What no compiler holds: who may import whom, and whose tables a process may name.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The crates of ours that each crate of ours is built from, tests left out.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let short = |name: &str| name.trim_start_matches("slipway-").to_owned();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let ours = package["dependencies"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|dependency| dependency["kind"] != "dev" && !dependency["path"].is_null())
                .map(|dependency| short(dependency["name"].as_str().unwrap()))
                .collect();
            (short(package["name"].as_str().unwrap()), ours)
        })
        .collect()
}

#[test]
fn crates_import_only_what_stands_below_them() {
    const SERVICE: &[&str] = &["imageref", "proto", "runtime", "workload"];
    let allowed: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("imageref", &[][..]),
        ("workload", &[]),
        ("postgres", &[]),
        ("proto", &[]),
        ("runtime", &["proto"]),
        ("registry", SERVICE),
        ("approval", SERVICE),
        ("rollout", SERVICE),
        ("access", SERVICE),
        ("gateway", SERVICE),
        ("agent", SERVICE),
        ("loopback", &[]),
    ]);
    let imports = imports();
    for (name, allowed) in &allowed {
        let allowed: BTreeSet<_> = allowed.iter().map(|name| (*name).to_owned()).collect();
        let found = imports.get(*name).unwrap_or_else(|| panic!("there is no crate `{name}`"));
        let wrong: Vec<_> = found.difference(&allowed).collect();
        assert!(wrong.is_empty(), "`{name}` imports {wrong:?}, which it may not");
    }
    let free: BTreeSet<_> = ["slipway", "testbed"].map(str::to_owned).into();
    let unknown: Vec<_> = imports
        .keys()
        .filter(|name| !allowed.contains_key(name.as_str()) && !free.contains(*name))
        .collect();
    assert!(unknown.is_empty(), "say here what {unknown:?} may import");
}

#[test]
fn what_devices_and_the_gateway_run_has_no_database_in_it() {
    for name in ["slipway-agent", "slipway-gateway"] {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--package", name, "--edges", "normal", "--prefix", "none"])
            .current_dir(root())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8(output.stdout).unwrap();
        assert!(!tree.contains("sqlx"), "`{name}` is built with sqlx");
    }
}

/// `schema.table` of every table that the migrations make.
fn tables() -> BTreeMap<String, BTreeSet<String>> {
    let mut tables: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files(&root().join("migrations"), "sql") {
        let text = std::fs::read_to_string(&file).unwrap();
        for line in text.lines() {
            let Some(rest) = line.strip_prefix("create table ") else { continue };
            let name = rest.split([' ', '(']).next().unwrap();
            let (schema, table) = name
                .split_once('.')
                .unwrap_or_else(|| panic!("{}: `{name}` does not say its schema", file.display()));
            tables.entry(schema.to_owned()).or_default().insert(table.to_owned());
        }
    }
    tables
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|end| end == ending) {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_process_names_only_its_own_tables() {
    let tables = tables();
    assert_eq!(tables.len(), 4, "each process has its schema: {:?}", tables.keys());
    for own in tables.keys() {
        for file in files(&root().join("services").join(own).join("src"), "rs") {
            let text = std::fs::read_to_string(&file).unwrap();
            for (schema, tables) in tables.iter().filter(|(schema, _)| *schema != own) {
                for table in tables {
                    let name = format!("{schema}.{table}");
                    assert!(
                        !names(&text, &name),
                        "{} names `{name}`, which belongs to another process",
                        file.display()
                    );
                }
            }
        }
    }
}

/// Whether a text has this name as a whole word: not as a part of a longer dotted one, such as the
/// type of an event.
fn names(text: &str, name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    text.match_indices(name)
        .any(|(at, _)| !text[..at].ends_with(inner) && !text[at + name.len()..].starts_with(inner))
}

#[test]
fn a_name_within_a_longer_one_is_not_it() {
    assert!(names("select * from registry.images where", "registry.images"));
    assert!(!names("\"image.registry.images\"", "registry.images"));
    assert!(!names("registry.images_old", "registry.images"));
}
