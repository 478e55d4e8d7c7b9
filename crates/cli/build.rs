//! Has the program bring the code along that unwinds a panic's stack. As a shared library (`libgcc_s.so.1`) it would be searched, mapped and
//! linked at every start, which takes as long as a sixteenth of a small rendering, and it would have to be there on every host.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |part: &str| env::var(format!("CARGO_CFG_TARGET_{part}")).unwrap_or_default();
    // other targets bring it along already, or have another one; a linker for another machine is not asked
    let here = env::var("HOST").ok() == env::var("TARGET").ok();
    if target("OS") != "linux" || target("ENV") != "gnu" || !here || !compiler_has("libgcc_eh.a") {
        return;
    }
    let Some(folder) = env::var_os("OUT_DIR").map(PathBuf::from) else {
        return;
    };
    // The standard library asks for `-lgcc_s`, and the linker takes what it finds first: these words, which name the archive instead.
    match fs::write(folder.join("libgcc_s.so"), "INPUT(-lgcc_eh)\n") {
        Ok(()) => println!("cargo::rustc-link-search=native={}", folder.display()),
        Err(error) => println!("cargo::warning=libgcc_s stays a shared library: {error}"),
    }
}

/// Whether the compiler that links brings this file; of one that it does not know it repeats the bare name.
fn compiler_has(file: &str) -> bool {
    let output = Command::new("cc")
        .arg(format!("-print-file-name={file}"))
        .output();
    output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_absolute())
}
