//! Verification with real keys, and every way to cheat that we could think of.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::KeyUsagePurpose;
use ring::hmac;
use serde_json::Value;

use crate::keys;
use crate::service::Service;

const PAYLOAD: &str = r#"{"header":{"sender_id":"a"},"message":{"amount":100.0}}"#;

#[test]
fn registered_keys_of_both_kinds_are_accepted_bare_or_in_a_certificate() {
    let service = Service::start();
    let token = service.token();
    for (index, key) in [keys::rsa(0), keys::rsa(1), keys::ec()].iter().enumerate() {
        let (bare, certified) = (
            format!("PARTNER_BARE{index}"),
            format!("PARTNER_CERTIFIED{index}"),
        );
        service.register(&bare, &key.public_pem());
        service.register(
            &certified,
            &key.certificate(2020, 2050, &[KeyUsagePurpose::DigitalSignature]),
        );
        for partner in [&bare, &certified] {
            let answer = service.verify(&token, partner, &key.jws(PAYLOAD));
            assert!(answer.accepted() && answer.status == 200, "{partner}: {answer:?}");
            assert_eq!(answer.body["errors"], Value::Null);
            assert_eq!(answer.body["response"]["trustValid"], "TRUST_NOT_VERIFIED");
        }
    }
    service.expect_log("signature-accepted", "");
}

#[test]
fn altered_payloads_and_strangers_keys_are_refused() {
    let service = Service::start();
    let token = service.token();
    let (key, stranger) = (keys::rsa(0), keys::rsa(1));
    service.register("PARTNER_A", &key.public_pem());
    service.register("PARTNER_STRANGER", &stranger.public_pem());
    let jws = key.jws(PAYLOAD);
    let [header, payload, signature] = jws.split('.').collect::<Vec<_>>()[..] else {
        panic!()
    };
    let altered = URL_SAFE_NO_PAD.encode(PAYLOAD.replace("100.0", "900.0"));
    let other_signature = stranger.jws(PAYLOAD);
    let other_signature = other_signature.rsplit('.').next().unwrap();
    for (what, jws, data, reason) in [
        (
            "altered",
            format!("{header}.{altered}.{signature}"),
            altered.as_str(),
            "signature::wrong-key",
        ),
        (
            "altered data only",
            jws.clone(),
            altered.as_str(),
            "signature::other-payload",
        ),
        (
            "stranger",
            format!("{header}.{payload}.{other_signature}"),
            payload,
            "signature::wrong-key",
        ),
        (
            "no signature",
            format!("{header}.{payload}."),
            payload,
            "signature::encoding",
        ),
        ("padded", format!("{jws}=="), payload, "signature::encoding"),
        (
            "detached",
            format!("{header}..{signature}"),
            "",
            "signature::payload-encoding",
        ),
        (
            "two parts",
            format!("{header}.{payload}"),
            payload,
            "signature::parts",
        ),
        ("four parts", format!("{jws}.x"), payload, "signature::parts"),
        ("nothing", String::new(), "", "signature::parts"),
    ] {
        let answer = service.verify_data(&token, "PARTNER_A", &jws, data);
        assert!(!answer.accepted(), "{what}: {answer:?}");
        assert_eq!(answer.body["response"]["signatureValid"], false, "{what}");
        assert_eq!(answer.body["response"]["message"], "Validation Failed", "{what}");
        service.expect_log("signature-refused", reason);
    }
    // The right key of somebody else.
    assert!(!service.verify(&token, "PARTNER_STRANGER", &jws).accepted());
}

#[test]
fn other_algorithms_are_refused() {
    let service = Service::start();
    let token = service.token();
    let (rsa, ec) = (keys::rsa(0), keys::ec());
    service.register("PARTNER_RSA", &rsa.public_pem());
    service.register("PARTNER_EC", &ec.public_pem());
    let payload = URL_SAFE_NO_PAD.encode(PAYLOAD);
    for (partner, key) in [("PARTNER_RSA", &rsa), ("PARTNER_EC", &ec)] {
        let none = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#));
        assert!(!service.verify(&token, partner, &none).accepted());
        // The public key, which everybody may know, used as the secret of a MAC.
        for secret in [key.public_pem(), key.public_pem().trim().to_owned()] {
            let signed = format!(
                "{}.{payload}",
                URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#)
            );
            let tag = hmac::sign(
                &hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()),
                signed.as_bytes(),
            );
            let jws = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag));
            assert!(!service.verify(&token, partner, &jws).accepted());
        }
        for algorithm in ["RS384", "RS512", "PS256", "ES384", "EdDSA", "rs256", "RS256 ", ""] {
            let header = format!(r#"{{"alg":"{algorithm}"}}"#);
            assert!(
                !service
                    .verify(&token, partner, &key.sign(&header, PAYLOAD))
                    .accepted(),
                "{algorithm}"
            );
        }
    }
    // The other of the two algorithms: the key decides, not the header.
    assert!(
        !service
            .verify(&token, "PARTNER_RSA", &rsa.sign(r#"{"alg":"ES256"}"#, PAYLOAD))
            .accepted()
    );
    assert!(
        !service
            .verify(&token, "PARTNER_EC", &ec.sign(r#"{"alg":"RS256"}"#, PAYLOAD))
            .accepted()
    );
    assert!(!service.verify(&token, "PARTNER_RSA", &ec.jws(PAYLOAD)).accepted());
    service.expect_log("signature-refused", "signature::algorithm");
}

#[test]
fn headers_that_change_the_meaning_are_refused() {
    let service = Service::start();
    let token = service.token();
    let key = keys::ec();
    service.register("PARTNER_A", &key.public_pem());
    for (header, reason) in [
        (
            r#"{"alg":"ES256","b64":false,"crit":["b64"]}"#,
            "signature::critical",
        ),
        (r#"{"alg":"ES256","crit":["exp"]}"#, "signature::critical"),
        (r#"{"alg":"none","alg":"ES256"}"#, "signature::header"),
        (r#"{"alg":["ES256"]}"#, "signature::header"),
        (r#"{"typ":"JWT"}"#, "signature::header"),
        ("not json", "signature::header"),
    ] {
        assert!(
            !service
                .verify(&token, "PARTNER_A", &key.sign(header, PAYLOAD))
                .accepted(),
            "{header}"
        );
        service.expect_log("signature-refused", reason);
    }
    // Keys that come with the signature count for nothing.
    let header = format!(
        r#"{{"alg":"ES256","jwk":{{}},"x5c":["{}"],"kid":"../../x"}}"#,
        "A"
    );
    assert!(
        service
            .verify(&token, "PARTNER_A", &key.sign(&header, PAYLOAD))
            .accepted()
    );
    assert!(
        !service
            .verify(&token, "PARTNER_A", &keys::ec().sign(&header, PAYLOAD))
            .accepted()
    );
}

#[test]
fn a_certificate_must_be_valid_now_and_for_signatures() {
    let service = Service::start();
    let token = service.token();
    let key = keys::ec();
    for (partner, pem, reason) in [
        (
            "PARTNER_EXPIRED",
            key.certificate(2001, 2002, &[]),
            "partner::expired",
        ),
        (
            "PARTNER_FUTURE",
            key.certificate(2049, 2050, &[]),
            "partner::not-yet-valid",
        ),
        (
            "PARTNER_USAGE",
            key.certificate(2020, 2050, &[KeyUsagePurpose::KeyEncipherment]),
            "partner::key-usage",
        ),
        (
            "PARTNER_BROKEN",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(),
            "partner::malformed",
        ),
        ("PARTNER_PRIVATE", key.private_pem.clone(), "partner::private-key"),
        (
            "PARTNER_TWO",
            key.public_pem() + &key.public_pem(),
            "partner::malformed",
        ),
        ("PARTNER_EMPTY", String::new(), "partner::malformed"),
        (
            "PARTNER_LARGE",
            key.public_pem() + &"#".repeat(70_000),
            "partner::malformed",
        ),
    ] {
        service.register(partner, &pem);
        let answer = service.verify(&token, partner, &key.jws(PAYLOAD));
        assert!(!answer.accepted(), "{partner}");
        assert_eq!(
            (answer.status, answer.body["errors"][0]["errorCode"].as_str()),
            (200, Some("KER-JWS-107")),
            "{partner}"
        );
        assert_eq!(answer.body["response"], Value::Null);
        service.expect_log("signature-refused", reason);
    }
    service.register("PARTNER_NO_USAGE", &key.certificate(2020, 2050, &[]));
    assert!(
        service
            .verify(&token, "PARTNER_NO_USAGE", &key.jws(PAYLOAD))
            .accepted()
    );
    assert!(!service.log_text().contains("BEGIN"), "key material in the log");
}

#[test]
fn weak_and_foreign_keys_are_refused() {
    let service = Service::start();
    let token = service.token();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    for (name, arguments) in [
        (
            "PARTNER_RSA1024",
            &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"][..],
        ),
        (
            "PARTNER_P384",
            &[
                "genpkey",
                "-algorithm",
                "EC",
                "-pkeyopt",
                "ec_paramgen_curve:P-384",
            ],
        ),
        ("PARTNER_ED25519", &["genpkey", "-algorithm", "ed25519"]),
    ] {
        let made = std::process::Command::new("openssl")
            .args(arguments)
            .arg("-out")
            .arg(&path)
            .output()
            .unwrap();
        assert!(made.status.success());
        let public = std::process::Command::new("openssl")
            .args(["pkey", "-pubout", "-in"])
            .arg(&path)
            .output()
            .unwrap();
        service.register(name, &String::from_utf8(public.stdout).unwrap());
        assert!(
            !service.verify(&token, name, &keys::ec().jws(PAYLOAD)).accepted(),
            "{name}"
        );
    }
    service.expect_log("signature-refused", "partner::key-kind");
}

#[test]
fn unknown_partners_and_names_that_are_paths_are_refused() {
    let service = Service::start();
    let token = service.token();
    let key = keys::ec();
    std::fs::write(service.folder().join("SECRET.pem"), key.public_pem()).unwrap();
    let long = format!("PARTNER_{}", "A".repeat(10_000));
    for (partner, reason) in [
        ("PARTNER_NOBODY", "partner::unknown"),
        ("PARTNER_", "partner::unknown"),
        ("", "partner::reference-id"),
        ("../SECRET", "partner::reference-id"),
        ("/etc/passwd", "partner::reference-id"),
        ("PARTNER_A\u{0}", "partner::reference-id"),
        ("PARTNER_Ä", "partner::reference-id"),
        (long.as_str(), "partner::reference-id"),
    ] {
        assert!(
            !service.verify(&token, partner, &key.jws(PAYLOAD)).accepted(),
            "{partner}"
        );
        service.expect_log("signature-refused", reason);
    }
    assert!(
        !service.log_text().contains(&"A".repeat(200)),
        "a caller's long name in the log"
    );
}

#[test]
fn keys_change_as_a_configmap_changes() {
    let service = Service::start();
    let token = service.token();
    let (old, new) = (keys::ec(), keys::ec());
    // What the kubelet does: files are links through `..data`, which is swapped in one rename.
    let partners = service.partners();
    for (name, key) in [("..1", &old), ("..2", &new)] {
        std::fs::create_dir(partners.join(name)).unwrap();
        std::fs::write(partners.join(name).join("PARTNER_A.pem"), key.public_pem()).unwrap();
    }
    std::os::unix::fs::symlink("..1", partners.join("..data")).unwrap();
    std::os::unix::fs::symlink("..data/PARTNER_A.pem", partners.join("PARTNER_A.pem")).unwrap();
    assert!(service.verify(&token, "PARTNER_A", &old.jws(PAYLOAD)).accepted());
    std::os::unix::fs::symlink("..2", partners.join("..new")).unwrap();
    std::fs::rename(partners.join("..new"), partners.join("..data")).unwrap();
    assert!(!service.verify(&token, "PARTNER_A", &old.jws(PAYLOAD)).accepted());
    assert!(service.verify(&token, "PARTNER_A", &new.jws(PAYLOAD)).accepted());
    std::fs::remove_file(partners.join("PARTNER_A.pem")).unwrap();
    assert!(!service.verify(&token, "PARTNER_A", &new.jws(PAYLOAD)).accepted());
}

#[test]
fn requests_of_another_shape_are_refused() {
    let service = Service::start_with(&["--max-body", "4096"]);
    let cookie = format!("Authorization={}", service.token());
    let send = |headers: &[(&str, &str)], body: &[u8]| {
        let headers = [&[("Cookie", cookie.as_str())], headers].concat();
        service.send("POST", "/v1/keymanager/jwtVerify", &headers, body)
    };
    for body in [
        &b""[..],
        b"{}",
        b"[]",
        b"nonsense",
        br#"{"request":null}"#,
        br#"{"request":{"jwtSignatureData":1}}"#,
    ] {
        let answer = send(&[], body);
        assert_eq!(
            (answer.status, answer.body["errors"][0]["errorCode"].as_str()),
            (200, Some("KER-CSS-999"))
        );
        assert!(!answer.accepted());
    }
    assert_eq!(send(&[], &[b' '; 5000]).status, 413);
    assert_eq!(
        send(&[("Transfer-Encoding", "chunked")], b"0\r\n\r\n").status,
        411
    );
    let trust = br#"{"request":{"jwtSignatureData":"a.b.c","actualData":"b","referenceId":"PARTNER_A","validateTrust":true}}"#;
    let answer = send(&[], trust);
    assert_eq!((answer.status, answer.accepted()), (200, false));
    assert_eq!(answer.body["errors"][0]["errorCode"], "KER-JWS-105");
}

#[test]
fn a_large_body_is_taken_and_many_calls_go_at_once() {
    let service = Service::start();
    let token = service.token();
    let key = keys::rsa(0);
    service.register("PARTNER_A", &key.public_pem());
    let large = key.jws(&format!(r#"{{"rows":"{}"}}"#, "x".repeat(4 * 1024 * 1024)));
    let small = key.jws(PAYLOAD);
    std::thread::scope(|scope| {
        for index in 0..40 {
            let (service, token, jws) = (&service, &token, if index % 8 == 0 { &large } else { &small });
            scope.spawn(move || assert!(service.verify(token, "PARTNER_A", jws).accepted()));
        }
    });
}
