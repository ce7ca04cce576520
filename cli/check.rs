//! `slipway check`: whether what must always hold does hold, over the tables of all processes.
//!
//! It reads one snapshot of the database as the reader's role, so it may run beside everything else.
//! Each invariant is a query in `check/` that finds what breaks it; the audit chain is recomputed,
//! and the logs and everything stored that people read are searched for secrets.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use runtime::secret::Secret;
use serde::Serialize;
use sqlx::{AssertSqlSafe, PgPool, Postgres, Row as _, Transaction};

use crate::{migrate, up};

mod secrets;

/// How many findings of one invariant are shown.
const SHOWN: usize = 20;

/// Flags of `slipway check`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Data folder of `slipway up`
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// File with the connection URL of the role `slipway_reader`, for other databases
    #[arg(long, value_name = "FILE", conflicts_with = "data_dir")]
    database_url_file: Option<PathBuf>,
    /// Folder with logs to search for secrets; with --data-dir its own logs
    #[arg(long, value_name = "DIR")]
    logs: Option<PathBuf>,
}

/// Something that must always hold.
struct Invariant {
    id: &'static str,
    promise: &'static str,
    /// Rows that break it, as sentences.
    query: &'static str,
}

const INVARIANTS: [Invariant; 8] = [
    Invariant {
        id: "I1",
        promise: "each push has one outcome",
        query: include_str!("check/i1_one_outcome.sql"),
    },
    Invariant {
        id: "I2",
        promise: "devices were given only what was approved",
        query: include_str!("check/i2_only_approved.sql"),
    },
    Invariant {
        id: "I3",
        promise: "batches go in order, one rollout a scope",
        query: include_str!("check/i3_batches_in_order.sql"),
    },
    Invariant {
        id: "I4",
        promise: "each device has one target, and its generation grows",
        query: include_str!("check/i4_generations_grow.sql"),
    },
    Invariant {
        id: "I5",
        promise: "each change has one event, none lost or doubled",
        query: include_str!("check/i5_one_event.sql"),
    },
    Invariant {
        id: "I6",
        promise: "what was stopped stands still",
        query: include_str!("check/i6_stopped_is_stopped.sql"),
    },
    Invariant {
        id: "I7",
        promise: "counts agree with what is there",
        query: include_str!("check/i7_counts_agree.sql"),
    },
    Invariant {
        id: "I9",
        promise: "approvals were carried out",
        query: include_str!("check/i9_approvals_applied.sql"),
    },
];

/// What was found out about one invariant.
#[derive(Debug, Serialize)]
struct Report {
    id: &'static str,
    promise: &'static str,
    holds: bool,
    findings: Vec<String>,
}

/// Checks everything. The exit code is 1 when something does not hold.
pub async fn run(args: &Args, json: bool) -> Result<ExitCode> {
    let place = Place::of(args)?;
    let pool = place.connect().await?;
    let mut snapshot = pool.begin().await.context("the database does not answer")?;
    sqlx::query("set transaction isolation level repeatable read, read only")
        .execute(&mut *snapshot)
        .await?;
    let mut reports = Vec::new();
    for invariant in &INVARIANTS {
        let findings = look(&mut snapshot, invariant).await?;
        reports.push(report(invariant.id, invariant.promise, findings));
    }
    let leaks = secrets::search(&mut snapshot, place.logs.as_deref(), &place.known()).await?;
    reports.push(report("I8", "no secret in logs, events or answers", leaks));
    snapshot.rollback().await?;
    reports.push(report("I5", "the audit chain verifies", chain(&pool).await?));
    pool.close().await;
    reports.sort_by_key(|report| report.id);
    show(&reports, json)?;
    let holds = reports.iter().all(|report| report.holds);
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Where to look.
struct Place {
    url: Secret,
    logs: Option<PathBuf>,
    data: Option<up::DataDir>,
}

impl Place {
    fn of(args: &Args) -> Result<Self> {
        let (file, data) = match &args.database_url_file {
            Some(file) => (file.clone(), None),
            None => {
                let data = up::DataDir::resolve(args.data_dir.as_deref())?;
                (migrate::url_file(&data.roles(), "reader"), Some(data))
            }
        };
        let url = migrate::reader_url(&file)?;
        let logs = args.logs.clone().or_else(|| data.as_ref().map(up::DataDir::logs));
        Ok(Self { url, logs, data })
    }

    async fn connect(&self) -> Result<PgPool> {
        let options = self.url.expose().parse().map_err(|_| {
            anyhow::anyhow!(
                "the connection URL is none; write `postgres://reader:password@host/database`"
            )
        })?;
        let pool = runtime::database::pool("check", options, 2);
        pool.acquire().await.context(
            "the database does not answer; start `slipway up`, or name another database with --data-dir or \
             --database-url-file",
        )?;
        Ok(pool)
    }

    /// Secrets whose very text is looked for.
    fn known(&self) -> Vec<Secret> {
        self.data.as_ref().map(secrets::of).unwrap_or_default()
    }
}

async fn look(
    snapshot: &mut Transaction<'_, Postgres>,
    invariant: &Invariant,
) -> Result<Vec<String>> {
    // The text is a constant of this program.
    let rows = sqlx::query(AssertSqlSafe(invariant.query))
        .fetch_all(&mut **snapshot)
        .await
        .with_context(|| format!("{} could not be checked", invariant.id))?;
    rows.iter().map(|row| row.try_get(0).context("a finding is no text")).collect()
}

async fn chain(pool: &PgPool) -> Result<Vec<String>> {
    let found =
        access::verify_chain(pool).await.context("the audit chain could not be recomputed")?;
    Ok(found.into_iter().collect())
}

fn report(id: &'static str, promise: &'static str, findings: Vec<String>) -> Report {
    Report { id, promise, holds: findings.is_empty(), findings }
}

fn show(reports: &[Report], json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(reports)?);
        return Ok(());
    }
    for report in reports {
        let word = if report.holds { "ok" } else { "BROKEN" };
        println!("{}  {:<55} {word}", report.id, report.promise);
        for finding in report.findings.iter().take(SHOWN) {
            println!("      {finding}");
        }
        if let more @ 1.. = report.findings.len().saturating_sub(SHOWN) {
            println!("      and {more} more; --json shows all");
        }
    }
    Ok(())
}

/// The files below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("`{}` cannot be read", folder.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}
