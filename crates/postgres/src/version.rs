//! The version of a PostgreSQL program.

use std::fmt;

/// The version that a PostgreSQL program prints of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    major: u32,
    text: String,
}

impl Version {
    /// The oldest major version that Slipway's schemas run on.
    pub const OLDEST: u32 = 14;

    /// Reads the output of `postgres --version` or `initdb --version`, such as
    /// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`.
    pub fn parse(output: &str) -> Option<Self> {
        let (_, after_name) = output.lines().next()?.split_once(')')?;
        let text = after_name.split_whitespace().next()?;
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let major = text[..digits].parse().ok()?;
        Some(Self { major, text: text.to_owned() })
    }

    /// The major version: data directories of different ones do not fit each other.
    pub fn major(&self) -> u32 {
        self.major
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn versions_are_read_as_the_vendors_print_them() {
        for (output, major, text) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", 15, "15.18"),
            ("initdb (PostgreSQL) 14.0", 14, "14.0"),
            ("postgres (PostgreSQL) 17beta1", 17, "17beta1"),
            ("postgres (PostgreSQL) 19devel", 19, "19devel"),
            ("postgres (PostgreSQL) 9.6.24", 9, "9.6.24"),
            ("postgres (EnterpriseDB) 13.3.0", 13, "13.3.0"),
            ("postgres (PostgreSQL) 16", 16, "16"),
        ] {
            let version = Version::parse(output).expect(output);
            assert_eq!((version.major(), version.to_string().as_str()), (major, text), "{output}");
        }
    }

    #[test]
    fn other_output_is_no_version() {
        for output in ["", "\n", "pyenv: postgres: command not found", "postgres 15", "x (y) z"] {
            assert_eq!(Version::parse(output), None, "{output:?}");
        }
    }
}
