//! The check itself: its phases in their order, and what is tried after something failed.

use std::time::Duration;

use serde_json::json;

use crate::amount::Amount;
use crate::calls::{CallError, Caller, Service};
use crate::options::{Options, OptionsError};
use crate::payment::{Ordered, Payment};
use crate::plan::{Plan, uuid};
use crate::ports::{Books, Clock, Edge, Random};
use crate::refusals::{Refusal, Wrong, refused, upload_is_closed};
use crate::report::{
    API_VERSION, Beneficiary, Check, Event, Phase, PhaseTime, Report, Totals, Verdict, written,
};
use crate::signing::Signer;

/// Runs the whole check. Ends with a report whatever happens outside; an error means that nothing was sent.
///
/// Dropping the future ends the check at once; what it has made by then stays, marked as test data.
pub async fn verify(
    options: &Options,
    signer: &Signer,
    edge: &dyn Edge,
    books: &dyn Books,
    clock: &dyn Clock,
    random: &dyn Random,
    events: &mut (dyn FnMut(Event) + Send),
) -> Result<Report, OptionsError> {
    options.check()?;
    let started = clock.now();
    let plan = Plan::new(options, random);
    let mut run = Run {
        caller: Caller {
            options,
            signer,
            edge,
            clock,
            random,
        },
        books,
        plan,
        events,
        phase: Phase::Prepare,
        phase_began: clock.monotonic(),
        checks: Vec::new(),
        phases: Vec::new(),
        left_behind: Vec::new(),
    };
    let payment = run.everything().await;
    let totals = run.totals(&payment);
    Ok(Report {
        api_version: API_VERSION.into(),
        environment: options.environment.clone(),
        run: run.plan.run.clone(),
        started: written(started),
        finished: written(clock.now()),
        overall: Report::judge(&run.checks),
        beneficiaries: run.beneficiaries(payment.rows),
        totals,
        checks: run.checks,
        phases: run.phases,
        left_behind: run.left_behind,
    })
}

/// What follows cannot be done; the reason stands among the checks.
pub(crate) struct Stop;

/// A run in progress.
pub(crate) struct Run<'a> {
    pub(crate) caller: Caller<'a>,
    pub(crate) books: &'a dyn Books,
    pub(crate) plan: Plan,
    pub(crate) events: &'a mut (dyn FnMut(Event) + Send),
    phase: Phase,
    phase_began: Duration,
    checks: Vec<Check>,
    phases: Vec<PhaseTime>,
    left_behind: Vec<String>,
}

impl Run<'_> {
    async fn everything(&mut self) -> Payment {
        self.begin(Phase::Prepare);
        let prepared = self.prepare().await;
        self.end();
        self.begin(Phase::Refusals);
        self.refusals().await;
        self.end();
        if prepared.is_err() {
            self.skip(
                Phase::Link,
                "payment",
                "there is no benefit programme to pay from",
            );
            return Payment::default();
        }
        self.begin(Phase::Link);
        let linked = self.link().await;
        self.end();
        let mut resolved = Err(Stop);
        if linked.is_ok() {
            self.begin(Phase::Resolve);
            resolved = self.resolve().await;
            self.end();
        }
        let mut payment = Payment::default();
        if resolved.is_ok() {
            payment = self.pay_and_compare().await;
        } else {
            let why = "one beneficiary that is not linked would hold the whole batch";
            self.skip(Phase::Order, "disbursements", why);
        }
        self.begin(Phase::CleanUp);
        self.clean_up(&payment).await;
        self.end();
        payment
    }

    /// A phase begins.
    pub(crate) fn begin(&mut self, phase: Phase) {
        self.phase = phase;
        self.phase_began = self.caller.clock.monotonic();
        (self.events)(Event::PhaseBegan { phase });
    }

    /// The phase has ended.
    pub(crate) fn end(&mut self) {
        let time = PhaseTime {
            phase: self.phase,
            took_ms: self.since(self.phase_began),
        };
        self.phases.push(time);
        (self.events)(Event::PhaseEnded { time });
    }

    /// Milliseconds since a moment.
    pub(crate) fn since(&self, began: Duration) -> u64 {
        let span = self.caller.clock.monotonic().saturating_sub(began);
        u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes a check down.
    pub(crate) fn checked(
        &mut self,
        id: &str,
        began: Duration,
        verdict: Verdict,
        detail: String,
        look_at: Option<String>,
    ) {
        let check = Check {
            id: id.to_owned(),
            phase: self.phase,
            verdict,
            detail,
            look_at,
            took_ms: self.since(began),
        };
        (self.events)(Event::Checked { check: check.clone() });
        self.checks.push(check);
    }

    pub(crate) fn passed(&mut self, id: &str, began: Duration, detail: String) {
        self.checked(id, began, Verdict::Passed, detail, None);
    }

    /// Takes a failed call down.
    pub(crate) fn call_failed(
        &mut self,
        id: &str,
        began: Duration,
        expected: &str,
        service: Service,
        why: &CallError,
    ) {
        let detail = format!("expected: {expected}; seen: {}", why.seen());
        self.checked(id, began, why.verdict(), detail, Some(why.look_at(service)));
    }

    pub(crate) fn progress(&mut self, done: u32, of: u32, doing: String) {
        (self.events)(Event::Progress {
            phase: self.phase,
            done,
            of,
            doing,
        });
    }

    pub(crate) fn leaves(&mut self, what: String) {
        self.left_behind.push(what);
    }

    fn skip(&mut self, phase: Phase, id: &str, why: &str) {
        self.phase = phase;
        let now = self.caller.clock.monotonic();
        self.checked(id, now, Verdict::Skipped, why.to_owned(), None);
    }

    pub(crate) fn now(&self) -> Duration {
        self.caller.clock.monotonic()
    }

    async fn prepare(&mut self) -> Result<(), Stop> {
        let options = self.caller.options;
        let sponsor = &options.sponsor;
        let began = self.now();
        let total = self.plan.total();
        match self.books.balances(std::slice::from_ref(&sponsor.account)).await {
            Err(why) => {
                let detail =
                    format!("the bank's books cannot be read, so nothing can be compared with them: {why}");
                self.checked(
                    "sponsor-account",
                    began,
                    Verdict::Unknown,
                    detail,
                    Some("example-bank's database".into()),
                );
            }
            Ok(balances) => {
                let expected = format!(
                    "account {:?} in {} with at least {total}",
                    sponsor.account, sponsor.currency
                );
                let found = balances.iter().find(|balance| balance.account == sponsor.account);
                let seen = match found {
                    None => "no such account".to_owned(),
                    Some(balance) if balance.currency != sponsor.currency => {
                        format!("it is in {}", balance.currency)
                    }
                    Some(balance) if balance.available < total => {
                        format!("{} can be spent", balance.available)
                    }
                    Some(balance) => {
                        let detail = format!(
                            "the sponsor's account {:?} can spend {}",
                            balance.account, balance.available
                        );
                        self.passed("sponsor-account", began, detail);
                        String::new()
                    }
                };
                if !seen.is_empty() {
                    let look_at =
                        "example-bank: the accounts in its chart's values are made at its migration"
                            .to_owned();
                    let detail = format!("expected: {expected}; seen: {seen}");
                    self.checked("sponsor-account", began, Verdict::Failed, detail, Some(look_at));
                    return Err(Stop);
                }
            }
        }
        let began = self.now();
        let programme = json!({
            "benefit_program_mnemonic": self.plan.programme,
            "benefit_program_name": format!("Test data of openg2p verify, run {}", self.plan.run),
            "funding_org_code": "OPENG2P-VERIFY", "funding_org_name": "openg2p verify (test data)",
            "sponsor_bank_code": sponsor.bank_code, "sponsor_bank_account_number": sponsor.account,
            "sponsor_bank_branch_code": sponsor.branch_code, "sponsor_bank_account_currency": sponsor.currency,
            "id_mapper_resolution_required": true
        });
        let name = "create_benefit_program_configuration";
        let made: Result<serde_json::Value, _> = self
            .caller
            .call(Service::Bridge, &format!("/{name}"), name, &programme, 1)
            .await;
        match made {
            Ok(_) => {
                let programme = self.plan.programme.clone();
                self.passed(
                    "benefit-programme",
                    began,
                    format!("G2P Bridge has the benefit programme {programme}"),
                );
                self.leaves(format!("G2P Bridge: benefit programme {programme}"));
                Ok(())
            }
            Err(why) => {
                let expected = format!("G2P Bridge takes the benefit programme {}", self.plan.programme);
                self.call_failed("benefit-programme", began, &expected, Service::Bridge, &why);
                Err(Stop)
            }
        }
    }

    async fn refusals(&mut self) {
        let all = 2 * u32::try_from(Wrong::ALL.len()).unwrap_or(0) + 1;
        let mut done = 0;
        for service in [Service::Spar, Service::Bridge] {
            let mut answers = false;
            for wrong in Wrong::ALL {
                let began = self.now();
                let outcome = refused(&self.caller, service, wrong, answers).await;
                answers |= outcome.verdict == Verdict::Passed;
                done += 1;
                self.progress(done, all, outcome.id.clone());
                self.refusal(began, outcome);
            }
        }
        let began = self.now();
        let outcome = upload_is_closed(&self.caller).await;
        self.refusal(began, outcome);
    }

    fn refusal(&mut self, began: Duration, outcome: Refusal) {
        self.checked(
            &outcome.id,
            began,
            outcome.verdict,
            outcome.detail,
            outcome.look_at,
        );
    }

    async fn clean_up(&mut self, payment: &Payment) {
        let count = self.plan.payees.len();
        let began = self.now();
        if payment.ordered == Ordered::Pending {
            // Without its links an unpaid batch would be retried for ever; with them it can still be paid.
            let detail =
                format!("{count} financial addresses stay in SPAR, for the payment is still under way");
            self.checked("unlink", began, Verdict::Skipped, detail, None);
            self.leaves(format!("SPAR: {count} links of ids {}-*", self.plan.programme));
            return;
        }
        let expected = format!("SPAR unlinks all {count} ids");
        match self.unlink().await {
            Ok(()) => self.passed(
                "unlink",
                began,
                format!("SPAR has unlinked {count} ids and resolves none of them"),
            ),
            Err(why) => {
                self.call_failed("unlink", began, &expected, Service::Spar, &why);
                self.leaves(format!("SPAR: perhaps links of ids {}-*", self.plan.programme));
            }
        }
    }

    async fn unlink(&mut self) -> Result<(), CallError> {
        let requests: Vec<_> = self
            .plan
            .payees
            .iter()
            .map(|payee| {
                json!({
                    "reference_id": uuid(self.caller.random), "timestamp": self.caller.clock.now().to_string(),
                    "id": payee.id, "fa": payee.financial_address, "locale": "en"
                })
            })
            .collect();
        let message = json!({"transaction_id": uuid(self.caller.random), "unlink_request": requests});
        let _: serde_json::Value = self
            .caller
            .call(
                Service::Spar,
                "/sync/unlink",
                "unlink",
                &message,
                self.plan.payees.len(),
            )
            .await?;
        let left = self
            .resolved()
            .await?
            .into_iter()
            .filter(|found| found.link().is_some())
            .count();
        if left > 0 {
            return Err(CallError::Shape(format!(
                "{left} ids still resolve after they were unlinked"
            )));
        }
        Ok(())
    }

    /// A row for everybody, also for those whose payment was never ordered.
    fn beneficiaries(&self, rows: Vec<Beneficiary>) -> Vec<Beneficiary> {
        if !rows.is_empty() {
            return rows;
        }
        let unpaid = |payee: &crate::plan::Payee| Beneficiary {
            id: payee.id.clone(),
            account: payee.account.clone(),
            disbursement_id: None,
            asked: payee.amount,
            debited: None,
            credited: None,
            reconciled: None,
            verdict: Verdict::Skipped,
            problems: Vec::new(),
        };
        self.plan.payees.iter().map(unpaid).collect()
    }

    fn totals(&self, payment: &Payment) -> Totals {
        let sum = |of: fn(&Beneficiary) -> Option<Amount>| payment.rows.iter().filter_map(of).sum();
        let paid = payment
            .rows
            .iter()
            .filter(|row| row.verdict == Verdict::Passed)
            .count();
        Totals {
            beneficiaries: self.caller.options.beneficiaries,
            currency: self.caller.options.sponsor.currency.clone(),
            asked: self.plan.total(),
            debited: sum(|row| row.debited),
            credited: sum(|row| row.credited),
            paid: u32::try_from(paid).unwrap_or(u32::MAX),
            paid_within_ms: payment.paid_within_ms,
        }
    }
}
