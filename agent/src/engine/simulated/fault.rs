//! What goes wrong with images on a simulated device.

use std::time::Duration;

use crate::image::Image;

/// Something that goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// With which references: the whole text, or its beginning and `*`. None = with every update,
    /// but not with what is installed first.
    pub reference: Option<String>,
    /// How often; none = always.
    pub times: Option<u32>,
}

/// What can go wrong with an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The pull fails.
    PullFails,
    /// The pull stands still.
    Stall,
    /// The image is not what was asked for.
    Corrupt,
    /// There is no room.
    NoSpace,
    /// The image is for another platform.
    WrongPlatform,
    /// The container cannot be started.
    StartFails,
    /// The call that starts the container never returns.
    Hang,
    /// The container ends as soon as it has started.
    ExitAtOnce,
    /// It ends after this long.
    CrashAfter(Duration),
    /// It is healthy and ill by turns, each for this long.
    Flap(Duration),
    /// It never becomes healthy.
    Unhealthy,
}

impl FaultKind {
    /// Says whether it goes wrong before the container is started.
    pub(super) fn is_of_pull(self) -> bool {
        match self {
            Self::PullFails | Self::Stall | Self::Corrupt | Self::NoSpace | Self::WrongPlatform => {
                true
            }
            Self::StartFails
            | Self::Hang
            | Self::ExitAtOnce
            | Self::CrashAfter(_)
            | Self::Flap(_)
            | Self::Unhealthy => false,
        }
    }
}

impl Fault {
    /// A fault of every image of this reference.
    #[must_use]
    pub fn of(reference: &str, kind: FaultKind) -> Self {
        Self { kind, reference: Some(reference.to_owned()), times: None }
    }

    /// Says whether the fault hits an image.
    pub(super) fn hits(&self, image: &Image, is_update: bool) -> bool {
        if self.times == Some(0) {
            return false;
        }
        match self.reference.as_deref() {
            None => is_update,
            Some(pattern) => match pattern.strip_suffix('*') {
                Some(beginning) => image.reference.starts_with(beginning),
                None => image.reference == pattern,
            },
        }
    }
}
