//! Colours as a choice made once. Colour never carries meaning alone: the words say it too.

/// What a piece of text is, for the eye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// Headings and names.
    Bold,
    /// Side remarks.
    Dim,
    /// Well.
    Good,
    /// Look here.
    Warning,
    /// Broken.
    Bad,
    /// What can be typed.
    Literal,
}

/// Paints, or leaves text alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Painter {
    on: bool,
}

impl Painter {
    /// A painter that paints when `on`.
    pub fn new(on: bool) -> Self {
        Self { on }
    }

    /// Whether it paints.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// The text, painted.
    pub fn paint(self, paint: Paint, text: &str) -> String {
        if !self.on || text.is_empty() {
            return text.to_owned();
        }
        let code = match paint {
            Paint::Bold => "1",
            Paint::Dim => "2",
            Paint::Good => "32",
            Paint::Warning => "33",
            Paint::Bad => "1;31",
            Paint::Literal => "36",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paints_only_when_on() {
        assert_eq!(Painter::new(false).paint(Paint::Bad, "x"), "x");
        assert_eq!(
            Painter::new(true).paint(Paint::Bad, "x"),
            "\u{1b}[1;31mx\u{1b}[0m"
        );
    }
}
