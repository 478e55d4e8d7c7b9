//! Nginx on the host, the only way in.

use openg2p_names::host::{FileName, HostName};
use openg2p_names::{EnvironmentId, Label, NameError};
use openg2p_plan::{Owner, ResourceId};
use openg2p_spec::model::Access;
use serde_json::json;

use crate::cluster::dns_address;
use crate::{Composer, Draft};

pub(crate) const UNIT: &str = "openg2p-nginx.service";
const CONFIGURATION: &str = "/etc/openg2p/nginx/nginx.conf";
const PKI: &str = "/etc/openg2p/pki";

/// Addresses from which a private environment may be reached until access channels narrow it: RFC 1918, RFC 4193 and
/// the host itself.
const PRIVATE: &[&str] = &[
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "fc00::/7",
    "127.0.0.0/8",
    "::1",
];

/// The authority's directory on the lead node.
pub const AUTHORITY_DIRECTORY: &str = PKI;

impl Composer<'_> {
    pub(crate) fn edge(&mut self) {
        let site = self.inputs.site;
        let etc = self.host_id("host-directory", "/etc/openg2p");
        let packages = self.host_id("host-packages", "debian");
        let pki = self.directory(PKI, 0o700, false, vec![etc.clone()]);
        let authority = self.on_host(
            "certificate-authority",
            PKI,
            "edge",
            "signs the certificates of the site's host names",
            json!({
                "directory": PKI,
                "commonName": format!("OpenG2P {} local authority", site.name),
                "domain": site.domain,
            }),
            [pki],
        );
        let nginx = self.directory("/etc/openg2p/nginx", 0o755, false, vec![etc]);
        let sites = self.directory("/etc/openg2p/nginx/sites", 0o755, false, vec![nginx.clone()]);
        let resolver =
            dns_address(&site.kubernetes.service_subnet).map_or_else(String::new, |dns| dns.to_string());
        let main = self.on_host(
            "host-file",
            CONFIGURATION,
            "edge",
            "the edge's common settings",
            // mended behind a reload for a certificate or a site, it must be loaded once more
            json!({"path": CONFIGURATION, "mode": 0o644, "text": main(&resolver), "reload": UNIT}),
            [nginx],
        );
        let unit = self.file(
            &format!("/etc/systemd/system/{UNIT}"),
            "edge",
            "the edge as a unit of its own",
            &unit_file(),
            [packages.clone()],
        );
        let running = self.unit(UNIT, "edge", "the only way in", &[main, unit], [packages, sites]);
        let names: Vec<String> = site.environments.keys().cloned().collect();
        for name in names {
            self.edge_sites(&name, &authority, &running);
        }
    }

    fn edge_sites(&mut self, environment: &str, authority: &ResourceId, running: &ResourceId) {
        let site = self.inputs.site;
        let Some(settings) = site.environments.get(environment) else {
            return;
        };
        let modules: Vec<&str> = settings.modules.keys().map(String::as_str).collect();
        let private = settings.access == Access::Private;
        let nginx = self
            .member("debian-package", "nginx", "the edge")
            .map(|member| member.version)
            .unwrap_or_default();
        let components = self.inputs.catalog.with_needs(modules);
        for component in components {
            for host in &component.hosts {
                let (name, file) = match host_names(&host.name, environment, &site.domain) {
                    Ok(names) => names,
                    Err(error) => {
                        self.errors.push(error.into());
                        continue;
                    }
                };
                let id = settings.id.as_str();
                let owner = Owner::Environment(id.into());
                let path = format!("{PKI}/{name}");
                let certificate = self.add(Draft {
                    kind: "certificate",
                    name: format!("{}:{name}", self.lead.name),
                    owner: owner.clone(),
                    part: &component.name,
                    why: format!("proves {name} to its visitors"),
                    desired: json!({"path": path, "authority": PKI, "names": [name], "reload": UNIT}),
                    needs: [authority.clone()].into(),
                });
                let upstream = format!("{}.{id}.svc.cluster.local", host.service);
                let text = server(&Server {
                    name: &name,
                    certificate: &path,
                    upstream: &upstream,
                    port: host.port,
                    refuse: &host.refuse,
                    private,
                    nginx: &nginx,
                });
                self.add(Draft {
                    kind: "nginx-site",
                    name: format!("{}:{name}", self.lead.name),
                    owner,
                    part: &component.name,
                    why: format!("serves {name}"),
                    desired: json!({
                        "path": format!("/etc/openg2p/nginx/sites/{file}"),
                        "text": text,
                        "configuration": CONFIGURATION,
                        "unit": UNIT,
                    }),
                    needs: [certificate, running.clone()].into(),
                });
            }
        }
    }
}

/// The name of a host and of its file in Nginx' folder; the certificate's files have shorter endings.
fn host_names(host: &str, environment: &str, domain: &str) -> Result<(String, String), NameError> {
    let name = HostName::of(&Label::new(host)?, &EnvironmentId::new(environment)?, domain)?;
    let file = FileName::of(&name, ".conf")?;
    Ok((name.into(), file.into()))
}

/// Settings of TLS after Mozilla's guideline 6.0, intermediate; names are resolved by the cluster's DNS at every request's
/// need, so that a Service that is made anew is found without a reload.
fn main(resolver: &str) -> String {
    format!(
        r#"# Written by openg2p; changes here are overwritten.
user www-data;
worker_processes auto;
pid /run/openg2p-nginx.pid;
error_log stderr warn;

events {{
    worker_connections 1024;
}}

http {{
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    server_tokens off;
    sendfile on;
    keepalive_timeout 65s;
    client_max_body_size 20m;
    large_client_header_buffers 4 16k;
    # a client that sends its request byte by byte does not hold a connection for ever
    client_header_timeout 15s;
    client_body_timeout 30s;

    access_log syslog:server=unix:/dev/log,tag=openg2p_edge,nohostname combined;

    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;
    ssl_prefer_server_ciphers off;
    ssl_session_timeout 1d;
    ssl_session_cache shared:openg2p:10m;
    ssl_session_tickets off;

    resolver {resolver} valid=5s ipv6=off;
    resolver_timeout 5s;

    map $http_upgrade $connection_upgrade {{
        default upgrade;
        ""      "";
    }}

    # a name that is not ours gets no content and no certificate
    server {{
        listen 80 default_server;
        listen [::]:80 default_server;
        return 444;
    }}
    server {{
        listen 443 ssl default_server;
        listen [::]:443 ssl default_server;
        ssl_reject_handshake on;
    }}

    include /etc/openg2p/nginx/sites/*.conf;
}}
"#
    )
}

fn unit_file() -> String {
    format!(
        "# Written by openg2p.\n[Unit]\nDescription=openg2p: the edge (Nginx)\nAfter=network-online.target\nWants=network-online.target\n\n\
         [Service]\nType=forking\nPIDFile=/run/openg2p-nginx.pid\nExecStartPre=/usr/sbin/nginx -t -q -c {CONFIGURATION}\n\
         ExecStart=/usr/sbin/nginx -c {CONFIGURATION}\nExecReload=/usr/sbin/nginx -s reload -c {CONFIGURATION}\n\
         KillMode=mixed\nTimeoutStopSec=10\nRestart=on-failure\nRestartSec=2\n\n[Install]\nWantedBy=multi-user.target\n"
    )
}

/// Where HTTP/2 is turned on: `http2` is a directive of its own since Nginx 1.25.1, and a word of `listen` before (Debian 12 has 1.22).
fn http2(version: &str) -> (&'static str, &'static str) {
    let mut numbers = version
        .split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|number| number.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(1), Some(minor)) if minor < 25 => (" http2", ""),
        _ => ("", "    http2 on;\n"),
    }
}

/// One host name as Nginx serves it.
struct Server<'a> {
    name: &'a str,
    /// Path of certificate and key, without ending.
    certificate: &'a str,
    upstream: &'a str,
    port: u16,
    refuse: &'a [String],
    private: bool,
    /// Version of Nginx in the bundle.
    nginx: &'a str,
}

fn server(server: &Server<'_>) -> String {
    use std::fmt::Write as _;
    let Server {
        name,
        certificate,
        upstream,
        port,
        refuse,
        private,
        nginx,
    } = *server;
    let (on_listen, of_its_own) = http2(nginx);
    let mut text = format!(
        r#"# Written by openg2p; changes here are overwritten.
server {{
    listen 80;
    listen [::]:80;
    server_name {name};
    return 308 https://$host$request_uri;
}}
server {{
    listen 443 ssl{on_listen};
    listen [::]:443 ssl{on_listen};
{of_its_own}    server_name {name};
    ssl_certificate {certificate}.crt;
    ssl_certificate_key {certificate}.key;
    add_header Strict-Transport-Security "max-age=31536000" always;
    add_header X-Content-Type-Options nosniff always;
"#
    );
    if private {
        for range in PRIVATE {
            let _ = writeln!(text, "    allow {range};");
        }
        text.push_str("    deny all;\n");
    }
    for path in refuse {
        let _ = writeln!(text, "    location ^~ {path} {{\n        return 403;\n    }}");
    }
    let _ = write!(
        text,
        r"    location / {{
        set $upstream {upstream};
        proxy_pass http://$upstream:{port};
        proxy_http_version 1.1;
        proxy_set_header Host $host;
        proxy_set_header X-Real-IP $remote_addr;
        # what a client claims of earlier hops is thrown away: this is the first hop
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header X-Forwarded-Proto https;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_connect_timeout 5s;
        proxy_read_timeout 150s;
    }}
}}
"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_nginx_gets_the_http2_that_it_reads() {
        assert_eq!(http2("1.22.1-9+deb12u3"), (" http2", ""));
        assert_eq!(http2("1.26.3-3+deb13u1").0, "");
        assert_eq!(http2("1.26.3-3+deb13u1").1.trim(), "http2 on;");
    }

    #[test]
    fn a_refused_path_and_a_private_name_are_closed() {
        let refuse = ["/upload_mt940".to_owned()];
        let text = server(&Server {
            name: "a.dev.example.org",
            certificate: "/x",
            upstream: "a.dev.svc.cluster.local",
            port: 8000,
            refuse: &refuse,
            private: true,
            nginx: "1.26.3",
        });
        assert!(text.contains("location ^~ /upload_mt940 {\n        return 403;"));
        assert!(text.contains("deny all;"));
    }
}
