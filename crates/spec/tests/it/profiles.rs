//! The profiles of this program: complete, embedded, and of the same shape.

use std::collections::BTreeSet;
use std::path::Path;

use openg2p_spec::{Profiles, embedded_paths};

use crate::{good, load};

fn walk(folder: &Path, root: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, root, found);
        } else if folder != root {
            found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn every_file_of_the_folder_is_embedded() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../profiles");
    let mut files = BTreeSet::new();
    walk(&root, &root, &mut files);
    let embedded: BTreeSet<String> = embedded_paths().map(str::to_owned).collect();
    assert_eq!(
        embedded, files,
        "name every file of profiles/ in crates/spec/src/profiles.rs"
    );
}

#[test]
fn each_profile_completes_the_smallest_site() {
    let profiles = Profiles::embedded().unwrap();
    assert_eq!(
        profiles.names().collect::<Vec<_>>(),
        ["production", "sandbox", "small"]
    );
    for name in profiles.names() {
        let text = good("one_box").replace("profile: small", &format!("profile: {name}"));
        let site = load("site.yaml", &text)
            .unwrap_or_else(|problems| panic!("{name}: {problems}"))
            .site;
        assert_eq!(site.environments["dev"].profile, name);
        assert!(site.environments["dev"].commons.contains_key("postgresql"));
    }
}

/// Else a value of the site's profile would show through an environment's.
#[test]
fn all_profiles_set_the_same_keys() {
    let text = good("full")
        .replace("profile: sandbox", "profile: PROFILE")
        .replace("  profile: production\n", "  profile: PROFILE\n");
    let keys: Vec<BTreeSet<String>> = ["sandbox", "small", "production"]
        .into_iter()
        .map(|name| {
            let values = load("site.yaml", &text.replace("PROFILE", name))
                .unwrap()
                .effective
                .values();
            values.into_iter().map(|value| value.path).collect()
        })
        .collect();
    assert_eq!(keys[0], keys[1]);
    assert_eq!(keys[1], keys[2]);
}

#[test]
fn fragments_merge_by_number() {
    let profiles = Profiles::new([
        ("p/10-b.yaml", "eachNode: {ssh: {user: late, port: 10}}"),
        ("p/9-z.yaml", "eachNode: {ssh: {user: early, port: 9}}\neachEnvironment: {access: public}"),
        ("p/100-a.yaml", "eachNode: {ssh: {port: 100}}\nkubernetes: {provider: kubeadm, podSubnet: 10.1.0.0/16, serviceSubnet: 10.2.0.0/16}\nedge: {certificates: {localAuthority: {}}}"),
    ])
    .unwrap();
    let text = good("one_box").replace("profile: small", "profile: p");
    let site = openg2p_spec::load("site.yaml", &text, &crate::known(), &profiles)
        .unwrap()
        .site;
    assert_eq!(
        (site.nodes[0].ssh.user.as_str(), site.nodes[0].ssh.port),
        ("late", 100)
    );
}

#[test]
fn broken_profiles_are_named() {
    for (path, text, code) in [
        ("p/10-site.yaml", "eachNode: {shh: {}}", "site::unknown-key"),
        ("p/10-site.yaml", "site: {domain: a.b}", "site::unknown-key"),
        ("p/10-site.yaml", "a: [", "yaml::syntax"),
        ("p/site.yaml", "", "profile::unknown-file"),
        ("p/10-site.txt", "", "profile::unknown-file"),
        ("p/components/spar.yaml", "a: yes", "yaml::ambiguous-value"),
    ] {
        let problems = Profiles::new([(path, text)]).unwrap_err();
        assert_eq!(problems.items()[0].code, code, "{path}: {problems}");
        assert!(problems.name().starts_with("profiles/p/"));
    }
}

#[test]
fn an_incomplete_profile_is_an_error_not_a_panic() {
    let profiles = Profiles::new([("small/10-site.yaml", "eachNode: {ssh: {user: root}}")]).unwrap();
    let problems =
        openg2p_spec::load("site.yaml", &good("smallest"), &crate::known(), &profiles).unwrap_err();
    assert_eq!(problems.items()[0].code, "profile::incomplete");
}
