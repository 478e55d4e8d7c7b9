//! The environment as people use it: through the edge, and closed to everybody else.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;

use super::tally::Tally;
use crate::product::Site;
use crate::runner::{Ran, Runner};

/// What of Kubernetes must not be reached from outside: etcd, its API, kubelet, node ports.
const CLOSED: [u16; 7] = [2379, 2380, 6443, 10250, 10256, 30000, 32767];

/// Asks the edge of a running environment.
pub(crate) fn run(site: &Site, runner: &Runner<'_>, tally: &Tally<'_>) -> anyhow::Result<()> {
    let address = site.host()?.address;
    let trust = runner.run("trust", site.command(&["trust", "-o", "authority.crt"]));
    tally.check(
        "trust writes the authority",
        trust.and_then(|ran| ran.expect(0).map(drop)),
    );
    let names = site.host_names()?;
    tally.check("the edge serves names", {
        (names.len() >= 3)
            .then_some(())
            .ok_or_else(|| anyhow::anyhow!("it serves {names:?} only"))
    });
    for name in &names {
        let curl = |what: &str, arguments: &[&str]| -> anyhow::Result<Ran> {
            let mut command = Command::new("curl");
            command
                .args(["-sS", "--max-time", "15", "-o", "/dev/null"])
                .args(["--resolve", &format!("{name}:443:{address}")])
                .args(["--resolve", &format!("{name}:80:{address}")])
                .args(arguments)
                .current_dir(&site.directory);
            runner.run(&format!("curl-{what}"), command)
        };
        let url = format!("https://{name}/ping");
        let trusted = curl(
            "https",
            &["--cacert", "authority.crt", "-w", "%{http_code}", &url],
        )
        .and_then(|ran| {
            ran.expect(0)?;
            ensure!(ran.stdout == "200", "it answers {}", ran.stdout);
            Ok(())
        });
        tally.check(
            &format!("{name} answers over HTTPS under the site's authority"),
            trusted,
        );
        let stranger = curl("untrusted", &[&url]).and_then(|ran| ran.expect(60).map(drop));
        tally.check(
            &format!("{name} is refused by who does not know the authority"),
            stranger,
        );
        let plain = curl(
            "http",
            &[
                "-w",
                "%{http_code} %{redirect_url}",
                &format!("http://{name}/ping"),
            ],
        );
        let redirected = plain.and_then(|ran| {
            ran.expect(0)?;
            ensure!(
                ran.stdout == format!("301 {url}") || ran.stdout == format!("308 {url}"),
                "it answers {}",
                ran.stdout
            );
            Ok(())
        });
        tally.check(&format!("{name} sends HTTP to HTTPS"), redirected);
    }
    let open: Vec<u16> = CLOSED
        .into_iter()
        .filter(|port| {
            let address = SocketAddr::new(IpAddr::V4(address), *port);
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
        })
        .collect();
    tally.check("Kubernetes is closed to the outside", {
        open.is_empty()
            .then_some(())
            .ok_or_else(|| anyhow::anyhow!("reachable from outside: {open:?}"))
    });
    Ok(())
}
