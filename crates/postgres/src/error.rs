//! What can go wrong, each as one sentence that a person can act on.

use std::io;
use std::path::{Path, PathBuf};

/// Why PostgreSQL was not found, its data directory not created, or its server not started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing usable is on this machine.
    #[error(
        "no usable PostgreSQL (14 or newer, with `initdb` and `postgres`) was found in \
         {looked_in}{passed_over}; {install}, or name the folder of its programs in \
         `SLIPWAY_POSTGRES_BIN`"
    )]
    NotInstalled {
        /// The places that were tried.
        looked_in: String,
        /// What was found there and why it was not taken; empty, or beginning with a semicolon.
        passed_over: String,
        /// How to install it here.
        install: &'static str,
    },

    /// The folder named by hand is of no use.
    #[error(
        "`SLIPWAY_POSTGRES_BIN` names `{}`, which holds no usable PostgreSQL: {reason}; name the \
         folder of `initdb` and `postgres`, or unset it", bin.display()
    )]
    UnusableBin {
        /// The folder.
        bin: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// Root found nobody to run the server as.
    #[error(
        "PostgreSQL does not run as root, and neither a user `postgres` nor `nobody` exists here; \
         create one, or start as an ordinary user"
    )]
    NoAccount,

    /// The server's account cannot reach a folder.
    #[error(
        "user `{account}`, as whom PostgreSQL runs, may not enter `{}` on the way to `{}`; choose \
         another folder, or let everybody pass with `chmod a+x {}`",
        shut.display(), path.display(), shut.display()
    )]
    ShutOut {
        /// The account.
        account: String,
        /// The first folder that it cannot enter.
        shut: PathBuf,
        /// What it has to get at.
        path: PathBuf,
    },

    /// Something that is no folder is where a folder should be.
    #[error("`{}` is not a folder; move it away or choose another place", path.display())]
    NotAFolder {
        /// The place.
        path: PathBuf,
    },

    /// The folder holds things that are not ours to touch.
    #[error(
        "`{}` holds files that are no PostgreSQL data; empty it or choose another place",
        path.display()
    )]
    ForeignFiles {
        /// The folder.
        path: PathBuf,
    },

    /// The folder belongs to somebody else.
    #[error(
        "`{}` belongs to {owner}, and PostgreSQL would run as user `{account}`; start as its owner \
         or choose another place", path.display()
    )]
    ForeignOwner {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        owner: String,
        /// Who would use it.
        account: String,
    },

    /// The data was created by another major version.
    #[error(
        "the data in `{}` was created by PostgreSQL {data}, and the one found is {found} (`{}`); \
         install PostgreSQL {data} or name its folder in `SLIPWAY_POSTGRES_BIN`, or move the data \
         over with `pg_upgrade`", path.display(), bin.display()
    )]
    OtherVersion {
        /// The data directory.
        path: PathBuf,
        /// The version of the data.
        data: u32,
        /// The version of the programs.
        found: String,
        /// The folder of the programs.
        bin: PathBuf,
    },

    /// The data directory was not created yet.
    #[error("`{}` holds no PostgreSQL data; create it first", path.display())]
    NoData {
        /// The data directory.
        path: PathBuf,
    },

    /// A server is already running on the data directory.
    #[error(
        "a PostgreSQL server (process {pid}) is already running on `{}`; stop it first or choose \
         another place", path.display()
    )]
    Running {
        /// The data directory.
        path: PathBuf,
        /// The server's process.
        pid: u32,
    },

    /// A program of PostgreSQL failed.
    #[error("{}", sentence(what, reason, output))]
    Program {
        /// What did not succeed, such as "`initdb` could not create `/data`".
        what: String,
        /// Why, with the next step.
        reason: &'static str,
        /// The last lines that it printed.
        output: String,
    },

    /// The server did not come up in time.
    #[error(
        "PostgreSQL on `{}` is not ready after {seconds} s ({status}); look into its log, or give \
         it more time", path.display()
    )]
    NotReady {
        /// The data directory.
        path: PathBuf,
        /// How long was waited.
        seconds: u64,
        /// What the server said of itself last.
        status: String,
    },

    /// The server did not go away in time.
    #[error("PostgreSQL (process {pid}) does not end; end it with `kill -9 {pid}`")]
    StillRunning {
        /// The server's process.
        pid: u32,
    },

    /// The system refused something.
    #[error("cannot {what}: {cause}; {}", step(cause))]
    System {
        /// What was tried, such as "create the folder `/data`".
        what: String,
        /// What the system said.
        cause: io::Error,
    },
}

impl Error {
    /// Makes the refusal of a step on a path an error; for `map_err`.
    pub(crate) fn at(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let what = format!("{what} `{}`", path.display());
        move |cause| Self::System { what, cause }
    }

    /// Makes the failure of a program an error, by what it printed.
    pub(crate) fn program(what: String, output: &str) -> Self {
        Self::Program { what, reason: reason(output), output: tail(output) }
    }
}

fn sentence(what: &str, reason: &str, output: &str) -> String {
    if output.is_empty() {
        return format!("{what}: {reason}");
    }
    format!("{what}: {reason} (its last words: {output})")
}

/// Finds in the output of a program what a person has to mend.
fn reason(output: &str) -> &'static str {
    const REASONS: [(&str, &str); 9] = [
        ("No space left on device", "the disk is full; free some space and try again"),
        // Said where only a part of a page could be written.
        ("Check free disk space", "the disk is full; free some space and try again"),
        ("Disk quota exceeded", "the disk quota is used up; free some space and try again"),
        ("File size limit exceeded", "files may not grow that large; raise `ulimit -f`"),
        // How the system says that a process was ended for it.
        ("SIGXFSZ", "files may not grow that large; raise `ulimit -f`"),
        ("File too large", "files may not grow that large; raise `ulimit -f`"),
        ("Read-only file system", "the file system is read-only; choose another place"),
        ("Permission denied", "it lacks a permission; give it or choose another place"),
        ("Cannot allocate memory", "there is too little memory; free some and try again"),
    ];
    REASONS
        .iter()
        .find(|(mark, _)| output.contains(mark))
        .map_or("see what it printed", |(_, reason)| reason)
}

/// Names the next step after a refusal by the system.
fn step(error: &io::Error) -> &'static str {
    const STEPS: [(io::ErrorKind, &str); 6] = [
        (io::ErrorKind::StorageFull, "free some space and try again"),
        (io::ErrorKind::QuotaExceeded, "free some space and try again"),
        (io::ErrorKind::FileTooLarge, "raise `ulimit -f`"),
        (io::ErrorKind::PermissionDenied, "give the permission or choose another place"),
        (io::ErrorKind::NotADirectory, "move what is in the way or choose another place"),
        (io::ErrorKind::AlreadyExists, "move what is in the way or choose another place"),
    ];
    let found = STEPS.iter().find(|(kind, _)| *kind == error.kind());
    found.map_or("mend that and try again", |(_, step)| step)
}

/// The last lines that say something, as one.
fn tail(output: &str) -> String {
    const LINES: usize = 3;
    let lines: Vec<&str> = output
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.ends_with(" ... ok"))
        .filter(|line| !line.starts_with("initdb: removing"))
        .collect();
    lines[lines.len().saturating_sub(LINES)..].join(" | ")
}

#[cfg(test)]
mod tests {
    use super::Error;

    #[test]
    fn a_failed_program_is_one_sentence_with_the_next_step_and_its_last_words() {
        let output = "creating directory x ... ok\n\n\
            initdb: error: could not write file \"x\": No space left on device\n\
            initdb: removing data directory \"x\"\n";
        assert_eq!(
            Error::program("`initdb` could not create `x`".to_owned(), output).to_string(),
            "`initdb` could not create `x`: the disk is full; free some space and try again (its \
             last words: initdb: error: could not write file \"x\": No space left on device)"
        );
    }

    #[test]
    fn a_page_written_in_part_means_a_full_disk() {
        let output = "FATAL:  could not extend file \"base/1/2691\": wrote only 4096 of 8192 bytes\n\
            HINT:  Check free disk space.\nPANIC:  cannot abort transaction 1\nAborted\nchild process\n";
        let error = Error::program("`initdb` could not create `x`".to_owned(), output).to_string();
        assert!(error.contains("the disk is full"), "{error}");
    }

    #[test]
    fn a_program_that_says_nothing_still_makes_a_sentence() {
        assert_eq!(
            Error::program("`initdb` could not create `x`".to_owned(), "\n").to_string(),
            "`initdb` could not create `x`: see what it printed"
        );
    }
}
