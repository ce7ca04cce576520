//! Contexts: which Slipway the operators' commands talk to, and as whom.
//!
//! Kept in `$XDG_CONFIG_HOME/slipway/contexts.json`, readable by its owner only.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use runtime::secret::{self, Secret};
use serde::{Deserialize, Serialize};

/// All contexts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contexts {
    /// The one in use.
    #[serde(default)]
    pub current: Option<String>,
    /// By name.
    #[serde(default)]
    pub contexts: BTreeMap<String, Entry>,
}

/// One Slipway and one identity.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The gateway's URL.
    pub url: String,
    /// The access token; `None` = call without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// A file with certificates to trust beside the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Entry({})", self.url)
    }
}

impl Contexts {
    /// The file they are kept in.
    pub fn path() -> Result<PathBuf> {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(config) = set("XDG_CONFIG_HOME") {
            return Ok(PathBuf::from(config).join("slipway/contexts.json"));
        }
        let home = set("HOME").context("neither XDG_CONFIG_HOME nor HOME is set")?;
        Ok(PathBuf::from(home).join(".config/slipway/contexts.json"))
    }

    /// Reads them; none when there is no file.
    pub fn load() -> Result<Self> {
        let path = Self::path()?;
        match std::fs::read_to_string(&path) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("`{}` cannot be read; mend or remove it", path.display())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => {
                Err(error).with_context(|| format!("`{}` cannot be read", path.display()))
            }
        }
    }

    /// Writes them, for their owner only.
    pub fn save(&self) -> Result<()> {
        let path = Self::path()?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .with_context(|| format!("`{}` cannot be made", folder.display()))?;
        }
        let text = serde_json::to_string_pretty(self)?;
        secret::write_private(&path, text.as_bytes())
            .with_context(|| format!("`{}` cannot be written", path.display()))
    }
}

/// What became of the contexts when one was set.
#[derive(Debug, PartialEq, Eq)]
pub struct Remembered {
    /// The context that is set now.
    pub name: String,
    /// The URL that it had before, when that was of another Slipway, and the name it is kept under.
    pub moved: Option<(String, String)>,
    /// The context that was in use before.
    pub left: Option<String>,
}

/// Stores a context and makes it the current one.
pub fn remember(name: &str, url: &str, token: &Secret) -> Result<Remembered> {
    let mut contexts = Contexts::load()?;
    let before = contexts.clone();
    let token = Some(token.expose().to_owned());
    let remembered = contexts.set(name, Entry { url: url.to_owned(), token, ca_file: None });
    if contexts != before {
        contexts.save()?;
    }
    Ok(remembered)
}

impl Contexts {
    /// Sets a context and makes it the current one. What stood under its name stays under another
    /// one, unless it is the same Slipway: at the same URL, or known by the same token.
    fn set(&mut self, name: &str, entry: Entry) -> Remembered {
        let mut moved = None;
        if let Some(old) = self.contexts.get(name)
            && old.url != entry.url
            && old.token != entry.token
        {
            let port = old.url.rsplit(':').next().unwrap_or_default();
            let port: String = port.chars().filter(char::is_ascii_digit).collect();
            let kept = format!("{name}-{}", if port.is_empty() { "before" } else { &port });
            moved = Some((old.url.clone(), kept.clone()));
            self.contexts.insert(kept, old.clone());
        }
        self.contexts.insert(name.to_owned(), entry);
        let left = self.current.replace(name.to_owned()).filter(|left| left != name);
        Remembered { name: name.to_owned(), moved, left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(port: u16, token: &str) -> Entry {
        Entry {
            url: format!("http://127.0.0.1:{port}"),
            token: Some(token.to_owned()),
            ca_file: None,
        }
    }

    #[test]
    fn what_stood_under_the_name_is_kept_when_it_is_another_slipway() {
        let mut contexts = Contexts::default();
        let plain = Remembered { name: "local".to_owned(), moved: None, left: None };
        assert_eq!(contexts.set("local", entry(4002, "a")), plain);
        assert_eq!(contexts.set("local", entry(4003, "a")), plain, "the same data elsewhere");
        assert_eq!(contexts.set("local", entry(4003, "b")), plain, "other data at the same place");
        contexts.contexts.insert("prod".to_owned(), entry(443, "p"));
        contexts.current = Some("prod".to_owned());

        let moved = contexts.set("local", entry(4002, "c"));
        let kept = ("http://127.0.0.1:4003".to_owned(), "local-4003".to_owned());
        assert_eq!(moved.moved, Some(kept));
        assert_eq!(moved.left, Some("prod".to_owned()));
        assert_eq!(contexts.contexts["local-4003"], entry(4003, "b"));
        assert_eq!(contexts.current.as_deref(), Some("local"));
    }
}
