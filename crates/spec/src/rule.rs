//! What single values must look like, and what to say when they do not.

use std::net::{IpAddr, Ipv4Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::network::Network;
use crate::quote::{is_treacherous, quote};

/// A rule for a piece of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// One label of a DNS name, lower case.
    DnsLabel,
    /// A DNS domain of at least two labels.
    Domain,
    /// A DNS label that is free as a namespace.
    EnvironmentName,
    /// An IPv4 address by which other machines reach this one.
    Address,
    /// A login name.
    LoginName,
    /// A public key as in `known_hosts`, without the host.
    HostKey,
    /// A network large enough for pods.
    PodSubnet,
    /// A network that Kubernetes takes for services.
    ServiceSubnet,
    /// The name of a kubeadm check.
    PreflightCheck,
}

/// Why a text does not keep its rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Stable, such as `site::invalid-domain`.
    pub code: &'static str,
    /// What is wrong and why.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

fn fault(code: &'static str, message: impl Into<String>) -> Fault {
    Fault {
        code,
        message: message.into(),
        help: None,
    }
}

impl Fault {
    fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Rule {
    /// Checks a text.
    pub fn check(self, text: &str) -> Result<(), Fault> {
        match self {
            Self::DnsLabel => dns_label(text, "site::invalid-name"),
            Self::Domain => domain(text),
            Self::EnvironmentName => environment_name(text),
            Self::Address => address(text).map(drop),
            Self::LoginName => login_name(text),
            Self::HostKey => host_key(text),
            Self::PodSubnet => pod_subnet(text),
            Self::ServiceSubnet => service_subnet(text),
            Self::PreflightCheck => preflight_check(text),
        }
    }

    /// A regular expression for the JSON Schema: what it refuses is refused by [`Self::check`] too, not always the
    /// other way round.
    pub(crate) fn pattern(self) -> &'static str {
        match self {
            Self::DnsLabel => "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$",
            Self::EnvironmentName => {
                "^(?!kube-|openg2p-|default$|openg2p$|site$)[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"
            }
            Self::Domain => r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\.)+[a-z]([-a-z0-9]{0,61}[a-z0-9])?$",
            Self::Address => r"^[0-9]{1,3}(\.[0-9]{1,3}){3}$",
            Self::LoginName => "^[a-z_][-a-z0-9_]{0,31}$",
            Self::HostKey => {
                "^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,2}( .*)?$"
            }
            Self::PodSubnet | Self::ServiceSubnet => r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$",
            Self::PreflightCheck => "^[A-Za-z][-A-Za-z0-9_.]*$",
        }
    }
}

/// One label of a DNS name, lower case.
fn dns_label(text: &str, code: &'static str) -> Result<(), Fault> {
    let quoted = quote(text);
    if text.is_empty() {
        return Err(fault(code, "the name is empty"));
    }
    if text.len() > 63 {
        return Err(fault(
            code,
            format!("{quoted} has {} bytes; a DNS label has at most 63", text.len()),
        ));
    }
    let allowed = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if let Some(letter) = text.chars().find(|letter| !allowed(*letter)) {
        let letter = quote(&letter.to_string());
        let message = format!("{quoted} is no DNS label: {letter} may not stand in one");
        let lower: String = text
            .to_lowercase()
            .chars()
            .map(|letter| {
                if matches!(letter, '_' | ' ' | '.') {
                    '-'
                } else {
                    letter
                }
            })
            .collect();
        let help = if lower.chars().all(allowed) && dns_label(&lower, code).is_ok() {
            format!("write {}", quote(&lower))
        } else {
            "use small letters a to z, digits and `-`".to_owned()
        };
        return Err(fault(code, message).help(help));
    }
    if text.starts_with('-') || text.ends_with('-') {
        let message = format!("{quoted} is no DNS label: it may not start or end with `-`");
        return Err(fault(code, message).help(format!("write {}", quote(text.trim_matches('-')))));
    }
    Ok(())
}

fn environment_name(text: &str) -> Result<(), Fault> {
    const CODE: &str = "site::invalid-environment-name";
    dns_label(text, CODE)?;
    if text == "default"
        || openg2p_names::RESERVED.contains(&text)
        || text.starts_with("kube-")
        || text.starts_with("openg2p-")
    {
        let message = format!(
            "an environment may not be called {}: that namespace is used otherwise",
            quote(text)
        );
        return Err(fault(CODE, message)
            .help("names other than `default`, `site`, `openg2p`, `kube-...` and `openg2p-...` are free"));
    }
    Ok(())
}

/// A DNS domain of at least two labels.
fn domain(text: &str) -> Result<(), Fault> {
    const CODE: &str = "site::invalid-domain";
    let quoted = quote(text);
    let bad = |why: &str| fault(CODE, format!("{quoted} is no domain: {why}"));
    if text.is_empty() {
        return Err(fault(CODE, "the domain is empty"));
    }
    if let Some((_, rest)) = text.split_once("://") {
        let host: String = rest
            .chars()
            .take_while(|letter| !matches!(letter, '/' | ':'))
            .collect();
        return Err(bad("it is a URL").help(format!("write the name only: {}", quote(&host))));
    }
    if let Some(rest) = text.strip_prefix("*.") {
        return Err(bad("`*` is added where it is needed").help(format!("write {}", quote(rest))));
    }
    if let Some(rest) = text.strip_suffix('.') {
        return Err(bad("it ends with a dot").help(format!("write {}", quote(rest))));
    }
    if text.parse::<IpAddr>().is_ok() {
        return Err(bad("it is an address").help("host names are made below it, so it must be a name"));
    }
    if text.len() > 253 {
        return Err(bad(&format!(
            "it has {} bytes; a DNS name has at most 253",
            text.len()
        )));
    }
    if text
        .chars()
        .any(|letter| letter.is_alphabetic() && !letter.is_ascii())
    {
        return Err(
            bad("it has letters other than a to z").help("write international names in their `xn--` form")
        );
    }
    let labels: Vec<&str> = text.split('.').collect();
    for label in &labels {
        if let Err(inner) = dns_label(label, CODE) {
            let why = if label.is_empty() {
                "two dots have nothing between them".to_owned()
            } else {
                inner.message
            };
            let lower = text.to_lowercase();
            let problem = bad(&why);
            return Err(if lower == text {
                problem
            } else {
                problem.help(format!("write {}", quote(&lower)))
            });
        }
    }
    if labels.len() < 2 {
        return Err(bad("it has one part only").help("such as `g2p.example.org`, or `g2p.test` for a trial"));
    }
    if labels
        .last()
        .is_some_and(|last| last.starts_with(|first: char| first.is_ascii_digit()))
    {
        return Err(bad("its last part starts with a digit"));
    }
    Ok(())
}

/// An IPv4 address under which other machines reach this one.
pub(crate) fn address(text: &str) -> Result<Ipv4Addr, Fault> {
    const CODE: &str = "site::invalid-address";
    let quoted = quote(text);
    let bad = |why: &str| fault(CODE, format!("{quoted} is no address of a machine: {why}"));
    let address = match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => address,
        Ok(IpAddr::V6(_)) => {
            let message = format!("{quoted} is an IPv6 address, which is not in this version");
            return Err(
                fault("site::not-in-this-version", message).help("give the IPv4 address of the machine")
            );
        }
        Err(_) => {
            let host = text.split_once(['/', ':']).map_or(text, |(host, _)| host);
            if host.parse::<Ipv4Addr>().is_ok() {
                return Err(bad("only the address belongs here").help(format!("write {}", quote(host))));
            }
            let numeric = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            return Err(if numeric {
                bad("an IPv4 address has four numbers from 0 to 255, without leading zeros")
            } else {
                bad("it is no IPv4 address")
                    .help("names are not looked up; write the address, such as `192.0.2.10`")
            });
        }
    };
    if address.is_loopback() {
        return Err(
            bad("it is a loopback address, which means another machine on each machine")
                .help("give the address by which others reach the machine (`ip -4 address` shows it)"),
        );
    }
    if address.is_unspecified() || address.octets()[0] == 0 {
        return Err(bad("no machine has it"));
    }
    if address.is_multicast() || address.is_broadcast() || address.octets()[0] >= 240 {
        return Err(bad("it is a multicast, broadcast or reserved address"));
    }
    if address.is_link_local() {
        return Err(bad("it is a link-local address, which changes").help("give the machine a fixed address"));
    }
    Ok(address)
}

fn login_name(text: &str) -> Result<(), Fault> {
    let first = text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_');
    let rest = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'));
    if first && rest && text.len() <= 32 {
        return Ok(());
    }
    let message = format!("{} is no login name", quote(text));
    Err(fault("site::invalid-login", message)
        .help("small letters, digits, `_` and `-`, at most 32; without the host, such as `root`"))
}

/// A public key in the form of `known_hosts`, without the host.
fn host_key(text: &str) -> Result<(), Fault> {
    const CODE: &str = "site::invalid-host-key";
    const TYPES: [&str; 5] = [
        "ssh-ed25519",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "ssh-rsa",
    ];
    const SCAN: &str = "on the host's console, `cat /etc/ssh/ssh_host_ed25519_key.pub` prints it; the first two words are wanted";
    if text.contains("PRIVATE KEY") {
        return Err(fault(
            CODE,
            "this is a private key; the public key of the host belongs here",
        )
        .help("remove it from the file, and replace the key if the file was shared"));
    }
    if text.starts_with("SHA256:") || text.starts_with("MD5:") {
        return Err(fault(CODE, "this is a fingerprint; the whole public key belongs here").help(SCAN));
    }
    let mut words = text.split(' ').filter(|word| !word.is_empty());
    let (first, second, third) = (
        words.next().unwrap_or(""),
        words.next().unwrap_or(""),
        words.next(),
    );
    if text.chars().any(is_treacherous) {
        return Err(
            fault(CODE, "the key has control characters or line breaks in it").help("write it on one line")
        );
    }
    if !TYPES.contains(&first) {
        if TYPES.contains(&second) && third.is_some() {
            return Err(fault(CODE, "the key starts with the host's name")
                .help("leave the first word out: `hostKey: ssh-ed25519 AAAA...`"));
        }
        let message = format!("{} is no type of host key that is used", quote(first));
        return Err(fault(CODE, message).help(format!("one of {}; {SCAN}", TYPES.map(quote).join(", "))));
    }
    let Ok(bytes) = STANDARD.decode(second) else {
        return Err(fault(
            CODE,
            "the part behind the key's type is not base64; was it cut off?",
        )
        .help(SCAN));
    };
    let mut fields = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
        let Some((field, tail)) = tail.split_at_checked(length) else {
            break;
        };
        fields.push(field);
        rest = tail;
    }
    let complete = rest.is_empty() && fields.first() == Some(&first.as_bytes());
    let sized = match (first, fields.as_slice()) {
        ("ssh-ed25519", [_, key]) => key.len() == 32,
        ("ssh-rsa", [_, exponent, modulus]) => !exponent.is_empty() && modulus.len() >= 256,
        (_, [_, curve, point]) => first.as_bytes().ends_with(curve) && point.len() > 64,
        _ => false,
    };
    if complete && sized {
        return Ok(());
    }
    let message = if first == "ssh-rsa" && complete {
        "the RSA key has fewer than 2048 bits".to_owned()
    } else {
        format!(
            "what stands behind {} is no such key; was it cut off?",
            quote(first)
        )
    };
    Err(fault(CODE, message).help(SCAN))
}

/// A network without host bits, outside the ranges that have another meaning.
fn network(text: &str) -> Result<Network, Fault> {
    const CODE: &str = "site::invalid-network";
    let quoted = quote(text);
    let bad = |why: &str| fault(CODE, format!("{quoted} is no usable IPv4 network: {why}"));
    let Some(network) = Network::parse(text) else {
        let fault = if text.contains(':') {
            bad("IPv6 is not in this version")
        } else if text.parse::<Ipv4Addr>().is_ok() {
            bad("the `/` with its length is missing")
        } else {
            bad("it must look like `10.244.0.0/16`")
        };
        return Err(fault);
    };
    if network != network.base() {
        return Err(bad("bits behind the prefix are set").help(format!("write `{}`", network.base())));
    }
    let unusable = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"];
    if let Some(range) = unusable
        .into_iter()
        .find(|range| Network::parse(range).is_some_and(|range| range.overlaps(network)))
    {
        return Err(bad(&format!("`{range}` has another meaning")));
    }
    Ok(network)
}

fn pod_subnet(text: &str) -> Result<(), Fault> {
    let network = network(text)?;
    if (8..=24).contains(&network.prefix) {
        return Ok(());
    }
    let message = format!(
        "the pod network {} is too {}",
        quote(text),
        if network.prefix > 24 { "small" } else { "large" }
    );
    Err(fault("site::invalid-network", message)
        .help("each node takes a /24 of it, so /8 to /24; /16 is usual"))
}

fn service_subnet(text: &str) -> Result<(), Fault> {
    let network = network(text)?;
    if (12..=28).contains(&network.prefix) {
        return Ok(());
    }
    let message = format!(
        "the service network {} is too {}",
        quote(text),
        if network.prefix > 28 { "small" } else { "large" }
    );
    Err(fault("site::invalid-network", message).help("Kubernetes takes /12 to /28; /12 or /16 is usual"))
}

fn preflight_check(text: &str) -> Result<(), Fault> {
    let first = text.starts_with(|first: char| first.is_ascii_alphabetic());
    let rest = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if first && rest {
        return Ok(());
    }
    let message = format!("{} is no name of a kubeadm check", quote(text));
    Err(fault("site::invalid-preflight-check", message)
        .help("kubeadm prints the name in its error: `[ERROR Swap]` is `Swap`"))
}
