//! Compares what was asked with what the bank has posted and with what came back. Pure.

use serde::Deserialize;

use crate::amount::Amount;
use crate::plan::Payee;
use crate::ports::{Balance, Posting, PostingSide};
use crate::report::{Beneficiary, Verdict};

/// What the Bridge knows of a disbursement after the statement.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct DisbursementStatus {
    pub(crate) disbursement_id: String,
    #[serde(default)]
    pub(crate) disbursement_recon_records: Option<Records>,
}

/// Lines of statements.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Records {
    #[serde(default)]
    pub(crate) disbursement_recon_payloads: Option<Vec<Recon>>,
    #[serde(default)]
    pub(crate) disbursement_error_recon_payloads: Option<Vec<ErrorRecon>>,
}

/// A line that fitted.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Recon {
    #[serde(default)]
    pub(crate) disbursement_envelope_id: Option<String>,
    #[serde(default)]
    pub(crate) remittance_reference_number: Option<String>,
    #[serde(default)]
    pub(crate) reversal_found: Option<bool>,
    #[serde(default)]
    pub(crate) reversal_reason: Option<String>,
}

/// A line that did not fit.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct ErrorRecon {
    #[serde(default)]
    pub(crate) error_reason: Option<String>,
}

/// Everything that is known; `None` where it could not be found out.
pub(crate) struct Evidence<'a> {
    pub(crate) sponsor: &'a str,
    pub(crate) currency: &'a str,
    pub(crate) envelope_id: &'a str,
    pub(crate) postings: Option<&'a [Posting]>,
    pub(crate) balances: Option<&'a [Balance]>,
    pub(crate) statuses: Option<&'a [DisbursementStatus]>,
}

/// One beneficiary's row.
pub(crate) fn row(payee: &Payee, disbursement_id: &str, evidence: &Evidence<'_>) -> Beneficiary {
    let mut problems = Vec::new();
    let own: Option<Vec<&Posting>> = evidence.postings.map(|postings| {
        postings
            .iter()
            .filter(|posting| posting.disbursement_id == disbursement_id)
            .collect()
    });
    let (mut debited, mut credited) = (None, None);
    if let Some(own) = &own {
        debited = Some(posted(
            own,
            PostingSide::Debit,
            evidence.sponsor,
            payee,
            evidence,
            &mut problems,
        ));
        credited = Some(posted(
            own,
            PostingSide::Credit,
            &payee.account,
            payee,
            evidence,
            &mut problems,
        ));
    }
    if let Some(balances) = evidence.balances {
        check_balance(balances, payee, &mut problems);
    }
    let reconciled = evidence.statuses.map(|statuses| {
        let before = problems.len();
        let status = statuses
            .iter()
            .find(|status| status.disbursement_id == disbursement_id);
        check_statement(status, own.as_deref(), evidence.envelope_id, &mut problems);
        problems.len() == before
    });
    let verdict = if !problems.is_empty() {
        Verdict::Failed
    } else if evidence.postings.is_none() || evidence.balances.is_none() || evidence.statuses.is_none() {
        Verdict::Unknown
    } else {
        Verdict::Passed
    };
    Beneficiary {
        id: payee.id.clone(),
        account: payee.account.clone(),
        disbursement_id: Some(disbursement_id.to_owned()),
        asked: payee.amount,
        debited,
        credited,
        reconciled,
        verdict,
        problems,
    }
}

/// One side of the bank's postings: exactly one, on the right account, in the right currency, of the right amount.
fn posted(
    own: &[&Posting],
    side: PostingSide,
    account: &str,
    payee: &Payee,
    evidence: &Evidence<'_>,
    problems: &mut Vec<String>,
) -> Amount {
    let name = match side {
        PostingSide::Debit => "debit of the sponsor",
        PostingSide::Credit => "credit of the beneficiary",
    };
    let ones: Vec<&&Posting> = own.iter().filter(|posting| posting.side == side).collect();
    let sum: Amount = ones.iter().map(|posting| posting.amount).sum();
    match ones.as_slice() {
        [] => problems.push(format!("the bank has posted no {name}")),
        [one] => {
            if one.account != account {
                problems.push(format!(
                    "the {name} is on account {:?} instead of {account:?}",
                    one.account
                ));
            }
            if one.currency != evidence.currency {
                problems.push(format!(
                    "the {name} is in {} instead of {}",
                    one.currency, evidence.currency
                ));
            }
            if one.amount != payee.amount {
                problems.push(format!(
                    "the {name} is {} instead of {}",
                    one.amount, payee.amount
                ));
            }
        }
        many if many.iter().any(|posting| posting.amount < Amount::default()) => {
            problems.push(format!(
                "the {name} was reversed ({} postings, {sum} remain)",
                many.len()
            ));
        }
        many => problems.push(format!(
            "the bank has posted {} times as {name}, {sum} in all",
            many.len()
        )),
    }
    sum
}

/// The account is the run's own, so it holds this payment and nothing else.
fn check_balance(balances: &[Balance], payee: &Payee, problems: &mut Vec<String>) {
    match balances.iter().find(|balance| balance.account == payee.account) {
        None => problems.push("the bank has no such account".into()),
        Some(balance) if balance.book != payee.amount => {
            problems.push(format!(
                "the account holds {} instead of {}",
                balance.book, payee.amount
            ));
        }
        Some(_) => {}
    }
}

fn check_statement(
    status: Option<&DisbursementStatus>,
    own: Option<&[&Posting]>,
    envelope_id: &str,
    problems: &mut Vec<String>,
) {
    let Some(records) = status.and_then(|status| status.disbursement_recon_records.as_ref()) else {
        problems.push("the Bridge says nothing about the disbursement".into());
        return;
    };
    for error in records.disbursement_error_recon_payloads.iter().flatten() {
        let reason = error.error_reason.as_deref().unwrap_or("no reason given");
        problems.push(format!("a line of the statement did not fit: {reason}"));
    }
    let lines = records.disbursement_recon_payloads.as_deref().unwrap_or_default();
    let [line] = lines else {
        problems.push(match lines.len() {
            0 => "no line of a statement came back".into(),
            count => format!("{count} lines of statements came back"),
        });
        return;
    };
    if line.reversal_found == Some(true) {
        let reason = line.reversal_reason.as_deref().unwrap_or("no reason given");
        problems.push(format!("the bank has reversed it: {reason}"));
    }
    if line.disbursement_envelope_id.as_deref() != Some(envelope_id) {
        problems.push(format!(
            "the statement's line was put into envelope {:?}",
            line.disbursement_envelope_id
        ));
    }
    // The statement has no room for the bank's whole reference; what it has must be the debit's.
    let reference = line.remittance_reference_number.as_deref().unwrap_or_default();
    if let Some(own) = own {
        let fits = |posting: &&Posting| {
            posting.side == PostingSide::Debit && posting.reference.starts_with(reference)
        };
        if reference.is_empty() || !own.iter().any(fits) {
            problems.push(format!(
                "the statement's line has the reference {reference:?}, which is no debit of the bank"
            ));
        }
    }
}

/// How many of the disbursements the bank has posted on both sides.
pub(crate) fn count_posted(disbursement_ids: &[String], postings: &[Posting]) -> u32 {
    let both = |id: &&String| {
        [PostingSide::Debit, PostingSide::Credit].iter().all(|side| {
            postings
                .iter()
                .any(|posting| posting.disbursement_id == **id && posting.side == *side)
        })
    };
    u32::try_from(disbursement_ids.iter().filter(both).count()).unwrap_or(u32::MAX)
}
