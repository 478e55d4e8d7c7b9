//! `cargo run -p openg2p-chart --example template -- NAME CHART [-n NAMESPACE] [-f VALUES.json] [--seed SEED]`
//!
//! Prints what `helm template` would. Values files are JSON, which is YAML as well, so that both programs read them.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program, not the pure library"
)]

use std::path::Path;

use openg2p_chart::{Chart, Release, RenderOptions, Seeded, render};

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, Vec<u8>)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if let Ok(relative) = path.strip_prefix(root) {
            files.push((relative.to_string_lossy().into_owned(), std::fs::read(&path)?));
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (mut positional, mut namespace, mut values) =
        (Vec::new(), "default".to_owned(), serde_json::json!({}));
    let mut random: Option<std::sync::Arc<Seeded>> = None;
    let mut rest = arguments.into_iter();
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            "-n" => namespace = rest.next().unwrap_or_default(),
            "--seed" => {
                random = Some(std::sync::Arc::new(Seeded::new(
                    rest.next().unwrap_or_default().as_bytes(),
                    0,
                )));
            }
            "-f" => values = serde_json::from_slice(&std::fs::read(rest.next().unwrap_or_default())?)?,
            _ => positional.push(argument),
        }
    }
    let [name, folder] = positional.as_slice() else {
        return Err("usage: NAME CHART".into());
    };
    let mut files = Vec::new();
    collect(Path::new(folder), Path::new(folder), &mut files)?;
    let chart = Chart::load(files)?;
    let mut options = RenderOptions::new(Release::new(name, namespace)).with_values(values.try_into()?);
    if let Some(random) = random {
        options = options.with_random(random);
    }
    match render(&chart, &options) {
        Ok(rendered) => print!("{}", rendered.manifest()),
        Err(error) => {
            eprintln!("Error: {error}");
            std::process::exit(1);
        }
    }
    Ok(())
}
