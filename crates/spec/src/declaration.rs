//! The one table of what may stand in a site file. Checking, suggestions, JSON Schema, the reference page and the tests that
//! misspell every key all read it.

use crate::rule::Rule;

/// The version of the file's form that is read here.
pub const API_VERSION: &str = "openg2p.org/v1";

/// The profile of a site that names none.
pub(crate) const DEFAULT_PROFILE: &str = "small";

/// What a machine may do.
pub(crate) const ROLES: [&str; 5] = ["lead", "server", "agent", "edge", "storage"];

/// What a value looks like.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Known keys.
    Mapping(&'static [Key]),
    /// Keys are names that the person gives.
    Named {
        what: &'static str,
        rule: Rule,
        value: &'static Shape,
    },
    /// Keys are names of the catalogue, values are those of its chart.
    Components(Category),
    /// One after the other.
    List {
        item: &'static Shape,
        unique: bool,
        least: usize,
    },
    /// Text that keeps a rule.
    Text(Rule),
    /// A TCP port.
    Port,
    /// True or false.
    Boolean,
    /// One of these words; `later` ones are known but not in this version.
    Word {
        words: &'static [&'static str],
        later: &'static [&'static str],
    },
    /// Whatever somebody else reads, except these keys, each with the reason.
    Free {
        reserved: &'static [(&'static str, Reserved)],
    },
}

/// A key of a mapping.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) presence: Presence,
    pub(crate) shape: Shape,
    pub(crate) about: &'static str,
}

/// Whether a key must, may or cannot yet be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Required,
    Optional,
    /// Part of the file's form, not in this version.
    Later,
}

/// Which shelf of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Category {
    Commons,
    Modules,
}

/// Why a key of a free mapping is not free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reserved {
    /// Part of the file's form, not in this version.
    Later,
    /// Set by us.
    Ours,
}

const fn key(name: &'static str, presence: Presence, shape: Shape, about: &'static str) -> Key {
    Key {
        name,
        presence,
        shape,
        about,
    }
}

const fn later(name: &'static str, about: &'static str) -> Key {
    key(name, Presence::Later, Shape::Free { reserved: &[] }, about)
}

use Presence::{Optional, Required};

/// The whole file.
pub(crate) static SITE_FILE: Shape = Shape::Mapping(&[
    key(
        "apiVersion",
        Required,
        Shape::Word {
            words: &[API_VERSION],
            later: &[],
        },
        "Version of the file's form.",
    ),
    key(
        "site",
        Required,
        Shape::Mapping(&[
            key(
                "name",
                Required,
                Shape::Text(Rule::DnsLabel),
                "Name of the site; asked for before the whole site is destroyed.",
            ),
            key(
                "domain",
                Required,
                Shape::Text(Rule::Domain),
                "Parent domain of every host name: `<host>.<environment>.<domain>`.",
            ),
            key(
                "profile",
                Optional,
                Shape::Text(Rule::DnsLabel),
                "Sizes and defaults: `sandbox`, `small` or `production`. Default: `small`.",
            ),
        ]),
        "What the site is called.",
    ),
    key(
        "nodes",
        Required,
        Shape::List {
            item: &NODE,
            least: 1,
            unique: false,
        },
        "The machines. Exactly one is the lead.",
    ),
    key(
        "kubernetes",
        Optional,
        KUBERNETES,
        "Who provides Kubernetes, and its networks.",
    ),
    key("edge", Optional, EDGE, "The way in."),
    key(
        "environments",
        Optional,
        Shape::Named {
            what: "environment",
            rule: Rule::EnvironmentName,
            value: &ENVIRONMENT,
        },
        "Environments by name; each becomes a namespace.",
    ),
    later("channels", "Private ways in."),
    later("people", "Who may use which channel."),
    later("platform", "Istio, monitoring, logging, Rancher, NFS."),
]);

static NODE: Shape = Shape::Mapping(&[
    key(
        "name",
        Required,
        Shape::Text(Rule::DnsLabel),
        "Name of the machine, also in Kubernetes.",
    ),
    key(
        "address",
        Required,
        Shape::Text(Rule::Address),
        "IPv4 address where SSH and the edge answer.",
    ),
    key(
        "roles",
        Required,
        Shape::List {
            item: &ROLE,
            least: 1,
            unique: true,
        },
        "What the machine does: `lead` (the engine runs here; exactly one), `server` (Kubernetes control plane), `agent` (Kubernetes worker), `edge` (Nginx, the only way in), `storage` (local disks for volumes).",
    ),
    key("ssh", Optional, SSH, "How the machine is reached."),
    key(
        "host",
        Optional,
        HOST,
        "Settings of this host that differ from the product's defaults.",
    ),
]);

static ROLE: Shape = Shape::Word {
    words: &ROLES,
    later: &[],
};

const SSH: Shape = Shape::Mapping(&[
    key(
        "user",
        Optional,
        Shape::Text(Rule::LoginName),
        "Login name: root, or one that may use sudo without a password and without a terminal.",
    ),
    key("port", Optional, Shape::Port, "TCP port."),
    key(
        "hostKey",
        Optional,
        Shape::Text(Rule::HostKey),
        "Public key of the host: the first two words of `/etc/ssh/ssh_host_ed25519_key.pub`, read on its console. Without it your own `known_hosts` decides; an unknown key is refused either way.",
    ),
]);

static PREFLIGHT_CHECK: Shape = Shape::Text(Rule::PreflightCheck);

const HOST: Shape = Shape::Mapping(&[
    key(
        "restrictOomScoreAdj",
        Optional,
        Shape::Boolean,
        "containerd's `restrict_oom_score_adj`, for hosts that may not lower OOM scores.",
    ),
    key(
        "kubelet",
        Optional,
        KUBERNETES_CONFIGURATION,
        "Fields laid over our KubeletConfiguration (kubelet.config.k8s.io/v1beta1).",
    ),
    key(
        "kubeProxy",
        Optional,
        KUBERNETES_CONFIGURATION,
        "Fields laid over our KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1).",
    ),
    key(
        "ignorePreflightErrors",
        Optional,
        Shape::List {
            item: &PREFLIGHT_CHECK,
            least: 0,
            unique: true,
        },
        "Preflight checks of kubeadm to pass over, by kubeadm's own names.",
    ),
]);

const KUBERNETES_CONFIGURATION: Shape = Shape::Free {
    reserved: &[("apiVersion", Reserved::Ours), ("kind", Reserved::Ours)],
};

const KUBERNETES: Shape = Shape::Mapping(&[
    key(
        "provider",
        Optional,
        Shape::Word {
            words: &["kubeadm"],
            later: &["existing", "rke2", "k3s"],
        },
        "Who provides Kubernetes.",
    ),
    key(
        "podSubnet",
        Optional,
        Shape::Text(Rule::PodSubnet),
        "IPv4 network of pods.",
    ),
    key(
        "serviceSubnet",
        Optional,
        Shape::Text(Rule::ServiceSubnet),
        "IPv4 network of services.",
    ),
    later("kubeconfig", "Access to an existing cluster."),
]);

const EDGE: Shape = Shape::Mapping(&[key(
    "certificates",
    Optional,
    Shape::Mapping(&[
        key(
            "localAuthority",
            Optional,
            Shape::Mapping(&[]),
            "An authority made on the box, constrained to the site's domain.",
        ),
        later("files", "Certificates that you bring."),
        later("acme", "Certificates from an ACME authority."),
    ]),
    "Where certificates come from.",
)]);

static ENVIRONMENT: Shape = Shape::Mapping(&[
    key(
        "id",
        Optional,
        Shape::Text(Rule::EnvironmentName),
        "What its namespace, databases and marks are called, for ever. Default: its name. When you rename an environment, write its former name here; its data and namespace stay, and only its host names change.",
    ),
    key(
        "profile",
        Optional,
        Shape::Text(Rule::DnsLabel),
        "Sizes and defaults of this environment. Default: the site's profile.",
    ),
    key(
        "access",
        Optional,
        ACCESS,
        "Who may reach its hosts: `private` (today: the host's own networks) or `public`.",
    ),
    key(
        "commons",
        Optional,
        Shape::Components(Category::Commons),
        "Shared services by name, each with chart values that override the profile's.",
    ),
    key(
        "modules",
        Optional,
        Shape::Components(Category::Modules),
        "Modules by name, each with chart values that override the profile's.",
    ),
]);

const ACCESS: Shape = Shape::Word {
    words: &["private", "public"],
    later: &[],
};

/// Values of one component: its chart's, except keys that the site file gives a meaning of its own.
pub(crate) static COMPONENT_VALUES: Shape = Shape::Free {
    reserved: &[("mode", Reserved::Later), ("access", Reserved::Later)],
};

/// A numbered fragment of a profile.
pub(crate) static PROFILE_FRAGMENT: Shape = Shape::Mapping(&[
    key("kubernetes", Optional, KUBERNETES, "Defaults of `kubernetes`."),
    key("edge", Optional, EDGE, "Defaults of `edge`."),
    key(
        "eachNode",
        Optional,
        Shape::Mapping(&[
            key("ssh", Optional, SSH, "Defaults of `ssh`."),
            key("host", Optional, HOST, "Defaults of `host`."),
        ]),
        "Defaults of every node.",
    ),
    key(
        "eachEnvironment",
        Optional,
        Shape::Mapping(&[
            key("access", Optional, ACCESS, "Default of `access`."),
            key(
                "commons",
                Optional,
                Shape::Components(Category::Commons),
                "Commons that every environment has.",
            ),
        ]),
        "Defaults of every environment.",
    ),
]);

/// Where a key of this name may stand, as a path such as `site.domain`; for keys that stand in the wrong place.
pub(crate) fn places_of(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect("", &SITE_FILE, &mut |path, key| {
        if key.name == name && key.presence != Presence::Later {
            found.push(path.to_owned());
        }
    });
    found
}

/// Calls `visit` with the path of every key below `shape`.
pub(crate) fn collect(path: &str, shape: &'static Shape, visit: &mut dyn FnMut(&str, &'static Key)) {
    match shape {
        Shape::Mapping(keys) => {
            for key in *keys {
                let below = if path.is_empty() {
                    key.name.to_owned()
                } else {
                    format!("{path}.{}", key.name)
                };
                visit(&below, key);
                collect(&below, &key.shape, visit);
            }
        }
        Shape::Named { what, value, .. } => collect(&format!("{path}.<{what}>"), value, visit),
        Shape::List { item, .. } => collect(&format!("{path}[]"), item, visit),
        _ => {}
    }
}
