//! Why a command did not do what it should: what people read, and what scripts act on.

use std::error::Error;
use std::process::ExitCode;

use runtime::problem::Chain;

use crate::output::Output;
use crate::output::text;

/// What a command comes to.
pub type Outcome = Result<Exit>;

/// A result whose error is a [`Failure`].
pub type Result<T = ()> = std::result::Result<T, Failure>;

/// How a command ends, for scripts. Numbers keep their meaning for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It is done.
    Done,
    /// It went wrong.
    Error,
    /// It was asked for wrongly.
    Usage,
    /// There is no such thing.
    NotFound,
    /// Not signed in, or not allowed.
    Denied,
    /// The thing is in another state, or there already.
    Conflict,
    /// The gate refuses the image.
    Refused,
    /// What was waited for did not come in time.
    TimedOut,
    /// The rollout failed, went back or was ended.
    RolloutFailed,
    /// The server does not answer.
    Unreachable,
    /// A person ended the command.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Error => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Denied => 4,
            Self::Conflict => 5,
            Self::Refused => 6,
            Self::TimedOut => 7,
            Self::RolloutFailed => 8,
            Self::Unreachable => 9,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Says on standard error why a command of the machine's keeper did not do what it should.
pub fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {}", Chain(error.as_ref()));
    ExitCode::FAILURE
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub struct Failure(Box<Detail>);

#[derive(Debug)]
struct Detail {
    exit: Exit,
    what: String,
    hint: Option<String>,
    reason: Option<String>,
    request_id: Option<String>,
    causes: Vec<String>,
}

impl Failure {
    /// Tells what went wrong, in a sentence that begins in lower case.
    pub fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self(Box::new(Detail {
            exit,
            what: what.into(),
            hint: None,
            reason: None,
            request_id: None,
            causes: Vec::new(),
        }))
    }

    /// Tells that the command was asked for wrongly.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// The reader of standard output is gone: nothing is left to be said to it.
    pub fn reader_gone() -> Self {
        Self::new(Exit::Done, "")
    }

    /// Adds what to do next: best a line that can be typed.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds a hint where there is one.
    #[must_use]
    pub fn hint_if(self, hint: Option<impl Into<String>>) -> Self {
        match hint {
            Some(hint) => self.hint(hint),
            None => self,
        }
    }

    /// Adds the constant that programs know it by.
    #[must_use]
    pub fn reason(mut self, reason: Option<String>) -> Self {
        self.0.reason = reason;
        self
    }

    /// Adds the id that finds the request in the logs.
    #[must_use]
    pub fn request_id(mut self, id: Option<String>) -> Self {
        self.0.request_id = id;
        self
    }

    /// Adds the error behind it, with those behind that one.
    #[must_use]
    pub fn cause(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let cause = error.to_string();
            if self.0.causes.last() != Some(&cause) {
                self.0.causes.push(cause);
            }
            next = error.source();
        }
        self
    }

    /// How the command ends.
    pub fn exit(&self) -> Exit {
        self.0.exit
    }

    /// What went wrong.
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// What to do next.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// The constant that programs know it by.
    pub fn reason_code(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// Tells it on standard error.
    pub fn tell(&self, out: &Output) {
        let Detail { exit: _, what, hint, reason, request_id, causes } = &*self.0;
        if what.is_empty() {
            return;
        }
        out.note(&format!("{} {}", out.styles().error("error:"), text::lines(what)));
        if let Some(hint) = hint {
            out.note(&format!("  hint: {}", text::lines(hint)));
        }
        let known = [("reason", reason), ("request", request_id)];
        let known: Vec<_> = known
            .into_iter()
            .filter_map(|(name, value)| Some(format!("{name}: {}", text::clean(value.as_ref()?))))
            .collect();
        if !known.is_empty() {
            out.note(&format!("  {}", known.join("  ")));
        }
        if out.is_verbose() {
            for cause in causes {
                out.note(&format!("  cause: {}", text::clean(cause)));
            }
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Error, Chain(error.as_ref()).to_string())
    }
}
