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

/// Stores a context and makes it the current one; returns its name.
pub fn remember(name: &str, url: &str, token: &Secret) -> Result<String> {
    let mut contexts = Contexts::load()?;
    let token = Some(token.expose().to_owned());
    let entry = Entry { url: url.to_owned(), token, ca_file: None };
    let current = Some(name.to_owned());
    if contexts.contexts.get(name) == Some(&entry) && contexts.current == current {
        return Ok(name.to_owned());
    }
    contexts.contexts.insert(name.to_owned(), entry);
    contexts.current = current;
    contexts.save()?;
    Ok(name.to_owned())
}
