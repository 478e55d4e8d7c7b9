//! What operators live through.

use std::time::Duration;

use openg2p_verify::{
    Event, Hosts, Options, Overall, Phase, Report, Signer, Verdict, report_schema, table, verify,
};

use crate::fake::{Fault, World};

struct Told {
    report: Report,
    events: Vec<Event>,
    world: World,
}

impl Told {
    #[track_caller]
    fn check(&self, id: &str) -> &openg2p_verify::Check {
        self.report
            .checks
            .iter()
            .find(|check| check.id == id)
            .unwrap_or_else(|| panic!("no check {id} in\n{}", table(&self.report)))
    }

    /// A check that did not pass, and words that must be in what it says.
    #[track_caller]
    fn says(&self, id: &str, verdict: Verdict, words: &[&str]) {
        let check = self.check(id);
        let text = format!("{} {}", check.detail, check.look_at.clone().unwrap_or_default());
        assert_eq!(check.verdict, verdict, "{text}");
        for word in words {
            assert!(text.contains(word), "no {word:?} in {text:?}");
        }
    }
}

fn hosts() -> Hosts {
    Hosts {
        spar: "spar.dev.example.org".into(),
        bridge: "g2p-bridge.dev.example.org".into(),
    }
}

fn options() -> Options {
    Options {
        deadline: Duration::from_mins(1),
        beneficiaries: 3,
        ..Options::new("dev", hosts())
    }
}

fn tell_with(faults: &[Fault], options: &Options) -> Told {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let signer = Signer::from_pem(&key.serialize_pem()).unwrap();
    let world = World::new(faults, key.public_key_raw());
    let mut events = Vec::new();
    let money = world.money();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut listen = |event| events.push(event);
    let check = verify(options, &signer, &world, &world, &world, &world, &mut listen);
    let report = runtime.block_on(sendable(check)).unwrap();
    assert_eq!(world.money(), money, "money came from nowhere or went there");
    Told {
        report,
        events,
        world,
    }
}

/// The engine runs the check beside other work.
fn sendable<T: Send>(future: T) -> T {
    future
}

fn tell(faults: &[Fault]) -> Told {
    tell_with(faults, &options())
}

/// Compares with the file of expected text; `UPDATE_EXPECTED=1` writes it instead.
#[track_caller]
#[allow(clippy::disallowed_methods)] // the files of a test
fn expected(name: &str, text: &str) {
    let path = format!("{}/tests/it/expected/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var("UPDATE_EXPECTED").is_ok() {
        std::fs::write(&path, text).unwrap();
    }
    let wanted = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        text, wanted,
        "{path} differs; look at it, then run with UPDATE_EXPECTED=1"
    );
}

#[test]
fn money_goes_all_the_way() {
    let told = tell_with(
        &[],
        &Options {
            beneficiaries: 20,
            ..options()
        },
    );
    assert_eq!(told.report.overall, Overall::Passed, "{}", table(&told.report));
    assert_eq!(
        (told.report.totals.paid, told.report.beneficiaries.len()),
        (20, 20)
    );
    assert_eq!(told.report.totals.asked, told.report.totals.debited);
    assert_eq!(told.report.totals.asked, told.report.totals.credited);
    assert!(
        told.report
            .beneficiaries
            .iter()
            .all(|row| row.reconciled == Some(true))
    );
    assert_eq!(told.world.linked(), 0, "links stay in SPAR");
    assert_eq!(
        told.report.totals.paid_within_ms.map(|time| time / 1000),
        Some(10)
    );
    // One known fault of the published package is told, and does not fail the check.
    told.says(
        "bridge-status-needs-signature",
        Verdict::Warned,
        &["g2p-bridge-api"],
    );
    let others = told
        .report
        .checks
        .iter()
        .filter(|check| check.id != "bridge-status-needs-signature");
    assert!(
        others
            .clone()
            .all(|check| check.verdict == Verdict::Passed && check.look_at.is_none())
    );
    expected("paid.txt", &table(&told.report));
    // It can be read again as it was written.
    let json = serde_json::to_string(&told.report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), told.report);
}

#[test]
fn progress_is_told_phase_by_phase() {
    let told = tell(&[]);
    let began: Vec<Phase> = told
        .events
        .iter()
        .filter_map(|event| match event {
            Event::PhaseBegan { phase } => Some(*phase),
            _ => None,
        })
        .collect();
    let all = [
        Phase::Prepare,
        Phase::Refusals,
        Phase::Link,
        Phase::Resolve,
        Phase::Order,
        Phase::Pay,
        Phase::Compare,
        Phase::CleanUp,
    ];
    assert_eq!(began, all);
    let ended = told
        .events
        .iter()
        .filter(|event| matches!(event, Event::PhaseEnded { .. }))
        .count();
    assert_eq!((ended, told.report.phases.len()), (all.len(), all.len()));
    let checked = told
        .events
        .iter()
        .filter(|event| matches!(event, Event::Checked { .. }))
        .count();
    assert_eq!(checked, told.report.checks.len());
    let waited: Vec<&str> = told
        .events
        .iter()
        .filter_map(|event| match event {
            Event::Progress {
                phase: Phase::Pay,
                doing,
                ..
            } => Some(doing.as_str()),
            _ => None,
        })
        .collect();
    assert!(
        waited.len() >= 4 && waited.last().unwrap().contains("3 of 3 shipped and reconciled"),
        "{waited:?}"
    );
}

#[test]
fn a_bank_that_never_pays_is_named() {
    let told = tell(&[Fault::BankNeverPays]);
    assert_eq!(told.report.overall, Overall::Failed);
    told.says(
        "paid",
        Verdict::Failed,
        &["0 of 3 reconciled", "example-bank-celery", "not posted them all"],
    );
    told.says("amounts", Verdict::Failed, &["no debit of the sponsor"]);
    // The Bridge has handed everything over, so nobody needs the links any more.
    assert_eq!(told.world.linked(), 0);
    expected("never-paid.txt", &table(&told.report));
}

#[test]
fn every_stage_where_a_payment_can_stick_names_its_component() {
    for (fault, words) in [
        (Fault::NoBeat, ["PENDING_CHECK", "g2p-bridge-celery-beat"]),
        (
            Fault::BlockFails,
            ["FUNDS_BLOCK_FAILURE, 4 attempt(s), last error: no", "block_funds"],
        ),
        (Fault::UnlinkedLater, ["0 of 3 shipped", "spar-mapper"]),
        (Fault::StatementLost, ["0 of 3 reconciled", "upload_mt940"]),
    ] {
        let told = tell(&[fault]);
        told.says("paid", Verdict::Failed, &words);
        assert!(told.report.totals.paid_within_ms.is_none());
        let pending = fault != Fault::StatementLost;
        assert_eq!(told.world.linked() > 0, pending, "{fault:?}");
        if pending {
            told.says("unlink", Verdict::Skipped, &["still under way"]);
            assert!(
                told.report
                    .left_behind
                    .iter()
                    .any(|what| what.starts_with("SPAR")),
                "{fault:?}"
            );
        }
    }
}

#[test]
fn every_wrong_amount_is_found() {
    for (fault, words, paid) in [
        (
            Fault::WrongAmount,
            &[
                "the debit of the sponsor is 99.99 instead of 100.00",
                "the account holds 99.99",
            ][..],
            2,
        ),
        (
            Fault::PaidTwice,
            &["2 times as debit", "200.00 in all", "the account holds 200.00"],
            2,
        ),
        (
            Fault::Reversed,
            &["was reversed", "ACCOUNT_CLOSED", "the account holds 0.00"],
            2,
        ),
        (Fault::AnswerForOthers, &["is on account"], 1),
    ] {
        let told = tell(&[fault]);
        assert_eq!(
            (told.report.overall, told.report.totals.paid),
            (Overall::Failed, paid),
            "{fault:?}"
        );
        told.says("amounts", Verdict::Failed, &[]);
        told.says("paid", Verdict::Passed, &[]);
        let problems = told.report.beneficiaries[0].problems.join("; ");
        assert!(
            words.iter().all(|word| problems.contains(word)),
            "{fault:?}: {problems}"
        );
    }
    tell(&[Fault::Reversed]).says("nothing-reversed", Verdict::Failed, &["1 reversed"]);
}

#[test]
fn a_link_that_is_lost_is_found_before_anything_is_ordered() {
    let told = tell(&[Fault::LinkLost]);
    told.says("spar-resolve", Verdict::Failed, &["is not linked", "spar-mapper"]);
    told.says("disbursements", Verdict::Skipped, &[]);
    assert!(!told.world.calls().contains(&"/create_disbursements".to_owned()));
    assert_eq!(told.world.linked(), 0);
    assert!(
        told.report
            .beneficiaries
            .iter()
            .all(|row| row.verdict == Verdict::Skipped)
    );
}

#[test]
fn a_slow_environment_is_given_its_time_and_no_more() {
    let patient = tell(&[Fault::Slow]);
    assert_eq!(
        patient.report.overall,
        Overall::Passed,
        "{}",
        table(&patient.report)
    );
    let hasty = tell_with(
        &[Fault::Slow],
        &Options {
            deadline: Duration::from_secs(25),
            ..options()
        },
    );
    hasty.says("paid", Verdict::Failed, &["within 25s", "0 of 3 shipped"]);
    let pay = hasty
        .report
        .phases
        .iter()
        .find(|time| time.phase == Phase::Pay)
        .unwrap();
    assert!((24_000..27_000).contains(&pay.took_ms), "{pay:?}");
}

#[test]
fn a_sponsor_that_cannot_pay_ends_it_before_any_effect() {
    for (fault, word) in [
        (Fault::NoSponsor, "no such account"),
        (Fault::PoorSponsor, "1.00 can be spent"),
    ] {
        let told = tell(&[fault]);
        told.says("sponsor-account", Verdict::Failed, &[word, "example-bank"]);
        assert!(told.world.calls().is_empty(), "{:?}", told.world.calls());
        assert!(told.report.left_behind.is_empty());
    }
}

#[test]
fn books_that_cannot_be_read_leave_it_unknown() {
    let told = tell(&[Fault::BooksUnreadable]);
    assert_eq!(told.report.overall, Overall::Unknown, "{}", table(&told.report));
    told.says("bank-postings", Verdict::Unknown, &["cannot be read"]);
    told.says("amounts", Verdict::Unknown, &[]);
    told.says("paid", Verdict::Passed, &[]);
    assert_eq!(told.report.totals.paid, 0);
    assert!(
        told.report
            .beneficiaries
            .iter()
            .all(|row| row.debited.is_none() && row.reconciled == Some(true))
    );
}

#[test]
fn services_that_verify_no_signatures_fail_it() {
    let told = tell(&[Fault::NoVerification]);
    assert_eq!(told.report.overall, Overall::Failed);
    for service in ["spar", "bridge"] {
        for wrong in [
            "wrong-key",
            "altered-payload",
            "unknown-partner",
            "missing-signature",
        ] {
            told.says(
                &format!("{service}-refuses-{wrong}"),
                Verdict::Failed,
                &["partner-keys"],
            );
        }
    }
    // None of these requests had an effect: there is one envelope, the check's own.
    let envelopes = told
        .report
        .left_behind
        .iter()
        .filter(|what| what.contains("envelope"))
        .count();
    assert_eq!(envelopes, 1);
}

#[test]
fn an_open_upload_fails_it() {
    let told = tell(&[Fault::UploadOpen]);
    told.says(
        "edge-keeps-upload-closed",
        Verdict::Failed,
        &["403 or 404", "HTTP 422", "Nginx"],
    );
}

#[test]
fn a_bridge_that_checks_status_requests_too_passes() {
    let told = tell(&[Fault::StatusSigned]);
    told.says("bridge-status-needs-signature", Verdict::Passed, &[]);
    assert_eq!(told.report.overall, Overall::Passed);
}

#[test]
fn a_key_that_is_not_registered_is_named() {
    let told = tell(&[Fault::NotRegistered]);
    told.says(
        "benefit-programme",
        Verdict::Failed,
        &["rjct.jwt.invalid", "partner-keys", "registered"],
    );
    told.says("payment", Verdict::Skipped, &[]);
}

#[test]
fn a_gap_of_the_edge_while_waiting_is_no_failure() {
    let told = tell(&[Fault::EdgeGap]);
    assert_eq!(told.report.overall, Overall::Passed, "{}", table(&told.report));
    let told_of_it = told
        .events
        .iter()
        .any(|event| matches!(event, Event::Progress { doing, .. } if doing.contains("connection refused")));
    assert!(told_of_it);
}

#[test]
fn a_bridge_that_dies_leaves_the_payment_unknown() {
    let told = tell(&[Fault::BridgeDies]);
    told.says(
        "paid",
        Verdict::Unknown,
        &["HTTP 502", "before that", "g2p-bridge-api"],
    );
    told.says("unlink", Verdict::Skipped, &[]);
}

#[test]
fn a_lost_answer_is_called_unknown_and_nothing_is_sent_twice() {
    let told = tell(&[Fault::AnswerLost("/create_disbursements")]);
    told.says(
        "disbursements",
        Verdict::Unknown,
        &["nobody knows whether the request took effect"],
    );
    assert_eq!(told.report.overall, Overall::Unknown, "{}", table(&told.report));
    let sent = told
        .world
        .calls()
        .iter()
        .filter(|path| *path == "/create_disbursements")
        .count();
    assert_eq!(sent, 1);
    assert!(
        told.world.linked() > 0,
        "the payment may be under way and needs its links"
    );

    let told = tell(&[Fault::AnswerLost("/create_disbursement_envelope")]);
    told.says("envelope", Verdict::Unknown, &[]);
    assert_eq!(told.world.linked(), 0);

    // Resolving shows that the links are there, so it goes on; what is unknown stays told.
    let told = tell(&[Fault::AnswerLost("/sync/link")]);
    told.says("spar-link", Verdict::Unknown, &[]);
    told.says("amounts", Verdict::Passed, &[]);
}

#[test]
fn services_without_partner_keys_are_called_unknown_not_open() {
    let told = tell(&[Fault::NoPartnerKeys]);
    told.says(
        "benefit-programme",
        Verdict::Failed,
        &["HTTP 500", "no token from partner-keys"],
    );
    for wrong in [
        "wrong-key",
        "altered-payload",
        "unknown-partner",
        "missing-signature",
    ] {
        told.says(
            &format!("spar-refuses-{wrong}"),
            Verdict::Unknown,
            &["HTTP 500", "the log of spar-mapper"],
        );
    }
}

#[test]
fn an_edge_without_a_site_is_named() {
    let told = tell(&[Fault::NoSite]);
    told.says(
        "benefit-programme",
        Verdict::Failed,
        &["HTTP 404", "no site for this host name"],
    );
}

#[test]
fn wishes_that_make_no_sense_send_nothing() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let signer = Signer::from_pem(&key.serialize_pem()).unwrap();
    let world = World::new(&[], key.public_key_raw());
    let options = Options {
        beneficiaries: 1001,
        ..options()
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut listen = |event| panic!("{event:?}");
    let error = runtime
        .block_on(verify(
            &options,
            &signer,
            &world,
            &world,
            &world,
            &world,
            &mut listen,
        ))
        .unwrap_err();
    assert_eq!(error.code(), "verify::options");
    assert!(
        error
            .to_string()
            .contains("1001 beneficiaries are not between 1 and 1000")
    );
    assert!(world.calls().is_empty());
}

#[test]
fn a_thousand_beneficiaries_are_told_in_few_lines() {
    let told = tell_with(
        &[Fault::WrongAmount],
        &Options {
            beneficiaries: 1000,
            ..options()
        },
    );
    let text = table(&told.report);
    assert!(text.lines().count() < 70, "{}", text.lines().count());
    assert!(text.contains("980 more, all alike in order"));
    assert_eq!(told.report.totals.paid, 999);
}

#[test]
fn the_schema_of_the_report_is_checked_in() {
    let text = serde_json::to_string_pretty(&report_schema()).unwrap() + "\n";
    expected("report.schema.json", &text);
}
