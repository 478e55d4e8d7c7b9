//! The payment: an envelope, its disbursements, the wait, and the comparison of every amount.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use crate::addresses::some_of;
use crate::calls::{CallError, Service, read};
use crate::compare::{DisbursementStatus, Evidence, count_posted, row};
use crate::diagnosis::{EnvelopeStatus, Stage};
use crate::flow::{Run, Stop};
use crate::ports::{Balance, Posting};
use crate::report::{Beneficiary, Phase, Verdict};

/// Whether money may still move after the check has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Ordered {
    /// Nothing was ordered.
    #[default]
    Nothing,
    /// Ordered, and not everything is shipped: the Bridge still needs the links.
    Pending,
    /// The Bridge has handed everything to the bank.
    Shipped,
}

/// What came of the payment.
#[derive(Debug, Default)]
pub(crate) struct Payment {
    pub(crate) ordered: Ordered,
    pub(crate) rows: Vec<Beneficiary>,
    pub(crate) paid_within_ms: Option<u64>,
}

/// An envelope whose disbursements were taken.
struct Order {
    envelope_id: String,
    /// In the order of the payees.
    disbursement_ids: Vec<String>,
    began: Duration,
}

#[derive(Deserialize)]
struct Envelope {
    disbursement_envelope_id: String,
}

#[derive(Deserialize)]
struct Disbursement {
    disbursement_id: String,
    beneficiary_id: String,
}

impl Run<'_> {
    /// Orders, waits, compares.
    pub(crate) async fn pay_and_compare(&mut self) -> Payment {
        let mut payment = Payment::default();
        self.begin(Phase::Order);
        let order = self.order(&mut payment).await;
        self.end();
        let Ok(order) = order else { return payment };
        self.begin(Phase::Pay);
        self.wait(&order, &mut payment).await;
        self.end();
        self.begin(Phase::Compare);
        self.compare(&order, &mut payment).await;
        self.end();
        payment
    }

    async fn order(&mut self, payment: &mut Payment) -> Result<Order, Stop> {
        let count = self.plan.payees.len();
        let total = self.plan.total();
        let began = self.now();
        // Today where the service is: the services of the site run in UTC.
        let today = self
            .caller
            .clock
            .now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .date()
            .to_string();
        let message = json!({
            "benefit_program_mnemonic": self.plan.programme, "disbursement_frequency": "OnDemand",
            "cycle_code_mnemonic": "OPENG2P-VERIFY", "number_of_beneficiaries": count, "number_of_disbursements": count,
            "total_disbursement_amount": total.to_number(),
            "disbursement_currency_code": self.caller.options.sponsor.currency, "disbursement_schedule_date": today
        });
        let name = "create_disbursement_envelope";
        let envelope: Result<Envelope, _> = self
            .caller
            .call(Service::Bridge, &format!("/{name}"), name, &message, 1)
            .await;
        let envelope_id = match envelope {
            Ok(envelope) => envelope.disbursement_envelope_id,
            Err(why) => {
                let expected =
                    format!("G2P Bridge takes an envelope of {count} disbursements and {total} for {today}");
                self.call_failed("envelope", began, &expected, Service::Bridge, &why);
                return Err(Stop);
            }
        };
        self.passed(
            "envelope",
            began,
            format!("G2P Bridge has envelope {envelope_id} of {total} for {today}"),
        );
        self.leaves(format!(
            "G2P Bridge: envelope {envelope_id} with {count} disbursements"
        ));
        self.unsigned_status(&envelope_id).await;

        let began = self.now();
        let disbursements: Vec<_> = self
            .plan
            .payees
            .iter()
            .map(|payee| {
                json!({
                    "disbursement_envelope_id": envelope_id, "mis_reference_number": payee.id,
                    "beneficiary_id": payee.id, "beneficiary_name": payee.name,
                    "disbursement_amount": payee.amount.to_number(), "narrative": "openg2p verify"
                })
            })
            .collect();
        let expected = format!("G2P Bridge takes {count} disbursements");
        let name = "create_disbursements";
        let made: Result<Vec<Disbursement>, _> = self
            .caller
            .call(
                Service::Bridge,
                &format!("/{name}"),
                name,
                &json!(disbursements),
                count,
            )
            .await;
        let by_id: HashMap<String, String> = match made {
            Ok(made) => made
                .into_iter()
                .map(|one| (one.beneficiary_id, one.disbursement_id))
                .collect(),
            Err(why) => {
                if matches!(why, CallError::Unknown(_)) {
                    payment.ordered = Ordered::Pending;
                }
                self.call_failed("disbursements", began, &expected, Service::Bridge, &why);
                return Err(Stop);
            }
        };
        payment.ordered = Ordered::Pending;
        self.leaves(format!(
            "bank: {count} accounts {}-* and postings on account {:?}",
            self.plan.programme, self.caller.options.sponsor.account
        ));
        let ids: Option<Vec<String>> = self
            .plan
            .payees
            .iter()
            .map(|payee| by_id.get(&payee.id).cloned())
            .collect();
        let Some(disbursement_ids) = ids.filter(|ids| ids.len() == by_id.len()) else {
            let detail = format!(
                "expected: {expected}, one for each beneficiary; seen: {} ids",
                by_id.len()
            );
            self.checked(
                "disbursements",
                began,
                Verdict::Failed,
                detail,
                Some("the log of g2p-bridge-api".into()),
            );
            return Err(Stop);
        };
        self.passed(
            "disbursements",
            began,
            format!("G2P Bridge has taken {count} disbursements of different amounts"),
        );
        Ok(Order {
            envelope_id,
            disbursement_ids,
            began,
        })
    }

    /// The published package verifies no signature on this one path, although it means to. Nothing can be changed by
    /// it, but whoever knows an envelope's id learns its state: an operator should know.
    async fn unsigned_status(&mut self, envelope_id: &str) {
        let began = self.now();
        let name = "get_disbursement_envelope_status";
        let body = self.caller.body(name, &json!(envelope_id), 1);
        let answer = read(
            self.caller
                .send(Service::Bridge, &format!("/{name}"), body, None)
                .await,
        );
        let id = "bridge-status-needs-signature";
        match answer {
            Ok(answer) if answer.header.status == "succ" => {
                let detail = "G2P Bridge answers /get_disbursement_envelope_status without a signature (a fault of \
                              openg2p-g2p-bridge-api 1.1.0)";
                let look_at = "g2p-bridge-api: its entry point can put the signature check there";
                self.checked(id, began, Verdict::Warned, detail.into(), Some(look_at.into()));
            }
            Ok(_) | Err(CallError::Http { .. }) => {
                self.passed(
                    id,
                    began,
                    "G2P Bridge refuses to show an envelope's state without a signature".into(),
                );
            }
            Err(why) => {
                self.call_failed(
                    id,
                    began,
                    "a refusal of an unsigned request",
                    Service::Bridge,
                    &why,
                );
            }
        }
    }

    async fn wait(&mut self, order: &Order, payment: &mut Payment) {
        let count = self.caller.options.beneficiaries;
        let began = self.now();
        let deadline = order.began + self.caller.options.deadline;
        let (mut last, mut trouble): (Option<EnvelopeStatus>, Option<CallError>) = (None, None);
        loop {
            match self.envelope_status(&order.envelope_id).await {
                Ok(status) => {
                    trouble = None;
                    if last.as_ref() != Some(&status) {
                        self.progress(
                            status.number_of_disbursements_reconciled,
                            count,
                            status.line(count),
                        );
                    }
                    if status.number_of_disbursements_shipped >= count {
                        payment.ordered = Ordered::Shipped;
                    }
                    let done = status.stage(count) == Stage::Done;
                    last = Some(status);
                    if done {
                        payment.paid_within_ms = Some(self.since(order.began));
                        break;
                    }
                }
                Err(why) => {
                    let hopeless = !why.may_pass();
                    if trouble.as_ref() != Some(&why) {
                        self.progress(0, count, format!("the Bridge does not tell: {}", why.seen()));
                    }
                    trouble = Some(why);
                    if hopeless {
                        break;
                    }
                }
            }
            if self.now() >= deadline {
                break;
            }
            let left = deadline.saturating_sub(self.now());
            self.caller.clock.sleep(self.caller.options.poll.min(left)).await;
        }
        self.judge_wait(began, order, payment, last, trouble).await;
    }

    async fn judge_wait(
        &mut self,
        began: Duration,
        order: &Order,
        payment: &Payment,
        last: Option<EnvelopeStatus>,
        trouble: Option<CallError>,
    ) {
        let count = self.caller.options.beneficiaries;
        let expected = format!(
            "{count} disbursements shipped and reconciled within {:?}",
            self.caller.options.deadline
        );
        if let Some(status) = &last
            && let Some(within) = payment.paid_within_ms
        {
            let detail = format!(
                "all {count} were paid and reconciled within {:.1} s",
                Duration::from_millis(within).as_secs_f64()
            );
            self.passed("paid", began, detail);
            let reversed = status.number_of_disbursements_reversed;
            if reversed > 0 {
                let detail =
                    format!("expected: no payment is reversed; seen: {reversed} reversed by the bank");
                let look_at =
                    "example-bank-celery: it reverses payments to other banks than EXAMPLE_BANK on purpose";
                self.checked(
                    "nothing-reversed",
                    began,
                    Verdict::Failed,
                    detail,
                    Some(look_at.into()),
                );
            }
            return;
        }
        if let Some(why) = trouble {
            let before = last
                .map(|status| format!("; before that: {}", status.line(count)))
                .unwrap_or_default();
            let detail = format!("expected: {expected}; seen: {}{before}", why.seen());
            // The payment itself may go on: what is not known is not called failed.
            let verdict = if why.may_pass() {
                Verdict::Unknown
            } else {
                why.verdict()
            };
            self.checked("paid", began, verdict, detail, Some(why.look_at(Service::Bridge)));
        } else if let Some(status) = last {
            let postings = self.books.postings(&order.disbursement_ids).await.ok();
            let posted = postings.map(|postings| count_posted(&order.disbursement_ids, &postings));
            let detail = format!("expected: {expected}; seen: {}", status.line(count));
            self.checked(
                "paid",
                began,
                Verdict::Failed,
                detail,
                Some(status.look_at(count, posted)),
            );
        }
    }

    async fn envelope_status(&mut self, envelope_id: &str) -> Result<EnvelopeStatus, CallError> {
        let name = "get_disbursement_envelope_status";
        self.caller
            .call(Service::Bridge, &format!("/{name}"), name, &json!(envelope_id), 1)
            .await
    }

    async fn compare(&mut self, order: &Order, payment: &mut Payment) {
        let began = self.now();
        let accounts: Vec<String> = self
            .plan
            .payees
            .iter()
            .map(|payee| payee.account.clone())
            .collect();
        let postings = self.books.postings(&order.disbursement_ids).await;
        let balances = self.books.balances(&accounts).await;
        let books = |why: String| format!("the bank's books cannot be read: {why}");
        let postings: Option<Vec<Posting>> =
            self.known("bank-postings", began, postings.map_err(|e| books(e.to_string())));
        let balances: Option<Vec<Balance>> =
            self.known("bank-balances", began, balances.map_err(|e| books(e.to_string())));
        let name = "get_disbursement_status";
        let count = order.disbursement_ids.len();
        let statuses: Result<Vec<DisbursementStatus>, _> = self
            .caller
            .call(
                Service::Bridge,
                &format!("/{name}"),
                name,
                &json!(order.disbursement_ids),
                count,
            )
            .await;
        let statuses = match statuses {
            Ok(statuses) => Some(statuses),
            Err(why) => {
                let expected = format!("the state of {count} disbursements");
                self.call_failed("disbursement-status", began, &expected, Service::Bridge, &why);
                None
            }
        };
        let sponsor = &self.caller.options.sponsor;
        let evidence = Evidence {
            sponsor: &sponsor.account,
            currency: &sponsor.currency,
            envelope_id: &order.envelope_id,
            postings: postings.as_deref(),
            balances: balances.as_deref(),
            statuses: statuses.as_deref(),
        };
        payment.rows = self
            .plan
            .payees
            .iter()
            .zip(&order.disbursement_ids)
            .map(|(payee, id)| row(payee, id, &evidence))
            .collect();
        self.judge_amounts(began, payment);
    }

    /// Takes down what could not be read; what could is judged row by row.
    fn known<T>(&mut self, id: &str, began: Duration, outcome: Result<T, String>) -> Option<T> {
        match outcome {
            Ok(known) => Some(known),
            Err(why) => {
                self.checked(
                    id,
                    began,
                    Verdict::Unknown,
                    why,
                    Some("example-bank's database".into()),
                );
                None
            }
        }
    }

    fn judge_amounts(&mut self, began: Duration, payment: &Payment) {
        let count = payment.rows.len();
        let wrong: Vec<String> = payment
            .rows
            .iter()
            .filter(|row| row.verdict == Verdict::Failed)
            .map(|row| {
                let more = row.problems.len().saturating_sub(1);
                let more = if more > 0 {
                    format!(" and {more} more")
                } else {
                    String::new()
                };
                format!(
                    "{}: {}{more}",
                    row.id,
                    row.problems.first().map_or("", String::as_str)
                )
            })
            .collect();
        if !wrong.is_empty() {
            let detail = format!(
                "expected: every amount as it was asked, posted and reconciled once; seen: {} of {count} are not: {}",
                wrong.len(),
                some_of(&wrong)
            );
            let look_at = "the beneficiaries' rows of this report, then the log of example-bank-celery";
            self.checked("amounts", began, Verdict::Failed, detail, Some(look_at.into()));
        } else if payment.rows.iter().all(|row| row.verdict == Verdict::Passed) {
            let total = self.plan.total();
            let currency = &self.caller.options.sponsor.currency;
            let detail = format!(
                "all {count} amounts are as asked, {total} {currency} in all: debit, credit, balance, statement"
            );
            self.passed("amounts", began, detail);
        } else {
            let detail = "what could be read fits, but not everything could be read".to_owned();
            self.checked("amounts", began, Verdict::Unknown, detail, None);
        }
    }
}
