//! What tests need of the machine, and what happens where it is not there.
//!
//! A test that needs a program of the machine asks for it with [`program`], and says [`skip`] where it is not there.
//! A skip must never be silent, for a test that nobody runs proves nothing:
//!
//! - `OPENG2P_TEST_REQUIRED` names what must be there, with commas between; such a skip is a failure. `cargo xtask test`
//!   provides these things and sets it.
//! - `OPENG2P_TEST_SKIPS` names a file to which every other skip adds a line, `need<TAB>reason`. `cargo xtask test` counts
//!   the lines and tells the sum on the line before its last.
//! - `OPENG2P_TEST_<NEED>` says where a program is, if it is not on the path.

mod hostile;

use std::{
    env,
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};

pub use hostile::hostile;

/// What must be there, with commas between.
pub const REQUIRED: &str = "OPENG2P_TEST_REQUIRED";
/// The file that notes skips.
pub const SKIPS: &str = "OPENG2P_TEST_SKIPS";

/// Where programs of the system are that no ordinary user's path has.
const MORE_PLACES: &[&str] = &["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// The variable that says where a program is: `OPENG2P_TEST_NGINX` for `nginx`.
pub fn variable(need: &str) -> String {
    format!("OPENG2P_TEST_{}", need.to_uppercase().replace('-', "_"))
}

/// The program of this name: where its variable says, or on the path. A variable that names no file is a mistake, and
/// the test that asks ends there.
///
/// # Panics
/// Where the variable names a file that is not there.
pub fn program(need: &str) -> Option<PathBuf> {
    let variable = variable(need);
    if let Some(path) = env::var_os(&variable).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        assert!(
            path.is_file(),
            "{variable} names {}, which is not there",
            path.display()
        );
        return Some(path);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(MORE_PLACES.iter().map(PathBuf::from))
        .map(|folder| folder.join(need))
        .find(|path| path.is_file())
}

/// Says that a test is skipped because `need` is not there. The test returns after this.
///
/// # Panics
/// Where `need` is required.
pub fn skip(need: &str, reason: &str) {
    note(
        need,
        reason,
        &env::var(REQUIRED).unwrap_or_default(),
        env::var_os(SKIPS).as_deref().map(Path::new),
    );
}

#[expect(
    clippy::print_stderr,
    reason = "whoever runs the test by hand should see it too"
)]
fn note(need: &str, reason: &str, required: &str, skips: Option<&Path>) {
    let is_required = required.split(',').any(|one| one.trim() == need);
    assert!(
        !is_required,
        "`{need}` is required here ({REQUIRED}) and is not there: {reason}"
    );
    eprintln!("skipped, for want of {need}: {reason}");
    let Some(path) = skips else { return };
    // One write per line: several tests add lines at once.
    let line = format!("{need}\t{}\n", reason.replace(['\n', '\t'], " "));
    let noted = File::options()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|mut file| file.write_all(line.as_bytes()));
    assert!(
        noted.is_ok(),
        "the skip could not be noted in {} ({SKIPS}): {noted:?}",
        path.display()
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn skips_are_noted_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("skips");
        note("helm", "it is\nnot here", "nginx,registry", Some(&file));
        note("helm", "nor here", "", Some(&file));
        note("helm", "nobody counts", "", None);
        assert_eq!(
            std::fs::read_to_string(file).unwrap(),
            "helm\tit is not here\nhelm\tnor here\n"
        );
    }

    #[test]
    #[should_panic(expected = "`helm` is required here")]
    fn what_is_required_is_not_skipped() {
        note("helm", "it is not here", "nginx, helm", None);
    }

    #[test]
    #[should_panic(expected = "could not be noted")]
    fn a_skip_that_cannot_be_noted_is_no_silent_one() {
        note(
            "helm",
            "it is not here",
            "",
            Some(Path::new("/nonexistent/skips")),
        );
    }

    #[test]
    fn programs_are_found_on_the_path() {
        assert!(program("sh").is_some());
        assert_eq!(program("no-such-program-anywhere"), None);
        assert_eq!(variable("some-thing"), "OPENG2P_TEST_SOME_THING");
    }
}
