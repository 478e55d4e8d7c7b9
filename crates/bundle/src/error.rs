//! What can go wrong when a bundle is made, read or checked, each with a stable code.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use thiserror::Error;

use crate::{
    index::{Digest, IndexError},
    lock::Moved,
};

/// An error of this crate. Its message says what failed, where and what to do; [`BundleError::code`] is stable.
#[derive(Debug, Error)]
pub enum BundleError {
    /// A file or folder could not be read or written.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was tried, such as `read`.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A file that describes members is wrong.
    #[error("{}: {why}", .path.display())]
    Recipe {
        /// The file.
        path: PathBuf,
        /// What is wrong with it and what to write instead.
        why: String,
    },
    /// None of the sources that were asked for is declared for a member.
    #[error(
        "{member} can be had from {declared}, but only {preferred} may be used; allow another source or declare one in {}",
        .recipe.display()
    )]
    NoSource {
        /// `kind/name`.
        member: String,
        /// Names of the sources in its recipe.
        declared: String,
        /// Names of the sources that were asked for.
        preferred: String,
        /// The file with the recipe.
        recipe: PathBuf,
    },
    /// A program that a source needs is not installed here.
    #[error("{what} needs the program `{program}`, which is not here; {remedy}")]
    ToolMissing {
        /// What was being made.
        what: String,
        /// The program.
        program: String,
        /// How to get it.
        remedy: String,
    },
    /// A registry, archive or server did not answer as it should.
    #[error(
        "{what} cannot be fetched from {address}: {why}; check the network and that the address serves it, then create the bundle again"
    )]
    Unreachable {
        /// The member.
        what: String,
        /// Where it was asked for.
        address: String,
        /// What came instead.
        why: String,
    },
    /// A child process that makes a member ended badly.
    #[error("{what} could not be made: `{command}` {outcome}\n{tail}")]
    BuildFailed {
        /// The member.
        what: String,
        /// The command line, for a person to repeat.
        command: String,
        /// How it ended.
        outcome: String,
        /// The last lines that it wrote.
        tail: String,
    },
    /// Bytes are not those that were promised.
    #[error(
        "{what} from {origin} has SHA-256 {found}, promised was {expected}; do not use it, and find out who changed it"
    )]
    DigestMismatch {
        /// The member or blob.
        what: String,
        /// Where the bytes came from.
        origin: String,
        /// The digest that was promised.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// What a source gives is not what the lock file says.
    #[error("{}", moved_message(.lock, .moved))]
    LockMoved {
        /// The lock file.
        lock: PathBuf,
        /// Each member that moved.
        moved: Vec<Moved>,
    },
    /// A mirror is not written as one.
    #[error("the mirror `{text}` {why}; write it like `{like}`")]
    Mirror {
        /// What was given.
        text: String,
        /// What is wrong with it.
        why: &'static str,
        /// A good one.
        like: &'static str,
    },
    /// A word of `--accept-moved` names nothing.
    #[error(
        "`{word}` is neither a source ({sources}) nor a member of the catalogue; packages that others bring along are accepted with `debian`"
    )]
    UnknownScope {
        /// The word.
        word: String,
        /// Names of the sources.
        sources: String,
    },
    /// An archive contains something that must not be unpacked or passed on.
    #[error("{what} contains `{entry}`, {why}; it is not used")]
    UnsafeArchive {
        /// The archive.
        what: String,
        /// The entry.
        entry: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A blob of the cache is not what its name says.
    #[error(
        "the cached copy of {member} was altered (blob {sha256} under {}); it has been removed, create the bundle again",
        .cache.display()
    )]
    CacheDamaged {
        /// `kind/name`.
        member: String,
        /// The blob.
        sha256: Digest,
        /// The cache.
        cache: PathBuf,
    },
    /// The directory holds no complete bundle.
    #[error("{} is no complete bundle: {why}; create it with `openg2p bundle create`", .dir.display())]
    NotABundle {
        /// The directory.
        dir: PathBuf,
        /// What is missing.
        why: String,
    },
    /// Two descriptions claim the same thing.
    #[error("{what} is described twice, in {} and in {}; keep one", .first.display(), .second.display())]
    DescribedTwice {
        /// `kind/name` or a reference.
        what: String,
        /// One file.
        first: PathBuf,
        /// The other file.
        second: PathBuf,
    },
    /// The index cannot be used.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// Several members failed; all are told.
    #[error("{}", several_message(.0))]
    Several(Vec<BundleError>),
}

impl BundleError {
    /// The stable code of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "bundle::io",
            Self::Recipe { .. } => "bundle::recipe-invalid",
            Self::NoSource { .. } => "bundle::no-source",
            Self::ToolMissing { .. } => "bundle::tool-missing",
            Self::Unreachable { .. } => "bundle::source-unreachable",
            Self::BuildFailed { .. } => "bundle::build-failed",
            Self::DigestMismatch { .. } => "bundle::digest-mismatch",
            Self::LockMoved { .. } => "bundle::lock-moved",
            Self::Mirror { .. } => "bundle::mirror-invalid",
            Self::UnknownScope { .. } => "bundle::unknown-scope",
            Self::UnsafeArchive { .. } => "bundle::unsafe-archive",
            Self::CacheDamaged { .. } => "bundle::cache-damaged",
            Self::NotABundle { .. } => "bundle::incomplete",
            Self::DescribedTwice { .. } => "bundle::described-twice",
            Self::Index(error) => error.code(),
            Self::Several(_) => "bundle::several",
        }
    }

    /// For `map_err` after a call of the file system.
    pub(crate) fn io(doing: &'static str, path: impl AsRef<Path>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { doing, path, source }
    }

    /// One error out of several; the only one stays itself.
    pub(crate) fn together(mut errors: Vec<Self>) -> Self {
        if errors.len() == 1 {
            errors.remove(0)
        } else {
            Self::Several(errors)
        }
    }
}

fn moved_message(lock: &Path, moved: &[Moved]) -> String {
    let mut text = format!(
        "{} of the bundle's members moved since {} was written:",
        moved.len(),
        lock.display()
    );
    for one in moved {
        let _ = write!(text, "\n  {one}");
    }
    let sources: BTreeSet<&str> = moved.iter().map(|one| one.source.as_str()).collect();
    let _ = write!(
        text,
        "\nnothing was changed; look at the list, then accept it with `--accept-moved={}` and commit the lock file",
        sources.into_iter().collect::<Vec<_>>().join(",")
    );
    text
}

fn several_message(errors: &[BundleError]) -> String {
    let mut text = format!("{} errors:", errors.len());
    for error in errors {
        let _ = write!(text, "\n- [{}] {error}", error.code());
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            let _ = write!(text, ": {cause}");
            source = cause.source();
        }
    }
    text
}
