//! Runs as their watcher meets them.

use openg2p_lead::protocol::{Reply, Run, RunSummary};
use openg2p_plan::Action;
use openg2p_run::{EventKind, Outcome};
use serde_json::json;

use crate::Place;
use crate::host::{Host, ended, events, failure, lines};

fn verified() -> Vec<Reply> {
    let mut replies = vec![Reply::Started { run: "100-a".into() }];
    replies.extend(events(vec![
        EventKind::Message {
            text: "link: 1 of 5".into(),
        },
        EventKind::Result {
            value: json!({"overall": "passed", "lines": ["a\nb"]}),
        },
        ended(0, None),
    ]));
    replies
}

#[test]
fn verify_in_json_is_one_document_a_line_with_the_report_once() {
    let host = Host::answers(verified());
    let run = host
        .run(&["verify", "dev", "-o", "json", "--report", "report.json"])
        .succeeds();
    let lines = lines(&run);
    assert_eq!(lines.len(), 3, "{}", run.out);
    assert!(lines.iter().all(|line| line["event"].is_string()), "{}", run.out);
    assert_eq!(run.out.matches("passed").count(), 1);
    let saved: serde_json::Value = serde_json::from_str(&host.place.read("report.json")).unwrap();
    assert_eq!(saved, lines[1]["value"]);
}

#[test]
fn the_report_of_verify_goes_into_the_file_of_o_too() {
    let host = Host::answers(verified());
    let _ = host.run(&["verify", "dev", "-o", "report.json"]).succeeds();
    assert!(host.place.read("report.json").contains("\"overall\": \"passed\""));
}

#[test]
fn an_error_of_a_run_is_a_line_too() {
    let mut replies = vec![Reply::Started { run: "100-a".into() }];
    replies.extend(events(vec![ended(3, Some(failure("kubernetes::stuck")))]));
    let run = Host::answers(replies)
        .run(&["verify", "dev", "-o", "json"])
        .ends_with(3);
    let lines = lines(&run);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1]["error"]["code"], "kubernetes::stuck");
}

#[test]
fn wrong_words_of_a_run_are_one_line_too() {
    let run = Place::new()
        .run(&["apply", "--nonsense", "-o", "json"])
        .ends_with(1);
    assert_eq!(lines(&run)[0]["error"]["code"], "cli::usage");
}

#[test]
fn every_run_tells_its_id() {
    let run = Host::answers(verified()).run(&["verify", "dev"]).succeeds();
    assert!(
        run.err.contains("run 100-a goes on even if this terminal closes"),
        "{}",
        run.err
    );
}

#[test]
fn attach_without_an_id_shows_the_steps_by_name() {
    let known = Run {
        id: "100-a".into(),
        command: "apply".into(),
        steps: vec![
            ("create host-file/box1:/etc/x".into(), 1.0),
            ("create host-file/box1:/etc/y".into(), 1.0),
        ],
        elapsed: 300.0,
    };
    let mut replies = vec![Reply::Run(known)];
    let started = |step: usize| EventKind::StepStarted {
        step,
        resource: format!("host-file/{step}"),
        part: "host".into(),
        action: Action::Create,
        estimate: 1.0,
    };
    let finished = |step: usize| EventKind::StepFinished {
        step,
        resource: format!("host-file/{step}"),
        outcome: Outcome::Done,
        seconds: 1.0,
        error: None,
    };
    // the third one is in no plan that was told: its own words name it
    replies.extend(events(vec![
        started(0),
        finished(0),
        started(2),
        finished(2),
        ended(0, None),
    ]));
    let run = Host::answers(replies).run(&["attach"]).succeeds();
    assert!(run.err.contains("run 100-a: apply"), "{}", run.err);
    assert!(
        run.err.contains("[1/2] done  create host-file/box1:/etc/x"),
        "{}",
        run.err
    );
    assert!(run.err.contains("create host-file/2"), "{}", run.err);
    assert!(run.err.contains("(5 min 0"), "{}", run.err);
}

#[test]
fn an_unknown_run_is_bad_input() {
    let host = Host::answers(vec![Reply::Failed(failure("run::unknown"))]);
    let run = host.run(&["attach", "17", "-o", "json"]).ends_with(1);
    assert_eq!(lines(&run)[0]["error"]["code"], "run::unknown");
}

#[test]
fn the_runs_can_be_listed() {
    let runs = vec![RunSummary {
        id: "100-a".into(),
        command: "apply".into(),
        outcome: "done".into(),
        age: 90.0,
    }];
    let reply = || vec![Reply::Runs { runs: runs.clone() }];
    let run = Host::answers(reply()).run(&["attach", "--list"]).succeeds();
    for word in ["100-a", "apply", "done", "1 min 30 s ago"] {
        assert!(run.out.contains(word), "{}", run.out);
    }
    let run = Host::answers(reply())
        .run(&["attach", "--list", "-o", "json"])
        .succeeds();
    assert_eq!(lines(&run)[0]["runs"][0]["id"], "100-a");
}

#[test]
fn an_environment_that_cannot_pay_is_told_before_anything_is_asked() {
    let place = Place::with_site();
    place.edit("      example-bank: {}\n", "");
    let run = place.run(&["verify", "dev"]).ends_with(1);
    assert!(run.err.contains("error[verify::no-bank]"), "{}", run.err);
    assert!(
        run.err
            .contains("add the line `example-bank: {}` below `environments.dev.modules`"),
        "{}",
        run.err
    );
    place.edit("      spar: {}\n      g2p-bridge: {}\n", "");
    place.edit("    modules:\n", "    modules: {}\n");
    let run = place.run(&["verify", "dev", "-o", "json"]).ends_with(1);
    let error = &lines(&run)[0]["error"];
    assert_eq!(error["code"], "verify::no-spar");
    assert_eq!(error["hints"].as_array().unwrap().len(), 3);
}

#[test]
fn a_host_that_has_the_program_is_sent_nothing() {
    let host = Host::answers(verified());
    let _ = host.run(&["verify", "dev"]).succeeds();
    assert!(!host.path("sent").exists());
}

#[test]
fn a_new_host_is_sent_the_program_and_starts_it_from_the_home() {
    let host = Host::answers(verified());
    std::fs::remove_file(host.path("installed")).unwrap();
    let _ = host.run(&["verify", "dev"]).succeeds();
    let words = std::fs::read_to_string(host.path("words")).unwrap();
    let started: Vec<&str> = words.lines().filter(|line| line.contains("openg2p-")).collect();
    assert_eq!(started.len(), 2, "{words}");
    assert!(started[0].starts_with("/var/lib/openg2p/bin/openg2p-"), "{words}");
    assert!(started[1].starts_with(".openg2p/openg2p-"), "{words}");
}

#[test]
fn a_program_that_may_not_start_is_taken_back() {
    let host = Host::answers(verified());
    std::fs::remove_file(host.path("installed")).unwrap();
    host.place.edit("user: root", "user: asha");
    host.put("refuses", "sudo: a password is required");
    let run = host.run(&["verify", "dev"]).ends_with(2);
    assert!(run.err.contains("error[ssh::sudo]"), "{}", run.err);
    assert!(run.err.contains("asha ALL=(root) NOPASSWD: ALL"), "{}", run.err);
    assert_eq!(host.home(), [""; 0]);
}
