//! The report: what was checked, what was seen, who was paid.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::amount::Amount;

/// The version of the report's shape.
pub(crate) const API_VERSION: &str = "openg2p.org/verify/v1";

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Passed,
    /// Works, but an operator should know something.
    Warned,
    /// Not as it should be.
    Failed,
    /// It could not be found out.
    Unknown,
    /// Not tried, because of something before it.
    Skipped,
}

/// How the whole ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Overall {
    /// Every check passed; warnings may be among them.
    Passed,
    /// At least one check failed.
    Failed,
    /// None failed, but at least one thing could not be found out.
    Unknown,
}

/// The parts of a check, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// The sponsor's account and the benefit programme.
    Prepare,
    /// Requests that must be refused.
    Refusals,
    /// Financial addresses into SPAR.
    Link,
    /// And out of it again, compared.
    Resolve,
    /// The envelope and its disbursements.
    Order,
    /// Until the bank has paid and its statement has come back.
    Pay,
    /// Every amount.
    Compare,
    /// The financial addresses out of SPAR.
    CleanUp,
}

impl Phase {
    /// What happens, for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Prepare => "prepare the benefit programme",
            Self::Refusals => "send what must be refused",
            Self::Link => "link financial addresses",
            Self::Resolve => "resolve financial addresses",
            Self::Order => "order the disbursements",
            Self::Pay => "wait for payment and statement",
            Self::Compare => "compare every amount",
            Self::CleanUp => "unlink financial addresses",
        }
    }
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// A stable name, such as `bridge-refuses-wrong-key`.
    pub id: String,
    /// The phase it belongs to.
    pub phase: Phase,
    /// How it ended.
    pub verdict: Verdict,
    /// What was checked, in one sentence; on failure what was expected and what was seen.
    pub detail: String,
    /// On anything but success: the component to look at, and for what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look_at: Option<String>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// One beneficiary and the money's whole way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Beneficiary {
    /// The id in SPAR and in the disbursement.
    pub id: String,
    /// The bank account.
    pub account: String,
    /// The disbursement that the Bridge made, once it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disbursement_id: Option<String>,
    /// What was ordered, in hundredths.
    pub asked: Amount,
    /// What the bank took from the sponsor, in hundredths; absent if the books could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debited: Option<Amount>,
    /// What the bank gave the beneficiary, in hundredths; absent if the books could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credited: Option<Amount>,
    /// Whether exactly one line of a statement came back for it and nothing was reversed; absent if the Bridge did not
    /// say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconciled: Option<bool>,
    /// How it ended.
    pub verdict: Verdict,
    /// Everything that is not as it should be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// The sums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// How many beneficiaries.
    pub beneficiaries: u32,
    /// The currency of all amounts.
    pub currency: String,
    /// Ordered, in hundredths.
    pub asked: Amount,
    /// Taken from the sponsor, in hundredths.
    pub debited: Amount,
    /// Given to beneficiaries, in hundredths.
    pub credited: Amount,
    /// How many beneficiaries have everything as it should be.
    pub paid: u32,
    /// From the envelope to the last reconciled disbursement, in milliseconds; absent if that never came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_within_ms: Option<u64>,
}

/// How long a phase took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhaseTime {
    /// The phase.
    pub phase: Phase,
    /// Its time, in milliseconds.
    pub took_ms: u64,
}

/// The whole check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// `openg2p.org/verify/v1`.
    pub api_version: String,
    /// The environment.
    pub environment: String,
    /// Marks everything of this run: all its data begin with `OPENG2P-VERIFY-` and this word.
    pub run: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// When it ended, RFC 3339.
    pub finished: String,
    /// How it ended.
    pub overall: Overall,
    /// Every check, in the order in which they were made.
    pub checks: Vec<Check>,
    /// Every beneficiary.
    pub beneficiaries: Vec<Beneficiary>,
    /// The sums.
    pub totals: Totals,
    /// The time of every phase.
    pub phases: Vec<PhaseTime>,
    /// Test data that stays in the environment, and where.
    pub left_behind: Vec<String>,
}

/// What happens while the check runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Event {
    /// A phase begins.
    PhaseBegan {
        /// The phase.
        phase: Phase,
    },
    /// A phase moves on.
    Progress {
        /// The phase.
        phase: Phase,
        /// So many are done.
        done: u32,
        /// Of so many.
        of: u32,
        /// What is going on or waited for.
        doing: String,
    },
    /// A check has ended.
    Checked {
        /// The check.
        check: Check,
    },
    /// A phase has ended.
    PhaseEnded {
        /// The phase and its time.
        time: PhaseTime,
    },
}

impl Report {
    /// Judges the checks together.
    pub(crate) fn judge(checks: &[Check]) -> Overall {
        if checks.iter().any(|check| check.verdict == Verdict::Failed) {
            Overall::Failed
        } else if checks.iter().any(|check| check.verdict == Verdict::Unknown) {
            Overall::Unknown
        } else {
            Overall::Passed
        }
    }
}

/// The JSON Schema of [`Report`].
#[must_use]
pub fn report_schema() -> serde_json::Value {
    schemars::schema_for!(Report).to_value()
}

/// A moment as the report has it.
pub(crate) fn written(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}
