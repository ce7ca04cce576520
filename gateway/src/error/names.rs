//! The names that routes have for the fields of RPCs.
//!
//! Protos and REST bodies name a few fields differently (`start_time` and `start_at`, `soak` and
//! `soak_seconds`). A violation names the field as the caller wrote it, so what comes back from an
//! RPC is renamed, part by part.

use runtime::Problem;
use runtime::problem::Violation;

/// What a message of an RPC begins with and a REST body does not.
const ENVELOPES: [&str; 7] = ["policy", "image", "tag", "gate", "upstream", "device", "receiver"];

/// The parts of paths that are named differently everywhere.
const PARTS: [(&str, &str); 22] = [
    ("ack", "ack_seconds"),
    ("after_sequence", "after"),
    ("backoff", "backoff_seconds"),
    ("batch_delay", "batch_delay_minutes"),
    ("dead_man", "dead_man_seconds"),
    ("device_soak", "soak_device_seconds"),
    ("end_time", "to"),
    ("expire_time", "expires_at"),
    ("install", "install_seconds"),
    ("manual_gate", "gate"),
    ("offline_ttl", "offline_ttl_seconds"),
    ("page_size", "limit"),
    ("pull", "pull_seconds"),
    ("push_time", "pushed_at"),
    ("reference", "image"),
    ("request_id", "Idempotency-Key"),
    ("skip", "offset"),
    ("soak", "soak_seconds"),
    ("start_time", "start_at"),
    ("strategy", "update_strategy"),
    ("total", "total_seconds"),
    ("verify", "verify_seconds"),
];

/// Renames what an RPC's violations name.
pub fn of_rpcs(problem: &Problem) -> Problem {
    mapped(problem, |path| {
        let path = match path.split_once('.') {
            Some((first, rest)) if ENVELOPES.contains(&first) => rest,
            Some(_) | None => path,
        };
        with_parts(path, &PARTS)
    })
}

/// Renames with a table of one route.
pub fn renamed(problem: &Problem, table: &[(&str, &str)]) -> Problem {
    mapped(problem, |path| with_parts(path, table))
}

fn with_parts(path: &str, table: &[(&str, &str)]) -> String {
    let mut own = true;
    let rename = |part: &str| {
        let (name, index) = part.find('[').map_or((part, ""), |at| part.split_at(at));
        let known = table.iter().find(|(from, _)| *from == name && own);
        // What stands in a container's configuration is the caller's own document.
        own &= name != "config";
        format!("{}{index}", known.map_or(name, |(_, to)| to))
    };
    path.split('.').map(rename).collect::<Vec<_>>().join(".")
}

/// The same problem with other paths. The sentence begins with the first path, so it changes too.
fn mapped(problem: &Problem, path: impl Fn(&str) -> String) -> Problem {
    let Some(first) = problem.field_violations().first() else { return problem.clone() };
    let quoted = format!("`{}`", first.field);
    let message = match problem.message().strip_prefix(&quoted) {
        Some(rest) => format!("`{}`{rest}", path(&first.field)),
        None => problem.message().to_owned(),
    };
    let violations = problem.field_violations().iter().map(|violation| Violation {
        field: path(&violation.field),
        description: violation.description.clone(),
    });
    problem.retold(message, violations.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_names_the_field_as_the_caller_wrote_it() {
        for (rpc, rest) in [
            ("policy.batches[2].soak", "batches[2].soak_seconds"),
            ("policy.timers.ack", "timers.ack_seconds"),
            ("policy.strategy", "update_strategy"),
            ("services[0].image", "services[0].image"),
            ("services[0].config.pull", "services[0].config.pull"),
            ("tag.push_time", "pushed_at"),
            ("page_token", "page_token"),
        ] {
            let told = of_rpcs(&Problem::invalid(rpc, "is odd"));
            assert_eq!(told.field_violations()[0].field, rest);
            assert_eq!(told.message(), format!("`{rest}`: is odd"));
        }
    }

    #[test]
    fn a_sentence_that_names_no_field_stays() {
        let problem = Problem::new(runtime::Code::NotFound, "IMAGE_NOT_FOUND", "there is no image");
        assert_eq!(of_rpcs(&problem), problem);
    }
}
