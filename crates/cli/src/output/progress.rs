//! Progress of a long work: a bar on a terminal, plain lines elsewhere, nothing with `-q` or `-o json`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::color::Paint;
use super::printer::Printer;
use super::remaining::{Remaining, human_duration};

const TICK: Duration = Duration::from_millis(250);

/// A step to come, with the time that it is expected to take.
#[derive(Clone, Debug)]
pub struct StepEstimate {
    /// The id later given to [`Progress::step_started`].
    pub id: String,
    /// None when nothing is known.
    pub time: Option<Duration>,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It changed something.
    Done,
    /// There was nothing to do.
    Unchanged,
    /// It was not tried; the reason.
    Skipped(String),
    /// It failed; the reason.
    Failed(String),
}

/// Shows progress. Subscribes to the engine's events; may be cloned and used from several threads.
#[derive(Clone, Debug)]
pub struct Progress {
    printer: Printer,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    started: Option<Instant>,
    total: usize,
    finished: usize,
    remaining: Remaining,
    steps: BTreeMap<String, Running>,
    drawn: Option<Drawn>,
}

#[derive(Debug)]
struct Running {
    label: String,
    since: Instant,
    line: Option<ProgressBar>,
}

#[derive(Debug)]
struct Drawn {
    multi: MultiProgress,
    bar: ProgressBar,
}

impl State {
    fn elapsed(&self) -> Duration {
        self.started.map_or(Duration::ZERO, |started| started.elapsed())
    }
}

impl Progress {
    pub(super) fn new(printer: &Printer) -> Self {
        Self {
            printer: printer.clone(),
            state: Arc::default(),
        }
    }

    /// Begins a work of `total` steps of which nothing more is known.
    pub fn start(&self, total: usize) {
        self.begin(total, Vec::new(), Duration::ZERO);
    }

    /// Begins a work of these steps; their expected times give the time left. It may go on for some time already: `elapsed`.
    pub fn start_with(&self, steps: Vec<StepEstimate>, elapsed: Duration) {
        self.begin(steps.len(), steps, elapsed);
    }

    fn begin(&self, total: usize, steps: Vec<StepEstimate>, elapsed: Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.started = Some(now.checked_sub(elapsed).unwrap_or(now));
        state.total = total;
        state.finished = 0;
        let expected = if steps.is_empty() {
            // Ids are not known yet; a placeholder per step keeps the sum right.
            (0..total)
                .map(|index| (format!("#{index}"), None))
                .collect::<Vec<_>>()
        } else {
            steps.into_iter().map(|step| (step.id, step.time)).collect()
        };
        state.remaining = Remaining::new(expected);
        if self.printer.draws() {
            let multi = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
            let bar = multi.add(ProgressBar::new(1000));
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {msg}") {
                bar.set_style(style.progress_chars("━╸ "));
            }
            state.drawn = Some(Drawn { multi, bar });
            self.spawn_clock();
        }
        redraw(&state);
    }

    /// Elapsed and remaining time move even when no event comes. The thread ends with the work.
    fn spawn_clock(&self) {
        let weak = Arc::downgrade(&self.state);
        std::thread::spawn(move || {
            while let Some(state) = weak.upgrade() {
                let state = state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.drawn.is_none() {
                    break;
                }
                redraw(&state);
                drop(state);
                std::thread::sleep(TICK);
            }
        });
    }

    /// A step came up that was not counted.
    pub fn one_more(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.total += 1;
    }

    /// A step started.
    pub fn step_started(&self, id: &str, label: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = state.elapsed();
        state.remaining.started(id, now);
        let line = state.drawn.as_ref().map(|drawn| {
            let line = drawn.multi.insert_before(&drawn.bar, ProgressBar::new_spinner());
            if let Ok(style) = ProgressStyle::with_template("  {spinner} {msg} ({elapsed})") {
                line.set_style(style);
            }
            line.set_message(label.to_owned());
            line.enable_steady_tick(TICK);
            line
        });
        state.steps.insert(
            id.to_owned(),
            Running {
                label: label.to_owned(),
                since: Instant::now(),
                line,
            },
        );
        redraw(&state);
    }

    /// A running step says what it does or waits for. On a terminal it stands beside the step; elsewhere only `-v` shows it.
    pub fn step_detail(&self, id: &str, text: &str) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(running) = state.steps.get(id) else {
            return;
        };
        match &running.line {
            Some(line) => line.set_message(format!("{}: {text}", running.label)),
            None if self.printer.is_verbose() => {
                self.line(&state, &format!("       {}: {text}", running.label));
            }
            None => {}
        }
    }

    /// A step is over. Steps without a change are counted but not listed, unless `-v`.
    pub fn step_finished(&self, id: &str, outcome: &Outcome) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.remaining.finished(id);
        if !state.remaining.knows_ids() {
            let placeholder = format!("#{}", state.finished);
            state.remaining.finished(&placeholder);
        }
        state.finished += 1;
        let (label, took) = state.steps.remove(id).map_or_else(
            || (id.to_owned(), Duration::ZERO),
            |running| {
                if let Some(line) = &running.line {
                    line.finish_and_clear();
                }
                (running.label, running.since.elapsed())
            },
        );
        let paint = self.printer.paint_err();
        let (word, reason) = match outcome {
            Outcome::Done => (paint.paint(Paint::Good, "done"), None),
            Outcome::Unchanged => ("same".to_owned(), None),
            Outcome::Skipped(reason) => (paint.paint(Paint::Warning, "skip"), Some(reason)),
            Outcome::Failed(reason) => (paint.paint(Paint::Bad, "FAIL"), Some(reason)),
        };
        if *outcome != Outcome::Unchanged || self.printer.is_verbose() {
            let counter = format!(
                "[{:>width$}/{}]",
                state.finished,
                state.total,
                width = digits(state.total)
            );
            let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
            let took = paint.paint(Paint::Dim, &human_duration(took));
            self.line(&state, &format!("{counter} {word}  {label}{reason}  {took}"));
        }
        redraw(&state);
    }

    /// Says something while the work goes on.
    pub fn message(&self, text: &str) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.line(&state, text);
    }

    /// The work is over.
    pub fn finish(&self, summary: &str) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(drawn) = state.drawn.take() {
            drawn.bar.finish_and_clear();
            let _gone = drawn.multi.clear();
        }
        let took = human_duration(state.elapsed());
        self.line(&state, &format!("{summary}  ({took})"));
    }

    /// Lines go above the bar; `-q` and `-o json` have none.
    fn line(&self, state: &State, text: &str) {
        match &state.drawn {
            Some(drawn) => drop(drawn.multi.println(text)),
            None if self.printer.is_json() => {}
            None => self.printer.note(text),
        }
    }
}

fn redraw(state: &State) {
    if let Some(drawn) = &state.drawn {
        let now = state.elapsed();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share is within 0 and 1"
        )]
        drawn
            .bar
            .set_position((state.remaining.share(now) * 1000.0) as u64);
        drawn.bar.set_message(format!(
            "{} of {} steps, {} so far, about {} left",
            state.finished,
            state.total,
            human_duration(now),
            human_duration(state.remaining.left(now)),
        ));
    }
}

fn digits(number: usize) -> usize {
    number.max(1).ilog10() as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::GlobalArgs;
    use crate::output::Environment;

    #[test]
    fn a_work_that_went_on_without_us_is_as_old_as_it_is() {
        let (environment, captured) = Environment::captured();
        let progress = Printer::new(&GlobalArgs::default(), &environment).progress();
        let step = StepEstimate {
            id: "a".into(),
            time: None,
        };
        progress.start_with(vec![step], Duration::from_mins(5));
        progress.finish("all 1 step");
        assert!(
            captured.stderr().contains("(5 min 00 s)"),
            "{}",
            captured.stderr()
        );
    }

    fn run(quiet: bool) -> String {
        let (environment, captured) = Environment::captured();
        let printer = Printer::new(
            &GlobalArgs {
                quiet,
                ..GlobalArgs::default()
            },
            &environment,
        );
        let progress = printer.progress();
        progress.start_with(
            vec![
                StepEstimate {
                    id: "a".into(),
                    time: Some(Duration::from_secs(1)),
                },
                StepEstimate {
                    id: "b".into(),
                    time: None,
                },
                StepEstimate {
                    id: "c".into(),
                    time: None,
                },
            ],
            Duration::ZERO,
        );
        progress.step_started("a", "install containerd");
        progress.step_finished("a", &Outcome::Done);
        progress.step_started("b", "write a file");
        progress.step_finished("b", &Outcome::Unchanged);
        progress.message("a message");
        progress.step_started("c", "start Nginx");
        progress.step_finished("c", &Outcome::Failed("port 443 is taken".into()));
        progress.finish("1 of 3 steps failed");
        captured.stderr()
    }

    #[test]
    fn without_a_terminal_there_are_plain_lines() {
        let expected = "[1/3] done  install containerd  0 s\na message\n\
                        [3/3] FAIL  start Nginx: port 443 is taken  0 s\n1 of 3 steps failed  (0 s)\n";
        assert_eq!(run(false), expected);
    }

    #[test]
    fn what_was_not_counted_makes_the_sum_larger() {
        let (environment, captured) = Environment::captured();
        let progress = Printer::new(&GlobalArgs::default(), &environment).progress();
        progress.start(1);
        for (id, counted) in [("go/etcd", false), ("image/etcd", true)] {
            if !counted {
                progress.one_more();
            }
            progress.step_started(id, id);
            progress.step_finished(id, &Outcome::Done);
        }
        assert_eq!(
            captured.stderr(),
            "[1/2] done  go/etcd  0 s\n[2/2] done  image/etcd  0 s\n"
        );
    }

    #[test]
    fn quiet_is_quiet() {
        assert_eq!(run(true), "");
    }
}
