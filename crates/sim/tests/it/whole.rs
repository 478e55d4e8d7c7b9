//! A whole site, composed from a site file, the catalogue and the charts of this repository.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use openg2p_catalog::{Catalog, ComponentKind};
use openg2p_compose::{Inputs as Sources, compose};
use openg2p_plan::{Fingerprint, Inputs};
use openg2p_ports::Bundle as _;
use openg2p_sim::{SimBundle, Simulation};
use openg2p_spec::{KnownComponent, KnownComponents, Profiles};

use crate::operator::Wish;
use crate::pack;

pub(crate) static BUNDLE: LazyLock<SimBundle> = LazyLock::new(pack::bundle);

/// Which catalogue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    /// As it is.
    Real,
    /// With plain random text in place of RSA keys and without the certificates for them: making a key takes a second here, and
    /// some tests make a site a thousand times.
    Quick,
}

static REAL: LazyLock<Catalog> = LazyLock::new(|| Catalog::embedded().unwrap());
static QUICK: LazyLock<Catalog> = LazyLock::new(|| {
    let texts: Vec<(String, String)> = pack::components()
        .into_iter()
        .map(|(name, text)| {
            let (before, rest) = text.split_once("\npartners:").unwrap_or((&text, ""));
            // a list ends at the next line that begins with a letter
            let behind = rest
                .match_indices('\n')
                .find(|(at, _)| rest[at + 1..].starts_with(|letter: char| letter.is_ascii_lowercase()));
            let behind = behind.map_or("", |(at, _)| &rest[at..]);
            (
                name,
                format!("{before}\n{behind}\n").replace("rsaPrivateKey: 2048", "random: 40"),
            )
        })
        .collect();
    Catalog::read(texts.iter().map(|(name, text)| (name.as_str(), text.as_str()))).unwrap()
});

fn known(catalog: &Catalog) -> KnownComponents {
    let of_kind = |kind| -> BTreeMap<String, KnownComponent> {
        catalog
            .of_kind(kind)
            .map(|component| {
                let hosts = component.hosts.iter().map(|host| host.name.clone()).collect();
                (
                    component.name.clone(),
                    KnownComponent {
                        needs: component.needs.clone(),
                        hosts,
                        ..KnownComponent::default()
                    },
                )
            })
            .collect()
    };
    KnownComponents {
        commons: of_kind(ComponentKind::Commons),
        modules: of_kind(ComponentKind::Module),
        ..KnownComponents::default()
    }
}

/// A site file with these environments, each with its modules.
pub(crate) fn file(environments: &[(&str, &[&str])]) -> String {
    let mut text = String::from(
        "apiVersion: openg2p.org/v1\nsite: {name: ministry, domain: g2p.example.org, profile: small}\n\
         nodes:\n  - {name: box1, address: 192.0.2.10, roles: [lead, server, edge, storage]}\n",
    );
    if !environments.is_empty() {
        text.push_str("environments:\n");
    }
    for (name, modules) in environments {
        let modules: Vec<String> = modules.iter().map(|module| format!("{module}: {{}}")).collect();
        text.push_str(&format!("  {name}: {{modules: {{{}}}}}\n", modules.join(", ")));
    }
    text
}

/// What a site file asks for.
pub(crate) fn wish(text: &str, keys: Keys) -> Wish {
    let catalog: &Catalog = if keys == Keys::Real { &REAL } else { &QUICK };
    let loaded = openg2p_spec::load("site.yaml", text, &known(catalog), &Profiles::embedded().unwrap());
    let site = loaded.unwrap_or_else(|error| panic!("{error:?}")).site;
    let sources = Sources {
        site: &site,
        catalog,
        members: BUNDLE.members(),
        charts: &pack::CHARTS,
    };
    let resources = compose(&sources).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let inputs = Inputs {
        site: Fingerprint::of(&serde_json::to_value(&site).unwrap()),
        bundle: BUNDLE.digest().into(),
        ledger_generation: 0,
        engine: "sim".into(),
    };
    Wish {
        site: site.name,
        resources,
        inputs,
    }
}

pub(crate) fn bare(seed: u64) -> Simulation {
    Simulation::new(BUNDLE.clone(), seed)
}
