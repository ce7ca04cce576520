//! `slipway doctor`: looks for what is wrong, and says how to mend it.

mod look;

use serde_json::json;

use crate::context::Contexts;
use crate::failure::{Exit, Outcome, Result};
use crate::options::Options;
use crate::output::{Output, Token, text};
use crate::session::Session;

/// Flags of `slipway doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Do not call registries elsewhere
    #[arg(long)]
    offline: bool,
}

/// How a look came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Warn,
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    name: String,
    verdict: Verdict,
    detail: String,
    fix: Option<String>,
}

impl Finding {
    fn ok(name: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { name: name.into(), verdict: Verdict::Ok, detail: detail.into(), fix: None }
    }

    fn warn(name: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, fix: Some(fix.into()), ..Self::ok(name, detail) }
    }

    fn fail(name: impl Into<String>, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, fix: Some(fix.into()), ..Self::ok(name, detail) }
    }
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }

    fn token(self) -> Token {
        match self {
            Self::Ok => Token::Good,
            Self::Warn => Token::Need,
            Self::Fail => Token::Bad,
        }
    }
}

/// Looks at everything that the public API shows. A fail ends with 1.
pub async fn run(args: Args, options: &Options, out: &Output) -> Outcome {
    let mut report = Report { out, findings: Vec::new() };
    examine(&args, options, out, &mut report).await?;
    report.end()
}

async fn examine(args: &Args, options: &Options, out: &Output, report: &mut Report<'_>) -> Result {
    let session = match Session::open(options, out) {
        Ok(session) => session,
        Err(failure) => return report.add(look::failed("context", &failure)),
    };
    report.add(context(options, &session))?;
    report.add(look::tls(session.api.target()))?;
    let health = match look::health(&session).await {
        Ok(health) => health,
        Err(failure) => return report.add(look::failed("server", &failure)),
    };
    report.add(health.server)?;
    report.add(health.clock)?;
    for process in health.processes {
        report.add(process)?;
    }
    let identity = match look::identity(&session).await {
        Ok(identity) => identity,
        Err(failure) => return report.add(look::failed("signed in", &failure)),
    };
    report.add(identity)?;
    for finding in look::things(&session).await {
        report.add(finding)?;
    }
    if args.offline {
        return Ok(());
    }
    for finding in look::registries(&session).await {
        report.add(finding)?;
    }
    Ok(())
}

fn context(options: &Options, session: &Session) -> Finding {
    let place = session.api.target().place();
    let is_explicit = options.url.is_some() || session.api.target().context().is_some();
    if is_explicit {
        return Finding::ok("context", place);
    }
    let known = Contexts::load().map(|contexts| contexts.contexts.len()).unwrap_or_default();
    let fix = match known {
        0 => "slipway context add NAME URL",
        _ => "slipway context use NAME",
    };
    Finding::warn("context", format!("none is in use; {place} is tried"), fix)
}

/// What was found, told as it is found.
struct Report<'a> {
    out: &'a Output,
    findings: Vec<Finding>,
}

impl Report<'_> {
    fn add(&mut self, finding: Finding) -> Result {
        if self.out.json().is_none() {
            let (word, token) = (finding.verdict.word(), finding.verdict.token());
            let word = self.out.styles().paint(token, &format!("{word:<4}"));
            let (name, detail) = (text::clean(&finding.name), text::clean(&finding.detail));
            self.out.say(format!("{word}  {name:<20}  {detail}").trim_end())?;
            if let Some(fix) = &finding.fix {
                self.out.say(&format!("      fix: {}", text::clean(fix)))?;
            }
        }
        self.findings.push(finding);
        Ok(())
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.findings.iter().filter(|finding| finding.verdict == verdict).count()
    }

    fn end(self) -> Outcome {
        let (fails, warnings) = (self.count(Verdict::Fail), self.count(Verdict::Warn));
        if let Some(members) = self.out.json() {
            let shown = |finding: &Finding| {
                json!({
                    "name": finding.name,
                    "result": finding.verdict.word(),
                    "detail": finding.detail,
                    "fix": finding.fix,
                })
            };
            let findings: Vec<_> = self.findings.iter().map(shown).collect();
            self.out.items(members, &findings)?;
        } else {
            self.out.say("")?;
            self.out.say(&match (fails, warnings) {
                (0, 0) => "nothing is wrong".to_owned(),
                (0, warnings) => text::count(warnings as u64, "warning"),
                (fails, 0) => text::count(fails as u64, "failure"),
                (fails, warnings) => format!(
                    "{}, {}",
                    text::count(fails as u64, "failure"),
                    text::count(warnings as u64, "warning")
                ),
            })?;
        }
        Ok(if fails > 0 { Exit::Error } else { Exit::Done })
    }
}
