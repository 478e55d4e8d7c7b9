//! `openg2p init`: a first site file of one screen.

use std::fs::OpenOptions;
use std::io::{self, BufRead, ErrorKind, Write};
use std::path::Path;

use clap::Args;
use openg2p_spec::Rule;

use super::Context;
use crate::error::{CliError, Exit};
use crate::output::shell_word;

/// What `init` takes. What is not given is asked for on a terminal; `-o FILE` or `--file` names the file to write.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Name of the site: small letters, digits and `-`
    #[arg(long)]
    pub name: Option<String>,
    /// Parent domain of every host name, such as `g2p.example.org`
    #[arg(long)]
    pub domain: Option<String>,
    /// IPv4 address of the machine, as others reach it
    #[arg(long)]
    pub address: Option<String>,
    /// Sizes and defaults: `sandbox`, `small` or `production`
    #[arg(long)]
    pub profile: Option<String>,
}

/// Something to be known, in the order in which it is asked.
struct Question {
    flag: &'static str,
    ask: &'static str,
    proposal: Option<&'static str>,
    rule: Rule,
}

const QUESTIONS: [Question; 4] = [
    Question {
        flag: "--name",
        ask: "name of the site",
        proposal: Some("box"),
        rule: Rule::DnsLabel,
    },
    Question {
        flag: "--domain",
        ask: "parent domain of its host names",
        proposal: Some("g2p.test"),
        rule: Rule::Domain,
    },
    Question {
        flag: "--address",
        ask: "address of the machine",
        proposal: None,
        rule: Rule::Address,
    },
    Question {
        flag: "--profile",
        ask: "profile: sandbox, small or production",
        proposal: Some("small"),
        rule: Rule::DnsLabel,
    },
];

/// What is wrong with an answer, and what to do.
type Complaint = (String, Option<String>);

/// Writes the file, never over another one.
pub fn run(args: &InitArgs, context: &Context<'_>) -> Result<Exit, CliError> {
    let printer = context.printer;
    let path = context.global.output_file().unwrap_or(&context.global.file);
    if path.symlink_metadata().is_ok() {
        return Err(exists(path));
    }
    let [name, domain, address, profile] = answers(args, context)?;
    let text = starter(&name, &domain, &address, &profile);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|error| {
            if error.kind() == ErrorKind::AlreadyExists {
                exists(path)
            } else {
                unwritable(path, &error)
            }
        })?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(|error| unwritable(path, &error))?;
    if printer.is_json() {
        printer.json(&serde_json::json!({"written": path}));
        return Ok(Exit::Done);
    }
    printer.note(&format!("wrote `{}`", path.display()));
    let file = if path == Path::new("site.yaml") {
        String::new()
    } else {
        format!(" {}", shell_word(&path.display().to_string()))
    };
    printer.next(&format!("openg2p check{file}"), "finds every mistake in it");
    Ok(Exit::Done)
}

fn exists(path: &Path) -> CliError {
    CliError::refused(
        "init::exists",
        format!("`{}` is there already and is left as it is", path.display()),
    )
    .hint("`openg2p check` looks at it; `-o FILE` writes another one")
}

fn unwritable(path: &Path, error: &io::Error) -> CliError {
    CliError::bad_input(
        "init::unwritable",
        format!("`{}` cannot be written", path.display()),
    )
    .because_of(error)
}

/// The four answers from flags, else from the person, else from the proposals. All wrong flags are reported together.
fn answers(args: &InitArgs, context: &Context<'_>) -> Result<[String; 4], CliError> {
    let printer = context.printer;
    let given = [&args.name, &args.domain, &args.address, &args.profile];
    let profiles = super::site::profiles()?;
    let names: Vec<&str> = profiles.names().collect();
    let mut wrong = Vec::new();
    let mut hints = Vec::new();
    let mut answers = [const { String::new() }; 4];
    for ((question, given), answer) in QUESTIONS.iter().zip(given).zip(&mut answers) {
        let check = |text: &str| -> Result<(), Complaint> {
            question
                .rule
                .check(text)
                .map_err(|fault| (fault.message, fault.help))?;
            if question.flag == "--profile" && !names.contains(&text) {
                return Err((
                    format!("there is no profile `{text}`"),
                    Some(format!("there are {}", names.join(", "))),
                ));
            }
            Ok(())
        };
        if let Some(text) = given {
            match check(text) {
                Ok(()) => answer.clone_from(text),
                Err((message, help)) => {
                    wrong.push(format!("{}: {message}", question.flag));
                    hints.extend(help.map(|help| format!("{}: {help}", question.flag)));
                }
            }
        } else if printer.is_interactive() {
            *answer = ask(question, &check, context)?;
        } else if let Some(proposal) = question.proposal {
            proposal.clone_into(answer);
        } else {
            wrong.push(format!("{}: the {} is needed", question.flag, question.ask));
            hints.push(format!(
                "{} 192.0.2.10, the address by which others reach the machine",
                question.flag
            ));
        }
    }
    if wrong.is_empty() {
        return Ok(answers);
    }
    let mut error = CliError::bad_input("init::answers", "no site file can be made of these answers");
    error.why = wrong;
    error.hints = hints;
    Err(error)
}

fn ask(
    question: &Question,
    check: &dyn Fn(&str) -> Result<(), Complaint>,
    context: &Context<'_>,
) -> Result<String, CliError> {
    let printer = context.printer;
    let stdin = io::stdin();
    loop {
        let proposal = question
            .proposal
            .map(|proposal| format!(" [{proposal}]"))
            .unwrap_or_default();
        printer.ask(&format!("{}{proposal}: ", question.ask));
        let mut line = String::new();
        let read = stdin.lock().read_line(&mut line).map_err(|error| {
            CliError::bad_input("init::no-answer", "the answer cannot be read").because_of(&error)
        })?;
        if read == 0 {
            return Err(CliError::bad_input(
                "init::no-answer",
                "there came no answer; nothing was written",
            ));
        }
        let text = match (line.trim(), question.proposal) {
            ("", Some(proposal)) => proposal,
            (text, _) => text,
        };
        match check(text) {
            Ok(()) => return Ok(text.to_owned()),
            Err((message, help)) => {
                printer.people(&format!(
                    "  {message}{}",
                    help.map(|help| format!("; {help}")).unwrap_or_default()
                ));
            }
        }
    }
}

/// The file: all that one box needs, each line with its reason.
pub fn starter(name: &str, domain: &str, address: &str, profile: &str) -> String {
    format!(
        "\
# One OpenG2P site. `openg2p check` finds mistakes in this file; `openg2p show --effective` shows every default.
apiVersion: openg2p.org/v1

site:
  name: {name}
  # Host names are <module>.<environment>.{domain}, so *.<environment>.{domain} must lead to the machine.
  domain: {domain}
  # sandbox, small or production: how much memory and disk things get.
  profile: {profile}

nodes:
  - name: box1
    address: {address}
    # lead: the engine runs here; server: Kubernetes; edge: Nginx, the only way in; storage: volumes on its disks.
    roles: [lead, server, edge, storage]
    ssh:
      # root, or a login that may use sudo without a password.
      user: root
      port: 22
      # From the host's console: /etc/ssh/ssh_host_ed25519_key.pub. Without it your own known_hosts must have it.
      # hostKey: \"ssh-ed25519 AAAA...\"

kubernetes: {{provider: kubeadm}}

# An authority made on the box signs the certificates; people must trust it once.
edge: {{certificates: {{localAuthority: {{}}}}}}

# Each environment is isolated from the others and has its own databases.
environments:
  dev:
    profile: sandbox
    access: private
    commons: {{postgresql: {{}}, redis: {{}}}}
    modules:
      spar: {{}}
      g2p-bridge: {{}}
      # Pays in a trial in place of a real bank.
      example-bank: {{}}
"
    )
}
