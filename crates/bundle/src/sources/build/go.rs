//! Programs from Go modules: a folder with go.mod, go.sum and build.yaml.

use std::{collections::BTreeMap, path::Path, process::Command};

use serde::Deserialize;

use crate::{
    cache::Made,
    command,
    error::BundleError,
    index::Blob,
    recipe::GoTool,
    sources::{Inputs, Workshop, build::file_digest},
};

/// Name of the file that says what a Go folder builds.
pub const BUILD_FILE: &str = "build.yaml";

/// What a Go folder builds.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GoBuild {
    /// The module that gives the version; go.mod pins it.
    pub module: String,
    /// Variables that the linker sets, by package and name.
    #[serde(default)]
    pub stamps: BTreeMap<String, String>,
    /// Packages by the name of the program.
    pub tools: BTreeMap<String, String>,
}

impl GoBuild {
    fn load(folder: &Path) -> Result<Self, BundleError> {
        let path = folder.join(BUILD_FILE);
        let text = std::fs::read_to_string(&path).map_err(BundleError::io("read", &path))?;
        serde_saphyr::from_str(&text).map_err(|error| BundleError::Recipe {
            path,
            why: error.to_string(),
        })
    }
}

/// What decides everything that a folder builds.
pub fn inputs(folder: &Path, workshop: &Workshop<'_>) -> Result<Inputs, BundleError> {
    let mut inputs = Inputs::default();
    let absolute = workshop.root.join(folder);
    for name in ["go.mod", "go.sum", BUILD_FILE] {
        inputs.declare(name, file_digest(&absolute.join(name))?);
    }
    inputs.declare("flags", "trimpath, no cgo, linux/amd64");
    inputs.tool("go", version(workshop)?);
    Ok(inputs)
}

fn version(workshop: &Workshop<'_>) -> Result<String, BundleError> {
    workshop.version("go", || {
        command::output(
            "the Go programs",
            Command::new("go")
                .args(["env", "GOVERSION"])
                .current_dir(&workshop.root),
        )
    })
}

/// The name of what a folder builds.
pub(crate) fn name(folder: &Path) -> String {
    format!("go/{}", folder.file_name().unwrap_or_default().to_string_lossy())
}

/// One tool of a folder. All tools of the folder are built at once, because they share most packages.
pub fn tool(tool: &GoTool, workshop: &Workshop<'_>) -> Result<Blob, BundleError> {
    let folder = workshop.root.join(&tool.folder);
    let build = GoBuild::load(&folder)?;
    let what = name(&tool.folder);
    let made = workshop.part(&what, &inputs(&tool.folder, workshop)?, || {
        compile(&what, &folder, &build, workshop)
    })?;
    made.files
        .get(&tool.tool)
        .cloned()
        .ok_or_else(|| BundleError::Recipe {
            path: folder.join(BUILD_FILE),
            why: format!(
                "builds no tool `{}`; it has: {}",
                tool.tool,
                build.tools.keys().cloned().collect::<Vec<_>>().join(", ")
            ),
        })
}

/// Where a tool comes from.
pub(crate) fn tool_origin(tool: &GoTool, workshop: &Workshop<'_>) -> Result<String, BundleError> {
    let folder = workshop.root.join(&tool.folder);
    origin(&folder, &GoBuild::load(&folder)?.module)
}

fn compile(what: &str, folder: &Path, build: &GoBuild, workshop: &Workshop<'_>) -> Result<Made, BundleError> {
    let scratch = workshop.cache.scratch()?;
    let out = scratch.path().join("out");
    std::fs::create_dir(&out).map_err(BundleError::io("make", &out))?;
    let mut flags = "-s -w".to_owned();
    for (variable, value) in &build.stamps {
        flags.push_str(" -X ");
        flags.push_str(variable);
        flags.push('=');
        flags.push_str(value);
    }
    let mut go = command::mortal("go");
    go.args(["build", "-trimpath", "-ldflags", &flags, "-o"])
        .arg(out.join("."))
        .args(build.tools.values())
        .current_dir(folder)
        .env("CGO_ENABLED", "0")
        .env("GOOS", "linux")
        .env("GOARCH", "amd64")
        .env("GOWORK", "off")
        .env("GOFLAGS", "-buildvcs=false");
    command::run(what, &mut go, &scratch.path().join("log"))?;
    let mut made = Made::default();
    for (name, package) in &build.tools {
        made.files.insert(
            name.clone(),
            workshop.cache.put_file(&out.join(program_name(package)))?,
        );
    }
    Ok(made)
}

/// The name that Go gives a package's program: its last element, except when that is a major version.
fn program_name(package: &str) -> &str {
    let mut elements = package.rsplit('/');
    let last = elements.next().unwrap_or(package);
    let is_version = last.strip_prefix('v').is_some_and(|number| {
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && number != "0"
            && number != "1"
    });
    if is_version {
        elements.next().unwrap_or(last)
    } else {
        last
    }
}

/// The origin of what a folder builds: the module with the version that go.mod pins.
pub(crate) fn origin(folder: &Path, module: &str) -> Result<String, BundleError> {
    let path = folder.join("go.mod");
    let text = std::fs::read_to_string(&path).map_err(BundleError::io("read", &path))?;
    let version = text.lines().find_map(|line| {
        let mut words = line.trim().trim_start_matches("require ").split_whitespace();
        (words.next() == Some(module))
            .then(|| words.next())
            .flatten()
            .filter(|word| word.starts_with('v'))
    });
    match version {
        Some(version) => Ok(format!("go module {module} {version}")),
        None => Err(BundleError::Recipe {
            path,
            why: format!("does not require {module}, which build.yaml names"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_named_as_go_names_them() {
        assert_eq!(program_name("k8s.io/kubernetes/cmd/kubelet"), "kubelet");
        assert_eq!(program_name("go.etcd.io/etcd/server/v3"), "server");
        assert_eq!(program_name("example.org/v8x"), "v8x");
        assert_eq!(program_name("example.org/tool/v1"), "v1");
        assert_eq!(program_name("tool"), "tool");
    }

    #[test]
    fn the_version_is_the_one_that_go_mod_pins() {
        let folder = tempfile::tempdir().unwrap();
        let text = "module x\nrequire example.org/a v1.2.3\nrequire (\n\texample.org/b/v2 v2.0.0 // indirect\n)\nreplace example.org/c => example.org/d v9.9.9\n";
        std::fs::write(folder.path().join("go.mod"), text).unwrap();
        assert_eq!(
            origin(folder.path(), "example.org/a").unwrap(),
            "go module example.org/a v1.2.3"
        );
        assert_eq!(
            origin(folder.path(), "example.org/b/v2").unwrap(),
            "go module example.org/b/v2 v2.0.0"
        );
        assert_eq!(
            origin(folder.path(), "example.org/c").unwrap_err().code(),
            "bundle::recipe-invalid"
        );
    }
}
