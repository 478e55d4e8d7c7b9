//! Findings as people read them: the line, the place, the remedy.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Severity, Span};
use crate::quote::is_treacherous;
use crate::secret;

/// All findings, a blank line between them.
pub(crate) fn render(items: &[Diagnostic], text: &str, color: bool, width: usize) -> String {
    let hidden = visible(&secret::redacted(text));
    let shown = hidden.as_str();
    let renderer = if color {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let renderer = renderer.term_width(width).decor_style(DecorStyle::Ascii);
    let mut parts = Vec::new();
    for item in items {
        let level = match item.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut snippet = Snippet::source(shown)
            .path(&item.span.file)
            .fold(true)
            .annotation(AnnotationKind::Primary.span(within(shown, &item.span)));
        if let Some((span, label)) = &item.related {
            snippet = snippet.annotation(AnnotationKind::Context.span(within(shown, span)).label(label));
        }
        let mut report = level.primary_title(&item.message).id(&item.code).element(snippet);
        if let Some(help) = &item.help {
            report = report.element(Level::HELP.message(help));
        }
        parts.push(renderer.render(&[report]));
    }
    parts.join("\n\n")
}

/// The span as a range that the text has, on borders of characters. The end of a file is shown at its last letter.
fn within(text: &str, span: &Span) -> std::ops::Range<usize> {
    let start = text.floor_char_boundary(span.bytes.start.min(text.trim_end().len()));
    let end = text.ceil_char_boundary(span.bytes.end.clamp(start, text.len()));
    start..end
}

/// Letters that a terminal obeys or hides, replaced by visible ones of the same number of bytes. The renderer does so for
/// most of them, not for all.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter.len_utf8() {
            2 if is_treacherous(letter) => shown.push('¤'),
            3 if is_treacherous(letter) => shown.push(char::REPLACEMENT_CHARACTER),
            4 if is_treacherous(letter) => shown.push_str("????"),
            _ => shown.push(letter),
        }
    }
    shown
}
