//! Good files give the site that they describe.

use openg2p_spec::model::{Access, Role};
use openg2p_spec::{Origin, component_values};
use serde_json::json;

use crate::{compare, fixtures, folder, good, known, load};

#[test]
fn every_good_file_is_taken_in_one_step_and_in_two() {
    for (name, text) in fixtures("good") {
        let loaded = load("site.yaml", &text).unwrap_or_else(|problems| panic!("{name}:\n{problems}"));
        let profiles = openg2p_spec::Profiles::embedded().unwrap();
        let parsed = openg2p_spec::parse("site.yaml", &text, &known()).unwrap();
        assert_eq!(parsed.resolve(&profiles).unwrap(), loaded.site, "{name}");
        assert_eq!(
            loaded.warnings.is_empty(),
            name != "warnings",
            "{name}: {}",
            loaded.warnings
        );
        let again: openg2p_spec::Site =
            serde_json::from_value(serde_json::to_value(&loaded.site).unwrap()).unwrap();
        assert_eq!(again, loaded.site, "{name}");
    }
}

#[test]
fn the_full_file_says_everything() {
    let site = load("site.yaml", &good("full")).unwrap().site;
    let node = site.lead().unwrap();
    assert_eq!(node.roles.len(), 4);
    assert!(node.roles.contains(&Role::Edge));
    assert_eq!((node.ssh.user.as_str(), node.ssh.port), ("operator", 2222));
    let key = node.ssh.host_key.as_deref().unwrap();
    assert!(
        key.starts_with("ssh-ed25519 AAAA") && key.split(' ').count() == 2,
        "{key}"
    );
    assert!(node.host.restrict_oom_score_adj);
    assert_eq!(
        json!(node.host.kube_proxy),
        json!({"conntrack": {"maxPerCore": 0, "min": 0}})
    );
    assert_eq!(node.host.ignore_preflight_errors, ["Swap", "SystemVerification"]);
    assert_eq!(site.kubernetes.pod_subnet, "172.20.0.0/16");
    assert_eq!(site.environments["prod"].access, Access::Public);
    assert_eq!(site.environments["prod"].profile, "production");
}

#[test]
fn values_are_layered_profile_environment_file() {
    let site = load("site.yaml", &good("full")).unwrap().site;
    let dev = component_values(&site, "dev", "postgresql").unwrap();
    assert_eq!(dev["persistence"]["size"], "10Gi", "the file wins");
    assert_eq!(
        dev["settings"]["shared_buffers"], "64MB",
        "then the environment's profile"
    );
    let prod = component_values(&site, "prod", "postgresql").unwrap();
    assert_eq!(
        prod["settings"]["shared_buffers"], "2GB",
        "then the site's profile"
    );
    assert!(component_values(&site, "prod", "spar").is_none());
    assert!(
        component_values(&site, "prod", "redis").is_some(),
        "every environment has the profile's commons"
    );
}

#[test]
fn needs_are_added_with_their_values() {
    let text = good("one_box")
        .replace("{spar: {}}", "{g2p-bridge: {}}")
        .replace("profile: small", "profile: bare");
    let profiles = openg2p_spec::Profiles::new([
        ("bare/10-site.yaml", "eachNode: {ssh: {user: root, port: 22}}\nkubernetes: {provider: kubeadm, podSubnet: 10.1.0.0/16, serviceSubnet: 10.2.0.0/16}"),
        ("bare/20-rest.yaml", "edge: {certificates: {localAuthority: {}}}\neachEnvironment: {access: private}"),
        ("bare/components/redis.yaml", "maxMemory: 1mb"),
    ])
    .unwrap();
    let loaded = openg2p_spec::load("site.yaml", &text, &known(), &profiles).unwrap();
    let dev = &loaded.site.environments["dev"];
    assert_eq!(dev.commons.keys().collect::<Vec<_>>(), ["postgresql", "redis"]);
    assert_eq!(dev.modules.keys().collect::<Vec<_>>(), ["g2p-bridge", "spar"]);
    assert_eq!(json!(dev.commons["redis"]), json!({"maxMemory": "1mb"}));
    let codes: Vec<_> = loaded
        .warnings
        .items()
        .iter()
        .map(|item| item.code.as_str())
        .collect();
    assert_eq!(codes, ["site::need-added"], "commons are silent, modules are not");
}

#[test]
fn every_value_tells_its_origin() {
    let text = good("full");
    let effective = load("site.yaml", &text).unwrap().effective;
    let from = |path: &str| {
        let values = effective.values();
        let value = values
            .iter()
            .find(|value| value.path == path)
            .unwrap_or_else(|| panic!("{path}"));
        value.from.to_string()
    };
    let line = |part: &str| 1 + text.lines().position(|line| line.contains(part)).unwrap();
    assert_eq!(from("site.domain"), format!("site.yaml:{}", line("domain:")));
    assert_eq!(
        from("nodes[0].ssh.port"),
        format!("site.yaml:{}", line("port: 2222"))
    );
    assert!(
        from("environments.dev.commons.postgresql.settings.shared_buffers").starts_with("profiles/sandbox/")
    );
    assert!(
        from("environments.prod.commons.postgresql.settings.shared_buffers")
            .starts_with("profiles/production/")
    );
    let smallest = load("site.yaml", &good("smallest").replace("  profile: small\n", ""))
        .unwrap()
        .effective;
    let profile = smallest
        .values()
        .into_iter()
        .find(|value| value.path == "site.profile")
        .unwrap();
    assert_eq!(profile.from, Origin::BuiltIn);
}

#[test]
fn the_effective_file_is_a_site_file_with_the_same_meaning() {
    for (name, text) in fixtures("good") {
        if name == "warnings" {
            continue;
        }
        let loaded = load("site.yaml", &text).unwrap();
        let whole: String = loaded
            .effective
            .lines()
            .into_iter()
            .map(|line| line.text + "\n")
            .collect();
        let again =
            load("again.yaml", &whole).unwrap_or_else(|problems| panic!("{name}:\n{whole}\n{problems}"));
        assert_eq!(again.site, loaded.site, "{name}");
    }
}

#[test]
fn what_stands_below_a_secret_is_hidden() {
    let loaded = load("site.yaml", &good("warnings")).unwrap();
    let lines: String = loaded
        .effective
        .lines()
        .into_iter()
        .map(|line| line.text + "\n")
        .collect();
    let values = serde_json::to_string(&loaded.effective.values()).unwrap();
    assert!(lines.contains("(hidden)") && values.contains("(hidden)"));
    for shown in [
        lines,
        values,
        loaded.warnings.render(false, 100),
        format!("{loaded:?}").replace(&format!("{:?}", loaded.site), ""),
    ] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    let differs = compare(
        &folder("good").join("warnings.expected"),
        &(loaded.warnings.render(false, 100) + "\n"),
    );
    assert!(differs.is_none(), "{}", differs.unwrap_or_default());
}
