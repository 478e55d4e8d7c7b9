//! Links that break: the connection to the server is cut behind any number of bytes. The next run ends as an undisturbed one does.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::Scenario;
use crate::program::Module;
use crate::server::Server;

pub(crate) const SCENARIOS: &[Scenario] = &[(
    "links cut behind any byte, the next run converges",
    cut_links_are_made_up_for,
)];

/// Passes bytes on until `left` are gone; then every connection is cut, and none is taken any more.
fn proxy(to: u16, left: usize) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let passed = Arc::new(AtomicUsize::new(0));
    let counted = passed.clone();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(client) = client else { return };
            if counted.load(Ordering::Relaxed) >= left {
                return;
            }
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else {
                return;
            };
            let ways = [
                (client.try_clone().unwrap(), server.try_clone().unwrap()),
                (server, client),
            ];
            for (mut from, mut into) in ways {
                let counted = counted.clone();
                std::thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = from.read(&mut buffer) {
                        let before = counted.fetch_add(count, Ordering::Relaxed);
                        let room = left.saturating_sub(before).min(count);
                        if into.write_all(&buffer[..room]).is_err() || room < count {
                            break;
                        }
                    }
                    let _ = from.shutdown(Shutdown::Both);
                    let _ = into.shutdown(Shutdown::Both);
                });
            }
        }
    });
    (port, passed)
}

fn cut_links_are_made_up_for(server: &Server) {
    let cuts = if std::env::var("OPENG2P_SOAK").is_ok() {
        400
    } else {
        24
    };
    let (port, passed) = proxy(server.port, usize::MAX);
    Module::at_port(server, "whole", port)
        .run("provision", &[])
        .expect(0, "provisioned");
    let whole = passed.load(Ordering::Relaxed);
    let mut cut = 0;
    for number in 0..cuts {
        let name = format!("cut{number}");
        let (port, _) = proxy(server.port, whole * number / cuts);
        let mut behind = Module::at_port(server, &name, port);
        "1s".clone_into(&mut behind.deadline);
        cut += usize::from(behind.run("provision", &[]).code != Some(0));
        let direct = Module::new(server, &name);
        if number % 3 == 0 {
            let removed = direct.run("remove", &[]);
            assert_eq!(removed.code, Some(0), "{name}: {}", removed.text);
        }
        let made = direct.run("provision", &[]);
        assert_eq!(made.code, Some(0), "{name}: {}", made.text);
        direct.run("provision", &[]).expect(0, "unchanged");
        assert!(direct.can_log_in(server), "{name}");
        // and so is a removal that is cut
        let (port, _) = proxy(server.port, whole * number / cuts / 2);
        let mut behind = Module::at_port(server, &name, port);
        "1s".clone_into(&mut behind.deadline);
        behind.run("remove", &[]);
        let removed = direct.run("remove", &[]);
        assert_eq!(removed.code, Some(0), "{name}: {}", removed.text);
    }
    println!("  {cut} of {cuts} links cut while a database was made");
    assert!(cut * 2 > cuts, "{cut} of {cuts}");
}
