//! Bundles made, checked and spoiled for real: repositories in temporary folders, a distribution registry, Nginx.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should end there")]

mod catalogue;
mod create;
mod https;
mod nginx;
mod registry;
mod support;
mod verify;

/// A file that nobody declares here would compile to nothing and test nothing.
#[test]
fn every_file_is_part_of_this_program() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let main = std::fs::read_to_string(folder.join("main.rs")).unwrap();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            name == "main" || main.contains(&format!("mod {name};")),
            "{name} is not declared in main.rs"
        );
    }
}
