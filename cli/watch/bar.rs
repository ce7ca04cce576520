//! A bar of ten cells: texture says what colour says.

use crate::documents::rollout::Tally;
use crate::output::{Styles, Token};

/// How many cells a bar has.
const CELLS: u64 = 10;
/// How many columns it takes.
pub const WIDTH: usize = 12;

/// The bar of a batch.
pub fn draw(tally: Tally, size: u64, styles: Styles) -> String {
    let parts = parts(tally);
    let cells = shares(parts.map(|(count, _, _)| count), size.max(1));
    let mut bar = String::from("[");
    for (count, (_, mark, token)) in cells.into_iter().zip(parts) {
        bar += &styles.paint(token, &mark.repeat(usize::try_from(count).unwrap_or(0)));
    }
    bar + "]"
}

/// What the cells show, in their order.
fn parts(tally: Tally) -> [(u64, &'static str, Token); 5] {
    let out = tally.deferred + tally.skipped + tally.cancelled;
    [
        (tally.succeeded, "=", Token::Good),
        (tally.failures(), "x", Token::Bad),
        (tally.active + tally.reverting, "~", Token::Move),
        (out, "-", Token::Off),
        (tally.queued + tally.reverted, ".", Token::Wait),
    ]
}

/// Shares the cells out: whatever is there gets one, and all together fill the bar.
fn shares(counts: [u64; 5], size: u64) -> [u64; 5] {
    let mut cells = counts.map(|count| match count {
        0 => 0,
        count => (count * CELLS / size).clamp(1, CELLS),
    });
    loop {
        let sum: u64 = cells.iter().sum();
        let largest = (0..cells.len()).max_by_key(|index| cells[*index]).unwrap_or(0);
        if sum > CELLS {
            cells[largest] -= 1;
        } else if sum < CELLS {
            // The one that lost most by rounding down.
            let lost = |index: &usize| match counts[*index] {
                0 => 0,
                count => 1 + (count * CELLS).saturating_sub(cells[*index] * size),
            };
            let most = (0..cells.len()).max_by_key(lost).unwrap_or(4);
            cells[if counts.iter().all(|count| *count == 0) { 4 } else { most }] += 1;
        } else {
            return cells;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_there_is_seen() {
        let tally =
            Tally { succeeded: 181, failed: 6, active: 58, queued: 235, ..Tally::default() };
        assert_eq!(draw(tally, 480, Styles::plain()), "[===x~.....]");
        let one = Tally { succeeded: 999, failed: 1, ..Tally::default() };
        assert_eq!(draw(one, 1_000, Styles::plain()), "[=========x]");
        let done = Tally { succeeded: 24, ..Tally::default() };
        assert_eq!(draw(done, 24, Styles::plain()), "[==========]");
        assert_eq!(draw(Tally::default(), 0, Styles::plain()), "[..........]");
    }

    #[test]
    fn every_bar_has_ten_cells() {
        for size in 1..60 {
            for failed in 0..=size {
                let tally = Tally { failed, succeeded: (size - failed) / 2, ..Tally::default() };
                let rest = size - failed - tally.succeeded;
                let tally = Tally { queued: rest / 2, active: rest - rest / 2, ..tally };
                assert_eq!(draw(tally, size, Styles::plain()).len(), 12, "{tally:?}");
            }
        }
    }
}
