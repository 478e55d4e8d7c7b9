//! All that reaches the terminal. Data goes to standard output, everything said to people to standard error.

mod color;
mod diff;
pub mod plan;
mod printer;
mod progress;
mod remaining;
mod table;

pub use color::{Paint, Painter};
pub use diff::diff;
pub use printer::{Captured, Environment, Printer};
pub use progress::{Outcome, Progress, StepEstimate};
pub use remaining::{Remaining, human_duration};
pub use table::{Align, Table};

/// A word as it can be typed into a shell.
pub fn shell_word(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:@%+=,".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
