//! The source `build`: everything that this machine makes from the repository.

use std::path::Path;

use crate::{
    cache::{Made, Obtained},
    error::BundleError,
    index::Blob,
    lock::Held,
    recipe::{Build, Program, Recipe},
    sources::{Inputs, Source, Workshop},
};

pub mod base;
mod c;
mod cargo;
pub mod chart;
pub mod context;
pub mod go;
pub mod image;
pub mod layer;

/// Builds on this machine.
#[derive(Debug, Clone, Copy)]
pub struct LocalBuild;

impl Source for LocalBuild {
    fn name(&self) -> &'static str {
        "build"
    }

    fn declared(&self, recipe: &Recipe) -> bool {
        recipe.sources.build.is_some()
    }

    fn inputs(&self, recipes: &[&Recipe], workshop: &Workshop<'_>) -> Result<Inputs, BundleError> {
        let mut all = Inputs::default();
        for recipe in recipes {
            let Some(build) = &recipe.sources.build else {
                continue;
            };
            let inputs = match build {
                Build::Image(image) => image::inputs(image, workshop),
                Build::Program(program) => program_inputs(program, workshop),
                Build::Chart(folder) => chart::inputs(folder, workshop),
            }
            .map_err(|error| in_recipe(recipe, error))?;
            all.include("build", &inputs);
        }
        Ok(all)
    }

    fn foresee(
        &self,
        recipe: &Recipe,
        inputs: &Inputs,
        workshop: &Workshop<'_>,
    ) -> Result<Option<(String, Held)>, BundleError> {
        let Some(build) = &recipe.sources.build else {
            return Ok(None);
        };
        let origin = match build {
            Build::Image(image) => image::origin(image, workshop)?,
            Build::Program(program) => program_origin(program, workshop)?,
            Build::Chart(folder) => folder.display().to_string(),
        };
        Ok(Some((origin, Held::Inputs(inputs.lock_digest()))))
    }

    fn obtain(&self, recipes: &[&Recipe], workshop: &Workshop<'_>) -> Result<Made, BundleError> {
        let mut made = Made::default();
        for recipe in recipes {
            let Some(build) = &recipe.sources.build else {
                continue;
            };
            let member = match build {
                Build::Image(image) => image::build(&recipe.id(), image, workshop),
                Build::Program(program) => self::program(program, workshop)
                    .and_then(|blob| Ok(member(program_origin(program, workshop)?, vec![blob]))),
                Build::Chart(folder) => chart::package(&recipe.id(), folder, workshop),
            };
            made.members.push(member?);
        }
        Ok(made)
    }
}

fn member(origin: String, blobs: Vec<Blob>) -> Obtained {
    Obtained {
        name: None,
        version: None,
        architecture: None,
        control: None,
        origin,
        blobs,
    }
}

/// A path that a recipe names wrongly is the recipe's fault, and the message should say in which file.
fn in_recipe(recipe: &Recipe, error: BundleError) -> BundleError {
    match error {
        BundleError::Io { doing, path, source } => BundleError::Recipe {
            path: recipe.file.clone(),
            why: format!("{}: cannot {doing} {}: {source}", recipe.id(), path.display()),
        },
        other => other,
    }
}

/// What decides a program.
pub(crate) fn program_inputs(program: &Program, workshop: &Workshop<'_>) -> Result<Inputs, BundleError> {
    match program {
        Program::Go(tool) => {
            let mut inputs = Inputs::default();
            inputs.declare("tool", &tool.tool);
            let folder = go::inputs(&tool.folder, workshop)?;
            inputs.include("folder", &folder);
            inputs.part(go::name(&tool.folder), &folder);
            Ok(inputs)
        }
        Program::Cargo(binary) => cargo::inputs(binary, workshop),
        Program::C(file) => c::inputs(file, workshop),
    }
}

/// Where a program comes from, for people.
pub(crate) fn program_origin(program: &Program, workshop: &Workshop<'_>) -> Result<String, BundleError> {
    match program {
        Program::Go(tool) => go::tool_origin(tool, workshop),
        Program::Cargo(binary) => Ok(cargo::origin(binary)),
        Program::C(file) => c::origin(file, workshop),
    }
}

/// The program itself.
pub(crate) fn program(program: &Program, workshop: &Workshop<'_>) -> Result<Blob, BundleError> {
    match program {
        Program::Go(tool) => go::tool(tool, workshop),
        Program::Cargo(binary) => cargo::binary(binary, workshop),
        Program::C(file) => c::program(file, workshop),
    }
}

/// Reads a file of the repository; the digest of its bytes is what inputs declare.
pub(crate) fn file_digest(path: &Path) -> Result<String, BundleError> {
    crate::cache::hash_file(path, |_| {}).map(|blob| blob.sha256.as_str().to_owned())
}
