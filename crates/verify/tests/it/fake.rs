//! SPAR, G2P Bridge, the Example Bank and the edge before them, in memory. Honest: signatures are really verified,
//! money is really moved, and nothing happens before its time. Each fault is one that the real ones can have.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use openg2p_verify::{
    Amount, Balance, Books, BooksError, Clock, Edge, EdgeError, EdgeFailure, EdgeRequest, EdgeResponse,
    Posting, PostingSide, Random,
};
use serde_json::{Value, json};

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Celery beat does not run.
    NoBeat,
    /// The bank refuses to block funds.
    BlockFails,
    /// The bank takes orders and never executes them.
    BankNeverPays,
    /// The first payment is short by a hundredth.
    WrongAmount,
    /// The first payment is executed twice.
    PaidTwice,
    /// The first payment is executed and taken back.
    Reversed,
    /// SPAR says that it has linked the last id and has not.
    LinkLost,
    /// The last id is unlinked by somebody after it was resolved.
    UnlinkedLater,
    /// The bank's statement does not reach the Bridge.
    StatementLost,
    /// Everything takes five times as long.
    Slow,
    /// The sponsor has no account.
    NoSponsor,
    /// The sponsor's account is nearly empty.
    PoorSponsor,
    /// The bank's database cannot be read.
    BooksUnreadable,
    /// Nobody verifies signatures.
    NoVerification,
    /// The edge lets the statement upload through.
    UploadOpen,
    /// The Bridge verifies signatures of status requests too.
    StatusSigned,
    /// Our certificate is not registered.
    NotRegistered,
    /// The edge is down for ten seconds while the payment runs.
    EdgeGap,
    /// The Bridge dies while the payment runs.
    BridgeDies,
    /// The answer to this call is lost, the call is not.
    AnswerLost(&'static str),
    /// partner-keys does not run, so every signed call ends in an internal error.
    NoPartnerKeys,
    /// Nginx has no site for these names.
    NoSite,
    /// The disbursement ids of two beneficiaries are swapped in the answer.
    AnswerForOthers,
}

const HOSTS: [&str; 2] = ["spar.dev.example.org", "g2p-bridge.dev.example.org"];

#[derive(Default)]
struct State {
    now: Duration,
    counter: u64,
    links: BTreeMap<String, String>,
    programmes: Vec<String>,
    envelopes: HashMap<String, Envelope>,
    accounts: BTreeMap<String, (String, i64)>,
    postings: Vec<Posting>,
    events: Vec<String>,
}

#[derive(Default, Clone)]
struct Envelope {
    began: Option<Duration>,
    total: i64,
    disbursements: Vec<(String, String, i64)>,
    step: u32,
    reversed: u32,
    lines: HashMap<String, Vec<(String, bool)>>,
}

/// The fake world.
pub(crate) struct World {
    state: Mutex<State>,
    faults: Vec<Fault>,
    public_key: Vec<u8>,
}

impl World {
    /// A world with these faults, in which this P-256 key is registered for `openg2p-verify`.
    pub(crate) fn new(faults: &[Fault], public_key: &[u8]) -> Self {
        let mut state = State::default();
        if !faults.contains(&Fault::NoSponsor) {
            let money = if faults.contains(&Fault::PoorSponsor) {
                100
            } else {
                100_000_000
            };
            state
                .accounts
                .insert("OPENG2P-VERIFY".into(), ("USD".into(), money));
        }
        Self {
            state: Mutex::new(state),
            faults: faults.to_vec(),
            public_key: public_key.to_vec(),
        }
    }

    fn has(&self, fault: Fault) -> bool {
        self.faults.contains(&fault)
    }

    /// Ids that SPAR still links.
    pub(crate) fn linked(&self) -> usize {
        self.state.lock().unwrap().links.len()
    }

    /// What services were asked, in order.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().events.clone()
    }

    /// All money in the bank; it neither comes nor goes.
    pub(crate) fn money(&self) -> i64 {
        self.state
            .lock()
            .unwrap()
            .accounts
            .values()
            .map(|(_, money)| money)
            .sum()
    }

    fn signature_is_valid(&self, request: &EdgeRequest) -> bool {
        if self.has(Fault::NoVerification) {
            return true;
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        if self.has(Fault::NotRegistered) || body["header"]["sender_id"] != "openg2p-verify" {
            return false;
        }
        // As the services do: what was received is written again, and that is what must have been signed.
        assert_eq!(
            body_again(&request.body),
            request.body,
            "the body is not in its canonical form"
        );
        let Some((_, signature)) = request.headers.iter().find(|(name, _)| name == "Signature") else {
            return false;
        };
        let parts: Vec<&str> = signature.split('.').collect();
        let [header, "", signature] = parts[..] else {
            return false;
        };
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(&request.body));
        let key = ring::signature::UnparsedPublicKey::new(
            &ring::signature::ECDSA_P256_SHA256_FIXED,
            &self.public_key,
        );
        key.verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
            .is_ok()
    }

    /// Lets happen what is due.
    fn advance(&self, state: &mut State) {
        let pace = if self.has(Fault::Slow) { 5 } else { 1 };
        let now = state.now;
        let ids: Vec<String> = state.envelopes.keys().cloned().collect();
        for id in ids {
            loop {
                let envelope = state.envelopes[&id].clone();
                let Some(began) = envelope.began else { break };
                let due = began + Duration::from_secs(2 * pace) * (envelope.step + 1);
                if due > now || envelope.step >= 5 || !self.step(state, &id) {
                    break;
                }
                state.envelopes.get_mut(&id).unwrap().step += 1;
            }
        }
    }

    /// One step of an envelope: check, block, ship, pay, reconcile. False where it is stuck.
    fn step(&self, state: &mut State, id: &str) -> bool {
        let mut envelope = state.envelopes[id].clone();
        let goes_on = match envelope.step {
            0 => !self.has(Fault::NoBeat) && state.accounts["OPENG2P-VERIFY"].1 >= envelope.total,
            1 => !self.has(Fault::BlockFails),
            2 => {
                if self.has(Fault::UnlinkedLater) {
                    let (_, last, _) = envelope.disbursements.last().unwrap();
                    state.links.remove(last);
                }
                envelope
                    .disbursements
                    .iter()
                    .all(|(_, beneficiary, _)| state.links.contains_key(beneficiary))
            }
            3 => !self.has(Fault::BankNeverPays) && self.pay(state, &mut envelope),
            _ => !self.has(Fault::StatementLost),
        };
        envelope.step = state.envelopes[id].step;
        state.envelopes.insert(id.to_owned(), envelope);
        goes_on
    }

    fn pay(&self, state: &mut State, envelope: &mut Envelope) -> bool {
        for (index, (disbursement, beneficiary, asked)) in
            envelope.disbursements.clone().into_iter().enumerate()
        {
            let first = index == 0;
            let amount = if first && self.has(Fault::WrongAmount) {
                asked - 1
            } else {
                asked
            };
            let mut amounts = vec![amount];
            if first && self.has(Fault::PaidTwice) {
                amounts.push(amount);
            }
            if first && self.has(Fault::Reversed) {
                amounts.push(-amount);
                envelope.reversed += 1;
            }
            let address = &state.links[&beneficiary];
            let account = address
                .strip_prefix("account_number:")
                .unwrap()
                .split(".branch_code")
                .next()
                .unwrap()
                .to_owned();
            for amount in amounts {
                let mut references = Vec::new();
                for (side, account, change) in [
                    (PostingSide::Debit, "OPENG2P-VERIFY", -amount),
                    (PostingSide::Credit, account.as_str(), amount),
                ] {
                    state.counter += 1;
                    let reference = format!("bankref-{:028}", state.counter * 7919);
                    references.push(reference.clone());
                    state
                        .accounts
                        .entry(account.to_owned())
                        .or_insert_with(|| ("USD".into(), 0))
                        .1 += change;
                    state.postings.push(Posting {
                        disbursement_id: disbursement.clone(),
                        reference,
                        account: account.to_owned(),
                        side,
                        amount: Amount::from_hundredths(amount),
                        currency: "USD".into(),
                    });
                }
                let line = envelope.lines.entry(disbursement.clone()).or_default();
                if amount < 0 {
                    line[0].1 = true;
                } else if line.is_empty() {
                    line.push((references[0][..16].to_owned(), false));
                }
            }
        }
        true
    }

    fn answer(&self, state: &mut State, request: &EdgeRequest) -> Value {
        let path = request.path.as_str();
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let unchecked = path == "/get_disbursement_envelope_status" && !self.has(Fault::StatusSigned);
        if !unchecked && !self.signature_is_valid(request) {
            let mut header = json!({"status": "rjct"});
            let field = if path.starts_with("/sync") {
                "status_reason_code"
            } else {
                "status_reason_message"
            };
            header[field] = "rjct.jwt.invalid".into();
            return json!({"header": header, "message": {}});
        }
        state.events.push(path.to_owned());
        match self.message(state, path, &body["message"]) {
            Ok(message) => json!({"header": {"status": "succ"}, "message": message}),
            Err(reason) => {
                json!({"header": {"status": "rjct", "status_reason_message": reason}, "message": {}})
            }
        }
    }

    fn message(&self, state: &mut State, path: &str, message: &Value) -> Result<Value, &'static str> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let list = |name: &str| message[name].as_array().unwrap().clone();
        Ok(match path {
            "/sync/link" => {
                let requests = list("link_request");
                let final_index = requests.len() - 1;
                let answers: Vec<Value> = requests
                    .iter()
                    .enumerate()
                    .map(|(index, one)| {
                        let id = text(&one["id"]);
                        if state.links.contains_key(&id) {
                            return json!({"reference_id": one["reference_id"], "status": "rjct", "status_reason_code": "rjct.reference_id.duplicate"});
                        }
                        if !(index == final_index && self.has(Fault::LinkLost)) {
                            state.links.insert(id, text(&one["fa"]));
                        }
                        json!({"reference_id": one["reference_id"], "status": "succ"})
                    })
                    .collect();
                json!({"link_response": answers})
            }
            "/sync/resolve" => {
                let answers: Vec<Value> = list("resolve_request")
                    .iter()
                    .map(|one| match state.links.get(&text(&one["id"])) {
                        Some(address) => json!({"id": one["id"], "fa": address, "status": "succ"}),
                        // As SPAR says it.
                        None => json!({"id": null, "fa": "", "status": "succ", "status_reason_code": "succ.fa.not_linked_to_id"}),
                    })
                    .collect();
                json!({"resolve_response": answers})
            }
            "/sync/unlink" => {
                for one in list("unlink_request") {
                    state.links.remove(&text(&one["id"]));
                }
                json!({"unlink_response": []})
            }
            "/create_benefit_program_configuration" => {
                state.programmes.push(text(&message["benefit_program_mnemonic"]));
                message.clone()
            }
            "/create_disbursement_envelope" => {
                if message["disbursement_schedule_date"] != "2026-11-23" {
                    return Err("INVALID_DISBURSEMENT_SCHEDULE_DATE");
                }
                if !state
                    .programmes
                    .contains(&text(&message["benefit_program_mnemonic"]))
                {
                    return Err("INVALID_PROGRAM_MNEMONIC");
                }
                let total =
                    Amount::from_number(message["total_disbursement_amount"].as_f64().unwrap()).unwrap();
                assert_eq!(
                    total.hundredths() % 100,
                    0,
                    "the Bridge keeps totals as whole numbers"
                );
                let id = format!("envelope-{}", state.envelopes.len());
                state.envelopes.insert(
                    id.clone(),
                    Envelope {
                        total: total.hundredths(),
                        ..Envelope::default()
                    },
                );
                json!({"disbursement_envelope_id": id})
            }
            "/create_disbursements" => {
                let requests = message.as_array().unwrap();
                let mut made = Vec::new();
                let began = state.now;
                let envelope = state
                    .envelopes
                    .get_mut(requests[0]["disbursement_envelope_id"].as_str().unwrap());
                let envelope = envelope.ok_or("DISBURSEMENT_ENVELOPE_NOT_FOUND")?;
                for (index, one) in requests.iter().enumerate() {
                    let amount = Amount::from_number(one["disbursement_amount"].as_f64().unwrap()).unwrap();
                    let id = format!("disbursement-{index:03}");
                    envelope.disbursements.push((
                        id.clone(),
                        text(&one["beneficiary_id"]),
                        amount.hundredths(),
                    ));
                    made.push(json!({"disbursement_id": id, "beneficiary_id": one["beneficiary_id"]}));
                }
                if envelope
                    .disbursements
                    .iter()
                    .map(|(_, _, amount)| amount)
                    .sum::<i64>()
                    > envelope.total
                {
                    return Err("TOTAL_DISBURSEMENT_AMOUNT_EXCEEDS_DECLARED");
                }
                if self.has(Fault::AnswerForOthers) {
                    let id = made[0]["disbursement_id"].take();
                    made[0]["disbursement_id"] = made[1]["disbursement_id"].take();
                    made[1]["disbursement_id"] = id;
                }
                envelope.began = Some(began);
                Value::Array(made)
            }
            "/get_disbursement_envelope_status" => {
                let envelope = state
                    .envelopes
                    .get(message.as_str().unwrap())
                    .ok_or("DISBURSEMENT_ENVELOPE_NOT_FOUND")?;
                let count = envelope.disbursements.len();
                let at = |step: u32| if envelope.step >= step { count } else { 0 };
                let blocked = match envelope.step {
                    0 => "PENDING_CHECK",
                    1 if self.has(Fault::BlockFails) => "FUNDS_BLOCK_FAILURE",
                    1 => "CHECK_IN_PROGRESS",
                    _ => "FUNDS_BLOCK_SUCCESS",
                };
                json!({
                    "number_of_disbursements_received": count,
                    "funds_available_with_bank": if envelope.step >= 1 { "FUNDS_AVAILABLE" } else { "PENDING_CHECK" },
                    "funds_blocked_with_bank": blocked,
                    "funds_blocked_latest_error_code": if blocked.ends_with("FAILURE") { "no" } else { "" },
                    "funds_blocked_attempts": 4,
                    "number_of_disbursements_shipped": at(3),
                    "number_of_disbursements_reconciled": at(5),
                    "number_of_disbursements_reversed": if envelope.step >= 5 { envelope.reversed } else { 0 }
                })
            }
            "/get_disbursement_status" => {
                let (envelope_id, envelope) = state.envelopes.iter().next().unwrap();
                let rows: Vec<Value> = message
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|id| {
                        let lines = if envelope.step >= 5 { envelope.lines.get(id.as_str().unwrap()) } else { None };
                        let lines: Vec<Value> = lines
                            .into_iter()
                            .flatten()
                            .map(|(reference, reversed)| {
                                json!({
                                    "disbursement_envelope_id": envelope_id, "reversal_found": reversed,
                                    "remittance_reference_number": reference, "reversal_reason": "ACCOUNT_CLOSED"
                                })
                            })
                            .collect();
                        json!({"disbursement_id": id, "disbursement_recon_records": {
                            "disbursement_recon_payloads": lines, "disbursement_error_recon_payloads": []
                        }})
                    })
                    .collect();
                Value::Array(rows)
            }
            _ => return Err("no such path"),
        })
    }
}

/// What Python would write for these bytes; enough of it for what is sent here.
fn body_again(body: &[u8]) -> Vec<u8> {
    assert!(body.is_ascii());
    let value: Value = serde_json::from_slice(body).unwrap();
    value.to_string().into_bytes()
}

#[async_trait]
impl Edge for World {
    async fn call(&self, request: EdgeRequest) -> Result<EdgeResponse, EdgeError> {
        let mut state = self.state.lock().unwrap();
        state.now += Duration::from_millis(20);
        self.advance(&mut state);
        assert!(HOSTS.contains(&request.host.as_str()));
        let paying = state
            .envelopes
            .values()
            .find_map(|envelope| envelope.began)
            .map(|began| state.now.saturating_sub(began));
        let fail = |failure, message: &str| {
            Err(EdgeError {
                failure,
                message: message.to_owned(),
            })
        };
        if self.has(Fault::EdgeGap) && paying.is_some_and(|since| (1..11).contains(&since.as_secs())) {
            return fail(EdgeFailure::NotSent, "connection refused");
        }
        if self.has(Fault::BridgeDies) && paying.is_some_and(|since| since.as_secs() >= 3) {
            return Ok(EdgeResponse {
                status: 502,
                body: b"<html>Bad Gateway</html>".to_vec(),
            });
        }
        if self.has(Fault::NoSite) || (request.path == "/upload_mt940" && !self.has(Fault::UploadOpen)) {
            return Ok(EdgeResponse {
                status: 404,
                body: Vec::new(),
            });
        }
        if request.path == "/upload_mt940" {
            return Ok(EdgeResponse {
                status: 422,
                body: b"{\"detail\":[{\"msg\":\"Field required\"}]}".to_vec(),
            });
        }
        if self.has(Fault::NoPartnerKeys) {
            return Ok(EdgeResponse {
                status: 500,
                body: b"{\"errors\":[]}".to_vec(),
            });
        }
        // The published packages fall over a missing header.
        let unsigned = !request.headers.iter().any(|(name, _)| name == "Signature");
        let unchecked = request.path == "/get_disbursement_envelope_status" && !self.has(Fault::StatusSigned);
        if unsigned && !unchecked && !self.has(Fault::NoVerification) {
            return Ok(EdgeResponse {
                status: 500,
                body: b"Internal Server Error".to_vec(),
            });
        }
        let answer = self.answer(&mut state, &request);
        if self.has(Fault::AnswerLost(match request.path.as_str() {
            "/sync/link" => "/sync/link",
            "/create_disbursements" => "/create_disbursements",
            "/create_disbursement_envelope" if answer["header"]["status"] == "succ" => {
                "/create_disbursement_envelope"
            }
            _ => "",
        })) {
            state.now += request.within;
            return fail(EdgeFailure::Unknown, "no answer in time");
        }
        Ok(EdgeResponse {
            status: 200,
            body: answer.to_string().into_bytes(),
        })
    }
}

#[async_trait]
impl Books for World {
    async fn postings(&self, disbursement_ids: &[String]) -> Result<Vec<Posting>, BooksError> {
        if self.has(Fault::BooksUnreadable) {
            return Err(BooksError("connection refused".into()));
        }
        let mut state = self.state.lock().unwrap();
        self.advance(&mut state);
        Ok(state
            .postings
            .iter()
            .filter(|posting| disbursement_ids.contains(&posting.disbursement_id))
            .cloned()
            .collect())
    }

    async fn balances(&self, accounts: &[String]) -> Result<Vec<Balance>, BooksError> {
        if self.has(Fault::BooksUnreadable) {
            return Err(BooksError("connection refused".into()));
        }
        let state = self.state.lock().unwrap();
        let found = accounts
            .iter()
            .filter_map(|account| Some((account, state.accounts.get(account)?)));
        Ok(found
            .map(|(account, (currency, money))| {
                let money = Amount::from_hundredths(*money);
                Balance {
                    account: account.clone(),
                    currency: currency.clone(),
                    book: money,
                    available: money,
                }
            })
            .collect())
    }
}

#[async_trait]
impl Clock for World {
    fn now(&self) -> Timestamp {
        // Shortly before midnight in UTC: in most other zones it is another day.
        "2026-11-23T23:50:00Z".parse::<Timestamp>().unwrap() + self.state.lock().unwrap().now
    }

    fn monotonic(&self) -> Duration {
        self.state.lock().unwrap().now
    }

    async fn sleep(&self, span: Duration) {
        self.state.lock().unwrap().now += span;
    }
}

impl Random for World {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.state.lock().unwrap();
        for byte in bytes {
            state.counter = state
                .counter
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = state.counter.to_be_bytes()[0];
        }
        // Bank references are made from the same counter; keep it small enough to be multiplied.
        state.counter >>= 24;
    }
}
