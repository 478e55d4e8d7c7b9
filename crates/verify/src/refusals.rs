//! Requests that must be refused. Each is made so that it has no effect even where it is accepted.

use serde_json::{Value, json};

use crate::calls::{CallError, Caller, Service, read};
use crate::message::excerpt;
use crate::plan::uuid;
use crate::ports::{EdgeFailure, EdgeRequest};
use crate::report::Verdict;

/// What came of one request that must be refused.
pub(crate) struct Refusal {
    pub(crate) id: String,
    pub(crate) verdict: Verdict,
    pub(crate) detail: String,
    pub(crate) look_at: Option<String>,
}

/// The ways in which a request is wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wrong {
    Key,
    Payload,
    Partner,
    NoSignature,
}

impl Wrong {
    pub(crate) const ALL: [Self; 4] = [Self::Key, Self::Payload, Self::Partner, Self::NoSignature];

    fn id(self) -> &'static str {
        match self {
            Self::Key => "wrong-key",
            Self::Payload => "altered-payload",
            Self::Partner => "unknown-partner",
            Self::NoSignature => "missing-signature",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Key => "a signature that the registered key did not make",
            Self::Payload => "a payload altered after it was signed",
            Self::Partner => "a partner who is not registered",
            Self::NoSignature => "a request without a signature",
        }
    }
}

/// Asks for something with a request that is wrong in one way. `answers` says whether the service has refused another
/// such request properly: an internal error is a refusal only where the service works otherwise.
pub(crate) async fn refused(caller: &Caller<'_>, service: Service, wrong: Wrong, answers: bool) -> Refusal {
    let (path, action, message) = harmless(caller, service);
    let body = caller.body(action, &message, 1);
    let (body, signature) = match wrong {
        Wrong::Key => (
            body,
            Some(caller.signer.forge_detached(|bytes| caller.random.fill(bytes))),
        ),
        Wrong::Payload => {
            let signature = caller.signer.sign_detached(&body);
            // Another message id makes it another body; nothing else differs.
            (caller.body(action, &message, 1), Some(signature))
        }
        Wrong::Partner => {
            let body = caller.body_of(
                &format!("{}-stranger", caller.options.sender_id),
                action,
                &message,
                1,
            );
            let signature = caller.signer.sign_detached(&body);
            (body, Some(signature))
        }
        Wrong::NoSignature => (body, None),
    };
    let answer = read(caller.send(service, path, body, signature).await);
    let (verdict, seen) = match answer {
        Ok(answer) if answer.header.status == "rjct" && answer.header.reason() == "rjct.jwt.invalid" => {
            (Verdict::Passed, String::new())
        }
        // Refused later on, so the signature has been taken for good.
        Ok(answer) => (
            Verdict::Failed,
            format!("{}: {}", answer.header.status, answer.header.reason()),
        ),
        Err(CallError::Http {
            status: 401 | 403, ..
        }) => (Verdict::Passed, String::new()),
        // The published packages fall over a missing header instead of refusing it; it has no effect either way.
        Err(CallError::Http { status: 500, .. }) if answers && matches!(wrong, Wrong::NoSignature) => (
            Verdict::Passed,
            " (with an internal error, as the published packages do)".into(),
        ),
        // Whoever does not answer has neither accepted nor refused.
        Err(why) if why.may_pass() => (Verdict::Unknown, why.seen()),
        Err(why) => (Verdict::Failed, why.seen()),
    };
    let name = service.name();
    let text = wrong.text();
    let (detail, look_at) = match verdict {
        Verdict::Passed => (format!("{name} refuses {text}{seen}"), None),
        Verdict::Unknown => (
            format!("whether {name} refuses {text}: {seen}"),
            Some(format!("the log of {}", service.component())),
        ),
        _ => {
            let detail = format!("{name} must refuse {text} with rjct.jwt.invalid; seen: {seen}");
            let component = service.component();
            let look_at = format!(
                "partner-keys and the JWT_VERIFY_URL of {component}: are signatures really verified?"
            );
            (detail, Some(look_at))
        }
    };
    Refusal {
        id: format!(
            "{}-refuses-{}",
            if service == Service::Spar {
                "spar"
            } else {
                "bridge"
            },
            wrong.id()
        ),
        verdict,
        detail,
        look_at,
    }
}

/// A request that changes nothing: SPAR only looks, and the Bridge finds an envelope without disbursements invalid.
fn harmless(caller: &Caller<'_>, service: Service) -> (&'static str, &'static str, Value) {
    match service {
        Service::Spar => (
            "/sync/resolve",
            "resolve",
            json!({
                "transaction_id": uuid(caller.random),
                "resolve_request": [{
                    "reference_id": uuid(caller.random), "timestamp": caller.clock.now().to_string(),
                    "id": "OPENG2P-VERIFY-NOBODY", "scope": "details", "locale": "en"
                }]
            }),
        ),
        Service::Bridge => (
            "/create_disbursement_envelope",
            "create_disbursement_envelope",
            json!({
                "benefit_program_mnemonic": "OPENG2P-VERIFY-NOTHING", "disbursement_frequency": "OnDemand",
                "cycle_code_mnemonic": "OPENG2P-VERIFY", "number_of_beneficiaries": 0, "number_of_disbursements": 0,
                "total_disbursement_amount": 0.0, "disbursement_currency_code": caller.options.sponsor.currency,
                "disbursement_schedule_date": "2000-01-01"
            }),
        ),
    }
}

/// The bank's statement upload takes unsigned files, so it must not be reachable through the edge. The request carries no
/// file: where it gets through, the Bridge has nothing to take.
pub(crate) async fn upload_is_closed(caller: &Caller<'_>) -> Refusal {
    let outcome = caller
        .edge
        .call(EdgeRequest {
            host: caller.options.hosts.bridge.clone(),
            path: "/upload_mt940".into(),
            headers: vec![("content-type".into(), "application/x-www-form-urlencoded".into())],
            body: Vec::new(),
            within: caller.options.call,
        })
        .await;
    let (verdict, detail) = match outcome {
        Ok(response) if matches!(response.status, 403 | 404) => (
            Verdict::Passed,
            format!(
                "the edge keeps the statement upload closed (HTTP {})",
                response.status
            ),
        ),
        Ok(response) => (
            Verdict::Failed,
            format!(
                "the edge must answer 403 or 404 to /upload_mt940, which takes unsigned statements; seen: HTTP {}: {}",
                response.status,
                excerpt(&response.body)
            ),
        ),
        Err(error) => {
            let known = if error.failure == EdgeFailure::NotSent {
                "it did not get out"
            } else {
                "no answer came"
            };
            (
                Verdict::Unknown,
                format!("whether the edge keeps /upload_mt940 closed: {known}: {error}"),
            )
        }
    };
    Refusal {
        id: "edge-keeps-upload-closed".into(),
        verdict,
        detail,
        look_at: (verdict != Verdict::Passed)
            .then(|| "the edge: Nginx's site for G2P Bridge must refuse this path".into()),
    }
}
