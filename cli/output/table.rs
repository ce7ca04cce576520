//! Tables for people: columns as wide as they must be, the long one last.

use super::text;
use super::words::Token;
use super::{Output, Styles};
use crate::failure::Result;

/// A table that grows row by row.
#[derive(Debug, Clone)]
pub struct Table {
    heads: Vec<&'static str>,
    right: Vec<bool>,
    rows: Vec<Vec<Cell>>,
}

/// One cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    text: String,
    token: Option<Token>,
}

impl Cell {
    /// Text from anywhere: what could harm the terminal is written out.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self { text: text::clean(text.as_ref()).into_owned(), token: None }
    }

    /// A word in the colour of its token.
    pub fn word((word, token): (impl AsRef<str>, Token)) -> Self {
        Self { token: Some(token), ..Self::new(word) }
    }

    /// The cell in the colour of a token.
    #[must_use]
    pub fn painted(self, token: Token) -> Self {
        Self { token: Some(token), ..self }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::new(text)
    }
}

impl Table {
    /// A table with these heads; numbers stand to the right under a head that begins with `>`.
    pub fn new(heads: &[&'static str]) -> Self {
        let right = heads.iter().map(|head| head.starts_with('>')).collect();
        let heads = heads.iter().map(|head| head.trim_start_matches('>')).collect();
        Self { heads, right, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        let row: Vec<_> = cells.into_iter().collect();
        debug_assert_eq!(row.len(), self.heads.len(), "a row has a cell for every head");
        self.rows.push(row);
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Prints it; where there is no row, says so instead.
    pub fn print(&self, out: &Output, empty: &str) -> Result {
        if self.is_empty() {
            out.note(empty);
            return Ok(());
        }
        out.write(&self.render(*out.styles()))
    }

    /// The table as text, a line per row.
    pub fn render(&self, styles: Styles) -> String {
        let widths = self.widths();
        let heads = self.heads.iter().map(Cell::new).collect::<Vec<_>>();
        let mut text = self.line(&heads, &widths, |_, text| styles.faint(text));
        for row in &self.rows {
            text += &self.line(row, &widths, |cell, text| match cell.token {
                Some(token) => styles.paint(token, text),
                None => text.to_owned(),
            });
        }
        text
    }

    fn line(
        &self,
        cells: &[Cell],
        widths: &[usize],
        paint: impl Fn(&Cell, &str) -> String,
    ) -> String {
        let mut line = String::new();
        let last = cells.len().saturating_sub(1);
        for (index, cell) in cells.iter().enumerate() {
            let gap = widths[index].saturating_sub(text::width(&cell.text));
            let (before, after) = match self.right[index] {
                true => (gap, 0),
                false if index == last => (0, 0),
                false => (0, gap),
            };
            line.extend(std::iter::repeat_n(' ', before));
            line += &paint(cell, &cell.text);
            line.extend(std::iter::repeat_n(' ', after));
            if index < last {
                line += "  ";
            }
        }
        format!("{}\n", line.trim_end())
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths: Vec<_> = self.heads.iter().map(|head| text::width(head)).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(text::width(&cell.text));
            }
        }
        widths
    }
}

/// Names and values under one another, for one thing.
#[derive(Debug, Clone, Default)]
pub struct Facts(Vec<(&'static str, Cell)>);

impl Facts {
    /// Adds a fact; one without a value is left out.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cell>) -> Self {
        let value = value.into();
        if !value.text.is_empty() {
            self.0.push((name, value));
        }
        self
    }

    /// Prints them.
    pub fn print(&self, out: &Output) -> Result {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.0 {
            let value = match value.token {
                Some(token) => out.styles().paint(token, &value.text),
                None => value.text.clone(),
            };
            out.say(&format!("{}  {value}", out.styles().faint(&format!("{name:<width$}"))))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_script() {
        let mut table = Table::new(&["NAME", ">DEVICES", "WHY"]);
        table.row(["漢字".into(), "7".into(), "short".into()]);
        table.row(["north".into(), "10,482".into(), "a longer one".into()]);
        let expected = "NAME   DEVICES  WHY\n漢字         7  short\nnorth   10,482  a longer one\n";
        assert_eq!(table.render(Styles::plain()), expected);
    }

    #[test]
    fn text_from_elsewhere_cannot_break_the_table() {
        let mut table = Table::new(&["NAME"]);
        table.row(["a\nb\u{1b}[2J".into()]);
        assert_eq!(table.render(Styles::plain()), "NAME\na\\nb\\u{1b}[2J\n");
    }
}
