//! A table of text: columns as wide as their widest cell, shortened to the width at hand.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::color::{Paint, Painter};

const GAP: usize = 2;
const NARROWEST: usize = 6;

/// To which side a column leans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// Rows under headings.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<(String, Option<Paint>)>>,
}

impl Table {
    /// A table with these headings, all leaning left.
    pub fn new<S: Into<String>>(headings: impl IntoIterator<Item = S>) -> Self {
        Self {
            columns: headings
                .into_iter()
                .map(|name| (name.into(), Align::Left))
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Makes the column with this heading lean right.
    #[must_use]
    pub fn right(mut self, heading: &str) -> Self {
        for (name, align) in &mut self.columns {
            if name == heading {
                *align = Align::Right;
            }
        }
        self
    }

    /// Adds a row; missing cells stay empty.
    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows
            .push(cells.into_iter().map(|cell| (cell.into(), None)).collect());
    }

    /// Adds a row with painted cells.
    pub fn painted_row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = (S, Option<Paint>)>) {
        self.rows.push(
            cells
                .into_iter()
                .map(|(cell, paint)| (cell.into(), paint))
                .collect(),
        );
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table as text of at most `width` columns.
    pub fn render(&self, width: usize, painter: Painter) -> String {
        let widths = self.widths(width);
        let mut text = String::new();
        let heading: Vec<_> = self
            .columns
            .iter()
            .map(|(name, _)| (name.to_uppercase(), Some(Paint::Bold)))
            .collect();
        for row in std::iter::once(&heading).chain(&self.rows) {
            let mut line = String::new();
            let mut owed = 0;
            for (index, width) in widths.iter().enumerate() {
                let (cell, paint) = row
                    .get(index)
                    .map_or(("", None), |(cell, paint)| (cell.as_str(), *paint));
                let cell = shorten(cell, *width);
                let space = width - cell.width();
                let right = self.columns[index].1 == Align::Right;
                // Spaces are owed until text follows, so that no line ends in blanks.
                owed += if right { space } else { 0 };
                if !cell.is_empty() {
                    line.push_str(&" ".repeat(owed));
                    line.push_str(&paint.map_or_else(|| cell.clone(), |paint| painter.paint(paint, &cell)));
                    owed = 0;
                }
                owed += if right { 0 } else { space } + GAP;
            }
            text.push_str(&line);
            text.push('\n');
        }
        text
    }

    /// Widths of the columns: as wanted, the widest ones cut until the whole fits.
    fn widths(&self, width: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = self
            .columns
            .iter()
            .map(|(name, _)| name.to_uppercase().width())
            .collect();
        for row in &self.rows {
            for (wanted, (cell, _)) in widths.iter_mut().zip(row) {
                *wanted = (*wanted).max(one_line(cell).width());
            }
        }
        let gaps = GAP * widths.len().saturating_sub(1);
        while widths.iter().sum::<usize>() + gaps > width {
            match widths.iter_mut().max() {
                Some(widest) if *widest > NARROWEST => *widest -= 1,
                _ => break,
            }
        }
        widths
    }
}

/// A cell is one line; control characters would let data move the cursor.
fn one_line(cell: &str) -> String {
    cell.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

fn shorten(cell: &str, width: usize) -> String {
    let cell = one_line(cell);
    if cell.width() <= width {
        return cell;
    }
    let mut short = String::new();
    let mut used = 0;
    for letter in cell.chars() {
        let wide = letter.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        short.push(letter);
    }
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(table: &Table, width: usize) -> String {
        table.render(width, Painter::new(false))
    }

    #[test]
    fn columns_line_up_whatever_the_script() {
        let mut table = Table::new(["name", "amount"]).right("amount");
        table.row(["आशा", "5"]);
        table.row(["山田太郎", "1000"]);
        table.row(["Zé", ""]);
        assert_eq!(
            plain(&table, 80),
            "NAME      AMOUNT\nआशा            5\n山田太郎    1000\nZé\n".replace(
                "आशा            5",
                &format!("आशा{}5", " ".repeat(8 - "आशा".width() + 2 + 5))
            )
        );
    }

    #[test]
    fn the_widest_column_is_cut_first() {
        let mut table = Table::new(["a", "b"]);
        table.row(["short", "a very long text that does not fit"]);
        assert_eq!(plain(&table, 20), "A      B\nshort  a very long …\n");
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut table = Table::new(["a"]);
        table.row(["x\u{1b}[2Jy\nz"]);
        assert_eq!(plain(&table, 80), "A\nx [2Jy z\n");
    }
}
