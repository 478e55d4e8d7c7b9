//! Tokens.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::keys;
use crate::service::{CLIENT, Service};

#[test]
fn its_own_clients_get_a_token_in_every_form_that_oauth_has() {
    let service = Service::start_with(&["--token-seconds", "120"]);
    let (id, secret) = CLIENT;
    let form = service.ask_token(&format!(
        "client_id={id}&client_secret={secret}&grant_type=client_credentials"
    ));
    assert_eq!(
        (form.status, &form.body["token_type"], &form.body["expires_in"]),
        (200, &"Bearer".into(), &120.into())
    );
    assert!(
        form.head.to_lowercase().contains("cache-control: no-store"),
        "{}",
        form.head
    );
    let json =
        format!(r#"{{"client_id":"{id}","client_secret":"{secret}","grant_type":"client_credentials"}}"#);
    assert_eq!(
        service
            .send(
                "POST",
                "/token",
                &[("Content-Type", "application/json")],
                json.as_bytes()
            )
            .status,
        200
    );
    let basic = format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")));
    let body = b"grant_type=client_credentials";
    assert_eq!(
        service
            .send("POST", "/token", &[("Authorization", &basic)], body)
            .status,
        200
    );
    service.expect_log("token-issued", "");
}

#[test]
fn others_get_none() {
    let service = Service::start();
    let (id, secret) = CLIENT;
    for (form, status, error) in [
        (
            format!("client_id={id}&client_secret=wrong&grant_type=client_credentials"),
            401,
            "invalid_client",
        ),
        (
            format!("client_id=other&client_secret={secret}&grant_type=client_credentials"),
            401,
            "invalid_client",
        ),
        (
            format!("client_id=..%2Fclients%2F{id}&client_secret={secret}&grant_type=client_credentials"),
            401,
            "invalid_client",
        ),
        (
            format!("client_id={id}&grant_type=client_credentials"),
            401,
            "invalid_client",
        ),
        (
            format!("client_id={id}&client_secret={secret}"),
            400,
            "unsupported_grant_type",
        ),
        (
            format!("client_id={id}&client_secret={secret}&grant_type=password"),
            400,
            "unsupported_grant_type",
        ),
        (
            format!("client_id={id}&client_id=x&client_secret={secret}&grant_type=client_credentials"),
            400,
            "invalid_request",
        ),
        ("x".repeat(20_000), 400, "invalid_request"),
    ] {
        let answer = service.ask_token(&form);
        assert_eq!(
            (answer.status, answer.body["error"].as_str()),
            (status, Some(error)),
            "{form}"
        );
        assert!(answer.body.get("access_token").is_none());
    }
    service.expect_log("token-refused", "");
    assert!(!service.log_text().contains(secret), "a secret in the log");
}

#[test]
fn a_token_outlives_a_restart_and_ends_with_its_secret() {
    let mut service = Service::start();
    let key = keys::ec();
    service.register("PARTNER_A", &key.public_pem());
    let (token, jws) = (service.token(), key.jws("{}"));
    assert!(service.verify(&token, "PARTNER_A", &jws).accepted());
    service.restart();
    assert!(service.verify(&token, "PARTNER_A", &jws).accepted());
    std::fs::write(service.clients().join(CLIENT.0), "rotated").unwrap();
    let answer = service.verify(&token, "PARTNER_A", &jws);
    assert_eq!((answer.status, answer.accepted()), (401, false));
    assert_eq!(answer.body["errors"][0]["errorCode"], "KER-ATH-401");
    service.expect_log("caller-refused", "token::wrong-signature");
    assert!(!service.log_text().contains(&token), "a token in the log");
}

#[test]
fn a_caller_without_a_token_gets_no_verdict() {
    let service = Service::start();
    let key = keys::ec();
    service.register("PARTNER_A", &key.public_pem());
    for token in ["", "x.y.z", "local"] {
        let answer = service.verify(token, "PARTNER_A", &key.jws("{}"));
        assert_eq!((answer.status, answer.accepted()), (401, false), "{token}");
    }
    let answer = service.send("POST", "/v1/keymanager/jwtVerify", &[], b"{}");
    assert_eq!(answer.status, 401);
    service.expect_log("caller-refused", "token::missing");
}
