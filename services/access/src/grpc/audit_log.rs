//! `slipway.access.v1.AuditLog`.

use proto::access::v1 as pb;
use proto::access::v1::audit_log_server::AuditLog;
use runtime::secret::Hash;
use runtime::{Caller, Problem, auth, page};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, async_trait};

use crate::entry::Entry;
use crate::watch::{self, Watcher};
use crate::{App, Error, convert, store, verify};

/// How much of envelopes a page holds; a page with one entry may be larger.
const PAGE_BYTES: usize = 2 << 20;

/// Serves the audit log.
#[derive(Debug, Clone)]
pub(crate) struct AuditLogRpc(pub(crate) App);

#[async_trait]
impl AuditLog for AuditLogRpc {
    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Result<Response<pb::ListEntriesResponse>, Status> {
        let request = request.into_inner();
        let filter = convert::filter(&request)?;
        let size = page::size(request.page_size, page::MAX_SIZE)?;
        let skip = page::skip(request.skip)?;
        let fingerprint = filter.fingerprint();
        let before = page::key(&request.page_token, &fingerprint)?
            .map(|key| key.parse().map_err(|_| Problem::invalid("page_token", "is none of ours")))
            .transpose()?;
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let total_size = store::entry::count(&mut db, &filter).await?;
        let rows = store::entry::list(&mut db, &filter, before, skip, size + 1).await?;
        let size = size.min(fitting(&rows));
        let (rows, next_page_token) =
            page::cut(rows, size, &fingerprint, |row| row.sequence.to_string());
        Ok(Response::new(pb::ListEntriesResponse {
            entries: rows.into_iter().map(convert::entry).collect(),
            next_page_token,
            total_size,
        }))
    }

    type WatchEntriesStream = ReceiverStream<Result<pb::WatchEntriesResponse, Status>>;

    async fn watch_entries(
        &self,
        request: Request<pb::WatchEntriesRequest>,
    ) -> Result<Response<Self::WatchEntriesStream>, Status> {
        let caller = Caller::of(&request);
        let credential = match auth::bearer(request.metadata().as_ref())? {
            Some(bearer) if !caller.is_system() => Some(Hash::of(bearer)),
            Some(_) | None => None,
        };
        let request = request.into_inner();
        let selection = convert::selection(&request, &caller)?;
        let news = self.0.tail.subscribe();
        let mut db = self.0.pool.acquire().await.map_err(Error::from)?;
        let stored = store::entry::bounds(&mut db).await?;
        let (position, reset) = watch::begin(request.after_sequence, stored)?;
        let (sender, receiver) = mpsc::channel(watch::MESSAGES);
        let watcher = Watcher {
            pool: self.0.pool.clone(),
            lifecycle: self.0.lifecycle.clone(),
            selection,
            news,
            sender,
            patience: self.0.watch_patience,
            credential: credential.map(|hash| (self.0.introspection.clone(), hash)),
            position,
        };
        tokio::spawn(watcher.run(reset));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn verify_chain(
        &self,
        request: Request<pb::VerifyChainRequest>,
    ) -> Result<Response<pb::VerifyChainResponse>, Status> {
        let answer = verify::verify(&self.0.pool, request.into_inner().from_sequence).await?;
        if !answer.intact {
            tracing::error!(
                broken_at = answer.broken_at,
                "the audit log is not as it was written: {}",
                answer.problem
            );
        }
        Ok(Response::new(answer))
    }
}

/// How many of these rows fit on a page: at least one.
fn fitting(rows: &[Entry]) -> i64 {
    let mut bytes = 0;
    let fit = rows.iter().take_while(|row| {
        bytes += row.envelope.len();
        bytes <= PAGE_BYTES
    });
    i64::try_from(fit.count().max(1)).unwrap_or(i64::MAX)
}
