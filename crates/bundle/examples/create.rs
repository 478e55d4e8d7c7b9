//! Makes or checks a bundle without the rest of the product: `create DIR [--only a,b] [--accept-moved] [--refresh]
//! [--release R] [--official]`, or `verify DIR`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for the terminal"
)]

use std::{env, path::Path, process::ExitCode, time::Instant};

use openg2p_bundle::{
    check,
    create::{OFFICIAL, Options, create},
    error::BundleError,
    moves::Moves,
    progress::{Event, Progress},
};

struct Terminal(Instant);

impl Progress for Terminal {
    fn event(&self, event: Event<'_>) {
        let at = self.0.elapsed().as_secs_f64();
        match event {
            Event::Planned {
                members,
                to_make,
                expected,
            } => {
                eprintln!(
                    "{at:7.1} {members} members, {} to make, about {expected:?}",
                    to_make.len()
                );
            }
            Event::Started { what, expected } => eprintln!("{at:7.1} {what} (last time {expected:?})"),
            Event::Finished { what, took } => {
                eprintln!("{at:7.1} {what} done in {:.1} s", took.as_secs_f64());
            }
            Event::Failed { what } => eprintln!("{at:7.1} {what} FAILED"),
            Event::Moved(moved) => eprintln!("{at:7.1} moved: {moved}"),
            _ => {}
        }
    }
}

fn run(arguments: &[String]) -> Result<(), BundleError> {
    let value = |name: &str| {
        arguments
            .iter()
            .position(|argument| argument == name)
            .and_then(|at| arguments.get(at + 1))
            .cloned()
    };
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let start = Instant::now();
    let dir = arguments.get(1).cloned().unwrap_or_else(|| "bundle".to_owned());
    if arguments.first().is_some_and(|verb| verb == "verify") {
        let findings = check::verify(Path::new(&dir), &Terminal(start))?;
        for problem in &findings.problems {
            println!("[{}] {problem}", problem.code());
        }
        println!(
            "{} members, {} bytes, {} problems",
            findings.index.members.len(),
            findings.bytes,
            findings.problems.len()
        );
    } else {
        let mut options = Options::lab(dir);
        if has("--official") {
            options.prefer = OFFICIAL.iter().map(|&name| name.to_owned()).collect();
        }
        options.only = value("--only")
            .map(|list| list.split(',').map(ToOwned::to_owned).collect())
            .unwrap_or_default();
        options.release = value("--release").unwrap_or(options.release);
        options.refresh = has("--refresh");
        if has("--accept-moved") {
            options.moves = Moves::all();
        }
        let root = value("--root").unwrap_or_else(|| ".".to_owned());
        let report = create(Path::new(&root), &options, &Terminal(start))?;
        println!("{} members, digest {}", report.index.members.len(), report.digest);
    }
    eprintln!("{:.1} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("[{}] {error}", error.code());
            let mut source = std::error::Error::source(&error);
            while let Some(cause) = source {
                eprintln!("  because {cause}");
                source = cause.source();
            }
            ExitCode::FAILURE
        }
    }
}
