//! What a site of these tests asks of a real host: the kinds of host work in the shapes in which an installation asks for them, in three
//! editions.

use openg2p_plan::{Owner, Resource, ResourceId};
use openg2p_ports::{Bundle, BundleMember};
use openg2p_world::BundleDirectory;
use serde_json::{Value, json};

use crate::engine::Maker;

pub(crate) const ETC: &str = "/etc/openg2p";
pub(crate) const EDGE: &str = "openg2p-nginx.service";
pub(crate) const FIREWALL: &str = "openg2p-firewall.service";
pub(crate) const DAEMON: &str = "openg2p-daemon.service";
pub(crate) const LATER: &str = "openg2p-later.service";
pub(crate) const TIMER: &str = "openg2p-sweep.timer";
pub(crate) const SWEEP: &str = "openg2p-sweep.service";
/// Debian's own, which must never start.
pub(crate) const MASKED: &str = "nginx.service";
/// All that is looked at.
pub(crate) const UNITS: [&str; 7] = [EDGE, FIREWALL, DAEMON, LATER, TIMER, SWEEP, MASKED];

/// Kernel settings with their values by edition. They are of the host's own network namespace.
pub(crate) const SETTINGS: [(&str, [&str; 3]); 2] = [
    ("net.ipv4.ip_forward", ["1", "1", "1"]),
    ("net.ipv4.ip_default_ttl", ["70", "71", "72"]),
];

/// Names that the edge serves in an edition.
pub(crate) fn names(edition: u8) -> &'static [&'static str] {
    match edition {
        0 => &["app.dev.example.org"],
        1 => &["app.dev.example.org", "app.qa.example.org"],
        _ => &["app.qa.example.org"],
    }
}

/// Units here are started more often within seconds than any operator would, and systemd would refuse the sixth time.
const OFTEN: &str = "StartLimitIntervalSec=0\n";

struct Site<'a> {
    make: Maker,
    edition: u8,
    members: &'a [BundleMember],
}

/// What this edition of a site asks for.
pub(crate) fn resources(edition: u8, bundle: &BundleDirectory) -> Vec<Resource> {
    let mut site = Site {
        make: Maker::default(),
        edition,
        members: bundle.members(),
    };
    let etc = site.folder(ETC, 0o755, &[]);
    let packages = site.packages();
    site.kernel(&packages);
    site.firewall(&etc, &packages);
    site.programs(&etc);
    site.edge(&etc, &packages);
    site.make.0
}

impl Site<'_> {
    fn add(&mut self, kind: &str, name: &str, desired: Value, needs: &[&ResourceId]) -> ResourceId {
        self.make
            .add(kind, &format!("box1:{name}"), &Owner::Site, desired, needs)
    }

    fn folder(&mut self, path: &str, mode: u32, needs: &[&ResourceId]) -> ResourceId {
        let desired = json!({"path": path, "mode": mode, "contents": "keep"});
        self.add("host-directory", path, desired, needs)
    }

    fn file(&mut self, path: &str, text: &str, needs: &[&ResourceId]) -> ResourceId {
        let desired = json!({"path": path, "mode": 0o644, "text": text});
        self.add("host-file", path, desired, needs)
    }

    fn unit_file(&mut self, unit: &str, text: &str, needs: &[&ResourceId]) -> ResourceId {
        self.file(&format!("/etc/systemd/system/{unit}"), text, needs)
    }

    /// A unit that runs and is started anew when what it reads is another.
    fn unit(&mut self, unit: &str, reads: &Value, needs: &[&ResourceId]) -> ResourceId {
        let desired = json!({"unit": unit, "state": "running", "restartOn": reads});
        self.add("systemd-unit", unit, desired, needs)
    }

    fn debian(&mut self, name: &str, names: &[&str], needs: &[&ResourceId]) -> ResourceId {
        let packages: Vec<Value> = names
            .iter()
            .map(|name| {
                let member = self
                    .members
                    .iter()
                    .find(|member| member.kind == "debian-package" && member.name == *name)
                    .unwrap_or_else(|| panic!("the bundle has no {name}"));
                json!({"name": name, "version": member.version})
            })
            .collect();
        // purging nginx leaves its sample page behind
        let page = Some("/var/www/html/index.nginx-debian.html").filter(|_| names.contains(&"nginx"));
        let leftovers: Vec<&str> = page.into_iter().collect();
        let desired = json!({"packages": packages, "leftovers": leftovers});
        self.add("host-packages", name, desired, needs)
    }

    fn packages(&mut self) -> ResourceId {
        let desired = json!({"unit": MASKED, "state": "masked"});
        let masked = self.add("systemd-unit", MASKED, desired, &[]);
        // made before the package that fills it comes, so that removal takes it
        let www = self.folder("/var/www", 0o755, &[]);
        let html = self.folder("/var/www/html", 0o755, &[&www]);
        let packages = self.debian("debian", &["nginx", "nftables"], &[&masked, &html]);
        if self.edition == 1 {
            self.debian("more", &["ipset", "conntrack"], &[&packages]);
        }
        packages
    }

    fn kernel(&mut self, packages: &ResourceId) {
        let path = "/etc/sysctl.d/90-openg2p.conf";
        let edition = usize::from(self.edition);
        let settings: serde_json::Map<String, Value> = SETTINGS
            .iter()
            .map(|(name, values)| ((*name).to_owned(), json!(values[edition])))
            .collect();
        self.add(
            "sysctl",
            path,
            json!({"path": path, "settings": settings}),
            &[packages],
        );
    }

    fn firewall(&mut self, etc: &ResourceId, packages: &ResourceId) {
        let path = format!("{ETC}/firewall.nft");
        let text = format!(
            "table inet openg2p\ndelete table inet openg2p\ntable inet openg2p {{\n  chain closed {{\n    type filter hook input priority filter;\n    \
             tcp dport {} drop\n  }}\n}}\n",
            6443 + u16::from(self.edition)
        );
        let rules = self.file(&path, &text, &[etc]);
        let text = format!(
            "[Unit]\nDescription=rules\n{OFTEN}\n[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/sbin/nft -f {path}\n\
             ExecStop=/usr/sbin/nft delete table inet openg2p\n\n[Install]\nWantedBy=multi-user.target\n"
        );
        let unit = self.unit_file(FIREWALL, &text, &[packages]);
        let reads = json!({"rules": self.edition});
        self.unit(FIREWALL, &reads, &[&rules, &unit, packages]);
    }

    /// A program with a drop-in, one that something else starts, and a timer. The last edition has none of them.
    fn programs(&mut self, etc: &ResourceId) {
        if self.edition == 2 {
            return;
        }
        let link = format!("{ETC}/current");
        let target = format!("edition-{}", self.edition);
        self.add("host-file", &link, json!({"path": link, "link": target}), &[etc]);
        let text = format!(
            "[Unit]\nDescription=a program\n{OFTEN}\n[Service]\nExecStart=/usr/bin/sleep infinity\n\n[Install]\nWantedBy=multi-user.target\n"
        );
        let unit = self.unit_file(DAEMON, &text, &[]);
        let folder = format!("/etc/systemd/system/{DAEMON}.d");
        let folder_id = self.folder(&folder, 0o755, &[]);
        let text = format!("[Service]\nEnvironment=EDITION={}\n", self.edition);
        let drop_in = self.file(&format!("{folder}/10-edition.conf"), &text, &[&folder_id]);
        let reads = json!({"drop-in": self.edition});
        self.unit(DAEMON, &reads, &[&unit, &drop_in]);
        let text = "[Unit]\nDescription=a program that something else starts\n\n[Service]\nExecStart=/usr/bin/sleep infinity\n\n\
             [Install]\nWantedBy=multi-user.target\n";
        let unit = self.unit_file(LATER, text, &[]);
        let desired = json!({"unit": LATER, "state": "enabled", "restartOn": {}});
        self.add("systemd-unit", LATER, desired, &[&unit]);
        let sweep = self.unit_file(
            SWEEP,
            "[Unit]\nDescription=sweeps\n\n[Service]\nType=oneshot\nExecStart=/usr/bin/true\n",
            &[],
        );
        let text = format!(
            "[Unit]\nDescription=sweeps by and by\n{OFTEN}\n[Timer]\nOnActiveSec={}h\n\n[Install]\nWantedBy=timers.target\n",
            20 + self.edition
        );
        let timer = self.unit_file(TIMER, &text, &[]);
        let reads = json!({"timer": self.edition});
        self.unit(TIMER, &reads, &[&sweep, &timer]);
    }

    fn edge(&mut self, etc: &ResourceId, packages: &ResourceId) {
        let pki = format!("{ETC}/pki");
        let folder = self.folder(&pki, 0o700, &[etc]);
        let desired = json!({"directory": pki, "commonName": "Test", "domain": "example.org"});
        let authority = self.add("certificate-authority", &pki, desired, &[&folder]);
        let nginx = self.folder(&format!("{ETC}/nginx"), 0o755, &[etc]);
        let sites = self.folder(&format!("{ETC}/nginx/sites"), 0o755, &[&nginx]);
        let configuration = format!("{ETC}/nginx/nginx.conf");
        let text = format!(
            "# edition {}\nuser www-data;\nworker_processes 1;\npid /run/openg2p-nginx.pid;\nerror_log stderr warn;\n\
             events {{ worker_connections 64; }}\nhttp {{\n  access_log off;\n  server {{ listen 80 default_server; return 404; }}\n  \
             include {ETC}/nginx/sites/*.conf;\n}}\n",
            self.edition
        );
        let desired = json!({"path": configuration, "mode": 0o644, "text": text, "reload": EDGE});
        let main = self.add("host-file", &configuration, desired, &[&nginx]);
        let text = format!(
            "[Unit]\nDescription=the edge\n{OFTEN}\n[Service]\nType=forking\nPIDFile=/run/openg2p-nginx.pid\n\
             ExecStartPre=/usr/sbin/nginx -t -q -c {configuration}\nExecStart=/usr/sbin/nginx -c {configuration}\n\
             ExecReload=/usr/sbin/nginx -s reload -c {configuration}\nKillMode=mixed\nTimeoutStopSec=10\nRestart=on-failure\nRestartSec=2\n\n\
             [Install]\nWantedBy=multi-user.target\n"
        );
        let unit = self.unit_file(EDGE, &text, &[packages]);
        let reads = json!({"main": self.edition});
        let running = self.unit(EDGE, &reads, &[&main, &unit, packages, &sites]);
        for name in names(self.edition) {
            let path = format!("{pki}/{name}");
            let desired = json!({"path": path, "authority": pki, "names": [name], "reload": EDGE});
            let certificate = self.add("certificate", name, desired, &[&authority]);
            let text = format!(
                "server {{\n  listen 80;\n  listen 443 ssl;\n  server_name {name};\n  ssl_certificate {path}.crt;\n  \
                 ssl_certificate_key {path}.key;\n  return 200 \"{name} {}\";\n}}\n",
                self.edition
            );
            let file = format!("{ETC}/nginx/sites/{name}.conf");
            let desired = json!({"path": file, "text": text, "configuration": configuration, "unit": EDGE});
            self.add("nginx-site", name, desired, &[&certificate, &running]);
        }
    }
}
