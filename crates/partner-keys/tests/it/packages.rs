//! The published Python package asks the service itself.

use std::process::Command;

use crate::keys;
use crate::service::{CLIENT, Service};

/// Runs where `OPENG2P_TEST_PYTHON` names a Python with openg2p-g2pconnect-common-lib, as `cargo xtask test` provides it.
#[test]
fn the_published_package_accepts_and_refuses_as_we_do() {
    let Some(python) = std::env::var_os("OPENG2P_TEST_PYTHON") else {
        openg2p_test_needs::skip(
            "python",
            "OPENG2P_TEST_PYTHON names no Python with openg2p-g2pconnect-common-lib",
        );
        return;
    };
    let service = Service::start();
    let key = keys::rsa(0);
    service.register("PARTNER_OPENG2P_VERIFY", &key.certificate(2020, 2050, &[]));
    let body = r#"{"header":{"sender_id":"openg2p-verify","total_count":1},"message":{"name":"\u00c4","amount":100.5}}"#;
    let jws = key.jws(body);
    let (header, rest) = jws.split_once('.').unwrap();
    let detached = format!("{header}..{}", rest.split_once('.').unwrap().1);
    let run = |body: &str, signature: &str, secret: &str| {
        let output = Command::new(&python)
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/tests/it/ask_with_package.py"
            ))
            .args([body, signature])
            .env(
                "G2PCONNECT_OAUTH_TOKEN_URL",
                format!("http://{}/token", service.address),
            )
            .env(
                "G2PCONNECT_JWT_VERIFY_URL",
                format!("http://{}/v1/keymanager/jwtVerify", service.address),
            )
            .env("G2PCONNECT_OAUTH_CLIENT_ID", CLIENT.0)
            .env("G2PCONNECT_OAUTH_CLIENT_SECRET", secret)
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let last = text.lines().last().unwrap_or_default().to_owned();
        assert!(
            !last.is_empty(),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        last
    };
    assert_eq!(run(body, &detached, CLIENT.1), "True");
    // Spaces are the sender's business: the package signs and checks the compact form.
    assert_eq!(run(&body.replace(':', ": "), &detached, CLIENT.1), "True");
    assert_eq!(run(&body.replace("100.5", "900.5"), &detached, CLIENT.1), "False");
    assert_eq!(
        run(&body.replace("openg2p-verify", "pbms"), &detached, CLIENT.1),
        "False"
    );
    assert_eq!(run(body, &jws, CLIENT.1), "True");
    assert_eq!(run(body, "nonsense", CLIENT.1), "False");
    assert_eq!(run(body, &detached, "wrong"), "KeyError: 'access_token'");
}
