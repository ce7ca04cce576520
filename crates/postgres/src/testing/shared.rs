//! The one server of this checkout.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rustix::process::geteuid;

use super::Error;
use super::server::Server;
use super::state::State;
use crate::fingerprint::fingerprint;

/// Not `TMPDIR`: all processes must agree on it, and the path of a socket must be short.
const BASE: &str = "/tmp";

/// In a server's folder, the checkout whose it is.
const CHECKOUT_FILE: &str = "checkout";

/// The server that all test processes of this checkout share; the first call finds or starts it,
/// which blocks for up to a few seconds.
///
/// # Panics
///
/// Panics with one sentence that says what to do when there is no PostgreSQL or it does not start.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER
        .get_or_init(|| open().unwrap_or_else(|error| panic!("tests need PostgreSQL, and {error}")))
}

fn open() -> Result<Server, Error> {
    let checkout = checkout();
    let dir = Path::new(BASE).join(format!(
        "{}{}",
        prefix(),
        fingerprint(checkout.as_os_str().as_encoded_bytes())
    ));
    let server = Server::open(&dir)?;
    if server.was_started() {
        // Only the sweep depends on it.
        let _ = fs::write(dir.join(CHECKOUT_FILE), checkout.as_os_str().as_encoded_bytes());
        sweep(Path::new(BASE));
    }
    Ok(server)
}

/// Ends the servers of checkouts that are gone. What resists is left for another time: it is not
/// what the test that asked for a server is about.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        // Others may lay anything into a folder that all share.
        let own =
            entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == geteuid().as_raw());
        if !own || !entry.file_name().to_string_lossy().starts_with(&prefix()) {
            continue;
        }
        let Ok(checkout) = fs::read_to_string(entry.path().join(CHECKOUT_FILE)) else { continue };
        if Path::new(&checkout).exists() {
            continue;
        }
        if let Ok(Some(state)) = State::try_enter(&entry.path()) {
            let _ = state.destroy();
        }
    }
}

/// Two users never share a server: neither could read the other's password.
fn prefix() -> String {
    format!("slipway-test-{}-", geteuid().as_raw())
}

/// The root of the workspace that this was built from.
fn checkout() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.ancestors().nth(2).unwrap_or(package).to_owned()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::{CHECKOUT_FILE, prefix, sweep};
    use crate::testing::state::State;

    #[test]
    fn the_server_of_a_checkout_that_is_gone_is_ended_and_others_are_not() {
        let base = tempfile::Builder::new().prefix("slipway-pg-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(base.path(), Permissions::from_mode(0o755)).unwrap();
        let bring_up = |name: &str, checkout: &str| {
            let dir = base.path().join(format!("{}{name}", prefix()));
            let mut state = State::enter(&dir).unwrap();
            assert!(state.bring_up().unwrap());
            fs::write(dir.join(CHECKOUT_FILE), checkout).unwrap();
            let cluster = state.cluster().clone();
            // Entered no longer.
            drop(state);
            (dir, cluster)
        };
        let (gone, ended) = bring_up("gone", "/nowhere/at/all");
        let (here, running) = bring_up("here", "/tmp");

        sweep(base.path());

        let left = (gone.exists(), ended.running().is_some());
        let kept = running.is_ready();
        State::enter(&here).unwrap().destroy().unwrap();
        assert_eq!(left, (false, false));
        assert!(kept);
    }
}
