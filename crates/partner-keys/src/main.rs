//! `partner-keys` answers the two calls that SPAR and G2P Bridge make for every signed request: an OAuth token for
//! their own clients, and the Keymanager's `jwtVerify` against one registered key per partner.
//!
//! It is not a Keymanager: it holds no private key, signs nothing for others, encrypts nothing, knows no chains of
//! trust. The MOSIP Keymanager replaces it when that joins the commons.

mod answer;
mod clients;
mod partners;
mod service;
mod settings;
mod signature;
mod token;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use crate::service::Service;
use crate::settings::Settings;
use openg2p_json_log::Log;

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 256;
/// A caller that opens a connection and says nothing.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// Calls that run when the end comes may finish.
const LAST_CALLS: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let settings = match Settings::try_parse() {
        Ok(settings) => settings,
        Err(wrong) => {
            let _ = wrong.print();
            return ExitCode::from(u8::from(wrong.use_stderr()));
        }
    };
    let log = Arc::new(Log::to_stdout());
    // One thread: a verification takes microseconds, and the memory of more threads would be the larger part.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(why) => {
            let message = format!("the runtime did not start: {why}");
            log.error(
                "partner-keys::runtime",
                &message,
                "look for limits on threads and files of this container",
            );
            return ExitCode::from(3);
        }
    };
    match runtime.block_on(serve(&settings, &log)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let message = format!("cannot listen on {}: {why}", settings.listen);
            log.error(
                "partner-keys::listen",
                &message,
                "choose a free address and port above 1023 (--listen)",
            );
            ExitCode::from(3)
        }
    }
}

async fn serve(settings: &Settings, log: &Arc<Log>) -> std::io::Result<()> {
    let listener = TcpListener::bind(settings.listen).await?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let service = Arc::new(Service::new(settings, Arc::clone(log)));
    service.report_partners();
    log.info(
        "listening",
        "ready",
        &[("address", &listener.local_addr()?.to_string())],
    );
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let free = tokio::select! {
            _ = terminated.recv() => break,
            _ = interrupted.recv() => break,
            free = Arc::clone(&room).acquire_owned() => free,
        };
        let Ok(free) = free else { break };
        let accepted = tokio::select! {
            _ = terminated.recv() => break,
            _ = interrupted.recv() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(why) => {
                // Out of file descriptors, mostly: the next connection that ends gives one back.
                log.warning(
                    "connection-refused",
                    &format!("a connection was not taken: {why}"),
                    &[],
                );
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            let calls = service_fn(move |request| {
                let service = Arc::clone(&service);
                async move { Ok::<_, std::convert::Infallible>(service.answer(request).await) }
            });
            // How a connection ends is the caller's matter; what was asked on it has been logged.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIME)
                .serve_connection(TokioIo::new(stream), calls)
                .await;
            drop(free);
        });
    }
    drop(listener);
    log.info("stopping", "no new connections; calls that run may finish", &[]);
    let all = u32::try_from(CONNECTIONS).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(LAST_CALLS, room.acquire_many(all)).await;
    Ok(())
}
