//! The only place that prints: data to standard output, everything for people to standard error.

use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use openg2p_lab::{Event, LabError, Progress};

/// How often a running step is shown again: on a terminal, and in a log.
const REFRESH: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(30)];

/// Prints data, news and errors.
pub(crate) struct Printer {
    terminal: bool,
    running: Arc<Mutex<Vec<Running>>>,
}

struct Running {
    step: String,
    usual: Duration,
    start: Instant,
    shown: Instant,
}

impl Printer {
    /// Starts the thread that shows steps while they run; it ends with the process.
    pub(crate) fn new() -> Self {
        let running: Arc<Mutex<Vec<Running>>> = Arc::default();
        let terminal = io::stderr().is_terminal();
        let shared = Arc::clone(&running);
        thread::spawn(move || {
            loop {
                thread::sleep(REFRESH[0]);
                let mut running = shared.lock().unwrap_or_else(PoisonError::into_inner);
                show_running(&mut running, terminal);
            }
        });
        Self { terminal, running }
    }

    /// Data, for standard output.
    pub(crate) fn data(&self, text: &str) {
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody is left to tell when standard output is gone.
        let _ = writeln!(io::stdout(), "{}", text.trim_end_matches('\n'));
    }

    /// A line for people.
    pub(crate) fn say(&self, text: &str) {
        let _running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        self.line(text);
    }

    /// An error with its causes, its code first.
    pub(crate) fn error(&self, error: &anyhow::Error) {
        let code = error
            .downcast_ref::<LabError>()
            .map(|error| format!(" [{}]", error.code()));
        self.say(&format!("error{}: {error:#}", code.unwrap_or_default()));
    }

    /// A step that was begun ended badly.
    pub(crate) fn failed(&self, step: &str, took: Duration) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|known| known.step != step);
        self.line(&format!("{:6.1} s  FAILED: {step}", took.as_secs_f64()));
    }

    fn line(&self, text: &str) {
        let clear = if self.terminal { "\r\u{1b}[K" } else { "" };
        let _ = writeln!(io::stderr(), "{clear}{text}");
    }
}

impl Progress for Printer {
    fn event(&self, event: Event<'_>) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Started { step, usual } => {
                let now = Instant::now();
                running.push(Running {
                    step: step.to_owned(),
                    usual,
                    start: now,
                    shown: now,
                });
                if usual >= Duration::from_secs(10) {
                    self.line(&format!("     ... {step}, usually {} s", usual.as_secs()));
                }
            }
            Event::Finished { step, took } => {
                running.retain(|known| known.step != step);
                self.line(&format!("{:6.1} s  {step}", took.as_secs_f64()));
            }
            Event::Note(text) => self.line(&format!("    note  {text}")),
        }
    }
}

/// Shows the oldest step that runs for more than two seconds, and how many others do.
fn show_running(running: &mut [Running], terminal: bool) {
    let others = running.len().saturating_sub(1);
    let Some(oldest) = running.iter_mut().min_by_key(|step| step.start) else {
        return;
    };
    let due = if terminal { REFRESH[0] } else { REFRESH[1] };
    if oldest.start.elapsed() < Duration::from_secs(2) || oldest.shown.elapsed() < due {
        return;
    }
    oldest.shown = Instant::now();
    let taken = oldest.start.elapsed();
    let left = match oldest.usual.checked_sub(taken) {
        Some(left) => format!("about {} s left", left.as_secs() + 1),
        None => "longer than usual".to_owned(),
    };
    let more = if others == 0 {
        String::new()
    } else {
        format!(" (and {others} more)")
    };
    let text = format!("{:6.0} s  {} ... {left}{more}", taken.as_secs_f64(), oldest.step);
    let mut errors = io::stderr();
    let _ = if terminal {
        write!(errors, "\r\u{1b}[K{text}")
    } else {
        writeln!(errors, "{text}")
    };
    let _ = errors.flush();
}
