//! What can be typed: the options that every command takes, and one variant per verb.

use std::convert::Infallible;
use std::ffi::OsString;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::builder::Resettable;
use clap::{ArgAction, ArgMatches, Args, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::commands;

/// Turn a bare Debian host into an OpenG2P site, described by one file
///
/// The usual way: `openg2p init` writes a site file, `openg2p check` finds its mistakes, `openg2p plan` shows every
/// change, `openg2p apply` makes exactly these changes, `openg2p verify` proves that a payment goes through.
///
/// Exit codes: 0 done or nothing to do; 1 bad input, nothing was changed; 2 refused, nothing was changed; 3 failed,
/// the next apply goes on; 4 needs a person.
#[derive(Debug, Parser)]
#[command(
    name = "openg2p",
    version,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100
)]
pub struct Cli {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// The verb.
    #[command(subcommand)]
    pub command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
pub struct GlobalArgs {
    /// Site file
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        default_value = "site.yaml",
        help_heading = "Global options"
    )]
    pub file: PathBuf,
    /// `json` for machine-readable results, `text` for people, or a file to write
    ///
    /// With `json`, results and errors are JSON on standard output; the commands that are runs (`apply`, `verify`, `destroy`,
    /// `attach`) write one document a line. A file is taken by the commands that write one (`init`, `plan`, `trust`,
    /// `verify`). May be given twice, once for each.
    #[arg(short, long, global = true, value_name = "FORMAT|FILE", action = ArgAction::Append, help_heading = "Global options")]
    pub output: Vec<Output>,
    /// When to use colours; they are off when `NO_COLOR` is set
    #[arg(
        long,
        global = true,
        value_enum,
        value_name = "WHEN",
        default_value_t,
        help_heading = "Global options"
    )]
    pub color: ColorWhen,
    /// Say nothing but results and errors
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "verbose",
        help_heading = "Global options"
    )]
    pub quiet: bool,
    /// Say more
    #[arg(short, long, global = true, help_heading = "Global options")]
    pub verbose: bool,
}

impl Default for GlobalArgs {
    fn default() -> Self {
        Self {
            file: PathBuf::from("site.yaml"),
            output: Vec::new(),
            color: ColorWhen::default(),
            quiet: false,
            verbose: false,
        }
    }
}

impl GlobalArgs {
    /// How results are written to standard output.
    pub fn format(&self) -> Format {
        let json = self.output.iter().rev().find_map(|output| match output {
            Output::Text => Some(Format::Text),
            Output::Json => Some(Format::Json),
            Output::File(_) => None,
        });
        json.unwrap_or_default()
    }

    /// The file named by `-o FILE`, for the commands that write one.
    pub fn output_file(&self) -> Option<&Path> {
        self.output.iter().rev().find_map(|output| match output {
            Output::File(path) => Some(path.as_path()),
            _ => None,
        })
    }
}

/// One value of `-o`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// To this file; a file that is really called `json` is written `./json`.
    File(PathBuf),
}

impl FromStr for Output {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "text" => Self::Text,
            "json" => Self::Json,
            path => Self::File(PathBuf::from(path)),
        })
    }
}

/// How results are written to standard output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

/// When colours are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ColorWhen {
    /// On a terminal, unless `NO_COLOR` is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The verbs, one file each under `commands`.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write a first site file
    Init(Called<commands::init::InitArgs>),
    /// Find every mistake in the site file
    Check(Called<commands::check::CheckArgs>),
    /// Show the site file as it is understood
    Show(Called<commands::show::ShowArgs>),
    /// Make, check and list bundles: everything an installation needs, by digest
    Bundle(Called<commands::bundle::BundleCommand>),
    /// Render, lint and list Helm charts, with Helm's options
    Chart(Called<commands::chart::ChartCommand>),
    /// Show every change that apply would make
    Plan(Called<commands::plan::PlanArgs>),
    /// Tell why a resource or a step of a plan is there, what it needs and what undoes it
    Explain(Called<commands::explain::ExplainArgs>),
    /// Make the site what its file says
    Apply(Called<commands::apply::ApplyArgs>),
    /// Tell whether the site is what its file says, and why not
    Status(Called<commands::status::StatusArgs>),
    /// Find the cause of what ails the site, and what helps
    Doctor(Called<commands::doctor::DoctorArgs>),
    /// Prove that an environment pays: link, resolve, disburse, reconcile
    Verify(Called<commands::verify::VerifyArgs>),
    /// Remove a module, an environment, or the whole site
    Destroy(Called<commands::destroy::DestroyArgs>),
    /// Watch a run that goes on without you
    Attach(Called<commands::attach::AttachArgs>),
    /// Print the site's own certificate authority, for devices to trust
    Trust(Called<commands::trust::TrustArgs>),
    /// Keep the record of what is ours outside of the site, and put it back
    Ledger(Called<commands::ledger::LedgerCommand>),
    /// Speak frames on standard input and output (the program starts this on the lead node)
    #[command(hide = true)]
    Agent(Called<commands::lead_side::AgentArgs>),
    /// Perform a run (the program starts this on the lead node)
    #[command(hide = true)]
    Engine(Called<commands::lead_side::EngineArgs>),
}

/// What a verb takes, made when it is called: the options of all verbs together would be a twentieth of a small rendering. Clap's own `defer`
/// would describe the verb with the words of the type.
#[derive(Debug)]
pub struct Called<T>(T);

impl<T> Deref for Called<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: FromArgMatches> FromArgMatches for Called<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<T: Args> Args for Called<T> {
    fn group_id() -> Option<clap::Id> {
        T::group_id()
    }

    fn augment_args(command: clap::Command) -> clap::Command {
        command.defer(|command| {
            let about = Resettable::from(command.get_about().cloned());
            let long_about = Resettable::from(command.get_long_about().cloned());
            T::augment_args(command).about(about).long_about(long_about)
        })
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        T::augment_args_for_update(command)
    }
}

impl Command {
    /// Whether `-o FILE` names the file that this command writes.
    pub fn writes_a_file(&self) -> bool {
        matches!(
            self,
            Self::Init(_) | Self::Plan(_) | Self::Trust(_) | Self::Verify(_)
        )
    }

    /// Whether it is a run whose events come one by one: its JSON is one document a line.
    pub fn is_run(&self) -> bool {
        matches!(
            self,
            Self::Apply(_) | Self::Verify(_) | Self::Destroy(_) | Self::Attach(_)
        )
    }
}

/// In `openg2p chart`, `-f` names a values file, as people's fingers know it from Helm, and not the site file, for which
/// it is short everywhere else. Clap has one meaning for the short form of a global option, so the long form is put there.
pub fn with_values_files(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let is_chart = arguments
        .iter()
        .skip(1)
        .find(|argument| !argument.to_string_lossy().starts_with('-'))
        .is_some_and(|verb| verb == "chart");
    if is_chart {
        for argument in &mut arguments {
            let text = argument.to_string_lossy();
            let long = match text.strip_prefix("-f") {
                Some("") => "--values".to_owned(),
                Some(file) => format!("--values={}", file.strip_prefix('=').unwrap_or(file)),
                None => continue,
            };
            *argument = long.into();
        }
    }
    arguments
}

/// Whether arguments that clap refused ask for JSON, so that the refusal is JSON too.
pub fn asks_for_json(arguments: &[OsString]) -> bool {
    let arguments: Vec<_> = arguments
        .iter()
        .map(|argument| argument.to_string_lossy())
        .collect();
    let joined = arguments
        .iter()
        .any(|argument| matches!(&**argument, "-ojson" | "-o=json" | "--output=json"));
    joined
        || arguments
            .windows(2)
            .any(|pair| matches!(&*pair[0], "-o" | "--output") && pair[1] == "json")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_clap_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_verb_that_is_called_is_described_as_in_the_list_of_verbs() {
        let listed = Cli::command();
        let mut called = Cli::command();
        called.build();
        for verb in listed.get_subcommands() {
            let same = called.find_subcommand(verb.get_name()).unwrap();
            assert!(verb.get_about().is_some(), "{}", verb.get_name());
            assert_eq!(same.get_about(), verb.get_about());
            assert_eq!(same.get_long_about(), verb.get_long_about());
        }
    }

    #[test]
    fn a_values_file_is_meant_by_charts_only() {
        let words = |line: &str| -> Vec<OsString> { line.split(' ').map(Into::into).collect() };
        assert_eq!(
            with_values_files(words("openg2p -q chart template x -f a -fb -f=c")),
            words("openg2p -q chart template x --values a --values=b --values=c")
        );
        let check = words("openg2p check -f a chart");
        assert_eq!(with_values_files(check.clone()), check);
    }

    #[test]
    fn format_and_file_may_both_be_given() {
        let cli = Cli::try_parse_from(["openg2p", "check", "-o", "plan.json", "-o", "json"]).unwrap();
        assert_eq!(cli.global.format(), Format::Json);
        assert_eq!(cli.global.output_file(), Some(Path::new("plan.json")));
    }
}
