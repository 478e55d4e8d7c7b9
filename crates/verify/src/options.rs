//! What is wished for.

use std::time::Duration;

use thiserror::Error;

/// The most beneficiaries of one check: one call each for linking, resolving and paying must hold them all.
const MOST: u32 = 1000;

/// Host names of the services, as they are at the edge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosts {
    /// SPAR's mapper: `spar.<environment>.<domain>`.
    pub spar: String,
    /// G2P Bridge's API: `g2p-bridge.<environment>.<domain>`.
    pub bridge: String,
}

/// The account that pays. The bank must have it; nothing here makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sponsor {
    /// Account number.
    pub account: String,
    /// Currency of the account.
    pub currency: String,
    /// The bank as the Bridge's connectors know it.
    pub bank_code: String,
    /// The branch.
    pub branch_code: String,
}

impl Default for Sponsor {
    fn default() -> Self {
        Self {
            account: "OPENG2P-VERIFY".into(),
            currency: "USD".into(),
            bank_code: "EXAMPLE".into(),
            branch_code: "OPENG2P".into(),
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Name of the environment, for the report.
    pub environment: String,
    /// Host names.
    pub hosts: Hosts,
    /// How many beneficiaries are paid.
    pub beneficiaries: u32,
    /// The partner that signs; its key is registered as `PARTNER_<SENDER_ID>`.
    pub sender_id: String,
    /// Who pays.
    pub sponsor: Sponsor,
    /// The bank of the beneficiaries. The Example Bank reverses about a third of the payments to any other bank on
    /// purpose.
    pub beneficiary_bank_code: String,
    /// From the envelope to the last reconciled disbursement.
    pub deadline: Duration,
    /// Between two looks at the envelope.
    pub poll: Duration,
    /// Time for one call.
    pub call: Duration,
}

impl Options {
    /// The usual check of an environment.
    #[must_use]
    pub fn new(environment: &str, hosts: Hosts) -> Self {
        Self {
            environment: environment.to_owned(),
            hosts,
            beneficiaries: 20,
            sender_id: "openg2p-verify".into(),
            sponsor: Sponsor::default(),
            beneficiary_bank_code: "EXAMPLE_BANK".into(),
            deadline: Duration::from_mins(4),
            poll: Duration::from_secs(1),
            call: Duration::from_secs(30),
        }
    }

    /// Finds everything that makes no sense, at once.
    pub fn check(&self) -> Result<(), OptionsError> {
        let mut wrong = Vec::new();
        if !(1..=MOST).contains(&self.beneficiaries) {
            wrong.push(format!(
                "{} beneficiaries are not between 1 and {MOST}",
                self.beneficiaries
            ));
        }
        let one_word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic());
        for (what, text) in [
            ("the host name of SPAR", &self.hosts.spar),
            ("the host name of G2P Bridge", &self.hosts.bridge),
            ("the sender id", &self.sender_id),
            ("the sponsor's account", &self.sponsor.account),
            ("the sponsor's currency", &self.sponsor.currency),
            ("the sponsor's bank code", &self.sponsor.bank_code),
            ("the sponsor's branch code", &self.sponsor.branch_code),
            ("the beneficiaries' bank code", &self.beneficiary_bank_code),
        ] {
            if !one_word(text) {
                wrong.push(format!("{what}, {text:?}, is not one word of printable ASCII"));
            }
        }
        // The Bridge takes a financial address apart at these words.
        if self.beneficiary_bank_code.contains(':') || self.beneficiary_bank_code.contains('.') {
            wrong.push("the beneficiaries' bank code must not contain a colon or a full stop".into());
        }
        for (what, span) in [
            ("deadline", self.deadline),
            ("time between looks", self.poll),
            ("time for a call", self.call),
        ] {
            if span.is_zero() {
                wrong.push(format!("the {what} is zero"));
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(OptionsError(wrong))
        }
    }
}

/// Wishes that make no sense; nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the check cannot begin: {}", .0.join("; "))]
pub struct OptionsError(pub Vec<String>);

impl OptionsError {
    /// A stable word for this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        "verify::options"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_wrong_wishes_come_together() {
        let hosts = Hosts {
            spar: "spar.dev.example.org".into(),
            bridge: String::new(),
        };
        let mut options = Options::new("dev", hosts);
        options.beneficiaries = 0;
        options.sponsor.account = "two words".into();
        options.beneficiary_bank_code = "A.B".into();
        options.poll = Duration::ZERO;
        assert_eq!(options.check().unwrap_err().0.len(), 5);
    }
}
