//! The server of a world without sockets.

use std::collections::BTreeMap;

use proto::rollout::v1 as pb;

/// The server, as far as a device sees it.
pub struct Server {
    /// Whether the device reaches it.
    pub online: bool,
    /// Whether answers reach the device.
    pub answers: bool,
    /// What should run.
    pub target: pb::TargetState,
    /// The attempts that are over.
    pub over: Vec<(String, i32)>,
    /// Every report that came in.
    pub reports: Vec<pb::ReportRequest>,
    last_seq: i64,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            online: true,
            answers: true,
            target: crate::targets::target(0),
            over: Vec::new(),
            reports: Vec::new(),
            last_seq: 0,
        }
    }
}

impl Server {
    /// The highest report number that is stored.
    pub fn last_seq(&self) -> i64 {
        self.last_seq
    }

    /// Stores a report, as the protocol says.
    pub fn store(&mut self, report: pb::ReportRequest) -> pb::ReportResponse {
        let is_old = report.seq <= self.last_seq;
        self.last_seq = self.last_seq.max(report.seq);
        let rows = report.services.iter();
        let stale: Vec<String> = rows
            .filter(|row| self.over.contains(&(row.rollout_id.clone(), row.attempt)))
            .map(|row| row.name.clone())
            .collect();
        let response = pb::ReportResponse {
            stale: is_old || !stale.is_empty(),
            last_seq: self.last_seq,
            stale_services: stale,
        };
        self.reports.push(report);
        response
    }

    /// The final phases that were reported, by attempt.
    pub fn endings(&self) -> BTreeMap<(String, i32), Vec<pb::Phase>> {
        let mut endings: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for row in self.reports.iter().flat_map(|report| &report.services) {
            let is_final = matches!(
                row.phase(),
                pb::Phase::Failed | pb::Phase::Reverted | pb::Phase::Rejected
            );
            if is_final && !row.rollout_id.is_empty() {
                let of_it = endings.entry((row.rollout_id.clone(), row.attempt)).or_default();
                if !of_it.contains(&row.phase()) {
                    of_it.push(row.phase());
                }
            }
        }
        endings
    }
}
