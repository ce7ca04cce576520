//! The URL by which a client reaches a server on a Unix socket.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Builds `postgres://user:password@localhost/db?host=/socket/folder&port=…&sslmode=disable`.
///
/// The parameter `host` overrides the `localhost` before it, with sqlx as with libpq; a URL with a
/// user but without a host would be refused by URL parsers. Port and TLS mode are spelt out because
/// clients take them from the environment otherwise.
pub(crate) fn connection(
    user: &str,
    password: &str,
    db: &str,
    socket_dir: &Path,
    port: u16,
) -> String {
    format!(
        "postgres://{}:{}@localhost/{}?host={}&port={port}&sslmode=disable",
        encode(user.as_bytes(), ""),
        encode(password.as_bytes(), ""),
        encode(db.as_bytes(), ""),
        encode(socket_dir.as_os_str().as_bytes(), "/"),
    )
}

/// Percent-encodes everything but the unreserved characters of RFC 3986 and those in `keep`.
fn encode(text: &[u8], keep: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text {
        let char = char::from(*byte);
        if byte.is_ascii_alphanumeric() || "-._~".contains(char) || keep.contains(char) {
            out.push(char);
        } else {
            write!(out, "%{byte:02X}").expect("writing to a string cannot fail");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::connection;
    use std::path::Path;

    #[test]
    fn plain_parts_stay_readable() {
        assert_eq!(
            connection("slipway", "s3cret", "slipway", Path::new("/run/slipway"), 5432),
            "postgres://slipway:s3cret@localhost/slipway?host=/run/slipway&port=5432&sslmode=disable"
        );
    }

    #[test]
    fn what_a_url_reserves_is_encoded() {
        assert_eq!(
            connection("a@b", "p:/?#&=% ü", "d b", Path::new("/tmp/x y&z"), 1),
            "postgres://a%40b:p%3A%2F%3F%23%26%3D%25%20%C3%BC@localhost/d%20b?host=/tmp/x%20y%26z\
             &port=1&sslmode=disable"
        );
    }
}
