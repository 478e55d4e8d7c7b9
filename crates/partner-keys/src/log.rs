//! One JSON object per line on standard output. Key material, secrets and tokens are never handed to it.

use std::io::Write;
use std::sync::Mutex;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// The longest piece of a caller's text that is logged.
const LONGEST: usize = 120;

/// Writes log lines.
pub(crate) struct Log {
    out: Mutex<Box<dyn Write + Send>>,
}

impl Log {
    /// A log on standard output.
    pub(crate) fn to_stdout() -> Self {
        Self {
            out: Mutex::new(Box::new(std::io::stdout())),
        }
    }

    /// What was done.
    pub(crate) fn info(&self, event: &str, message: &str, fields: &[(&str, &str)]) {
        self.line("info", event, message, fields);
    }

    /// What was refused, or what an operator should look at.
    pub(crate) fn warning(&self, event: &str, message: &str, fields: &[(&str, &str)]) {
        self.line("warning", event, message, fields);
    }

    /// Why the service ends.
    pub(crate) fn error(&self, code: &str, message: &str, remedy: &str) {
        self.line("error", code, message, &[("remedy", remedy)]);
    }

    fn line(&self, level: &str, event: &str, message: &str, fields: &[(&str, &str)]) {
        let mut line = Map::new();
        let time = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        line.insert("time".into(), Value::String(time));
        line.insert("level".into(), level.into());
        line.insert("event".into(), event.into());
        line.insert("message".into(), message.into());
        for (key, value) in fields {
            line.insert((*key).into(), shortened(value).into());
        }
        if let Ok(mut out) = self.out.lock() {
            // A log that cannot be written must not stop the service.
            let _ = writeln!(out, "{}", Value::Object(line));
            let _ = out.flush();
        }
    }
}

/// Callers choose some of the words that are logged; they do not choose how long a line gets.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}.. ({} bytes)", &text[..end], text.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(
            shortened(&"ä".repeat(121)),
            format!("{}.. (242 bytes)", "ä".repeat(120))
        );
    }
}
