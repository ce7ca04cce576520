//! `slipway guard`: keeps Postgres only as long as whoever started it lives.
//!
//! The guard is Postgres' parent and holds nothing else. When its standard input ends, because `up`
//! ended it or is no more, it gives the processes a moment to finish and stops Postgres.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use postgres::{Cluster, Installation, Options, Search, Shutdown};
use tokio::signal::unix::{SignalKind, signal};

/// How long the processes have to finish after `up` is gone.
const GRACE: Duration = Duration::from_millis(2_500);
/// How long Postgres has to stop before it is stopped harder.
const PATIENCE: Duration = Duration::from_secs(2);

/// Flags of `slipway guard`.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Where Postgres keeps its data
    #[arg(long)]
    data: PathBuf,
    /// Where its socket should be
    #[arg(long)]
    socket: PathBuf,
}

/// Runs Postgres until it ends or standard input does.
pub async fn run(args: &Args) -> ExitCode {
    match keep(args).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn keep(args: &Args) -> Result<ExitCode> {
    let search = Search::from_env().for_data(&args.data);
    let installation = Installation::find(&search)?;
    let cluster = Cluster::new(installation, &args.data, &args.socket, Options::durable())?;
    let command = cluster.command()?;
    let mut server = tokio::process::Command::from(command)
        .stdin(std::process::Stdio::null())
        .spawn()
        .context("Postgres cannot be started")?;
    // A stop that is asked for politely is for the terminal's process group; this one is not in it.
    let mut terminate = signal(SignalKind::terminate()).context("signals cannot be watched")?;
    let orphaned = async {
        end_of_stdin().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        status = server.wait() => {
            let status = status.context("Postgres cannot be waited for")?;
            eprintln!("Postgres ended: {status}");
            return Ok(ExitCode::FAILURE);
        }
        () = orphaned => {}
        // Whoever asks for it has ended the processes first.
        _ = terminate.recv() => {}
    }
    let stopping = tokio::task::spawn_blocking(move || cluster.stop(Shutdown::Fast, PATIENCE));
    // The server is this process's child: it has to be reaped to be gone.
    let (stopped, _) = tokio::join!(stopping, server.wait());
    stopped.context("the stop was interrupted")??;
    Ok(ExitCode::SUCCESS)
}

/// A thread of its own, which nobody waits for.
async fn end_of_stdin() {
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while matches!(std::io::stdin().read(&mut buffer), Ok(read) if read > 0) {}
        let _ = ended.send(());
    });
    let _ = end.await;
}
