//! A rollout as a tree that is drawn in place: its steps, and under each its failing devices.

use chrono::{DateTime, Utc};

use super::stage::{self, Group, Stage};
use super::{Picture, bar};
use crate::documents::rollout::{Part, Rollout, Tally};
use crate::failure::Result;
use crate::ids::short;
use crate::output::{Output, Styles, Token, text, time};

/// How many lines stand beside steps and devices: head, next, and the cursor's own.
const FRAME: usize = 4;

/// What is on the screen.
#[derive(Debug, Default)]
pub struct Tree {
    drawn: usize,
    last: Option<Picture>,
}

impl Tree {
    /// Draws a picture over the one before.
    pub fn show(&mut self, out: &Output, picture: &Picture) -> Result {
        let lines = draw(picture, out.size(), *out.styles());
        self.last = Some(picture.clone());
        self.put(out, &lines)
    }

    /// Says under the last picture that it is old.
    pub fn away(&mut self, out: &Output, what: &str) -> Result {
        let Some(picture) = self.last.clone() else { return Ok(()) };
        let mut lines = draw(&picture, out.size(), *out.styles());
        let told = format!("as of {}: {what}; trying again", time::clock(picture.now));
        lines.push(Line::new(told, Token::Need).render(out.size().0, *out.styles()));
        self.put(out, &lines)
    }

    /// Leaves the last picture where it is.
    pub fn close(&mut self, _: &Output) {
        self.drawn = 0;
    }

    fn put(&mut self, out: &Output, lines: &[String]) -> Result {
        let mut frame = match self.drawn {
            0 => String::new(),
            drawn => format!("\u{1b}[{drawn}A\r\u{1b}[J"),
        };
        for line in lines {
            frame += line;
            frame.push('\n');
        }
        self.drawn = lines.len();
        out.write(&frame)
    }
}

/// A line in pieces, each in its colour.
#[derive(Debug, Default)]
struct Line(Vec<(String, Option<Token>)>);

impl Line {
    fn new(text: impl AsRef<str>, token: Token) -> Self {
        Self::default().with(text, Some(token))
    }

    fn with(mut self, text: impl AsRef<str>, token: Option<Token>) -> Self {
        self.0.push((text::clean(text.as_ref()).into_owned(), token));
        self
    }

    /// The line in one row of the screen: what is too long is cut off.
    fn render(&self, width: usize, styles: Styles) -> String {
        let mut room = width.saturating_sub(1);
        let mut line = String::new();
        for (piece, token) in &self.0 {
            let is_cut = text::width(piece) > room;
            if is_cut && room < text::width(styles.ellipsis()) {
                break;
            }
            let shown = text::cut(piece, room, styles.ellipsis());
            room = room.saturating_sub(text::width(&shown));
            match token {
                Some(token) => line += &styles.paint(*token, &shown),
                None => line += &shown,
            }
            if is_cut {
                break;
            }
        }
        line
    }
}

/// The lines of a picture.
fn draw(picture: &Picture, (width, height): (usize, usize), styles: Styles) -> Vec<String> {
    let Picture { rollout, failing, now, .. } = picture;
    let room = height.saturating_sub(FRAME).max(2);
    let groups = stage::groups(rollout, *now, room.saturating_sub(failing.len().min(room / 2)));
    let room_for_devices = room.saturating_sub(groups.len()).max(1);
    let widths = Widths::of(rollout);
    let [branch, end, trunk] = styles.branches();
    let mut lines = vec![head(rollout).render(width, styles)];
    let mut left = room_for_devices;
    for (index, group) in groups.iter().enumerate() {
        let is_last = index + 1 == groups.len();
        let mark = if is_last { end } else { branch };
        let label = format!(
            "{mark} {:<first$} {:>second$} ",
            group.label(),
            text::number(group.size),
            first = widths.label,
            second = widths.size
        );
        let room = width.saturating_sub(text::width(&label));
        let line = Line::default().with(label, None);
        let bar = match group.stage {
            Stage::Waiting | Stage::NotSent => String::new(),
            _ if rollout.goes_back() || room < 2 * bar::WIDTH => String::new(),
            Stage::Running | Stage::Soaking(_) | Stage::Complete | Stage::Stopped => {
                bar::draw(group.tally, group.size, styles) + " "
            }
        };
        let rest = if bar.is_empty() { room } else { room - bar::WIDTH - 1 };
        let told = told(rollout, group);
        lines.push(line.render(width, styles) + &bar + &told.render(rest, styles));
        let trunk = if is_last { "  " } else { trunk };
        let own =
            failing.iter().filter(|part| (group.first..=group.last).contains(&part.batch_number));
        for part in own {
            if left == 0 {
                break;
            }
            left -= 1;
            lines.push(device(part, trunk, *now, styles).render(width, styles));
        }
    }
    let hidden = failing.len().saturating_sub(room_for_devices);
    if hidden > 0 {
        let more = format!("   and {}", text::count(hidden as u64, "failing device"));
        lines.push(Line::new(more, Token::Bad).render(width, styles));
    }
    lines.extend(foot(rollout).iter().map(|line| line.render(width, styles)));
    lines
}

/// The columns that hold for a whole watch.
struct Widths {
    label: usize,
    size: usize,
}

impl Widths {
    fn of(rollout: &Rollout) -> Self {
        let last = rollout.batches.last().map_or(1, |batch| batch.number).to_string().len();
        let size = text::number(rollout.device_count).len();
        Self { label: 2 * last + 1, size }
    }
}

fn head(rollout: &Rollout) -> Line {
    let (word, token) = rollout.word();
    let all = rollout.device_count.max(1);
    let done = if rollout.goes_back() { rollout.tally.reverted } else { rollout.tally.succeeded };
    let line = Line::default().with(rollout.image(), None).with("  ", None).with(word, Some(token));
    match rollout.goes_back() {
        true => line.with(format!("  {} restored", text::number(done)), None),
        false => line.with(
            format!(
                "  {} %  {}/{}",
                done * 100 / all,
                text::number(done),
                text::number(rollout.device_count)
            ),
            None,
        ),
    }
}

/// What a line says beside its bar.
fn told(rollout: &Rollout, group: &Group) -> Line {
    if rollout.goes_back() {
        return back(group.tally);
    }
    let line = counts(&[
        ("ok", group.tally.succeeded, Token::Good),
        ("failed", group.tally.failures(), Token::Bad),
        ("moving", group.tally.active, Token::Move),
        ("going back", group.tally.reverting, Token::Back),
        ("restored", group.tally.reverted, Token::Back),
        ("offline", group.tally.deferred, Token::Off),
        ("skipped", group.tally.skipped, Token::Calm),
        ("withdrawn", group.tally.cancelled, Token::Calm),
    ]);
    match group.stage {
        Stage::Soaking(end) => line.with(format!(", watched until {}", time::clock(end)), None),
        Stage::Running | Stage::Complete | Stage::Stopped => line,
        Stage::NotSent => Line::new("not sent", Token::Calm),
        Stage::Waiting if group.gated => Line::new(
            format!("waits for `slipway rollout promote {} {}`", short(&rollout.id), group.first),
            Token::Need,
        ),
        Stage::Waiting if group.first > 1 => {
            Line::new(format!("waits for batch {}", group.first - 1), Token::Wait)
        }
        Stage::Waiting => Line::new("waits for its start", Token::Wait),
    }
}

fn back(tally: Tally) -> Line {
    let untouched = tally.queued + tally.deferred + tally.skipped + tally.cancelled;
    counts(&[
        ("restored", tally.reverted, Token::Back),
        ("moving", tally.reverting + tally.active + tally.succeeded, Token::Move),
        ("failed", tally.failures(), Token::Bad),
        ("untouched", untouched, Token::Calm),
    ])
}

/// `181 ok, 6 failed`: those that are there.
fn counts(parts: &[(&str, u64, Token)]) -> Line {
    let mut line = Line::default();
    for (word, count, token) in parts.iter().filter(|(_, count, _)| *count > 0) {
        if !line.0.is_empty() {
            line = line.with(", ", None);
        }
        line = line.with(format!("{} {word}", text::number(*count)), Some(*token));
    }
    line
}

fn device(part: &Part, trunk: &str, now: DateTime<Utc>, styles: Styles) -> Line {
    let (_, token) = part.word();
    let retry = match part.retry_at {
        Some(at) => format!(", tried again {}", time::until(at, now)),
        None => String::new(),
    };
    Line::default()
        .with(format!("{trunk} "), None)
        .with(styles.glyph(token), Some(token))
        .with(format!(" {} {}{retry}", part.name(), part.why()), None)
}

fn foot(rollout: &Rollout) -> Vec<Line> {
    let mut lines = Vec::new();
    if !rollout.state_detail.is_empty() {
        lines.push(Line::default().with(format!("why: {}", rollout.state_detail), None));
    }
    if !rollout.next.is_empty() {
        lines.push(Line::default().with(format!("next: {}", rollout.next), None));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::rollout::Batch;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).unwrap()
    }

    fn batch(number: u64, size: u64, state: &str, tally: Tally) -> Batch {
        Batch { number, size, state: state.to_owned(), tally, ..Batch::default() }
    }

    fn picture() -> Picture {
        let first = Tally { succeeded: 24, ..Tally::default() };
        let second = Tally { succeeded: 95, failed: 1, ..Tally::default() };
        let third =
            Tally { succeeded: 181, failed: 6, active: 58, queued: 235, ..Tally::default() };
        let fourth = Tally { queued: 600, ..Tally::default() };
        let rollout = serde_json::from_value::<Rollout>(serde_json::json!({
            "id": "0198f3a4-0000-7000-8000-000000000001",
            "repository": "ghcr.io/edge/gateway", "tag": "5.2.0",
            "status": "in_progress", "state": "running", "device_count": 1200,
            "next": "batch 4 about 15:24",
        }))
        .unwrap();
        let rollout = Rollout {
            tally: first.plus(second).plus(third).plus(fourth),
            batches: vec![
                batch(1, 24, "complete", first),
                batch(2, 96, "complete", second),
                batch(3, 480, "running", third),
                batch(4, 600, "waiting", fourth),
            ],
            ..rollout
        };
        let failing = vec![Part {
            device_name: "hall-7-0412".to_owned(),
            status: "failed".to_owned(),
            batch_number: 3,
            message: "pull stalled\u{1b}[2J".to_owned(),
            retry_at: Some(now() + chrono::TimeDelta::seconds(40)),
            ..Part::default()
        }];
        Picture { rollout, failing, document: serde_json::Value::Null, now: now() }
    }

    #[test]
    fn complete_steps_fold_and_failing_devices_stand_under_theirs() {
        let lines = draw(&picture(), (100, 24), Styles::plain());
        assert_eq!(
            lines,
            [
                "ghcr.io/edge/gateway:5.2.0  in progress  25 %  300/1,200",
                "|- 1-2   120 [=========x] 119 ok, 1 failed",
                "|- 3     480 [===x~.....] 181 ok, 6 failed, 58 moving",
                "|  x hall-7-0412 pull stalled\\u{1b}[2J, tried again in 40 s",
                "`- 4     600 waits for batch 3",
                "next: batch 4 about 15:24",
            ]
        );
    }

    #[test]
    fn every_line_fits_the_screen() {
        for (width, height) in [(20, 5), (40, 8), (80, 24)] {
            let mut picture = picture();
            let part = picture.failing[0].clone();
            picture.failing = vec![part; 60];
            let lines = draw(&picture, (width, height), Styles::plain());
            assert!(lines.iter().all(|line| text::width(line) < width), "{lines:#?}");
            assert!(lines.len() <= height.max(8), "{height}: {lines:#?}");
        }
    }

    #[test]
    fn on_the_way_back_the_steps_tell_what_is_restored() {
        let mut picture = picture();
        picture.rollout.state = "rolling_back".to_owned();
        picture.rollout.batches.truncate(1);
        picture.rollout.batches[0].tally =
            Tally { reverted: 20, reverting: 3, revert_failed: 1, ..Tally::default() };
        picture.failing.clear();
        let lines = draw(&picture, (100, 24), Styles::plain());
        assert_eq!(lines[0], "ghcr.io/edge/gateway:5.2.0  rolling back  0 restored");
        assert_eq!(lines[1], "`- 1      24 20 restored, 3 moving, 1 failed");
    }
}
