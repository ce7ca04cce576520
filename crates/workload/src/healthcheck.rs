//! The engine's own check of a container.

use std::time::Duration;

use crate::node::{Fields, Node};
use crate::units::{at_least_a_second, duration};
use crate::violation::show;

/// How the engine finds out whether a container is healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Healthcheck {
    /// What to run; `None` = what the image says.
    pub test: Option<HealthcheckTest>,
    /// How long from the end of one test to the next.
    pub interval: Duration,
    /// How long a test may take.
    pub timeout: Duration,
    /// How many failures in a row make it unhealthy.
    pub retries: u32,
    /// How long after the start failures do not count.
    pub start_period: Duration,
}

/// What a healthcheck runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthcheckTest {
    /// Nothing, whatever the image says.
    Disabled,
    /// A program and its arguments.
    Command(Vec<String>),
    /// A line for the container's shell.
    Shell(String),
}

impl Healthcheck {
    pub(crate) fn read(node: &Node<'_>) -> Option<Self> {
        let mut fields = node.fields()?;
        let test = fields.get("test").map_or(Some(None), |field| read_test(&field).map(Some));
        let interval = time(&mut fields, "interval", 30, at_least_a_second);
        let timeout = time(&mut fields, "timeout", 5, at_least_a_second);
        let retries = count(&mut fields, "retries", 3);
        let start_period = time(&mut fields, "start_period", 0, duration);
        fields.finish();
        Some(Self {
            test: test?,
            interval: interval?,
            timeout: timeout?,
            retries: retries?,
            start_period: start_period?,
        })
    }
}

/// Reads a field that is a duration, or returns its default in seconds.
pub(crate) fn time(
    fields: &mut Fields<'_, '_>,
    name: &'static str,
    default: u64,
    read: fn(&Node<'_>) -> Option<Duration>,
) -> Option<Duration> {
    fields.get(name).map_or(Some(Duration::from_secs(default)), |field| read(&field))
}

/// Reads a field that counts failures, or returns its default.
pub(crate) fn count(fields: &mut Fields<'_, '_>, name: &'static str, default: u32) -> Option<u32> {
    fields.get(name).map_or(Some(default), |field| {
        field.integer(1..=1000).and_then(|count| u32::try_from(count).ok())
    })
}

fn read_test(node: &Node<'_>) -> Option<HealthcheckTest> {
    let words = node.texts()?;
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["NONE"] => Some(HealthcheckTest::Disabled),
        ["CMD", command @ ..] if !command.is_empty() => {
            Some(HealthcheckTest::Command(command.iter().map(|word| (*word).to_owned()).collect()))
        }
        ["CMD-SHELL", line] if !line.is_empty() => Some(HealthcheckTest::Shell((*line).to_owned())),
        [] => node.refuse("the list is empty; write `[\"CMD\", program, …]`"),
        [first, ..] => node.refuse(format!(
            "{} with {} words behind it is not a test; write `[\"CMD\", program, …]`, \
             `[\"CMD-SHELL\", line]` or `[\"NONE\"]`",
            show(first),
            words.len() - 1
        )),
    }
}
