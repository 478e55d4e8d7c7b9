//! A line to a server that is cut again and again, behind any byte: of what is asked, or of what is answered.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Which bytes are counted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    /// A request does not arrive whole.
    There,
    /// A request was carried out, and its answer is lost.
    Back,
}

/// Where a line is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cuts {
    pub(crate) way: Way,
    /// Each time so many bytes have passed, over all connections.
    pub(crate) every: usize,
}

/// It goes with this value.
pub(crate) struct Link {
    port: u16,
    count: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
}

struct Line {
    cuts: Cuts,
    passed: AtomicUsize,
    count: Arc<AtomicUsize>,
}

impl Link {
    /// A line to `port` on loopback.
    pub(crate) fn to(port: u16, cuts: Cuts) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let whole = Self {
            port: listener.local_addr().unwrap().port(),
            count: Arc::default(),
            over: Arc::default(),
        };
        let line = Arc::new(Line {
            cuts,
            passed: AtomicUsize::new(0),
            count: whole.count.clone(),
        });
        let over = whole.over.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else {
                    continue;
                };
                for way in [Way::There, Way::Back] {
                    let (client, server) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                    let line = line.clone();
                    std::thread::spawn(move || match way {
                        Way::There => line.carry(way, client, server),
                        Way::Back => line.carry(way, server, client),
                    });
                }
            }
        });
        whole
    }

    /// Where it begins.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How often it was cut.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        // wakes the one who waits for clients
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Line {
    /// Carries bytes until the connection ends or is cut.
    fn carry(&self, way: Way, mut from: TcpStream, mut to: TcpStream) {
        let mut piece = [0; 4096];
        while let Ok(length) = from.read(&mut piece) {
            let passes = self.passes(way, length);
            if length == 0 || to.write_all(&piece[..passes]).is_err() {
                break;
            }
            if passes < length {
                self.count.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
        for end in [&from, &to] {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// How many of these bytes pass.
    fn passes(&self, way: Way, length: usize) -> usize {
        if way != self.cuts.way {
            return length;
        }
        let before = self.passed.fetch_add(length, Ordering::Relaxed);
        let left = self.cuts.every - before % self.cuts.every;
        // one less than the whole when the cut is just behind it: something must be missing
        if left <= length { left - 1 } else { length }
    }
}
