//! The check against the real Python services. Runs where `OPENG2P_VERIFY_LIVE` names a JSON file that says where they
//! are: `{"spar": "127.0.0.1:5701", "bridge": "127.0.0.1:5702", "key": "FILE", "edge": false,
//! "bank": "host=127.0.0.1 port=5700 dbname=... user=... password=..."}`. With `"edge": false` the two addresses are
//! the services themselves; then the one check that needs an edge must fail, and nothing else. `"beneficiaries"` and
//! `"deadline"` (seconds) may be there too.

// The ports of a test are real ones.
#![allow(clippy::disallowed_methods)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use openg2p_verify::{
    Amount, BALANCES_QUERY, Balance, Books, BooksError, Clock, Edge, EdgeError, EdgeFailure, EdgeRequest,
    EdgeResponse, Event, Hosts, Options, Overall, POSTINGS_QUERY, Posting, PostingSide, Random, Signer,
    Verdict, table, verify,
};
use ring::rand::{SecureRandom, SystemRandom};
use tokio_postgres::NoTls;

struct Real {
    bank: tokio_postgres::Client,
    began: Instant,
}

#[async_trait]
impl Edge for Real {
    async fn call(&self, request: EdgeRequest) -> Result<EdgeResponse, EdgeError> {
        tokio::task::spawn_blocking(move || post(&request)).await.unwrap()
    }
}

/// Plain HTTP/1.1, one connection a call: enough for services on loopback.
fn post(request: &EdgeRequest) -> Result<EdgeResponse, EdgeError> {
    let not_sent = |why: std::io::Error| EdgeError {
        failure: EdgeFailure::NotSent,
        message: why.to_string(),
    };
    let unknown = |why: std::io::Error| EdgeError {
        failure: EdgeFailure::Unknown,
        message: why.to_string(),
    };
    let mut stream = TcpStream::connect(&request.host).map_err(not_sent)?;
    stream.set_read_timeout(Some(request.within)).map_err(not_sent)?;
    let mut head = format!(
        "POST {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n",
        request.path, request.host
    );
    for (name, value) in &request.headers {
        head.push_str(&[name, ": ", value, "\r\n"].concat());
    }
    head.push_str(&["content-length: ", &request.body.len().to_string(), "\r\n\r\n"].concat());
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(&request.body))
        .map_err(unknown)?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map_err(unknown)?;
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("an HTTP answer");
    let status = std::str::from_utf8(&bytes[..end])
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    Ok(EdgeResponse {
        status,
        body: bytes[end + 4..].to_vec(),
    })
}

#[async_trait]
impl Books for Real {
    async fn postings(&self, disbursement_ids: &[String]) -> Result<Vec<Posting>, BooksError> {
        let rows = self.bank.query(POSTINGS_QUERY, &[&disbursement_ids]).await;
        let rows = rows.map_err(|why| BooksError(why.to_string()))?;
        rows.iter()
            .map(|row| {
                Ok(Posting {
                    disbursement_id: row.get(0),
                    reference: row.get(1),
                    account: row.get(2),
                    side: match row.get(3) {
                        "DEBIT" => PostingSide::Debit,
                        "CREDIT" => PostingSide::Credit,
                        other => {
                            return Err(BooksError(format!(
                                "a posting is neither debit nor credit but {other}"
                            )));
                        }
                    },
                    amount: Amount::from_number(row.get(4)).map_err(|why| BooksError(why.to_string()))?,
                    currency: row.get(5),
                })
            })
            .collect()
    }

    async fn balances(&self, accounts: &[String]) -> Result<Vec<Balance>, BooksError> {
        let rows = self.bank.query(BALANCES_QUERY, &[&accounts]).await;
        let rows = rows.map_err(|why| BooksError(why.to_string()))?;
        let amount = |number: f64| Amount::from_number(number).map_err(|why| BooksError(why.to_string()));
        rows.iter()
            .map(|row| {
                Ok(Balance {
                    account: row.get(0),
                    currency: row.get(1),
                    book: amount(row.get(2))?,
                    available: amount(row.get(3))?,
                })
            })
            .collect()
    }
}

#[async_trait]
impl Clock for Real {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed()
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}

impl Random for Real {
    fn fill(&self, bytes: &mut [u8]) {
        SystemRandom::new().fill(bytes).unwrap();
    }
}

#[test]
#[allow(clippy::print_stdout)] // the report
fn the_real_services() {
    let Some(file) = std::env::var_os("OPENG2P_VERIFY_LIVE") else {
        openg2p_test_needs::skip(
            "live-services",
            "OPENG2P_VERIFY_LIVE names no file that says where they are; the slice pays through real ones",
        );
        return;
    };
    let place: serde_json::Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    let text = |name: &str| {
        place[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name}"))
            .to_owned()
    };
    let signer = Signer::from_pem(&std::fs::read_to_string(text("key")).unwrap()).unwrap();
    let hosts = Hosts {
        spar: text("spar"),
        bridge: text("bridge"),
    };
    let mut options = Options::new("live", hosts);
    if let Some(count) = place["beneficiaries"].as_u64() {
        options.beneficiaries = u32::try_from(count).unwrap();
    }
    if let Some(seconds) = place["deadline"].as_u64() {
        options.deadline = Duration::from_secs(seconds);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let report = runtime.block_on(async {
        let (bank, connection) = tokio_postgres::connect(&text("bank"), NoTls).await.unwrap();
        tokio::spawn(connection);
        let real = Real {
            bank,
            began: Instant::now(),
        };
        let mut tell = |event: Event| {
            if let Event::Progress { doing, .. } = event {
                println!("{:6.2} {doing}", real.began.elapsed().as_secs_f64());
            }
        };
        verify(&options, &signer, &real, &real, &real, &real, &mut tell)
            .await
            .unwrap()
    });
    println!("{}", table(&report));
    let edge = place["edge"].as_bool().unwrap_or(true);
    let failed: Vec<&str> = report
        .checks
        .iter()
        .filter(|check| !matches!(check.verdict, Verdict::Passed | Verdict::Warned))
        .map(|check| check.id.as_str())
        .collect();
    if edge {
        assert_eq!(report.overall, Overall::Passed);
    } else {
        assert_eq!(failed, ["edge-keeps-upload-closed"]);
    }
    assert_eq!(report.totals.paid, options.beneficiaries);
}
