//! Financial addresses: into SPAR, and out of it again to compare them.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;

use crate::calls::{CallError, Service};
use crate::flow::{Run, Stop};
use crate::plan::uuid;
use crate::report::Verdict;

#[derive(Deserialize)]
struct Linked {
    link_response: Vec<LinkedOne>,
}

#[derive(Deserialize)]
struct LinkedOne {
    reference_id: String,
    status: String,
    #[serde(default)]
    status_reason_code: Option<String>,
}

#[derive(Deserialize)]
struct Resolved {
    resolve_response: Vec<ResolvedOne>,
}

/// One id as SPAR resolves it.
#[derive(Deserialize)]
pub(crate) struct ResolvedOne {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    fa: Option<String>,
}

impl ResolvedOne {
    /// The id and its address, if it has one: SPAR writes an empty address where there is none.
    pub(crate) fn link(&self) -> Option<(&str, &str)> {
        let address = self.fa.as_deref().filter(|address| !address.is_empty())?;
        Some((self.id.as_deref().unwrap_or_default(), address))
    }
}

/// The first few of a list, for people.
pub(crate) fn some_of(all: &[String]) -> String {
    const FIRST: usize = 3;
    let first = all.iter().take(FIRST).cloned().collect::<Vec<_>>().join("; ");
    if all.len() > FIRST {
        format!("{first}; and {} more", all.len() - FIRST)
    } else {
        first
    }
}

impl Run<'_> {
    /// Links every payee.
    pub(crate) async fn link(&mut self) -> Result<(), Stop> {
        let began = self.now();
        let count = self.plan.payees.len();
        let references: Vec<String> = self
            .plan
            .payees
            .iter()
            .map(|_| uuid(self.caller.random))
            .collect();
        let requests: Vec<_> = self
            .plan
            .payees
            .iter()
            .zip(&references)
            .map(|(payee, reference)| {
                json!({
                    "reference_id": reference, "timestamp": self.caller.clock.now().to_string(),
                    "id": payee.id, "fa": payee.financial_address, "name": payee.name, "locale": "en"
                })
            })
            .collect();
        let message = json!({"transaction_id": uuid(self.caller.random), "link_request": requests});
        let expected = format!("SPAR links {count} ids");
        let linked: Result<Linked, _> = self
            .caller
            .call(Service::Spar, "/sync/link", "link", &message, count)
            .await;
        let answers = match linked {
            Ok(linked) => linked.link_response,
            Err(why) => {
                self.call_failed("spar-link", began, &expected, Service::Spar, &why);
                // It may have taken effect all the same; resolving tells, and unlinking cleans up either way.
                return if matches!(why, CallError::Unknown(_)) {
                    Ok(())
                } else {
                    Err(Stop)
                };
            }
        };
        let by_reference: HashMap<&str, &LinkedOne> = answers
            .iter()
            .map(|answer| (answer.reference_id.as_str(), answer))
            .collect();
        let refused: Vec<String> = self
            .plan
            .payees
            .iter()
            .zip(&references)
            .filter_map(|(payee, reference)| match by_reference.get(reference.as_str()) {
                Some(answer) if answer.status == "succ" => None,
                Some(answer) => Some(format!(
                    "{}: {}",
                    payee.id,
                    answer.status_reason_code.as_deref().unwrap_or("refused")
                )),
                None => Some(format!("{}: no answer for it", payee.id)),
            })
            .collect();
        if refused.is_empty() {
            self.passed("spar-link", began, format!("SPAR has linked {count} ids"));
            return Ok(());
        }
        let detail = format!(
            "expected: {expected}; seen: {} refused: {}",
            refused.len(),
            some_of(&refused)
        );
        self.checked(
            "spar-link",
            began,
            Verdict::Failed,
            detail,
            Some("the log of spar-mapper".into()),
        );
        Err(Stop)
    }

    /// Resolves every payee and compares the financial addresses.
    pub(crate) async fn resolve(&mut self) -> Result<(), Stop> {
        let began = self.now();
        let count = self.plan.payees.len();
        let expected = format!("SPAR resolves {count} ids to the addresses that were linked");
        let answers = match self.resolved().await {
            Ok(answers) => answers,
            Err(why) => {
                self.call_failed("spar-resolve", began, &expected, Service::Spar, &why);
                return Err(Stop);
            }
        };
        let found: HashMap<&str, &str> = answers.iter().filter_map(ResolvedOne::link).collect();
        let wrong: Vec<String> = self
            .plan
            .payees
            .iter()
            .filter_map(|payee| match found.get(payee.id.as_str()) {
                Some(address) if *address == payee.financial_address => None,
                Some(address) => Some(format!("{} resolves to {address:?}", payee.id)),
                None => Some(format!("{} is not linked", payee.id)),
            })
            .collect();
        if wrong.is_empty() {
            self.passed(
                "spar-resolve",
                began,
                format!("SPAR resolves {count} ids to the addresses that were linked"),
            );
            return Ok(());
        }
        let detail = format!(
            "expected: {expected}; seen: {} others: {}",
            wrong.len(),
            some_of(&wrong)
        );
        self.checked(
            "spar-resolve",
            began,
            Verdict::Failed,
            detail,
            Some("spar-mapper and its database".into()),
        );
        Err(Stop)
    }

    /// Asks SPAR for every payee.
    pub(crate) async fn resolved(&mut self) -> Result<Vec<ResolvedOne>, CallError> {
        let requests: Vec<_> = self
            .plan
            .payees
            .iter()
            .map(|payee| {
                json!({
                    "reference_id": uuid(self.caller.random), "timestamp": self.caller.clock.now().to_string(),
                    "id": payee.id, "scope": "details", "locale": "en"
                })
            })
            .collect();
        let message = json!({"transaction_id": uuid(self.caller.random), "resolve_request": requests});
        let resolved: Resolved = self
            .caller
            .call(
                Service::Spar,
                "/sync/resolve",
                "resolve",
                &message,
                self.plan.payees.len(),
            )
            .await?;
        Ok(resolved.resolve_response)
    }
}
