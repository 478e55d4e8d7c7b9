//! Reading the site file, for every command that needs it.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use openg2p_catalog::{Catalog, Component, ComponentKind};
use openg2p_spec::{KnownComponent, KnownComponents, LARGEST_FILE, Loaded, Profiles};

use super::Context;
use crate::error::CliError;
use crate::output::Printer;

/// The text of the file.
pub fn read(path: &Path) -> Result<String, CliError> {
    let unreadable = |error: &std::io::Error| {
        let message = format!("the site file `{}` cannot be read", path.display());
        let error = CliError::bad_input("site::unreadable", message).because_of(error);
        error.hint("`openg2p init` writes a first one; `--file` names another one")
    };
    // One byte more than is taken: enough to know that it is too large, even of a file without an end.
    let most = LARGEST_FILE as u64 + 1;
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(most).read_to_end(&mut bytes))
        .map_err(|error| unreadable(&error))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|byte| *byte == b'\n').count();
        CliError::bad_input(
            "site::not-utf8",
            format!("the site file `{}` is not text in UTF-8", path.display()),
        )
        .at(format!("{}:{line}", path.display()))
        .because_of(&error.utf8_error())
        .hint("save it as UTF-8")
    })
}

/// Reads, checks and completes the site file named by `--file`. Warnings are told; all errors come together.
pub fn load(context: &Context<'_>) -> Result<Loaded, CliError> {
    let loaded = load_file(&context.global.file)?;
    tell_warnings(&loaded, context.printer);
    Ok(loaded)
}

/// Reads, checks and completes one site file.
pub fn load_file(path: &Path) -> Result<Loaded, CliError> {
    let text = read(path)?;
    Ok(openg2p_spec::load(
        &path.display().to_string(),
        &text,
        &known_components(&catalog()?),
        &profiles()?,
    )?)
}

/// The profiles that are part of this program.
pub fn profiles() -> Result<Profiles, CliError> {
    Profiles::embedded().map_err(|diagnostics| {
        let mut error = CliError::failed(
            "profile::broken",
            "the profiles within this program cannot be read",
        );
        error.diagnostics = Some(diagnostics);
        error.hint("this is a fault of the program; please report it")
    })
}

/// The catalogue that is part of this program.
pub fn catalog() -> Result<Catalog, CliError> {
    Catalog::embedded().map_err(|error| {
        CliError::failed(
            "catalog::broken",
            "the catalogue within this program cannot be read",
        )
        .because_of(&error)
        .hint("this is a fault of the program; please report it")
    })
}

/// What the catalogue offers to a site file.
fn known_components(catalog: &Catalog) -> KnownComponents {
    let of_kind = |kind| {
        catalog
            .of_kind(kind)
            .map(|component| {
                let hosts = component.hosts.iter().map(|host| host.name.clone()).collect();
                (
                    component.name.clone(),
                    KnownComponent {
                        needs: component.needs.clone(),
                        hosts,
                        own_release: component.section.is_none().then(|| component.release.clone()),
                        secrets: secrets(component),
                        database: !component.databases.is_empty(),
                    },
                )
            })
            .collect()
    };
    KnownComponents {
        commons: of_kind(ComponentKind::Commons),
        modules: of_kind(ComponentKind::Module),
        namespaces: catalog
            .of_kind(ComponentKind::Platform)
            .filter_map(|component| Some((component.namespace.clone()?, component.name.clone())))
            .collect(),
    }
}

/// Names of the Secrets that a component brings.
fn secrets(component: &Component) -> BTreeSet<String> {
    let own = component.secrets.iter().map(|secret| &secret.name);
    let databases = component.databases.iter().map(|database| &database.secret);
    own.chain(databases).cloned().collect()
}

/// Shows warnings to people.
pub fn tell_warnings(loaded: &Loaded, printer: &Printer) {
    if !loaded.warnings.is_empty() && !printer.is_json() {
        printer.people(
            &loaded
                .warnings
                .render(printer.paint_err().is_on(), printer.width()),
        );
    }
}
