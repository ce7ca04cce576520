//! How long the agent waits for what. Only what the target does not say stands here.

use std::time::Duration;

use runtime::backoff::Backoff;

/// The agent's own durations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timing {
    /// How often containers are looked at when nothing happens.
    pub observe: Duration,
    /// The same while something is being swapped or verified.
    pub observe_swap: Duration,
    /// How long a service may take to become healthy, where the target does not say.
    pub verify: Duration,
    /// How long it must stay healthy, where the target does not say.
    pub soak: Duration,
    /// How long to wait for the server after a swap, where the target does not say.
    pub dead_man: Duration,
    /// How long the old one may take to become healthy again after going back.
    pub revert_verify: Duration,
    /// How recently the server must have answered for a swap to begin.
    pub contact: Duration,
    /// How long a pull may go on without a byte.
    pub pull_stall: Duration,
    /// How often a failed pull is tried again.
    pub pull_retries: u32,
    /// How long to wait before each.
    pub pull_backoff: Backoff,
    /// How long a reading call of the engine may take.
    pub engine_read: Duration,
    /// How long creating, starting and removing may take; stopping has the grace period on top.
    pub engine_write: Duration,
    /// How long to wait before a call that the engine did not answer is made again.
    pub engine_backoff: Backoff,
    /// How long to wait before a service that ended is started again, doubled every time …
    pub restart: Duration,
    /// … up to this …
    pub restart_limit: Duration,
    /// … and forgotten after this long without an end.
    pub restart_reset: Duration,
    /// How often the powered time of a transaction is stored.
    pub journal: Duration,
    /// The link's own.
    pub link: LinkTiming,
    /// The reports' own.
    pub report: ReportTiming,
}

/// Durations of the link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkTiming {
    /// The first stream opens within this time after the start.
    pub boot: Duration,
    /// The first try after a broken stream comes within this time.
    pub first: Duration,
    /// The unit that doubles with each further try.
    pub unit: Duration,
    /// The longest wait between tries, before jitter.
    pub limit: Duration,
    /// A stream that lasted this long was a good one.
    pub good: Duration,
    /// The shortest and the longest wait after the server did not know the device.
    pub unauthenticated: (Duration, Duration),
    /// The shortest and the longest wait after another stream took this one's place.
    pub superseded: (Duration, Duration),
    /// How many streams break in a row before the target is asked for instead.
    pub broken_streams: u32,
    /// How often it is asked for then.
    pub poll: Duration,
    /// How often a stream is tried then.
    pub stream_retry: Duration,
    /// How often an idle connection is checked.
    pub ping: Duration,
    /// How long the check may take.
    pub ping_answer: Duration,
    /// How long connecting, and any single call, may take.
    pub answer: Duration,
}

/// Durations of reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportTiming {
    /// The least time between two reports of changes that are not changes of phase.
    pub gap: Duration,
    /// How often to report when nothing changes and the server has not said.
    pub interval: Duration,
    /// How many percent of a pull are worth a report.
    pub progress: i32,
    /// How long to wait before a report that was not answered is sent again.
    pub retry: Backoff,
}

impl Timing {
    /// What a real device goes by.
    #[must_use]
    pub const fn device() -> Self {
        Self {
            observe: seconds(60),
            observe_swap: seconds(30),
            verify: seconds(300),
            soak: seconds(60),
            dead_man: seconds(900),
            revert_verify: seconds(60),
            contact: seconds(120),
            pull_stall: seconds(120),
            pull_retries: 3,
            pull_backoff: Backoff::new(seconds(15), seconds(900)),
            engine_read: seconds(10),
            engine_write: seconds(30),
            engine_backoff: Backoff::new(seconds(1), seconds(30)),
            restart: seconds(1),
            restart_limit: seconds(300),
            restart_reset: seconds(600),
            journal: seconds(30),
            link: LinkTiming {
                boot: seconds(60),
                first: seconds(30),
                unit: seconds(1),
                limit: seconds(900),
                good: seconds(300),
                unauthenticated: (seconds(300), seconds(3_600)),
                superseded: (seconds(300), seconds(900)),
                broken_streams: 5,
                poll: seconds(60),
                stream_retry: seconds(3_600),
                ping: seconds(60),
                ping_answer: seconds(20),
                answer: seconds(20),
            },
            report: ReportTiming {
                gap: seconds(10),
                interval: seconds(300),
                progress: 5,
                retry: Backoff::new(seconds(2), seconds(60)),
            },
        }
    }

    /// What simulated devices of a demonstration go by: the same behaviour, seen within seconds.
    #[must_use]
    pub const fn demonstration() -> Self {
        let mut timing = Self::device();
        timing.verify = seconds(20);
        timing.soak = seconds(2);
        timing.dead_man = seconds(60);
        timing.revert_verify = seconds(10);
        timing.pull_stall = seconds(10);
        timing.pull_backoff = Backoff::new(seconds(1), seconds(5));
        timing.engine_read = seconds(2);
        timing.engine_write = seconds(5);
        timing.engine_backoff = Backoff::new(seconds(1), seconds(5));
        timing.restart_limit = seconds(20);
        timing.link.boot = seconds(1);
        timing.link.first = seconds(2);
        timing.link.limit = seconds(15);
        timing.link.good = seconds(20);
        timing.link.unauthenticated = (seconds(15), seconds(60));
        timing.link.superseded = (seconds(15), seconds(30));
        timing.report.gap = seconds(1);
        timing.report.progress = 20;
        timing
    }

    /// What tests go by: as little waiting as the behaviour allows.
    #[must_use]
    pub const fn fast() -> Self {
        let mut timing = Self::demonstration();
        timing.verify = seconds(5);
        timing.soak = millis(50);
        timing.dead_man = seconds(10);
        timing.revert_verify = seconds(2);
        timing.pull_stall = millis(500);
        timing.pull_backoff = Backoff::new(millis(10), millis(50));
        timing.engine_read = millis(500);
        timing.engine_write = millis(500);
        timing.engine_backoff = Backoff::new(millis(10), millis(50));
        timing.restart = millis(10);
        timing.restart_limit = millis(100);
        timing.link.boot = millis(10);
        timing.link.first = millis(20);
        timing.link.unit = millis(10);
        timing.link.limit = millis(200);
        timing.link.good = seconds(2);
        timing.link.unauthenticated = (millis(100), millis(200));
        timing.link.superseded = (millis(100), millis(200));
        timing.link.poll = millis(50);
        timing.link.stream_retry = millis(400);
        timing.link.answer = seconds(5);
        timing.report.gap = millis(20);
        timing.report.retry = Backoff::new(millis(10), millis(100));
        timing
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::device()
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}
