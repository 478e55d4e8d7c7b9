//! Embeds every `component.yaml` of the catalogue, so that the binary needs no files beside it.

#![expect(
    clippy::disallowed_methods,
    reason = "a build script reads files; the crate itself does not"
)]

use std::fmt::Write as _;
use std::path::Path;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../catalog");
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
