//! The log of programs that run inside an environment: one JSON object per line on standard output, so that a log collector needs no
//! pattern. Key material, secrets and tokens are never handed to it.

use std::io::Write;
use std::sync::Mutex;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// The longest piece of a caller's text that is logged.
const LONGEST: usize = 120;

/// Writes log lines: `time` (RFC 3339, UTC, milliseconds), `level`, `event`, `message`, and fields of the event.
pub struct Log {
    out: Mutex<Box<dyn Write + Send>>,
}

impl Log {
    /// A log on standard output.
    pub fn to_stdout() -> Self {
        Self {
            out: Mutex::new(Box::new(std::io::stdout())),
        }
    }

    /// What was done or found.
    pub fn info(&self, event: &str, message: &str, fields: &[(&str, &str)]) {
        self.line("info", event, message, all_shortened(fields));
    }

    /// What was refused, or what an operator should look at.
    pub fn warning(&self, event: &str, message: &str, fields: &[(&str, &str)]) {
        self.line("warning", event, message, all_shortened(fields));
    }

    /// Why the program ends, and what to do.
    pub fn error(&self, code: &str, message: &str, remedy: &str) {
        self.line("error", code, message, vec![("remedy", remedy.to_owned())]);
    }

    fn line(&self, level: &str, event: &str, message: &str, fields: Vec<(&str, String)>) {
        let mut line = Map::new();
        let time = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        line.insert("time".into(), Value::String(time));
        line.insert("level".into(), level.into());
        line.insert("event".into(), event.into());
        line.insert("message".into(), message.into());
        for (key, value) in fields {
            line.insert(key.into(), value.into());
        }
        if let Ok(mut out) = self.out.lock() {
            // A log that cannot be written must not stop the work itself.
            let _ = writeln!(out, "{}", Value::Object(line));
            let _ = out.flush();
        }
    }
}

fn all_shortened<'a>(fields: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
    fields
        .iter()
        .map(|(key, value)| (*key, shortened(value)))
        .collect()
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
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(
            shortened(&"ä".repeat(121)),
            format!("{}.. (242 bytes)", "ä".repeat(120))
        );
    }

    #[test]
    fn a_line_is_one_object_and_a_remedy_is_told_to_its_end() {
        let lines = Lines::default();
        let log = Log {
            out: Mutex::new(Box::new(lines.clone())),
        };
        let words = "x".repeat(500);
        log.info("token", "issued\nand more", &[("client", &words)]);
        log.error("init::timeout", "no login", &words);
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        let objects: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(objects.len(), 2);
        assert_eq!(objects[0]["level"], "info");
        assert_eq!(objects[0]["message"], "issued\nand more");
        assert_eq!(objects[0]["client"], format!("{}.. (500 bytes)", "x".repeat(120)));
        assert_eq!(objects[1]["event"], "init::timeout");
        assert_eq!(objects[1]["remedy"], words);
    }
}
