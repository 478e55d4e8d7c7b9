//! How far a payment has come, and which component it waits for.

use serde::Deserialize;

/// The Bridge's own view of an envelope.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub(crate) struct EnvelopeStatus {
    pub(crate) number_of_disbursements_received: u32,
    pub(crate) funds_available_with_bank: String,
    #[serde(default)]
    pub(crate) funds_available_latest_error_code: Option<String>,
    #[serde(default)]
    pub(crate) funds_available_attempts: u32,
    pub(crate) funds_blocked_with_bank: String,
    #[serde(default)]
    pub(crate) funds_blocked_latest_error_code: Option<String>,
    #[serde(default)]
    pub(crate) funds_blocked_attempts: u32,
    pub(crate) number_of_disbursements_shipped: u32,
    pub(crate) number_of_disbursements_reconciled: u32,
    pub(crate) number_of_disbursements_reversed: u32,
}

/// Where a payment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    FundsCheck,
    FundsBlock,
    /// The mapper's resolution and the shipping; the Bridge's API does not tell the two apart.
    Ship,
    Statement,
    Done,
}

impl EnvelopeStatus {
    /// The stage that the envelope is in.
    pub(crate) fn stage(&self, count: u32) -> Stage {
        if self.number_of_disbursements_reconciled >= count {
            Stage::Done
        } else if self.number_of_disbursements_shipped >= count {
            Stage::Statement
        } else if self.funds_blocked_with_bank == "FUNDS_BLOCK_SUCCESS" {
            Stage::Ship
        } else if self.funds_available_with_bank == "FUNDS_AVAILABLE" {
            Stage::FundsBlock
        } else {
            Stage::FundsCheck
        }
    }

    /// One line for people.
    pub(crate) fn line(&self, count: u32) -> String {
        match self.stage(count) {
            Stage::FundsCheck => {
                format!(
                    "the Bridge asks the bank for funds ({}{})",
                    self.funds_available_with_bank,
                    self.funds_note()
                )
            }
            Stage::FundsBlock => {
                format!(
                    "the Bridge blocks the funds ({}{})",
                    self.funds_blocked_with_bank,
                    self.block_note()
                )
            }
            Stage::Ship => format!(
                "the Bridge resolves financial addresses and ships payments ({} of {count} shipped)",
                self.number_of_disbursements_shipped
            ),
            Stage::Statement => format!(
                "the bank pays and sends its statement ({} of {count} reconciled)",
                self.number_of_disbursements_reconciled
            ),
            Stage::Done => format!("{count} of {count} shipped and reconciled"),
        }
    }

    /// Which component an envelope in this stage waits for. `posted` is how many disbursements the bank has posted, if
    /// its books could be read.
    pub(crate) fn look_at(&self, count: u32, posted: Option<u32>) -> String {
        match self.stage(count) {
            Stage::FundsCheck if self.funds_available_with_bank == "FUNDS_NOT_AVAILABLE" => {
                "example-bank-api: the sponsor's account lacks the money or has another currency".into()
            }
            Stage::FundsCheck if self.funds_available_with_bank == "PENDING_CHECK" => {
                "g2p-bridge-celery-beat: it has not picked the envelope up (does it run, and how often?)".into()
            }
            Stage::FundsCheck => {
                "g2p-bridge-celery-workers: their log says what the bank answered to check_funds; then example-bank-api".into()
            }
            Stage::FundsBlock if self.funds_blocked_with_bank == "PENDING_CHECK" => {
                "g2p-bridge-celery-beat: it has not started to block the funds (does it run, and how often?)".into()
            }
            Stage::FundsBlock => {
                "g2p-bridge-celery-workers: their log says what the bank answered to block_funds; then example-bank-api".into()
            }
            Stage::Ship if self.number_of_disbursements_shipped == 0 => {
                "g2p-bridge-celery-workers: either the mapper's resolution failed (one beneficiary that is not linked holds \
                 the whole batch; see their log and spar-mapper's) or initiate_payment at example-bank-api did"
                    .into()
            }
            Stage::Ship => "g2p-bridge-celery-workers: only a part was shipped; their log says why".into(),
            Stage::Statement if posted.is_some_and(|posted| posted < count) => {
                "example-bank-celery: the payments are shipped, but the bank has not posted them all (exactly one of its \
                 workers must run)"
                    .into()
            }
            Stage::Statement => {
                "the way of the statement: example-bank-celery uploads it to g2p-bridge-api (/upload_mt940, a NetworkPolicy \
                 lets only the bank do so), g2p-bridge-celery-beat and -workers read it"
                    .into()
            }
            Stage::Done => "nothing: the Bridge says that all is done".into(),
        }
    }

    fn funds_note(&self) -> String {
        note(
            self.funds_available_attempts,
            self.funds_available_latest_error_code.as_deref(),
        )
    }

    fn block_note(&self) -> String {
        note(
            self.funds_blocked_attempts,
            self.funds_blocked_latest_error_code.as_deref(),
        )
    }
}

fn note(attempts: u32, error: Option<&str>) -> String {
    match error.filter(|error| !error.is_empty()) {
        Some(error) => format!(", {attempts} attempt(s), last error: {error}"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(available: &str, blocked: &str, shipped: u32, reconciled: u32) -> EnvelopeStatus {
        EnvelopeStatus {
            funds_available_with_bank: available.into(),
            funds_blocked_with_bank: blocked.into(),
            number_of_disbursements_shipped: shipped,
            number_of_disbursements_reconciled: reconciled,
            ..EnvelopeStatus::default()
        }
    }

    #[test]
    fn each_stage_names_its_component() {
        for (status, stage, component) in [
            (
                status("PENDING_CHECK", "PENDING_CHECK", 0, 0),
                Stage::FundsCheck,
                "celery-beat",
            ),
            (
                status("CHECK_IN_PROGRESS", "PENDING_CHECK", 0, 0),
                Stage::FundsCheck,
                "celery-workers",
            ),
            (
                status("FUNDS_NOT_AVAILABLE", "PENDING_CHECK", 0, 0),
                Stage::FundsCheck,
                "example-bank-api",
            ),
            (
                status("FUNDS_AVAILABLE", "PENDING_CHECK", 0, 0),
                Stage::FundsBlock,
                "celery-beat",
            ),
            (
                status("FUNDS_AVAILABLE", "FUNDS_BLOCK_FAILURE", 0, 0),
                Stage::FundsBlock,
                "block_funds",
            ),
            (
                status("FUNDS_AVAILABLE", "FUNDS_BLOCK_SUCCESS", 0, 0),
                Stage::Ship,
                "spar-mapper",
            ),
            (
                status("FUNDS_AVAILABLE", "FUNDS_BLOCK_SUCCESS", 2, 0),
                Stage::Ship,
                "only a part",
            ),
            (
                status("FUNDS_AVAILABLE", "FUNDS_BLOCK_SUCCESS", 3, 1),
                Stage::Statement,
                "upload_mt940",
            ),
            (
                status("FUNDS_AVAILABLE", "FUNDS_BLOCK_SUCCESS", 3, 3),
                Stage::Done,
                "nothing",
            ),
        ] {
            assert_eq!(status.stage(3), stage);
            assert!(
                status.look_at(3, None).contains(component),
                "{}",
                status.look_at(3, None)
            );
        }
        let shipped = status("FUNDS_AVAILABLE", "FUNDS_BLOCK_SUCCESS", 3, 0);
        assert!(shipped.look_at(3, Some(0)).starts_with("example-bank-celery"));
    }
}
