//! The doctor's rules alone, on facts as hosts and clusters give them.

use openg2p_doctor::{
    Advice, CertificateFact, ClusterFact, Drift, EventFact, Facts, Finding, UnitFact, WorkloadFact, diagnose,
};
use openg2p_ports::{HostFacts, UnitState};

fn well() -> Facts {
    Facts {
        node: "box1".into(),
        host: HostFacts {
            disk_free: 50_000_000_000,
            memory: 8_000_000_000,
            clock: 1_800_000_000,
            ..HostFacts::default()
        },
        clock: 1_800_000_000,
        cluster: ClusterFact::Answers,
        ..Facts::default()
    }
}

fn workload(object: &str, why: &str) -> WorkloadFact {
    let name = object.split_once(' ').map_or("", |(_, name)| name);
    WorkloadFact {
        namespace: name.split_once('/').map_or("", |(namespace, _)| namespace).into(),
        object: object.into(),
        why: why.into(),
    }
}

fn unit(name: &str, active: &str) -> UnitFact {
    UnitFact {
        unit: name.into(),
        state: UnitState {
            load: "loaded".into(),
            active: active.into(),
            ..UnitState::default()
        },
    }
}

fn codes(findings: &[Finding]) -> Vec<&str> {
    findings.iter().map(|finding| finding.code.as_str()).collect()
}

#[test]
fn nothing_is_found_where_nothing_is() {
    assert_eq!(diagnose(&well()), []);
}

#[test]
fn a_full_disk_explains_the_database_and_all_that_log_in_to_it() {
    let mut facts = well();
    facts.host.disk_free = 0;
    facts.workloads = vec![
        workload(
            "StatefulSet dev/postgresql",
            "container postgresql crashed: FATAL: could not write lock file: No space left on device",
        ),
        workload(
            "Deployment dev/spar-mapper",
            "could not connect to server: is it running on port 5432?",
        ),
        workload("Deployment dev/bridge", "sqlalchemy: database is not there"),
    ];
    let found = diagnose(&facts);
    assert_eq!(codes(&found), ["doctor::disk"]);
    assert_eq!(found[0].symptoms.len(), 3);
    let longest = found[0].symptoms.iter().map(Vec::len).max();
    assert_eq!(
        longest,
        Some(2),
        "from the mapper through the database to the disk"
    );
}

#[test]
fn a_database_of_another_environment_explains_nothing() {
    let mut facts = well();
    facts.workloads = vec![
        workload("StatefulSet qa/postgresql", "container exited with code 1"),
        workload("Deployment dev/spar-mapper", "connection to port 5432 refused"),
    ];
    let found = diagnose(&facts);
    assert_eq!(codes(&found), ["doctor::workload", "doctor::database"]);
}

#[test]
fn names_that_pods_cannot_resolve_lead_to_coredns() {
    let mut facts = well();
    facts.workloads = vec![
        workload(
            "Deployment kube-system/coredns",
            "its image cannot be had (ErrImageNeverPull): coredns",
        ),
        workload(
            "Deployment dev/app",
            "could not translate host name \"postgresql\" to address",
        ),
    ];
    facts.drift = vec![Drift {
        resource: "container-image/box1:coredns".into(),
        step: "create container-image/box1:coredns".into(),
        why: "it is not there".into(),
    }];
    let found = diagnose(&facts);
    assert_eq!(codes(&found), ["doctor::image"]);
    assert_eq!(found[0].steps, ["create container-image/box1:coredns"]);
    assert_eq!(found[0].symptoms.len(), 2);
}

#[test]
fn a_silent_api_is_led_down_to_containerd() {
    let mut facts = well();
    facts.cluster = ClusterFact::Silent("connection refused".into());
    facts.units = vec![
        unit("kubelet.service", "failed"),
        unit("containerd.service", "failed"),
    ];
    let found = diagnose(&facts);
    assert_eq!(codes(&found), ["doctor::unit"]);
    assert_eq!(found[0].place, "containerd.service");
    assert_eq!(found[0].symptoms.len(), 2);
}

#[test]
fn a_wrong_clock_explains_certificates() {
    let mut facts = well();
    facts.host.clock -= 500 * 86_400;
    facts.certificates = vec![CertificateFact {
        path: "/etc/openg2p/pki/a.crt".into(),
        not_before: facts.clock - 86_400,
        not_after: facts.clock + 300 * 86_400,
    }];
    facts.workloads = vec![workload(
        "Deployment dev/app",
        "x509: certificate is not yet valid",
    )];
    let found = diagnose(&facts);
    assert_eq!(codes(&found), ["doctor::clock"]);
    assert_eq!(found[0].symptoms.len(), 2);
}

#[test]
fn an_api_certificate_that_expired_explains_the_silent_api() {
    let mut facts = well();
    facts.cluster = ClusterFact::Silent("tls: certificate has expired".into());
    facts.certificates = vec![CertificateFact {
        path: "/etc/kubernetes/pki/apiserver.crt".into(),
        not_before: 0,
        not_after: facts.clock - 5 * 86_400,
    }];
    let found = diagnose(&facts);
    assert_eq!(codes(&found), ["doctor::certificate"]);
    assert!(
        found[0]
            .advice
            .iter()
            .any(|Advice { command, .. }| command.starts_with("kubeadm certs"))
    );
}

#[test]
fn an_event_that_points_nowhere_is_no_trouble() {
    let mut facts = well();
    facts.events = vec![EventFact {
        object: "Pod dev/app-0".into(),
        reason: "Unhealthy".into(),
        message: "Readiness probe failed".into(),
    }];
    assert_eq!(diagnose(&facts), []);
}

#[test]
fn troubles_that_explain_each_other_are_all_told() {
    let mut facts = well();
    facts.workloads = vec![
        workload(
            "Deployment kube-system/coredns",
            "cannot reach the database at postgres:5432",
        ),
        workload(
            "StatefulSet kube-system/postgresql",
            "could not translate host name \"a\"",
        ),
    ];
    let found = diagnose(&facts);
    let told: usize = found.iter().map(|finding| 1 + finding.symptoms.len()).sum();
    assert!(!found.is_empty() && told >= 2, "{found:#?}");
}
