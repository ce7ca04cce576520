//! How one installs PostgreSQL here.

use std::fs;
use std::path::Path;

/// The kind of system this runs on, as far as installing PostgreSQL on it differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Platform {
    /// Debian, Ubuntu and what derives from them.
    Debian,
    /// Fedora, RHEL and what derives from them.
    Fedora,
    /// Alpine Linux.
    Alpine,
    /// Arch Linux and what derives from it.
    Arch,
    /// openSUSE and SLES.
    Suse,
    /// macOS with Homebrew.
    MacOs,
    /// Anything else.
    Unknown,
}

impl Platform {
    /// Tells what this machine is; `root` is where its file system begins, `/` outside of tests.
    pub fn detect(root: &Path) -> Self {
        if cfg!(target_os = "macos") {
            return Self::MacOs;
        }
        let os_release = ["etc/os-release", "usr/lib/os-release"]
            .iter()
            .find_map(|path| fs::read_to_string(root.join(path)).ok());
        os_release.map_or(Self::Unknown, |text| Self::from_os_release(&text))
    }

    /// Reads a file in the form of os-release(5): the system itself first, then its ancestors.
    pub fn from_os_release(text: &str) -> Self {
        let value = |key: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
                .map(|value| value.trim_matches(['"', '\'']).to_owned())
                .unwrap_or_default()
        };
        let names = format!("{} {}", value("ID"), value("ID_LIKE"));
        names.split_whitespace().find_map(Self::from_name).unwrap_or(Self::Unknown)
    }

    /// The sentence part that says how to install PostgreSQL here.
    pub fn install_line(self) -> &'static str {
        match self {
            Self::Debian => "install it with `sudo apt-get install -y postgresql`",
            Self::Fedora => "install it with `sudo dnf install -y postgresql-server`",
            Self::Alpine => "install it with `sudo apk add postgresql`",
            Self::Arch => "install it with `sudo pacman -S postgresql`",
            Self::Suse => "install it with `sudo zypper install postgresql-server`",
            Self::MacOs => "install it with `brew install postgresql@17`",
            Self::Unknown => "install PostgreSQL 14 or newer from your system's packages",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "debian" | "ubuntu" | "raspbian" | "linuxmint" => Some(Self::Debian),
            "fedora" | "rhel" | "centos" | "rocky" | "almalinux" | "amzn" => Some(Self::Fedora),
            "alpine" => Some(Self::Alpine),
            "arch" | "archarm" | "manjaro" => Some(Self::Arch),
            "suse" | "opensuse" | "sles" => Some(Self::Suse),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Platform;

    #[test]
    fn systems_are_told_by_themselves_or_their_ancestors() {
        for (os_release, platform) in [
            (
                "PRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID=\"12\"\nID=debian\n",
                Platform::Debian,
            ),
            ("ID=pop\nID_LIKE=\"ubuntu debian\"\n", Platform::Debian),
            ("ID=\"ol\"\nID_LIKE=\"fedora\"\n", Platform::Fedora),
            ("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n", Platform::Fedora),
            ("ID=alpine\nVERSION_ID=3.20.1\n", Platform::Alpine),
            ("ID=endeavouros\nID_LIKE='arch'\n", Platform::Arch),
            ("ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n", Platform::Suse),
            ("ID=nixos\n", Platform::Unknown),
            ("VERSION_ID=debian\n", Platform::Unknown),
            ("", Platform::Unknown),
        ] {
            assert_eq!(Platform::from_os_release(os_release), platform, "{os_release:?}");
        }
    }
}
