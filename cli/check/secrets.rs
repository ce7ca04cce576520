//! I8: no secret where people read.
//!
//! Tokens are known by their shape; the secrets of this machine's own processes also by their text.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use anyhow::{Context as _, Result};
use runtime::secret::Secret;
use sqlx::{Postgres, Transaction};

use super::files;
use crate::up::DataDir;

/// How every token of ours begins; 43 characters of base64url follow.
const PREFIXES: [&str; 4] = ["ghd_", "gdd_", "gde_", "slw_"];

/// Length of what follows: 32 random bytes.
const LENGTH: usize = 43;

/// The same as a regular expression of Postgres.
const SHAPE: &str = "(ghd|gdd|gde|slw)_[A-Za-z0-9_-]{43}|postgres(ql)?://[^/@ ]+:[^/@ ]+@";

/// Everything stored that people are shown, except what is shown on purpose and only once.
const SHOWN: &str = "
    select 'audit_log ' || sequence as place, envelope as text from access.audit_log
    union all select 'registry.outbox ' || id, envelope from registry.outbox
    union all select 'approval.outbox ' || id, envelope from approval.outbox
    union all select 'rollout.outbox ' || id, envelope from rollout.outbox
    union all select 'access.outbox ' || id, envelope from access.outbox
    union all select 'delivery ' || id, headers::text || note from approval.deliveries
    union all select 'push ' || id, reasons::text || checks::text from approval.pushes
    union all select 'review ' || id, notes || rejection_reason || follow_up_error
        from approval.image_approval_requests
    union all select 'rollout ' || id, state_detail || policy::text from rollout.image_update_rollouts
    union all select 'device ' || device_id, services::text from rollout.device_status";

/// Where secrets are that should not be there.
pub async fn search(
    snapshot: &mut Transaction<'_, Postgres>,
    logs: Option<&Path>,
    known: &[Secret],
) -> Result<Vec<String>> {
    let mut found: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
        "select place || ' shows a secret' from ({SHOWN}) as shown where text ~ $1"
    )))
    .bind(SHAPE)
    .fetch_all(&mut **snapshot)
    .await
    .context("I8 could not be checked")?;
    for path in logs.map(files).transpose()?.unwrap_or_default() {
        if let Some(line) = first_leak(&path, known)? {
            found.push(format!("line {line} of `{}` shows a secret", path.display()));
        }
    }
    Ok(found)
}

/// What this machine's processes keep secret.
pub fn of(data: &DataDir) -> Vec<Secret> {
    let mut paths = vec![data.admin_token()];
    paths.extend(files(&data.secrets()).unwrap_or_default());
    let tokens = paths
        .into_iter()
        .filter(|path| path.file_name().is_some_and(|name| name != "peers"))
        .filter_map(|path| Secret::read(&path).ok());
    let passwords = files(&data.roles())
        .unwrap_or_default()
        .into_iter()
        .filter_map(|path| Secret::read(&path).ok())
        .filter_map(|url| crate::migrate::password_of(url.expose()));
    tokens.chain(passwords).collect()
}

/// The number of the first line of a file that shows a secret.
fn first_leak(path: &Path, known: &[Secret]) -> Result<Option<usize>> {
    let file = std::fs::File::open(path)
        .with_context(|| format!("`{}` cannot be read", path.display()))?;
    for (number, line) in BufReader::new(file).split(b'\n').enumerate() {
        let line = line.with_context(|| format!("`{}` cannot be read", path.display()))?;
        let line = String::from_utf8_lossy(&line);
        if has_token(&line) || known.iter().any(|secret| line.contains(secret.expose())) {
            return Ok(Some(number + 1));
        }
    }
    Ok(None)
}

fn has_token(text: &str) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    PREFIXES.iter().any(|prefix| {
        text.match_indices(prefix).any(|(at, _)| {
            let rest = &text.as_bytes()[at + prefix.len()..];
            rest.iter().take_while(|byte| is_part(byte)).count() >= LENGTH
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_shape_and_its_beginning_is_none() {
        for prefix in PREFIXES {
            let token = Secret::generate(prefix);
            assert!(has_token(&format!("Bearer {}, and so on", token.expose())));
            assert!(!has_token(&token.expose()[..12]));
        }
    }

    #[test]
    fn a_known_secret_is_found_in_a_log() {
        let log = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(log.path(), "a line\nthe key is hunter2hunter2\n").unwrap();
        let known = [Secret::new("hunter2hunter2")];
        assert_eq!(first_leak(log.path(), &known).unwrap(), Some(2));
        assert_eq!(first_leak(log.path(), &[]).unwrap(), None);
    }
}
