//! `bundle.yaml`: how the members of a bundle can be had.
//!
//! Every component folder of the catalogue may hold one, next to `component.yaml`. Files that only the lab needs (the
//! images that others are built on) are `images/bundle.yaml` and `lab/images/bundle.yaml`. README.md has the format.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::{
    error::BundleError,
    index::{Digest, Kind},
};

/// Name of the file in a component's folder.
pub const RECIPE_FILE: &str = "bundle.yaml";

/// The content of one `bundle.yaml`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    #[serde(default)]
    members: Vec<Recipe>,
    #[serde(default)]
    bases: Vec<Base>,
}

/// One member and the sources that can give it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Recipe {
    /// What it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its version; for Debian packages the suite decides.
    #[serde(default)]
    pub version: Option<String>,
    /// Images only: the full reference.
    #[serde(default)]
    pub reference: Option<String>,
    /// Its licence.
    pub licence: String,
    /// Debian packages only: releases that need it; all if empty.
    #[serde(default)]
    pub releases: Vec<String>,
    /// Where it can be had.
    pub sources: Sources,
    /// The file that this stands in.
    #[serde(skip)]
    pub file: PathBuf,
    /// The folder of that file, which is the component's name.
    #[serde(skip)]
    pub component: String,
}

impl Recipe {
    /// `kind/name`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.kind, self.name)
    }
}

/// The declared sources of a member, by name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sources {
    /// Made on this machine.
    #[serde(default)]
    pub build: Option<Build>,
    /// A package of a Debian suite.
    #[serde(default)]
    pub debian: Option<DebianPackage>,
    /// An image of a registry.
    #[serde(default)]
    pub oci: Option<OciImage>,
    /// A file of a web server.
    #[serde(default)]
    pub https: Option<HttpsFile>,
}

impl Sources {
    /// Names of the declared sources.
    pub fn names(&self) -> Vec<&'static str> {
        let declared = [
            ("build", self.build.is_some()),
            ("debian", self.debian.is_some()),
            ("oci", self.oci.is_some()),
            ("https", self.https.is_some()),
        ];
        declared
            .into_iter()
            .filter_map(|(name, is)| is.then_some(name))
            .collect()
    }
}

/// What is made on this machine.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Build {
    /// An image from a Containerfile.
    Image(ImageBuild),
    /// A program.
    Program(Program),
    /// A chart from its folder.
    Chart(PathBuf),
}

/// An image from the Containerfile in a folder.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageBuild {
    /// The folder, relative to the repository; all of it is the build's context.
    pub context: PathBuf,
    /// Programs that are put into the context under these names before the build.
    #[serde(default)]
    pub files: BTreeMap<String, Program>,
}

/// A program that is compiled here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Program {
    /// One tool of a folder with go.mod, go.sum and build.yaml.
    Go(GoTool),
    /// A binary of this workspace.
    Cargo(CargoBinary),
    /// A C file inside a Go module, linked statically.
    C(CFile),
}

/// A tool of a Go folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GoTool {
    /// The folder, relative to the repository.
    pub folder: PathBuf,
    /// The tool's name in its build.yaml.
    pub tool: String,
}

/// A binary of this workspace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CargoBinary {
    /// The package.
    pub package: String,
    /// The binary, if it is not named like the package.
    #[serde(default)]
    pub binary: Option<String>,
}

impl CargoBinary {
    /// The binary's name.
    pub fn name(&self) -> &str {
        self.binary.as_deref().unwrap_or(&self.package)
    }
}

/// A C file that a Go module brings along.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CFile {
    /// The Go folder that pins the module.
    pub folder: PathBuf,
    /// The module.
    pub module: String,
    /// The file inside the module.
    pub file: PathBuf,
    /// Macros, as `-D` takes them.
    #[serde(default)]
    pub define: BTreeMap<String, String>,
}

/// A package of a Debian suite.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DebianPackage {
    /// Its name in the archive, if it differs from the member's.
    #[serde(default)]
    pub package: Option<String>,
}

/// An image of a registry.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OciImage {
    /// Where to pull it, with tag or digest, if not under its own reference.
    #[serde(default)]
    pub reference: Option<String>,
}

/// A file of a web server, or one file of an archive there.
///
/// What it must be is said by the recipe, by the lock file, or, as long as neither does, by the checksum that its makers
/// publish beside it; that one counts only when a person accepts it, and from then on the lock file does.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HttpsFile {
    /// Its address.
    pub url: String,
    /// What it must be.
    #[serde(default)]
    pub sha256: Option<Digest>,
    /// Where its makers publish its SHA-256, if not at its own address with `.sha256` behind.
    #[serde(default)]
    pub checksum: Option<String>,
    /// The file to take out, if the address is that of a `.tar.gz`.
    #[serde(default)]
    pub extract: Option<String>,
}

/// An image that others are built on and that is no member itself.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Base {
    /// The reference under which Containerfiles name it.
    pub reference: String,
    /// How it is made.
    pub build: BaseBuild,
    /// The file that this stands in.
    #[serde(skip)]
    pub file: PathBuf,
}

/// How a base is made.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum BaseBuild {
    /// From a Containerfile.
    Image(ImageBuild),
    /// A minimal system of this Debian suite.
    Debian(String),
}

/// Everything that the `bundle.yaml` files of a repository say.
#[derive(Debug, Clone, Default)]
pub struct Recipes {
    /// All members.
    pub members: Vec<Recipe>,
    /// All bases, by reference; member images that are built here can be bases too.
    pub bases: BTreeMap<String, Base>,
}

impl Recipes {
    /// Reads every `bundle.yaml` of the repository. All wrong files are told together.
    pub fn load(root: &Path) -> Result<Self, BundleError> {
        let mut files = vec![
            root.join("images").join(RECIPE_FILE),
            root.join("lab/images").join(RECIPE_FILE),
        ];
        for group in folders(&root.join("catalog"))? {
            for component in folders(&group)? {
                files.push(component.join(RECIPE_FILE));
            }
        }
        let mut recipes = Self::default();
        let mut errors = Vec::new();
        for file in files.into_iter().filter(|file| file.is_file()) {
            if let Err(error) = recipes.read(&file) {
                errors.push(error);
            }
        }
        errors.extend(recipes.check());
        if errors.is_empty() {
            Ok(recipes)
        } else {
            Err(BundleError::together(errors))
        }
    }

    fn read(&mut self, file: &Path) -> Result<(), BundleError> {
        let text = std::fs::read_to_string(file).map_err(BundleError::io("read", file))?;
        let document: Document = serde_saphyr::from_str(&text).map_err(|error| BundleError::Recipe {
            path: file.to_owned(),
            why: error.to_string(),
        })?;
        let component = file
            .parent()
            .and_then(Path::file_name)
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        for mut recipe in document.members {
            file.clone_into(&mut recipe.file);
            recipe.component.clone_from(&component);
            self.members.push(recipe);
        }
        for mut base in document.bases {
            file.clone_into(&mut base.file);
            if let Some(other) = self.bases.insert(base.reference.clone(), base) {
                return Err(BundleError::DescribedTwice {
                    what: format!("base {}", other.reference),
                    first: other.file,
                    second: file.to_owned(),
                });
            }
        }
        Ok(())
    }

    fn check(&self) -> Vec<BundleError> {
        let mut errors = Vec::new();
        let mut seen: BTreeMap<(Kind, &str), &Recipe> = BTreeMap::new();
        for recipe in &self.members {
            // Two components may both want a package of the host.
            let shared = recipe.kind == Kind::DebianPackage;
            if let Some(other) = seen.insert((recipe.kind, &recipe.name), recipe)
                && !shared
            {
                errors.push(BundleError::DescribedTwice {
                    what: recipe.id(),
                    first: other.file.clone(),
                    second: recipe.file.clone(),
                });
            }
            if let Some(why) = contradiction(recipe) {
                errors.push(BundleError::Recipe {
                    path: recipe.file.clone(),
                    why: format!("{}: {why}", recipe.id()),
                });
            }
        }
        errors
    }

    /// The members of these components only, or all if none is named; an unknown name is an error.
    pub fn only(&self, components: &[String]) -> Result<Vec<&Recipe>, BundleError> {
        if components.is_empty() {
            return Ok(self.members.iter().collect());
        }
        let known: BTreeSet<&str> = self
            .members
            .iter()
            .map(|recipe| recipe.component.as_str())
            .collect();
        for name in components {
            if !known.contains(name.as_str()) {
                let known = known.into_iter().collect::<Vec<_>>().join(", ");
                return Err(BundleError::Recipe {
                    path: PathBuf::from("catalog"),
                    why: format!("no component `{name}` has a {RECIPE_FILE}; there are: {known}"),
                });
            }
        }
        Ok(self
            .members
            .iter()
            .filter(|recipe| components.contains(&recipe.component))
            .collect())
    }

    /// How to build the image with this reference, if something says so.
    pub fn base(&self, reference: &str) -> Option<BaseBuild> {
        if let Some(base) = self.bases.get(reference) {
            return Some(base.build.clone());
        }
        self.members
            .iter()
            .filter(|recipe| recipe.reference.as_deref() == Some(reference))
            .find_map(|recipe| match &recipe.sources.build {
                Some(Build::Image(image)) => Some(BaseBuild::Image(image.clone())),
                _ => None,
            })
    }
}

fn contradiction(recipe: &Recipe) -> Option<&'static str> {
    let sources = &recipe.sources;
    if sources.names().is_empty() {
        return Some("names no source; give at least one of build, debian, oci, https");
    }
    let fits = match recipe.kind {
        Kind::Image => {
            if recipe.reference.is_none() {
                return Some("an image needs a `reference`");
            }
            sources.debian.is_none()
                && sources.https.is_none()
                && matches!(sources.build, None | Some(Build::Image(_)))
        }
        Kind::Binary => {
            sources.debian.is_none()
                && sources.oci.is_none()
                && matches!(sources.build, None | Some(Build::Program(_)))
        }
        Kind::Chart => {
            sources.debian.is_none()
                && sources.oci.is_none()
                && matches!(sources.build, None | Some(Build::Chart(_)))
        }
        Kind::DebianPackage => sources.debian.is_some() && sources.names().len() == 1,
    };
    if !fits {
        return Some("one of its sources cannot give a member of this kind");
    }
    if recipe.kind != Kind::DebianPackage && recipe.version.is_none() {
        return Some("needs a `version`");
    }
    None
}

fn folders(of: &Path) -> Result<Vec<PathBuf>, BundleError> {
    let mut found = Vec::new();
    let entries = match std::fs::read_dir(of) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(BundleError::io("read", of)(error)),
    };
    for entry in entries {
        let path = entry.map_err(BundleError::io("read", of))?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
