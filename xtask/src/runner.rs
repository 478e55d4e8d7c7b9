//! Runs other programs: their output into files, their time left on the terminal, their end with ours.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use openg2p_lab::{Event, Progress as _};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::durations::Durations;
use crate::interrupt::Interrupt;
use crate::printer::Printer;

/// How long a program may take to end after it was asked to.
const GRACE: Duration = Duration::from_secs(20);
/// How many lines of a failed program's output are shown.
const TAIL: usize = 40;

/// What a program did.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Exit code; none when a signal ended it.
    pub(crate) code: Option<i32>,
    /// What it wrote for programs.
    pub(crate) stdout: String,
    /// What it wrote for people.
    pub(crate) stderr: String,
    /// How long it took.
    pub(crate) took: Duration,
    what: String,
}

impl Ran {
    /// An error with the end of its output unless it ended with this code.
    pub(crate) fn expect(&self, code: i32) -> anyhow::Result<&Self> {
        ensure!(
            self.code == Some(code),
            "`{}` ended with {} instead of {code}:\n{}",
            self.what,
            self.code.map_or("a signal".to_owned(), |code| code.to_string()),
            self.tail()
        );
        Ok(self)
    }

    /// An error unless it said this, on either stream.
    pub(crate) fn says(&self, text: &str) -> anyhow::Result<&Self> {
        ensure!(
            self.stdout.contains(text) || self.stderr.contains(text),
            "`{}` does not say `{text}`:\n{}",
            self.what,
            self.tail()
        );
        Ok(self)
    }

    /// The end of what it wrote.
    pub(crate) fn tail(&self) -> String {
        let lines: Vec<&str> = self.stdout.lines().chain(self.stderr.lines()).collect();
        let first = lines.len().saturating_sub(TAIL);
        lines[first..].iter().fold(String::new(), |mut text, line| {
            text.push_str("      | ");
            text.push_str(line);
            text.push('\n');
            text
        })
    }
}

/// A program that runs.
pub(crate) struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    start: Instant,
    what: String,
}

impl Running {
    /// What it wrote for programs so far.
    pub(crate) fn stdout(&self) -> anyhow::Result<String> {
        text_of(&self.out)
    }

    /// Waits until what it wrote for programs satisfies `enough`; an error when it ends or the deadline passes before.
    pub(crate) fn until(&mut self, deadline: Duration, enough: impl Fn(&str) -> bool) -> anyhow::Result<()> {
        let end = Instant::now() + deadline;
        loop {
            if enough(&self.stdout()?) {
                return Ok(());
            }
            ensure!(
                self.child.try_wait()?.is_none(),
                "`{}` ended before it came so far:\n{}",
                self.what,
                text_of(&self.err)?
            );
            ensure!(
                Instant::now() < end,
                "`{}` did not come so far in time",
                self.what
            );
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Sends a signal to it and to all that it started.
    pub(crate) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process_group(group.context("no process")?, signal)
            .with_context(|| format!("sending a signal to `{}`", self.what))
    }
}

fn text_of(path: &Path) -> anyhow::Result<String> {
    let bytes = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Runs programs for one chore.
pub(crate) struct Runner<'a> {
    /// Where news go.
    pub(crate) printer: &'a Printer,
    /// How long steps take.
    pub(crate) durations: Durations,
    /// Whether somebody wants an end.
    pub(crate) interrupt: Interrupt,
    logs: PathBuf,
    number: AtomicUsize,
}

impl<'a> Runner<'a> {
    /// A runner whose programs write into files of `logs`, which is made.
    pub(crate) fn new(printer: &'a Printer, cache: &Path, logs: PathBuf) -> anyhow::Result<Self> {
        fs::create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
        Ok(Self {
            printer,
            durations: Durations::read(cache),
            interrupt: Interrupt::catch()?,
            logs,
            number: AtomicUsize::new(0),
        })
    }

    /// Where the output of programs is.
    pub(crate) fn logs(&self) -> &Path {
        &self.logs
    }

    /// Does one step and shows its time left; its duration is the guess of the next time.
    pub(crate) fn step<T>(
        &self,
        step: &str,
        guess: Duration,
        work: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let usual = self.durations.last(step).unwrap_or(guess);
        self.printer.event(Event::Started { step, usual });
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        if result.is_ok() {
            self.durations.took(step, took);
            self.printer.event(Event::Finished { step, took });
        } else {
            self.printer.failed(step, took);
        }
        result
    }

    /// Runs a program to its end without a word; `name` names its files of output.
    pub(crate) fn run(&self, name: &str, command: Command) -> anyhow::Result<Ran> {
        self.start(name, command, false)
    }

    /// The same, and its lines for people are shown as they come.
    pub(crate) fn show(&self, name: &str, command: Command) -> anyhow::Result<Ran> {
        self.start(name, command, true)
    }

    /// Starts a program and gives it back while it runs; what it writes goes to files.
    pub(crate) fn begin(&self, name: &str, mut command: Command) -> anyhow::Result<Running> {
        let what = command_line(&command);
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let file = |kind: &str| self.logs.join(format!("{number:02}-{name}.{kind}"));
        let (out, err) = (file("out"), file("err"));
        let create = |path: &Path| File::create(path).with_context(|| format!("creating {}", path.display()));
        command
            .stdin(Stdio::null())
            .stdout(create(&out)?)
            .stderr(create(&err)?)
            .process_group(0);
        let start = Instant::now();
        let child = command.spawn().with_context(|| format!("starting `{what}`"))?;
        Ok(Running {
            child,
            out,
            err,
            start,
            what,
        })
    }

    /// Waits for its end.
    pub(crate) fn end(&self, mut running: Running) -> anyhow::Result<Ran> {
        let status = self.wait(&mut running.child, Some(GRACE))?;
        Ok(Ran {
            code: status.code(),
            stdout: running.stdout()?,
            stderr: text_of(&running.err)?,
            took: running.start.elapsed(),
            what: running.what,
        })
    }

    fn start(&self, name: &str, mut command: Command, shown: bool) -> anyhow::Result<Ran> {
        let what = command_line(&command);
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let file = |kind: &str| self.logs.join(format!("{number:02}-{name}.{kind}"));
        let (out, err) = (file("out"), file("err"));
        let create = |path: &Path| File::create(path).with_context(|| format!("creating {}", path.display()));
        command.stdin(Stdio::null()).stdout(create(&out)?);
        let mut lines = create(&err)?;
        command.stderr(if shown {
            Stdio::piped()
        } else {
            lines.try_clone()?.into()
        });
        // Its own group: Ctrl-C reaches it through us, once, together with all that it started.
        command.process_group(0);
        let start = Instant::now();
        let mut child = command.spawn().with_context(|| format!("starting `{what}`"))?;
        let status = thread::scope(|scope| {
            if let Some(pipe) = child.stderr.take() {
                let printer = self.printer;
                scope.spawn(move || {
                    for line in BufReader::new(pipe).split(b'\n').map_while(Result::ok) {
                        let line = String::from_utf8_lossy(&line);
                        let _ = writeln!(lines, "{line}");
                        printer.say(&format!("         {}", line.trim_end()));
                    }
                });
            }
            self.wait(&mut child, Some(GRACE))
        })?;
        Ok(Ran {
            code: status.code(),
            stdout: text_of(&out)?,
            stderr: text_of(&err)?,
            took: start.elapsed(),
            what,
        })
    }

    /// Runs a program that talks to the terminal itself. Ctrl-C is passed on, and the program decides what it means.
    pub(crate) fn attached(&self, mut command: Command) -> anyhow::Result<Option<i32>> {
        let what = command_line(&command);
        command.stdin(Stdio::null()).process_group(0);
        let mut child = command.spawn().with_context(|| format!("starting `{what}`"))?;
        Ok(self.wait(&mut child, None)?.code())
    }

    fn wait(&self, child: &mut Child, grace: Option<Duration>) -> anyhow::Result<ExitStatus> {
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        // An end that was wished for earlier is not this program's: it cleans up.
        let mut heard = self.interrupt.count();
        let mut since = None;
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            let count = self.interrupt.count();
            if let Some(group) = group {
                if count > heard {
                    heard = count;
                    since.get_or_insert_with(Instant::now);
                    // It may have ended meanwhile.
                    let _ = kill_process_group(group, Signal::INT);
                }
                if let (Some(since), Some(grace)) = (since, grace)
                    && since.elapsed() > grace
                {
                    let _ = kill_process_group(group, Signal::KILL);
                }
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

fn command_line(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}
