//! The Printer decides what reaches standard output and standard error.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::color::{Paint, Painter};
use super::progress::Progress;
use super::table::Table;
use crate::args::{ColorWhen, Format, GlobalArgs};
use crate::error::CliError;

const DEFAULT_WIDTH: usize = 100;

/// What the printer must know about the process it runs in; injected so that tests decide it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not the states of one thing"
)]
#[derive(Clone, Debug)]
pub struct Environment {
    /// Standard input is a terminal: questions may be asked.
    pub stdin_terminal: bool,
    /// Standard output is a terminal.
    pub stdout_terminal: bool,
    /// Standard error is a terminal.
    pub stderr_terminal: bool,
    /// `NO_COLOR` is set and not empty, or `TERM` is `dumb`.
    pub no_color: bool,
    /// Columns of the terminal, when known.
    pub width: Option<usize>,
    /// Where output goes instead of the process's own streams.
    pub capture: Option<Captured>,
}

impl Environment {
    /// Reads it from the process.
    pub fn of_process() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let columns = std::env::var("COLUMNS")
            .ok()
            .and_then(|columns| columns.parse().ok());
        let terminal = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        Self {
            stdin_terminal: io::stdin().is_terminal(),
            stdout_terminal: io::stdout().is_terminal(),
            stderr_terminal: io::stderr().is_terminal(),
            no_color: set("NO_COLOR") || std::env::var("TERM").is_ok_and(|term| term == "dumb"),
            width: columns.or(terminal),
            capture: None,
        }
    }

    /// No terminal anywhere, output kept in memory: for tests.
    pub fn captured() -> (Self, Captured) {
        let capture = Captured::default();
        let environment = Self {
            stdin_terminal: false,
            stdout_terminal: false,
            stderr_terminal: false,
            no_color: true,
            width: None,
            capture: Some(capture.clone()),
        };
        (environment, capture)
    }
}

/// Output kept in memory.
#[derive(Clone, Debug, Default)]
pub struct Captured {
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
}

impl Captured {
    /// What went to standard output.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// What went to standard error.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }
}

/// The only way to say anything. Cheap to clone; safe to share between threads.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not the states of one thing"
)]
#[derive(Clone)]
pub struct Printer {
    format: Format,
    lines: bool,
    quiet: bool,
    verbose: bool,
    width: usize,
    stdin_terminal: bool,
    stderr_terminal: bool,
    out: Painter,
    err: Painter,
    capture: Option<Captured>,
}

impl fmt::Debug for Printer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Printer")
            .field("format", &self.format)
            .finish_non_exhaustive()
    }
}

impl Printer {
    /// A printer for these options in this process.
    pub fn new(global: &GlobalArgs, environment: &Environment) -> Self {
        let color = |terminal: bool| match global.color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => terminal && !environment.no_color,
        };
        Self {
            format: global.format(),
            lines: false,
            quiet: global.quiet,
            verbose: global.verbose,
            width: environment.width.unwrap_or(DEFAULT_WIDTH).max(40),
            stdin_terminal: environment.stdin_terminal,
            stderr_terminal: environment.stderr_terminal,
            out: Painter::new(color(environment.stdout_terminal)),
            err: Painter::new(color(environment.stderr_terminal)),
            capture: environment.capture.clone(),
        }
    }

    /// Writes each JSON document on one line, for commands that write several.
    #[must_use]
    pub fn in_lines(mut self, lines: bool) -> Self {
        self.lines = lines;
        self
    }

    /// Whether results are to be JSON. A command then calls [`Self::json`] and no other method for its result.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether `-v` was given.
    pub fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Whether a question can be asked and the answer read.
    pub fn is_interactive(&self) -> bool {
        self.stdin_terminal && self.stderr_terminal && !self.is_json() && !self.quiet
    }

    /// Whether standard error is a terminal on which progress can be drawn.
    pub(super) fn draws(&self) -> bool {
        self.stderr_terminal && !self.quiet && !self.is_json() && self.capture.is_none()
    }

    /// Columns that may be used.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Colours for text that goes to standard output.
    pub fn paint_out(&self) -> Painter {
        self.out
    }

    /// Colours for text that goes to standard error.
    pub fn paint_err(&self) -> Painter {
        self.err
    }

    /// Writes data to standard output and ends the line if it is not ended.
    pub fn data(&self, text: &str) {
        self.write(Stream::Out, text);
    }

    /// Writes one JSON document to standard output: indented, or on one line in a command that writes several.
    pub fn json<T: Serialize>(&self, value: &T) {
        if self.lines {
            return self.json_line(value);
        }
        match serde_json::to_string_pretty(value) {
            Ok(text) => self.data(&text),
            Err(error) => self.warning(&format!("a result could not be written as JSON: {error}")),
        }
    }

    /// Writes one JSON document on one line to standard output: an event.
    pub fn json_line<T: Serialize>(&self, value: &T) {
        match serde_json::to_string(value) {
            Ok(text) => self.data(&text),
            Err(error) => self.warning(&format!("an event could not be written as JSON: {error}")),
        }
    }

    /// Writes a table to standard output.
    pub fn table(&self, table: &Table) {
        self.data(&table.render(self.width, self.out));
    }

    /// Tells people something; not with `-q`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.people(text);
        }
    }

    /// Tells people something only with `-v`.
    pub fn detail(&self, text: &str) {
        if self.verbose {
            self.people(&self.err.paint(Paint::Dim, text));
        }
    }

    /// Warns people, even with `-q`.
    pub fn warning(&self, text: &str) {
        self.people(&format!("{} {text}", self.err.paint(Paint::Warning, "warning:")));
    }

    /// The closing line that names the next useful command; not with `-q` and not in JSON.
    pub fn next(&self, command: &str, why: &str) {
        if !self.quiet && !self.is_json() {
            self.people(&format!(
                "next: {}  {why}",
                self.err.paint(Paint::Literal, command)
            ));
        }
    }

    /// Tells people something, whatever the options.
    pub fn people(&self, text: &str) {
        self.write(Stream::Err, text);
    }

    /// Writes a question without ending the line.
    pub fn ask(&self, question: &str) {
        self.write_raw(Stream::Err, question.as_bytes());
    }

    /// Reports an error: for people on standard error, with `-o json` as `{"error": {...}}` on standard output.
    pub fn error(&self, error: &CliError) {
        if self.is_json() {
            self.json(&serde_json::json!({ "error": error }));
        } else {
            self.people(&self.render_error(error));
        }
    }

    /// Progress of a long work, for people.
    pub fn progress(&self) -> Progress {
        Progress::new(self)
    }

    fn render_error(&self, error: &CliError) -> String {
        let mut parts = Vec::new();
        if let Some(diagnostics) = &error.diagnostics {
            parts.push(diagnostics.render(self.err.is_on(), self.width));
            parts.push(String::new());
        }
        let head = self.err.paint(Paint::Bad, &format!("error[{}]:", error.code));
        parts.push(format!("{head} {}", error.message));
        parts.extend(error.place.iter().map(|place| format!("  where: {place}")));
        parts.extend(
            error
                .why
                .iter()
                .map(|why| format!("  why: {}", why.trim_end().replace('\n', "\n       "))),
        );
        let word = self.err.paint(Paint::Literal, "hint:");
        parts.extend(
            error
                .hints
                .iter()
                .map(|hint| format!("  {word} {}", hint.replace('\n', "\n        "))),
        );
        parts.join("\n")
    }

    fn write(&self, stream: Stream, text: &str) {
        if text.ends_with('\n') {
            self.write_raw(stream, text.as_bytes());
        } else {
            self.write_raw(stream, format!("{text}\n").as_bytes());
        }
    }

    /// A reader that went away (`openg2p ... | head`) is no error of ours, and there is nobody left to tell.
    fn write_raw(&self, stream: Stream, bytes: &[u8]) {
        if let Some(capture) = &self.capture {
            let buffer = match stream {
                Stream::Out => &capture.stdout,
                Stream::Err => &capture.stderr,
            };
            buffer
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .extend_from_slice(bytes);
            return;
        }
        let _gone = match stream {
            Stream::Out => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(bytes).and_then(|()| stdout.flush())
            }
            Stream::Err => io::stderr().lock().write_all(bytes),
        };
    }
}

#[derive(Clone, Copy)]
enum Stream {
    Out,
    Err,
}
