//! The program itself, asked over loopback as the packages ask it.

// A test says what it needs by panicking.
#![allow(clippy::unwrap_used)]

mod keys;
mod packages;
mod service;
mod tokens;
mod verification;

#[test]
fn it_reports_its_health_and_ends_on_demand() {
    let mut service = service::Service::start();
    service.register("PARTNER_A", &keys::ec().public_pem());
    let answer = service.send("GET", "/health", &[], b"");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.body,
        serde_json::json!({"status": "UP", "partners": 1, "clients": 1})
    );
    assert_eq!(service.send("GET", "/elsewhere", &[], b"").status, 404);
    assert_eq!(service.send("GET", "/token", &[], b"").status, 405);
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn it_starts_without_folders_and_refuses_everything() {
    let service = service::Service::start();
    std::fs::remove_dir_all(service.partners()).unwrap();
    let token = service.token();
    std::fs::remove_dir_all(service.clients()).unwrap();
    assert_eq!(service.send("GET", "/health", &[], b"").status, 200);
    assert_eq!(
        service
            .ask_token("grant_type=client_credentials&client_id=spar-mapper&client_secret=x")
            .status,
        401
    );
    assert_eq!(
        service.verify(&token, "PARTNER_A", &keys::ec().jws("{}")).status,
        401
    );
}

#[test]
fn a_wrong_setting_is_refused_with_one_clear_error() {
    for wrong in [
        ["--token-seconds", "1"],
        ["--listen", "nowhere"],
        ["--max-body", "10"],
    ] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_partner-keys"))
            .args(wrong)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{wrong:?}");
        assert!(
            String::from_utf8_lossy(&output.stderr).contains(wrong[0]),
            "{wrong:?}"
        );
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_partner-keys"))
        .args(["--listen", &address])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stdout).contains("partner-keys::listen"));
}

/// After twenty verifications of large bodies: memory of its own, the program file not counted.
#[test]
fn it_stays_small() {
    let service = service::Service::start();
    let key = keys::rsa(0);
    service.register("PARTNER_A", &key.public_pem());
    let token = service.token();
    let jws = key.jws(&format!(r#"{{"large":"{}"}}"#, "x".repeat(700_000)));
    for _ in 0..20 {
        assert!(service.verify(&token, "PARTNER_A", &jws).accepted());
    }
    let status = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", service.pid())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("Pss_Anon:") || line.starts_with("Anonymous:"))
        .unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kibibytes < 10 * 1024, "{kibibytes} KiB of its own memory");
}
