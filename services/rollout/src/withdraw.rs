//! Taking an offer back: what becomes of each try when its rollout turns.

use crate::assignment::State;

/// Why offers are taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The rollout goes back: everybody who has begun goes back with it.
    Back,
    /// It was cancelled; who is past the pull finishes.
    Keep,
    /// A newer release takes its place; who has begun to swap finishes and is judged.
    Superseded,
}

/// What becomes of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    /// It goes on.
    Leave,
    /// It ends here, and the target is taken back where it was sent.
    End(State),
    /// The device has begun: it goes back, and that is watched.
    Revert,
}

/// Says what becomes of a try in this state.
#[must_use]
pub fn disposition(turn: Turn, state: State) -> Disposition {
    if state.is_over() || state == State::Reverting {
        return Disposition::Leave;
    }
    let begun = state.is_active() && state != State::Offered;
    match turn {
        Turn::Back if begun => Disposition::Revert,
        Turn::Back => Disposition::End(State::Cancelled),
        Turn::Keep if (State::Staged..=State::Verifying).contains(&state) => Disposition::Leave,
        Turn::Keep => Disposition::End(State::Cancelled),
        Turn::Superseded if state.is_swapped() => Disposition::Leave,
        Turn::Superseded => Disposition::End(State::Superseded),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_begun_goes_back_and_who_has_not_is_let_go() {
        use Disposition::{End, Leave, Revert};
        for (state, back, keep, superseded) in [
            (State::Queued, End(State::Cancelled), End(State::Cancelled), End(State::Superseded)),
            (State::Deferred, End(State::Cancelled), End(State::Cancelled), End(State::Superseded)),
            (State::Offered, End(State::Cancelled), End(State::Cancelled), End(State::Superseded)),
            (State::Downloading, Revert, End(State::Cancelled), End(State::Superseded)),
            (State::Staged, Revert, Leave, End(State::Superseded)),
            (State::Installing, Revert, Leave, Leave),
            (State::Verifying, Revert, Leave, Leave),
            (State::Reverting, Leave, Leave, Leave),
            (State::Succeeded, Leave, Leave, Leave),
        ] {
            assert_eq!(disposition(Turn::Back, state), back, "{state:?}");
            assert_eq!(disposition(Turn::Keep, state), keep, "{state:?}");
            assert_eq!(disposition(Turn::Superseded, state), superseded, "{state:?}");
        }
    }
}
