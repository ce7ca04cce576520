//! What commands print: the answer on standard output, everything else on standard error.

mod colour;
pub mod json;
pub mod table;
pub mod text;
pub mod time;
pub mod words;

use std::io::{ErrorKind, IsTerminal as _, Write as _};

use rustix::termios::tcgetwinsize;
use serde_json::Value;

pub use colour::Styles;
pub use table::{Cell, Table};
pub use words::Token;

use crate::failure::{Exit, Failure, Result};
use crate::options::Options;

/// How this run prints.
#[derive(Debug, Clone)]
pub struct Output {
    json: Option<json::Members>,
    styles: Styles,
    is_terminal: bool,
    is_verbose: bool,
}

impl Output {
    /// As the flags, the environment and the terminal say.
    pub fn new(options: &Options) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        Self {
            json: options.json.as_deref().map(json::Members::parse),
            styles: Styles::choose(options.color, is_terminal),
            is_terminal,
            is_verbose: options.verbose,
        }
    }

    /// The members asked for, when the answer is to be JSON.
    pub fn json(&self) -> Option<&json::Members> {
        self.json.as_ref()
    }

    /// Colours and signs.
    pub fn styles(&self) -> &Styles {
        &self.styles
    }

    /// Whether what was printed can be drawn over.
    pub fn draws_in_place(&self) -> bool {
        self.is_terminal && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
    }

    /// Whether causes are told.
    pub fn is_verbose(&self) -> bool {
        self.is_verbose
    }

    /// Columns and rows of the terminal; 80 and 24 where they are not known.
    pub fn size(&self) -> (usize, usize) {
        match tcgetwinsize(std::io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                (size.ws_col.into(), size.ws_row.into())
            }
            Ok(_) | Err(_) => (80, 24),
        }
    }

    /// Prints lines of the answer.
    pub fn say(&self, text: &str) -> Result {
        self.write(&format!("{text}\n"))
    }

    /// Prints the answer as it is.
    pub fn write(&self, text: &str) -> Result {
        let mut out = std::io::stdout().lock();
        let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        written.map_err(|error| match error.kind() {
            ErrorKind::BrokenPipe => Failure::reader_gone(),
            _ => Failure::new(Exit::Error, "standard output cannot be written; is there room?")
                .cause(&error),
        })
    }

    /// Tells something beside the answer. A lost note harms nothing.
    pub fn note(&self, text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }

    /// Prints a document for programs.
    pub fn document(&self, members: &json::Members, document: &Value) -> Result {
        self.warn(members, std::slice::from_ref(document));
        self.say(&members.of_object(document))
    }

    /// Prints the members asked for of every item.
    pub fn items(&self, members: &json::Members, items: &[Value]) -> Result {
        self.warn(members, items);
        self.say(&members.of_list(items))
    }

    fn warn(&self, members: &json::Members, items: &[Value]) {
        if let Some(warning) = members.warning(items) {
            self.note(&warning);
        }
    }

    /// Says what a command did, and how to undo it.
    ///
    /// With `--json` the document is the answer and the sentence goes beside it.
    pub fn done(&self, document: &Value, sentence: &str, undo: &str) -> Result {
        match &self.json {
            Some(members) => {
                self.document(members, document)?;
                self.note(&text::clean(sentence));
            }
            None => self.say(&text::clean(sentence))?,
        }
        self.note(&format!("undo: {}", text::clean(undo)));
        Ok(())
    }

    /// Hands out a secret that is shown this once: it alone is the answer, so that a script can
    /// take it.
    pub fn secret(&self, document: &Value, secret: &str, sentence: &str, undo: &str) -> Result {
        match &self.json {
            Some(members) => self.document(members, document)?,
            None => self.say(&text::clean(secret))?,
        }
        self.note(&text::clean(sentence));
        self.note(&format!("undo: {}", text::clean(undo)));
        Ok(())
    }
}
