//! One JSON object per line on standard output, so that a log collector needs no pattern. Secrets cannot get in:
//! [`crate::credential::Secret`] has neither `Serialize` nor `Display`.

use std::io::Write;
use std::sync::Mutex;

use jiff::Timestamp;
use serde_json::{Map, Value};

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

    /// What was done or found.
    pub(crate) fn info(&self, event: &str, message: &str, fields: &[(&str, &str)]) {
        self.line("info", event, message, fields);
    }

    /// What an operator should know although the run goes on.
    pub(crate) fn warning(&self, event: &str, message: &str, fields: &[(&str, &str)]) {
        self.line("warning", event, message, fields);
    }

    /// Why the run ends, and what to do.
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
            line.insert((*key).into(), (*value).into());
        }
        if let Ok(mut out) = self.out.lock() {
            // A log that cannot be written must not stop the work itself.
            let _ = writeln!(out, "{}", Value::Object(line));
            let _ = out.flush();
        }
    }
}
