//! The program on loopback, with folders of its own, and a client that speaks plain HTTP.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use std::fmt::Write as _;

use serde_json::{Value, json};

/// A running service.
pub(crate) struct Service {
    process: Child,
    folder: tempfile::TempDir,
    pub(crate) address: String,
    log: Arc<Mutex<Vec<Value>>>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

pub(crate) const CLIENT: (&str, &str) = ("spar-mapper", "client-secret-77aa");

impl Service {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    pub(crate) fn start_with(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["partners", "clients"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(
            folder.path().join("clients").join(CLIENT.0),
            format!("{}\n", CLIENT.1),
        )
        .unwrap();
        let mut service = Self {
            process: spawn(folder.path(), "127.0.0.1:0", more),
            folder,
            address: String::new(),
            log: Arc::default(),
        };
        service.listen();
        service
    }

    /// Ends the process and starts it again on the same folders.
    pub(crate) fn restart(&mut self) {
        self.stop();
        self.process = spawn(self.folder.path(), "127.0.0.1:0", &[]);
        self.listen();
    }

    fn listen(&mut self) {
        let mut lines = BufReader::new(self.process.stdout.take().unwrap()).lines();
        let mut start = Vec::new();
        for line in lines.by_ref() {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            start.push(line.clone());
            if line["event"] == "listening" {
                line["address"].as_str().unwrap().clone_into(&mut self.address);
                break;
            }
        }
        assert!(!self.address.is_empty(), "no start: {start:?}");
        let log = Arc::new(Mutex::new(start));
        self.log = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                log.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
    }

    /// SIGTERM, as Kubernetes ends it; returns the exit code.
    pub(crate) fn stop(&mut self) -> Option<i32> {
        let pid = self.process.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        self.process.wait().unwrap().code()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn partners(&self) -> PathBuf {
        self.folder.path().join("partners")
    }

    pub(crate) fn clients(&self) -> PathBuf {
        self.folder.path().join("clients")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn register(&self, reference_id: &str, pem: &str) {
        fs::write(self.partners().join(format!("{reference_id}.pem")), pem).unwrap();
    }

    /// Waits for a log line with this event and reason.
    #[track_caller]
    pub(crate) fn expect_log(&self, event: &str, reason: &str) {
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(5) {
            let found = self
                .log
                .lock()
                .unwrap()
                .iter()
                .any(|line| line["event"] == event && (reason.is_empty() || line["reason"] == reason));
            if found {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no {event} {reason} in {:#?}", self.log.lock().unwrap());
    }

    /// Everything logged so far, as text.
    pub(crate) fn log_text(&self) -> String {
        self.log
            .lock()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: partner-keys\r\nConnection: close\r\n");
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"))
        {
            write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
        }
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(b"\r\n").unwrap();
        // A server that refuses a body may close before all of it is sent.
        let _ = stream.write_all(body);
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_owned(),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        }
    }

    pub(crate) fn ask_token(&self, form: &str) -> Answer {
        self.send(
            "POST",
            "/token",
            &[("Content-Type", "application/x-www-form-urlencoded")],
            form.as_bytes(),
        )
    }

    /// A token as the packages ask for it.
    pub(crate) fn token(&self) -> String {
        let (id, secret) = CLIENT;
        let answer = self.ask_token(&format!(
            "client_id={id}&client_secret={secret}&grant_type=client_credentials"
        ));
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    /// A verification as the packages ask for it.
    pub(crate) fn verify(&self, token: &str, reference_id: &str, jws: &str) -> Answer {
        let payload = jws.split('.').nth(1).unwrap_or_default();
        self.verify_data(token, reference_id, jws, payload)
    }

    pub(crate) fn verify_data(
        &self,
        token: &str,
        reference_id: &str,
        jws: &str,
        actual_data: &str,
    ) -> Answer {
        let request = json!({
            "id": "string", "version": "string", "requesttime": "2026-11-23T19:53:33.327018", "metadata": {},
            "request": {
                "jwtSignatureData": jws, "actualData": actual_data, "applicationId": "OpenG2P-SPAR-Mapper",
                "referenceId": reference_id, "certificateData": "", "validateTrust": false,
                "domain": "DomainEnum.AUTH"
            }
        });
        let cookie = format!("Authorization={token}");
        let headers = [("Content-Type", "application/json"), ("Cookie", cookie.as_str())];
        self.send(
            "POST",
            "/v1/keymanager/jwtVerify",
            &headers,
            request.to_string().as_bytes(),
        )
    }
}

impl Answer {
    /// Whether the callers would accept the signature.
    pub(crate) fn accepted(&self) -> bool {
        self.body["response"]["signatureValid"] == Value::Bool(true)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn spawn(folder: &Path, listen: &str, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_partner-keys"))
        .env_clear()
        .env("PARTNER_KEYS_PARTNERS_DIR", folder.join("partners"))
        .env("PARTNER_KEYS_CLIENTS_DIR", folder.join("clients"))
        .args(["--listen", listen])
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}
