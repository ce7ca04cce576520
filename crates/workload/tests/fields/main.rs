//! Every field of a configuration: what it takes, what it means, what it refuses and where.

mod document;
mod health;
mod mounts;
mod network;
mod process;
mod resources;

use workload::{Config, Container};

fn container(json: &str) -> Container {
    match Config::parse(json) {
        Ok(config) => config.container().clone(),
        Err(violations) => panic!("{json}: {violations:?}"),
    }
}

/// Asserts the one thing that is wrong.
fn refused(json: &str, path: &str, message: &str) {
    let Err(violations) = Config::parse(json) else { panic!("{json} is accepted") };
    let [violation] = violations.as_slice() else { panic!("{json}: {violations:?}") };
    assert_eq!(violation.path, path, "{json}: {violation}");
    assert!(violation.message.contains(message), "{json}: {violation}");
    // A sentence that says what to do.
    assert!(violation.message.contains([';', ',']), "no next step: {violation}");
    assert!(!violation.message.ends_with('.'), "{violation}");
}
