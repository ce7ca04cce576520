//! The other processes of Slipway, known by the hashes of their tokens.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::secret::Hash;

/// Which processes may call, by the hash of their token.
#[derive(Debug, Clone, Default)]
pub struct Peers(HashMap<Hash, String>);

/// Why a file of peers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// It cannot be read.
    #[error("--peers-file `{path}` cannot be read")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// A line is not `name hash`.
    #[error("--peers-file `{path}`, line {line}: write a process's name and 64 hex digits")]
    Malformed {
        /// The file.
        path: String,
        /// The line, from 1.
        line: usize,
    },
}

impl Peers {
    /// Reads a file of lines `name hash`; empty lines and those that begin with `#` are passed over.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or a line is malformed.
    pub fn read(path: &Path) -> Result<Self, PeersError> {
        let shown = || path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|cause| PeersError::Unreadable { path: shown(), cause })?;
        let mut peers = HashMap::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, hash) = parse_line(line)
                .ok_or_else(|| PeersError::Malformed { path: shown(), line: index + 1 })?;
            peers.insert(hash, name.to_owned());
        }
        Ok(Self(peers))
    }

    /// Adds a process.
    #[must_use]
    pub fn with(mut self, name: &str, hash: Hash) -> Self {
        self.0.insert(hash, name.to_owned());
        self
    }

    /// The process that bears a token of this hash. Looking up a hash tells nothing about the token
    /// by the time it takes.
    #[must_use]
    pub fn name_of(&self, hash: &Hash) -> Option<&str> {
        self.0.get(hash).map(String::as_str)
    }

    /// A line of the file.
    #[must_use]
    pub fn line(name: &str, hash: &Hash) -> String {
        format!("{name} {}\n", hex::encode(hash.0))
    }
}

fn parse_line(line: &str) -> Option<(&str, Hash)> {
    let (name, hash) = line.split_once(char::is_whitespace)?;
    let hash = Hash::from_bytes(&hex::decode(hash.trim()).ok()?)?;
    Some((name, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_peers_is_read_and_a_broken_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("peers");
        let hash = Hash::of("secret");
        std::fs::write(&path, format!("# ours\n\n{}", Peers::line("approval", &hash))).unwrap();
        assert_eq!(Peers::read(&path).unwrap().name_of(&hash), Some("approval"));

        std::fs::write(&path, "approval not-hex\n").unwrap();
        let error = Peers::read(&path).unwrap_err().to_string();
        assert!(error.contains("line 1"), "{error}");
    }
}
