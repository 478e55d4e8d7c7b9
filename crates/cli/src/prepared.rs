//! A site file with its bundle, composed: where `plan`, `apply` and `status` start.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use openg2p_bundle::index::{Index, Kind};
use openg2p_compose::{ComposeError, Inputs as ComposeInputs, compose};
use openg2p_plan::{Fingerprint, Inputs, Plan, Resource};
use openg2p_ports::Bundle as _;
use openg2p_spec::Site;
use openg2p_world::BundleDirectory;
use serde_json::json;

use crate::asked::Askers;
use crate::commands::Context;
use crate::error::CliError;

/// How the lead node is reached.
#[derive(Clone, Debug, Args)]
pub struct LeadArgs {
    /// Private key for SSH; without it your agent and SSH configuration decide
    #[arg(long, value_name = "FILE", env = "OPENG2P_IDENTITY")]
    pub identity: Option<PathBuf>,
}

/// Where the bundle is.
#[derive(Clone, Debug, Args)]
pub struct BundleArgs {
    /// Directory of the bundle
    #[arg(
        long,
        value_name = "DIRECTORY",
        env = "OPENG2P_BUNDLE",
        default_value = "bundle"
    )]
    pub bundle: PathBuf,
}

/// What becomes ours.
#[derive(Clone, Debug, Default, Args)]
pub struct TakeOverArgs {
    /// Take over the objects of a release that Helm made; may be given more than once
    #[arg(long, value_name = "NAMESPACE/RELEASE")]
    pub take_over: Vec<String>,
}

impl TakeOverArgs {
    /// Notes the releases in all that could be part of them; what belongs to none of them is left alone by its kind. A saved
    /// plan was made with releases of its own.
    pub(crate) fn apply_to(&self, prepared: &mut Prepared, saved: Option<&Plan>) {
        let steps = saved.into_iter().flat_map(|plan| &plan.steps);
        let planned = steps.filter_map(|step| step.desired["takeOver"].as_array());
        let mut releases: BTreeSet<String> = self.take_over.iter().cloned().collect();
        releases.extend(
            planned
                .flatten()
                .filter_map(|name| name.as_str().map(str::to_owned)),
        );
        if releases.is_empty() {
            return;
        }
        for resource in &mut prepared.resources {
            if matches!(resource.id.kind(), "kubernetes-object" | "helm-record") {
                resource.desired["takeOver"] = json!(releases);
            }
        }
    }
}

/// A composed site.
pub struct Prepared {
    /// The resolved site.
    pub site: Site,
    /// Everything that it should be.
    pub resources: Vec<Resource>,
    /// What a plan for it is made from.
    pub inputs: Inputs,
    /// The bundle's index.
    pub index: Index,
    /// Its text.
    pub index_text: String,
    /// Where it lies.
    pub bundle: PathBuf,
}

/// What a plan of this site and bundle is made from.
pub(crate) fn inputs(site: &Site, bundle: &str) -> Inputs {
    Inputs {
        site: Fingerprint::of(&serde_json::to_value(site).unwrap_or_default()),
        bundle: bundle.into(),
        ledger_generation: 0,
        engine: env!("CARGO_PKG_VERSION").into(),
    }
}

/// Reads the site file alone.
pub(crate) fn site(context: &Context<'_>) -> Result<Site, CliError> {
    let loaded = crate::commands::site::load_file(&context.global.file)?;
    crate::commands::site::tell_warnings(&loaded, context.printer);
    Ok(loaded.site)
}

/// Reads site file and bundle and composes what should be. Looks at nothing else.
pub(crate) fn prepare(context: &Context<'_>, bundle: &Path) -> Result<Prepared, CliError> {
    let loaded = crate::commands::site::load_file(&context.global.file)?;
    crate::commands::site::tell_warnings(&loaded, context.printer);
    let site = loaded.site;
    let catalog = crate::commands::site::catalog()?;
    let directory = BundleDirectory::open(bundle).map_err(|error| {
        let mut error = CliError::from(error);
        error.kind = crate::error::ErrorKind::BadInput;
        error
    })?;
    let mut charts = BTreeMap::new();
    for member in directory.index().of_kind(Kind::Chart) {
        charts.insert(member.name.clone(), directory.read(member.sha256.as_str())?);
    }
    let composed = compose(&ComposeInputs {
        site: &site,
        catalog: &catalog,
        members: directory.members(),
        charts: &charts,
    });
    let mut resources = composed.map_err(|errors| composing(&errors))?;
    Askers::new(&loaded.effective, &site).fill(&mut resources);
    let path = bundle.join(openg2p_bundle::index::INDEX_FILE);
    let index_text = std::fs::read_to_string(&path).map_err(|error| {
        CliError::bad_input("bundle::unreadable", "the bundle's index cannot be read")
            .at(path.display())
            .because(error)
    })?;
    Ok(Prepared {
        inputs: inputs(&site, directory.digest()),
        index: directory.index().clone(),
        index_text,
        bundle: bundle.into(),
        resources,
        site,
    })
}

fn composing(errors: &[ComposeError]) -> CliError {
    let first = errors.first().map(ToString::to_string).unwrap_or_default();
    let code = first.split(": ").next().unwrap_or("site::compose").to_owned();
    let mut error = CliError::bad_input(code, "this site cannot be made from this bundle");
    error.why = errors.iter().map(ToString::to_string).collect();
    let missing = errors
        .iter()
        .any(|error| matches!(error, ComposeError::Missing { .. }));
    if missing {
        error.hint("make a bundle for this version: `openg2p bundle create`")
    } else {
        error
    }
}

/// Bytes of all blobs of an index, each counted once.
pub(crate) fn bundle_bytes(index: &Index) -> u64 {
    let blobs: BTreeMap<&str, u64> = index
        .members
        .iter()
        .flat_map(|member| &member.blobs)
        .map(|blob| (blob.sha256.as_str(), blob.size))
        .collect();
    blobs.values().sum()
}
