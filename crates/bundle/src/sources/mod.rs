//! Where members come from: one trait, one file per source.

use std::{
    cell::Cell,
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    cache::{Cache, Made},
    error::BundleError,
    estimate,
    index::Digest,
    lock::{EntryKey, Held, Lock},
    mirrors::Mirrors,
    moves::Moves,
    progress::{Event, Progress},
    recipe::{Recipe, Recipes},
    sources::transfer::Web,
};

pub mod build;
pub mod debian;
pub mod https;
pub mod oci;
pub mod transfer;

/// Something that can give members.
pub trait Source: Sync {
    /// Its name in recipes, in the lock file and on the command line.
    fn name(&self) -> &'static str;

    /// Whether the recipe declares this source.
    fn declared(&self, recipe: &Recipe) -> bool;

    /// Whether all its members must be resolved in one go, as packages that depend on each other.
    fn together(&self) -> bool {
        false
    }

    /// Everything that decides what comes out. The same inputs are not made twice.
    fn inputs(&self, recipes: &[&Recipe], workshop: &Workshop<'_>) -> Result<Inputs, BundleError>;

    /// Origin and what the lock file will hold of a member, if that is known before it is made or fetched. Then a
    /// member that moved is refused before any work, and the lock file can be brought up to date without any.
    fn foresee(
        &self,
        _recipe: &Recipe,
        _inputs: &Inputs,
        _workshop: &Workshop<'_>,
    ) -> Result<Option<(String, Held)>, BundleError> {
        Ok(None)
    }

    /// Makes or fetches the members into the cache.
    fn obtain(&self, recipes: &[&Recipe], workshop: &Workshop<'_>) -> Result<Made, BundleError>;
}

/// Every source, in the order of their names.
pub fn all() -> [&'static dyn Source; 4] {
    [
        &build::LocalBuild,
        &debian::DebianSuite,
        &https::Https,
        &oci::OciRegistry,
    ]
}

/// What decides the outcome of a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inputs {
    declared: BTreeMap<String, String>,
    tools: BTreeMap<String, String>,
    parts: BTreeMap<String, Digest>,
    /// The SHA-256 of what will be fetched, where it is known beforehand.
    pub expected: Option<Digest>,
}

impl Inputs {
    /// Adds something that the repository says, such as the digest of a file.
    pub fn declare(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.declared.insert(name.into(), value.into());
    }

    /// Adds something that this machine brings, such as the version of a compiler. It counts for the cache, not for
    /// the lock file.
    pub fn tool(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.tools.insert(name.into(), value.into());
    }

    /// Says that the outcome is made from a shared part, as [`Workshop::part`] names it, so that its time can be guessed.
    pub fn part(&mut self, what: impl Into<String>, inputs: &Self) {
        self.parts.insert(what.into(), inputs.key());
    }

    /// The shared parts, with their keys.
    pub fn parts(&self) -> impl Iterator<Item = (&str, &Digest)> {
        self.parts.iter().map(|(what, key)| (what.as_str(), key))
    }

    /// Takes over the inputs of a part.
    pub fn include(&mut self, part: &str, inputs: &Self) {
        self.declare(part, inputs.lock_digest().as_str());
        for (name, value) in &inputs.tools {
            self.tool(format!("{part}: {name}"), value);
        }
        self.parts.extend(inputs.parts.clone());
    }

    /// The digest that the lock file holds: of what the repository says alone.
    pub fn lock_digest(&self) -> Digest {
        digest_of(&self.declared)
    }

    /// The key of the cache: the repository's and the machine's inputs.
    pub fn key(&self) -> Digest {
        let mut all = self.declared.clone();
        all.extend(
            self.tools
                .iter()
                .map(|(name, value)| (format!("\u{0}{name}"), value.clone())),
        );
        digest_of(&all)
    }
}

fn digest_of(pairs: &BTreeMap<String, String>) -> Digest {
    // JSON separates names from values without ambiguity.
    Digest::of(&serde_json::to_vec(pairs).unwrap_or_default())
}

/// What sources work with.
pub struct Workshop<'a> {
    /// Root of the repository.
    pub root: PathBuf,
    /// The cache.
    pub cache: Cache,
    /// All recipes, for bases.
    pub recipes: &'a Recipes,
    /// Release of Debian that packages are fetched for.
    pub release: String,
    /// Whom to ask instead of the makers.
    pub mirrors: Mirrors,
    /// The lock file.
    pub lock: Lock,
    /// Which moves are accepted.
    pub moves: Moves,
    /// Where cargo compiles.
    pub cargo_target: PathBuf,
    /// Certificates of authorities that registries and servers may use besides the system's.
    pub authorities: Vec<PathBuf>,
    /// Registries and web servers.
    pub(crate) web: Web<'a>,
    /// Whether to ask sources again although the cache has an answer.
    pub refresh: bool,
    /// Where progress goes.
    pub progress: &'a dyn Progress,
    /// Parts that were made in this run or are being made.
    parts: Mutex<HashMap<Digest, Arc<Part>>>,
    /// Versions of tools that were already asked for.
    versions: Mutex<HashMap<String, String>>,
}

/// A shared part: whoever comes first makes it, the others wait for the lock and find the result.
type Part = Mutex<Option<Result<Made, ()>>>;

/// What a workshop is set up with.
pub struct Setup<'a> {
    /// Root of the repository.
    pub root: PathBuf,
    /// The cache.
    pub cache: Cache,
    /// All recipes.
    pub recipes: &'a Recipes,
    /// The lock file.
    pub lock: Lock,
    /// Where progress goes.
    pub progress: &'a dyn Progress,
    /// The rest.
    pub options: &'a crate::create::Options,
}

impl<'a> Workshop<'a> {
    /// A workshop.
    pub fn new(setup: Setup<'a>) -> Self {
        let options = setup.options;
        Self {
            root: setup.root,
            cache: setup.cache,
            recipes: setup.recipes,
            release: options.release.clone(),
            mirrors: options.mirrors.clone(),
            lock: setup.lock,
            moves: options.moves.clone(),
            cargo_target: options.cargo_target.clone(),
            authorities: options.authorities.clone(),
            web: Web::new(options.authorities.clone(), options.patience, setup.progress),
            refresh: options.refresh,
            progress: setup.progress,
            parts: Mutex::default(),
            versions: Mutex::default(),
        }
    }

    /// The result for these inputs, see `Workshop::take`. Notes how much of the time went into the part itself and
    /// not into the parts that it waited for, which is what the next guess can be added up from.
    pub fn part(
        &self,
        what: &str,
        inputs: &Inputs,
        make: impl FnOnce() -> Result<Made, BundleError>,
    ) -> Result<Made, BundleError> {
        thread_local! {
            static INNER: Cell<Duration> = const { Cell::new(Duration::ZERO) };
        }
        let start = Instant::now();
        let outer = INNER.take();
        let result = self.take(what, inputs, || {
            let start = Instant::now();
            let result = make()?;
            self.cache
                .set_took(what, start.elapsed().saturating_sub(INNER.get()));
            Ok(result)
        });
        INNER.set(outer + start.elapsed());
        result
    }

    /// The result for these inputs: from the cache, or made now, once, however many members need it.
    fn take(
        &self,
        what: &str,
        inputs: &Inputs,
        make: impl FnOnce() -> Result<Made, BundleError>,
    ) -> Result<Made, BundleError> {
        let key = inputs.key();
        let part = {
            let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(parts.entry(key.clone()).or_default())
        };
        let mut slot = part.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(result) = &*slot {
            return result.clone().map_err(|()| BundleError::BuildFailed {
                what: what.to_owned(),
                command: "a part that others need too".to_owned(),
                outcome: "failed".to_owned(),
                tail: "  | see its own error".to_owned(),
            });
        }
        if !self.refresh
            && let Some(made) = self.cache.load(&key)
        {
            self.progress.event(Event::Cached { what });
            *slot = Some(Ok(made.clone()));
            return Ok(made);
        }
        // Another run on this machine may be making the same; then its result is waited for and used.
        let alone = self.cache.lock(key.as_str())?;
        if !self.refresh
            && let Some(made) = self.cache.load(&key)
        {
            self.progress.event(Event::Cached { what });
            *slot = Some(Ok(made.clone()));
            return Ok(made);
        }
        self.progress.event(Event::Started {
            what,
            expected: estimate::of(what, &self.cache),
        });
        let start = Instant::now();
        let result = make().and_then(|made| self.cache.store(&key, &made).map(|()| made));
        *slot = Some(result.as_ref().map(Made::clone).map_err(|_| ()));
        drop(alone);
        match &result {
            Ok(_) => {
                self.progress.event(Event::Finished {
                    what,
                    took: start.elapsed(),
                });
            }
            Err(_) => self.progress.event(Event::Failed { what }),
        }
        result
    }

    /// The digest that the lock file has for a member of this version and origin. It is what counts, unless the source
    /// is to be asked again or what moved there is accepted.
    pub(crate) fn locked(&self, source: &str, recipe: &Recipe, origin: &str) -> Option<Digest> {
        if self.refresh || self.moves.accepts(source, &recipe.id()) {
            return None;
        }
        let key = EntryKey {
            source: source.to_owned(),
            release: None,
            kind: recipe.kind,
            name: recipe.name.clone(),
        };
        let entry = self.lock.get(&key)?;
        let same = recipe.version.as_ref() == Some(&entry.version) && entry.origin == origin;
        entry.sha256.clone().filter(|_| same)
    }

    /// The system's authorities and the given ones in one file below `folder`, for programs that take one file; none
    /// if none is given.
    pub(crate) fn authority_file(&self, folder: &Path) -> Result<Option<PathBuf>, BundleError> {
        if self.authorities.is_empty() {
            return Ok(None);
        }
        let mut text = Vec::new();
        let system = build::image::system_authorities();
        for path in system.iter().chain(&self.authorities) {
            text.extend(fs::read(path).map_err(BundleError::io("read", path))?);
            text.push(b'\n');
        }
        let path = folder.join("authorities.pem");
        fs::write(&path, text).map_err(BundleError::io("write", &path))?;
        Ok(Some(path))
    }

    /// The version that a tool reports, or another short text, asked for once.
    pub(crate) fn version(
        &self,
        tool: &str,
        ask: impl FnOnce() -> Result<String, BundleError>,
    ) -> Result<String, BundleError> {
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(version) = versions.get(tool) {
            return Ok(version.clone());
        }
        let version = ask()?;
        versions.insert(tool.to_owned(), version.clone());
        Ok(version)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn inputs(declared: &BTreeMap<String, String>, tools: &BTreeMap<String, String>) -> Inputs {
        let mut inputs = Inputs::default();
        for (name, value) in declared {
            inputs.declare(name, value);
        }
        for (name, value) in tools {
            inputs.tool(name, value);
        }
        inputs
    }

    #[test]
    fn tools_count_for_the_cache_and_not_for_the_lock() {
        let mut one = Inputs::default();
        one.declare("go.sum", "x");
        let mut two = one.clone();
        one.tool("go", "1.26.1");
        two.tool("go", "1.26.2");
        assert_eq!(one.lock_digest(), two.lock_digest());
        assert_ne!(one.key(), two.key());
        let (mut outer_one, mut outer_two) = (Inputs::default(), Inputs::default());
        outer_one.include("part", &one);
        outer_two.include("part", &two);
        assert_eq!(outer_one.lock_digest(), outer_two.lock_digest());
        assert_ne!(
            outer_one.key(),
            outer_two.key(),
            "a part's tools count for the whole"
        );
    }

    fn pairs() -> impl Strategy<Value = BTreeMap<String, String>> {
        prop::collection::btree_map("[a-c]{0,2}", "[a-c:]{0,2}", 0..4)
    }

    proptest! {
        #[test]
        fn different_inputs_have_different_keys(a in pairs(), b in pairs(), c in pairs(), d in pairs()) {
            let (one, two) = (inputs(&a, &b), inputs(&c, &d));
            prop_assert_eq!(one.key() == two.key(), (&a, &b) == (&c, &d));
            prop_assert_eq!(one.lock_digest() == two.lock_digest(), a == c);
        }
    }
}
