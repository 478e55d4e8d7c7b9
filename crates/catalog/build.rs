//! Embeds every `component.yaml` of the catalogue, so that the binary needs no files beside it.

#![expect(
    clippy::disallowed_methods,
    reason = "a build script reads files; the crate itself does not"
)]

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    // Asked at run time: several checkouts share one target folder, and a script that was built in another one would read that one.
    let root = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../../catalog");
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    for group in ["platform", "commons", "modules"] {
        let folder = root.join(group);
        println!("cargo::rerun-if-changed={}", folder.display());
        let Ok(entries) = std::fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let file = entry.path().join("component.yaml");
            if file.is_file() {
                println!("cargo::rerun-if-changed={}", file.display());
                files.push((format!("{group}/{}", entry.file_name().to_string_lossy()), file));
            }
        }
    }
    files.sort();
    let mut code = String::from("&[\n");
    for (name, file) in files {
        let path = file.canonicalize().unwrap_or(file);
        let _ = writeln!(
            code,
            "    ({name:?}, include_str!({:?})),",
            path.display().to_string()
        );
    }
    code.push(']');
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    if let Err(error) = std::fs::write(Path::new(&out).join("components.rs"), code) {
        panic!("write the embedded catalogue: {error}");
    }
}
