//! What Kubernetes, registries and servers take, the charts' schemas take too.

use serde_json::{Value, json};

use super::shipped;

/// A place of some chart's values, and what may stand there.
const LAWFUL: &[(&str, &str, &[&str])] = &[
    (
        "spar",
        "/image/repository",
        &[
            "spar",
            "library/spar",
            "ghcr.io/openg2p/spar",
            "Registry.Example.org:5000/a/b_c/d__e/f-g--h.i",
            "localhost/spar",
            "192.0.2.1:5000/spar",
            "[2001:db8::1]:5000/spar",
        ],
    ),
    (
        "spar",
        "/image/tag",
        &["1.1.0", "17", "v2.1.0", "latest", "_x", "1.0_RC-1"],
    ),
    (
        "spar",
        "/image/digest",
        &[
            "",
            "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ],
    ),
    (
        "spar",
        "/mapper/resources/requests/memory",
        &[
            "500m",
            "1Gi",
            "1.5",
            "128974848",
            "129e6",
            "1E3",
            ".5",
            "5.",
            "+2",
            "100u",
            "7Ti",
            "64k",
        ],
    ),
    (
        "openg2p-commons",
        "/postgresql/persistence/size",
        &["8Gi", "1.5Ti", "10G", "2Ki", "1e12", "500M"],
    ),
    (
        "openg2p-commons",
        "/postgresql/persistence/storageClassName",
        &["", "fast", "local-path", "csi.example.org", "0x10", "gp3"],
    ),
    (
        "openg2p-commons",
        "/redis/auth/existingSecret",
        &["", "redis", "my.redis-1"],
    ),
    (
        "openg2p-commons",
        "/networkPolicy/dns/podLabels/k8s-app",
        &["kube-dns", "", "Core_DNS.1"],
    ),
    (
        "openg2p-commons",
        "/postgresql/settings/max_connections",
        &["", "200", "it's", "a\\b", "two\nlines", "%m [%p] "],
    ),
    (
        "spar",
        "/database/host",
        &[
            "postgresql",
            "postgresql.dev.svc.cluster.local",
            "db.example.org.",
            "DB1",
            "my_db",
            "192.0.2.7",
            "2001:db8::7",
            "::ffff:192.0.2.7",
        ],
    ),
    (
        "spar",
        "/database/name",
        &["spar", "prod-spar", "Prod Spar", "名前"],
    ),
    (
        "spar",
        "/partnerKeys/tokenUrl",
        &[
            "http://partner-keys:8080/token",
            "https://keycloak.example.org/realms/a/protocol/openid-connect/token",
            "https://user@[2001:db8::1]:8443/a%20b;c=d?e=f&g=h#i",
        ],
    ),
    (
        "spar",
        "/partnerKeys/clientId",
        &["spar-mapper", "mosip.Client_1", ".hidden"],
    ),
    (
        "spar",
        "/mapper/callbackUrl",
        &["", "https://mis.example.org/callback"],
    ),
    (
        "g2p-bridge",
        "/bank/url",
        &["http://example-bank-api:8000", "https://bank.example.org/v1/g2p"],
    ),
    (
        "g2p-bridge",
        "/bank/component",
        &["example-bank-api", "bank.v2", "123"],
    ),
    (
        "g2p-bridge",
        "/signing/key",
        &["private-key.pem", "tls.key", "ssh_host"],
    ),
    (
        "g2p-bridge",
        "/timezone",
        &[
            "UTC",
            "Africa/Nairobi",
            "America/Argentina/Buenos_Aires",
            "<+03>-3",
            "Etc/GMT+3",
        ],
    ),
    (
        "g2p-bridge",
        "/networkPolicy/edgeCidrs",
        &[
            "10.0.0.5/32",
            "0.0.0.0/0",
            "2001:db8::/32",
            "::/0",
            "::ffff:10.0.0.0/104",
        ],
    ),
    (
        "kube-router",
        "/serviceClusterIPRange",
        &["10.96.0.0/12", "10.96.0.0/12,fd00:10:96::/112"],
    ),
    (
        "kube-router",
        "/iptablesSyncPeriod",
        &["5m0s", "1h", "1.5h", "300ms", "0"],
    ),
    (
        "local-path-provisioner",
        "/path",
        &[
            "/srv",
            "/var/lib/openg2p/volumes/",
            "/.data",
            "/..data/a..b",
            "/mnt/disk 1",
        ],
    ),
    (
        "local-path-provisioner",
        "/storageClass/name",
        &["local-path", "1e3"],
    ),
];

#[test]
fn what_is_lawful_is_taken() {
    let charts = shipped();
    for (name, pointer, texts) in LAWFUL {
        let chart = charts.iter().find(|chart| chart.name == *name).unwrap();
        for text in *texts {
            let mut values = chart.defaults.clone();
            let place = values.pointer_mut(pointer).unwrap();
            *place = if place.is_array() {
                json!([text])
            } else {
                json!(text)
            };
            let taken = chart.effective(&values).map_err(|error| error.to_string());
            assert_eq!(taken.err(), None, "{name}: {text:?} at {pointer}");
        }
    }
}

#[test]
fn raw_rules_of_kubernetes_are_taken() {
    let chart = shipped().into_iter().find(|chart| chart.name == "spar").unwrap();
    let rules = json!([
        {},
        {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "mail"}}, "podSelector": {}}]},
        {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}], "ports": [{"port": 443, "endPort": 444}]},
        {"to": [{"podSelector": {"matchExpressions": [{"key": "a.b/c_d", "operator": "In", "values": ["x", ""]}]}}]},
    ]);
    let values = json!({"networkPolicy": {"extraEgress": rules}});
    let taken = chart
        .effective(&values)
        .map_err(|error| error.to_string())
        .unwrap();
    assert_eq!(taken["networkPolicy"]["extraEgress"], rules);
}

#[test]
fn names_and_numbers_of_resources_are_taken() {
    let chart = shipped().into_iter().find(|chart| chart.name == "spar").unwrap();
    let resources: Value = json!({
        "requests": {"cpu": 2, "memory": "1Gi", "ephemeral-storage": "1G", "hugepages-2Mi": "4Mi"},
        "limits": {"cpu": 0.5, "memory": "1Gi", "nvidia.com/gpu": 1, "example.org/a.b_C": "1"},
    });
    let values = json!({"mapper": {"resources": resources}});
    let taken = chart
        .effective(&values)
        .map_err(|error| error.to_string())
        .unwrap();
    assert_eq!(taken["mapper"]["resources"]["limits"]["nvidia.com/gpu"], 1);
}
