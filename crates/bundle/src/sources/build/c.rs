//! Small C programs that a Go module brings along, such as the pause program of Kubernetes.

use std::{path::PathBuf, process::Command};

use crate::{
    cache::Made,
    command,
    error::BundleError,
    index::Blob,
    recipe::CFile,
    sources::{
        Inputs, Workshop,
        build::{file_digest, go},
    },
};

/// What decides the program: go.sum pins the module, and so the file.
pub(crate) fn inputs(file: &CFile, workshop: &Workshop<'_>) -> Result<Inputs, BundleError> {
    let folder = workshop.root.join(&file.folder);
    let mut inputs = Inputs::default();
    inputs.declare("go.sum", file_digest(&folder.join("go.sum"))?);
    inputs.declare("origin", go::origin(&folder, &file.module)?);
    inputs.declare("file", file.file.display().to_string());
    for (name, value) in &file.define {
        inputs.declare(format!("define {name}"), value);
    }
    let version = workshop.version("gcc", || {
        command::output("C programs", Command::new("gcc").arg("-dumpfullversion"))
    })?;
    inputs.tool("gcc", version);
    Ok(inputs)
}

/// Compiles it, linked statically.
pub(crate) fn program(file: &CFile, workshop: &Workshop<'_>) -> Result<Blob, BundleError> {
    let folder = workshop.root.join(&file.folder);
    let what = format!(
        "c/{}",
        file.file.file_stem().unwrap_or_default().to_string_lossy()
    );
    let made = workshop.part(&what, &inputs(file, workshop)?, || {
        let scratch = workshop.cache.scratch()?;
        let mut list = Command::new("go");
        list.args(["list", "-m", "-f", "{{.Dir}}", &file.module])
            .current_dir(&folder)
            .env("GOWORK", "off");
        command::run(
            &what,
            Command::new("go")
                .args(["mod", "download", &file.module])
                .current_dir(&folder),
            &scratch.path().join("log"),
        )?;
        let module = PathBuf::from(command::output(&what, &mut list)?.trim());
        let out = scratch.path().join("program");
        let mut gcc = Command::new("gcc");
        gcc.args(["-Os", "-Wall", "-static", "-s"]);
        for (name, value) in &file.define {
            gcc.arg(format!("-D{name}={value}"));
        }
        gcc.arg("-o").arg(&out).arg(module.join(&file.file));
        command::run(&what, &mut gcc, &scratch.path().join("log"))?;
        Ok(Made {
            files: [("program".to_owned(), workshop.cache.put_file(&out)?)].into(),
            ..Made::default()
        })
    })?;
    Ok(made.files["program"].clone())
}

/// Where the program comes from.
pub(crate) fn origin(file: &CFile, workshop: &Workshop<'_>) -> Result<String, BundleError> {
    let origin = go::origin(&workshop.root.join(&file.folder), &file.module)?;
    Ok(format!("{origin}, {}", file.file.display()))
}
