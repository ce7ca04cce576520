//! When to report, what, and what an answer means.

use std::time::Duration;

use proto::{reason, rollout::v1 as pb};
use runtime::{Code, Problem};

use super::Machine;
use crate::moment::Moment;
use crate::outbox::Ending;
use crate::report;
use crate::row::{Row, Standing};
use crate::target::AttemptKey;
use crate::timing::Timing;
use crate::transaction::{Phase, Transaction};

/// What the server said when it took the device's call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTerms {
    /// The highest report number that it has stored.
    pub last_seq: i64,
    /// How often to report when nothing changes.
    pub report_interval: Option<Duration>,
}

/// The state of reporting.
#[derive(Debug)]
pub(super) struct Reporting {
    next_seq: i64,
    interval: Duration,
    linked: bool,
    in_flight: Option<Sent>,
    answered: Option<Sent>,
    heartbeat: Moment,
    retry: Option<Moment>,
    failures: u32,
    at_once: bool,
}

/// A report that was sent.
#[derive(Debug, Clone)]
struct Sent {
    seq: i64,
    at: Moment,
    generation: i64,
    etag: String,
    rows: Vec<Row>,
    /// The ends of attempts that it tells.
    endings: Vec<AttemptKey>,
    dropped: i32,
    /// The update that it says has soaked.
    soaked: Option<Mark>,
}

/// Names an update, so that an answer is not taken for one about another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark {
    attempt: Option<AttemptKey>,
    specs: Vec<String>,
}

impl Mark {
    fn of(transaction: &Transaction) -> Self {
        Self {
            attempt: transaction.attempt.clone(),
            specs: transaction.legs.iter().map(|leg| leg.to.spec().to_owned()).collect(),
        }
    }
}

impl Reporting {
    pub(super) fn new(timing: &Timing, next_seq: i64) -> Self {
        Self {
            next_seq,
            interval: timing.report.interval,
            linked: false,
            in_flight: None,
            answered: None,
            heartbeat: Moment::START,
            retry: None,
            failures: 0,
            at_once: true,
        }
    }
}

impl Machine {
    /// Notes that the server can be reported to.
    pub fn linked(&mut self, terms: SessionTerms, now: Moment) {
        self.heard(now);
        let reporting = &mut self.reporting;
        reporting.linked = true;
        reporting.at_once = true;
        reporting.in_flight = None;
        (reporting.retry, reporting.failures) = (None, 0);
        reporting.next_seq = reporting.next_seq.max(terms.last_seq.saturating_add(1));
        let range = Duration::from_secs(1)..=Duration::from_secs(86_400);
        let interval = terms.report_interval.unwrap_or(self.setup.timing.report.interval);
        reporting.interval = interval.clamp(*range.start(), *range.end());
    }

    /// Notes that the server cannot be reported to.
    pub fn unlinked(&mut self) {
        self.reporting.linked = false;
        self.reporting.in_flight = None;
    }

    /// When the next report is due if nothing changes; none while one is under way or the server is
    /// away.
    #[must_use]
    pub fn report_due(&self, now: Moment) -> Option<Moment> {
        let reporting = &self.reporting;
        let target = self.journal.target.as_ref()?;
        // Before the first look nothing is known to run, which is not the same as nothing running.
        if !self.looked || !reporting.linked || reporting.in_flight.is_some() {
            return None;
        }
        let due = match &reporting.answered {
            Some(answered)
                if !reporting.at_once
                    && self.journal.outbox.is_empty()
                    && answered.generation == target.generation
                    && answered.etag == target.etag =>
            {
                self.change_due(answered, now)
            }
            Some(_) | None => now,
        };
        Some(reporting.retry.map_or(due, |retry| due.max(retry)))
    }

    /// When what is to be said differs from what was said enough to be said again.
    fn change_due(&self, answered: &Sent, now: Moment) -> Moment {
        let rows = self.rows(now);
        let step = self.setup.timing.report.progress;
        let mut due = self.reporting.heartbeat;
        if rows.len() != answered.rows.len() {
            return now;
        }
        for (row, said) in rows.iter().zip(&answered.rows) {
            if is_another_phase(row, said) {
                return now;
            }
            let moved = (row.progress - said.progress).abs() >= step;
            if moved || row.healthy != said.healthy || row.restarts != said.restarts {
                due = due.min(answered.at + self.setup.timing.report.gap);
            }
        }
        due
    }

    /// The report to send now, if one is due. The journal must be stored before it is sent.
    pub fn report(&mut self, now: Moment) -> Option<pb::ReportRequest> {
        if self.report_due(now)? > now {
            return None;
        }
        let ending = self.journal.outbox.first().cloned();
        let mut rows = self.rows(now);
        if let Some(ending) = &ending {
            overlay(&mut rows, ending);
        }
        let sent = self.note_sent(rows, now);
        let traceparent = ending
            .map(|ending| ending.traceparent)
            .or_else(|| self.journal.target.as_ref().map(|target| target.traceparent.clone()));
        Some(pb::ReportRequest {
            boot_id: self.setup.boot_id.clone(),
            seq: sent.seq,
            generation: sent.generation,
            etag: sent.etag,
            services: sent.rows.into_iter().map(pb::ServiceReport::from).collect(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            dropped: sent.dropped,
            traceparent: traceparent.unwrap_or_default(),
        })
    }

    fn note_sent(&mut self, rows: Vec<Row>, now: Moment) -> Sent {
        let seq = self.reporting.next_seq;
        self.reporting.next_seq += 1;
        self.unsaved |= self.journal.reserve(seq);
        let confirming = self.transaction().filter(|one| one.phase == Phase::Confirming);
        let soaked = confirming.filter(|transaction| {
            let is_said = |service: &str| {
                rows.iter().any(|row| {
                    row.service == service
                        && row.standing == Standing::Running
                        && row.attempt == transaction.attempt
                })
            };
            transaction.legs.iter().all(|leg| is_said(&leg.service))
        });
        let sent = Sent {
            seq,
            at: now,
            generation: self.journal.generation(),
            etag: self.journal.etag().to_owned(),
            endings: self.journal.outbox.told_by(&rows),
            dropped: self.journal.outbox.dropped(),
            soaked: soaked.map(Mark::of),
            rows,
        };
        self.reporting.in_flight = Some(sent.clone());
        self.reporting.at_once = false;
        sent
    }

    /// Takes the answer to a report. Returns whether there may be something to do.
    pub fn answered(
        &mut self,
        seq: i64,
        answer: Result<pb::ReportResponse, Problem>,
        now: Moment,
    ) -> bool {
        let Some(sent) = self.reporting.in_flight.take_if(|sent| sent.seq == seq) else {
            return false;
        };
        match answer {
            Ok(response) => self.stored(sent, &response, now),
            Err(problem) => {
                self.not_stored(sent, &problem, now);
                false
            }
        }
    }

    fn stored(&mut self, sent: Sent, response: &pb::ReportResponse, now: Moment) -> bool {
        self.heard(now);
        let reporting = &mut self.reporting;
        (reporting.retry, reporting.failures) = (None, 0);
        reporting.next_seq = reporting.next_seq.max(response.last_seq.saturating_add(1));
        reporting.heartbeat = now + self.setup.chance.around(reporting.interval, 0.2);
        self.unsaved |= self.journal.outbox.settle(&sent.endings, sent.dropped);

        let mark = self.transaction().map(Mark::of);
        let is_about_this =
            sent.soaked.is_some() && sent.soaked == mark && self.phase() == Some(Phase::Confirming);
        let is_over = response.stale && self.is_named_stale(&response.stale_services);
        // The server has a newer report than this: it was made by somebody who knew more, or before
        // the number was lost. What is true now is said again under a higher one.
        let is_overtaken = response.stale && response.last_seq > sent.seq;
        self.reporting.at_once |= is_overtaken;
        self.reporting.answered = Some(sent);
        if is_about_this && is_over && !is_overtaken {
            self.ask = true;
        } else if is_about_this && !response.stale {
            self.memory.confirmed = true;
        }
        // The first answer after a swap was staged lets it begin.
        let waits = self.phase() == Some(Phase::Staged);
        self.memory.confirmed || self.ask || waits
    }

    /// Says whether the server counts the attempt under way as over. A stale answer that names no
    /// service is about all of them.
    fn is_named_stale(&self, stale: &[String]) -> bool {
        let legs = self.transaction().map(|transaction| transaction.legs.as_slice());
        stale.is_empty() || legs.unwrap_or_default().iter().any(|leg| stale.contains(&leg.service))
    }

    fn not_stored(&mut self, sent: Sent, problem: &Problem, now: Moment) {
        let refused = match problem.code() {
            Code::InvalidArgument | Code::Unimplemented | Code::NotFound => true,
            Code::Unauthenticated
            | Code::PermissionDenied
            | Code::AlreadyExists
            | Code::FailedPrecondition
            | Code::Aborted
            | Code::ResourceExhausted
            | Code::Unavailable
            | Code::DeadlineExceeded
            | Code::Internal => false,
        };
        let reporting = &mut self.reporting;
        reporting.failures = reporting.failures.saturating_add(1);
        if refused {
            // Sent again it would be refused again; what changes is said anew.
            tracing::error!(
                device.id = self.setup.device_id,
                "the server refuses a report: {problem}"
            );
            reporting.heartbeat = now + self.setup.chance.around(reporting.interval, 0.2);
            self.unsaved |= self.journal.outbox.settle(&sent.endings, 0);
            self.reporting.answered = Some(sent);
            return;
        }
        let ceiling = self.setup.timing.report.retry.ceiling(reporting.failures);
        let wait = match problem.retry_time() {
            Some(hint) => self.setup.chance.between(hint, hint.saturating_mul(2)),
            None => ceiling.mul_f64(self.setup.chance.unit()),
        };
        reporting.retry = Some(now + wait);
        reporting.at_once = true;
    }

    /// Where every service stands.
    #[must_use]
    pub fn rows(&self, now: Moment) -> Vec<Row> {
        let mut rows = report::rows(&self.view(now));
        if self.engine_fault.is_some() {
            for row in rows.iter_mut().filter(|row| !row.standing.is_final()) {
                row.healthy = false;
                reason::ENGINE_HUNG.clone_into(&mut row.reason);
            }
        }
        rows
    }
}

/// Puts the rows of an end that the server has not heard over what stands now.
fn overlay(rows: &mut Vec<Row>, ending: &Ending) {
    for row in &ending.rows {
        match rows.iter_mut().find(|known| known.service == row.service) {
            Some(known) => known.clone_from(row),
            None => rows.push(row.clone()),
        }
    }
}

fn is_another_phase(row: &Row, said: &Row) -> bool {
    row.service != said.service
        || row.standing != said.standing
        || row.attempt != said.attempt
        || row.digest != said.digest
        || row.release_id != said.release_id
        || row.reason != said.reason
}
