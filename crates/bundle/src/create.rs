//! Making a bundle: choose a source per member, obtain what the cache does not have, compare with the lock, write.

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    cache::{Cache, Made, Obtained, write_file},
    error::BundleError,
    estimate,
    index::{Digest, Index, Kind, Member},
    layout,
    lock::{Entry, LOCK_FILE, Lock, Moved},
    mirrors::Mirrors,
    moves::Moves,
    progress::{Event, Progress},
    recipe::{Recipe, Recipes},
    sources::{self, Inputs, Setup, Source, Workshop, transfer::Patience},
};

/// How a bundle is made.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the bundle is written.
    pub dir: PathBuf,
    /// Release of Debian of the hosts: `trixie` or `bookworm`.
    pub release: String,
    /// Names of the sources that may be used, best first.
    pub prefer: Vec<String>,
    /// Components to bundle; all if empty.
    pub only: Vec<String>,
    /// Which members may differ from the lock file.
    pub moves: Moves,
    /// The lock file, if it is not `bundle.lock` at the root of the repository.
    pub lock: Option<PathBuf>,
    /// How many members are made at once.
    pub jobs: usize,
    /// Ask the sources again although the cache has an answer.
    pub refresh: bool,
    /// The cache, `bundle` in [`cache_folder`] by default.
    pub cache: PathBuf,
    /// Where cargo compiles, `target` in [`cache_folder`] by default.
    pub cargo_target: PathBuf,
    /// Whom to ask instead of the makers.
    pub mirrors: Mirrors,
    /// Certificates of authorities, as PEM files, that registries and servers may use besides the system's.
    pub authorities: Vec<PathBuf>,
    /// How long and how often registries and servers are asked.
    pub patience: Patience,
}

/// Sources of the lab: everything is built on this machine, and packages come from Debian.
pub const LAB: &[&str] = &["build", "debian"];

/// Sources of a site that takes official images.
pub const OFFICIAL: &[&str] = &["oci", "https", "debian", "build"];

impl Options {
    /// The options of the lab, for a bundle in `dir`.
    pub fn lab(dir: impl Into<PathBuf>) -> Self {
        let cache = cache_folder();
        Self {
            dir: dir.into(),
            release: "trixie".to_owned(),
            prefer: LAB.iter().map(|&name| name.to_owned()).collect(),
            only: Vec::new(),
            moves: Moves::refuse(),
            lock: None,
            jobs: std::thread::available_parallelism().map_or(2, usize::from),
            refresh: false,
            cargo_target: env::var_os("CARGO_TARGET_DIR").map_or_else(|| cache.join("target"), PathBuf::from),
            cache: cache.join("bundle"),
            mirrors: Mirrors::default(),
            authorities: Vec::new(),
            patience: Patience::default(),
        }
    }
}

/// The project's cache: `$OPENG2P_CACHE`, or `openg2p` in the user's cache folder.
pub fn cache_folder() -> PathBuf {
    let folder = |name: &str| {
        env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    folder("OPENG2P_CACHE").unwrap_or_else(|| {
        folder("XDG_CACHE_HOME")
            .unwrap_or_else(|| {
                folder("HOME")
                    .unwrap_or_else(|| PathBuf::from("/root"))
                    .join(".cache")
            })
            .join("openg2p")
    })
}

/// What making a bundle came to.
#[derive(Debug, Clone)]
pub struct Report {
    /// The bundle's index.
    pub index: Index,
    /// The bundle's digest.
    pub digest: Digest,
    /// What moved and was accepted.
    pub moved: Vec<Moved>,
    /// How many groups of members had to be made or fetched; 0 if the cache had everything.
    pub made: usize,
}

/// Members that one source gives in one go.
struct Group<'a> {
    source: &'static dyn Source,
    recipes: Vec<&'a Recipe>,
    what: String,
    inputs: Inputs,
    /// What the lock file will hold, if that is known before anything is made.
    foreseen: Vec<Entry>,
    expected: Option<Duration>,
    cached: bool,
}

/// Makes the bundle that the repository at `root` describes.
pub fn create(root: &Path, options: &Options, progress: &dyn Progress) -> Result<Report, BundleError> {
    let recipes = Recipes::load(root)?;
    let start = begin(root, options, &recipes, progress)?;
    let (lock, workshop, groups) = (&start.lock, &start.workshop, &start.groups);
    let whole = options.only.is_empty();
    // Better to refuse now than after an hour of making what is refused then.
    start.refuse(options, &lock.moved(&start.foreseen(), whole))?;
    let to_make: Vec<&str> = groups
        .iter()
        .filter(|group| !group.cached)
        .map(|group| group.what.as_str())
        .collect();
    let expected = guess(groups, workshop, options.jobs);
    progress.event(Event::Planned {
        members: groups.iter().map(|group| group.recipes.len()).sum(),
        to_make: &to_make,
        expected,
    });

    let results = obtain(groups, workshop, options.jobs)?;
    let mut members = Vec::new();
    let mut entries = Vec::new();
    for (group, made) in groups.iter().zip(results) {
        let joined = join(group, made)?;
        if group.foreseen.is_empty() {
            let name = group.source.name();
            entries.extend(
                joined
                    .iter()
                    .map(|member| Entry::fetched(member, name, &options.release)),
            );
        }
        entries.extend(group.foreseen.iter().cloned());
        members.extend(joined);
    }
    let index = Index::new(&options.release, members)?;
    let now = Lock::new(entries);
    let moved = lock.moved(&now, whole);
    start.refuse(options, &moved)?;
    layout::write(&options.dir, &index, &workshop.cache, options.jobs, progress)?;
    start.keep(&now, &moved, whole, progress)?;
    Ok(Report {
        digest: index.digest(),
        index,
        moved,
        made: to_make.len(),
    })
}

/// Brings the lock file up to date with everything that is known without making or fetching members: what is built here,
/// what tags stand for, what published checksums say. What Debian's archive has is known only when a bundle is made.
pub fn lock(root: &Path, options: &Options, progress: &dyn Progress) -> Result<Vec<Moved>, BundleError> {
    let recipes = Recipes::load(root)?;
    let start = begin(root, options, &recipes, progress)?;
    let whole = options.only.is_empty();
    let now = start.foreseen();
    let moved = start.lock.moved(&now, whole);
    start.refuse(options, &moved)?;
    start.keep(&now, &moved, whole, progress)?;
    Ok(moved)
}

/// What a run starts with.
struct Start<'a> {
    lock_path: PathBuf,
    lock: Lock,
    workshop: Workshop<'a>,
    groups: Vec<Group<'a>>,
}

fn begin<'a>(
    root: &Path,
    options: &'a Options,
    recipes: &'a Recipes,
    progress: &'a dyn Progress,
) -> Result<Start<'a>, BundleError> {
    let lock_path = options.lock.clone().unwrap_or_else(|| root.join(LOCK_FILE));
    let lock = Lock::load(&lock_path)?;
    options.moves.check(recipes, &lock)?;
    let setup = Setup {
        root: root.to_owned(),
        cache: Cache::open(&options.cache)?,
        recipes,
        lock: lock.clone(),
        progress,
        options,
    };
    let workshop = Workshop::new(setup);
    let mut groups = choose(recipes, options)?;
    prepare(&mut groups, &workshop)?;
    Ok(Start {
        lock_path,
        lock,
        workshop,
        groups,
    })
}

impl Start<'_> {
    fn foreseen(&self) -> Lock {
        Lock::new(
            self.groups
                .iter()
                .flat_map(|group| group.foreseen.iter().cloned()),
        )
    }

    fn refuse(&self, options: &Options, moved: &[Moved]) -> Result<(), BundleError> {
        let moved = options.moves.refused(moved);
        if moved.is_empty() {
            return Ok(());
        }
        Err(BundleError::LockMoved {
            lock: self.lock_path.clone(),
            moved,
        })
    }

    fn keep(
        &self,
        now: &Lock,
        moved: &[Moved],
        whole: bool,
        progress: &dyn Progress,
    ) -> Result<(), BundleError> {
        for one in moved {
            progress.event(Event::Moved(one));
        }
        let text = self.lock.accept(now, whole).to_text();
        if moved.is_empty() || std::fs::read_to_string(&self.lock_path).is_ok_and(|found| found == text) {
            return Ok(());
        }
        write_file(&self.lock_path, text.as_bytes())
    }
}

/// One source for each member: the first that is both wanted and declared.
fn choose<'a>(recipes: &'a Recipes, options: &Options) -> Result<Vec<Group<'a>>, BundleError> {
    let all = sources::all();
    for name in &options.prefer {
        if !all.iter().any(|source| source.name() == name) {
            let known = all
                .iter()
                .map(|source| source.name())
                .collect::<Vec<_>>()
                .join(", ");
            return Err(BundleError::Recipe {
                path: PathBuf::from("sources"),
                why: format!("there is no source `{name}`; there are: {known}"),
            });
        }
    }
    let mut groups: Vec<Group<'a>> = Vec::new();
    let mut errors = Vec::new();
    for recipe in recipes.only(&options.only)? {
        if !recipe.releases.is_empty() && !recipe.releases.contains(&options.release) {
            continue;
        }
        let source = options.prefer.iter().find_map(|name| {
            all.iter()
                .copied()
                .find(|source| source.name() == name && source.declared(recipe))
        });
        let Some(source) = source else {
            errors.push(BundleError::NoSource {
                member: recipe.id(),
                declared: recipe.sources.names().join(", "),
                preferred: options.prefer.join(", "),
                recipe: recipe.file.clone(),
            });
            continue;
        };
        let joined = groups
            .iter_mut()
            .find(|group| source.together() && group.source.name() == source.name());
        if let Some(group) = joined {
            group.recipes.push(recipe);
        } else {
            let what = if source.together() {
                format!("{} packages for {}", source.name(), options.release)
            } else {
                recipe.id()
            };
            groups.push(Group {
                source,
                recipes: vec![recipe],
                what,
                inputs: Inputs::default(),
                foreseen: Vec::new(),
                expected: None,
                cached: false,
            });
        }
    }
    if errors.is_empty() {
        Ok(groups)
    } else {
        Err(BundleError::together(errors))
    }
}

fn prepare(groups: &mut [Group<'_>], workshop: &Workshop<'_>) -> Result<(), BundleError> {
    let mut errors = Vec::new();
    for group in groups.iter_mut() {
        if let Err(error) = look(group, workshop) {
            errors.push(error);
            continue;
        }
        group.expected = estimate::of(&group.what, &workshop.cache);
        group.cached = !workshop.refresh && workshop.cache.load(&group.inputs.key()).is_some();
    }
    if !errors.is_empty() {
        return Err(BundleError::together(errors));
    }
    // The longest first, so that nobody waits alone for it at the end.
    groups.sort_by_key(|group| std::cmp::Reverse(group.expected));
    Ok(())
}

/// What decides the members of a group, and what the lock file will hold of them.
fn look(group: &mut Group<'_>, workshop: &Workshop<'_>) -> Result<(), BundleError> {
    group.inputs = group.source.inputs(&group.recipes, workshop)?;
    for recipe in &group.recipes {
        if let Some((origin, held)) = group.source.foresee(recipe, &group.inputs, workshop)? {
            group
                .foreseen
                .push(Entry::foreseen(recipe, group.source.name(), origin, held));
        }
    }
    Ok(())
}

/// About how long everything takes that is not in the cache, with the shared parts counted once.
fn guess(groups: &[Group<'_>], workshop: &Workshop<'_>, jobs: usize) -> Option<Duration> {
    let mut parts = BTreeMap::new();
    for group in groups.iter().filter(|group| !group.cached) {
        parts.insert(group.what.as_str(), group.expected);
        for (what, key) in group.inputs.parts() {
            if workshop.refresh || workshop.cache.load(key).is_none() {
                parts.insert(what, estimate::of(what, &workshop.cache));
            }
        }
    }
    estimate::together(&parts.into_values().flatten().collect::<Vec<_>>(), jobs)
}

/// Obtains every group, several at once. All errors are collected; one failure does not stop the others.
fn obtain(groups: &[Group<'_>], workshop: &Workshop<'_>, jobs: usize) -> Result<Vec<Made>, BundleError> {
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Option<Result<Made, BundleError>>>> =
        Mutex::new(groups.iter().map(|_| None).collect());
    std::thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, groups.len().max(1)) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(group) = groups.get(number) else { return };
                    let result = workshop.part(&group.what, &group.inputs, || {
                        group.source.obtain(&group.recipes, workshop)
                    });
                    results.lock().unwrap_or_else(PoisonError::into_inner)[number] = Some(result);
                }
            });
        }
    });
    let (mut all, mut errors) = (Vec::new(), Vec::new());
    for result in results
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .into_iter()
        .flatten()
    {
        match result {
            Ok(made) => all.push(made),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() {
        Ok(all)
    } else {
        Err(BundleError::together(errors))
    }
}

/// Members out of what a source made and what the recipes say about them.
fn join(group: &Group<'_>, made: Made) -> Result<Vec<Member>, BundleError> {
    let mut members = Vec::new();
    for (number, obtained) in made.members.into_iter().enumerate() {
        let recipe = match &obtained.name {
            Some(name) => group
                .recipes
                .iter()
                .find(|recipe| package_name(recipe) == name)
                .copied(),
            None => group.recipes.get(number).copied(),
        };
        members.push(member(recipe, obtained)?);
    }
    Ok(members)
}

fn package_name(recipe: &Recipe) -> &str {
    recipe
        .sources
        .debian
        .as_ref()
        .and_then(|debian| debian.package.as_deref())
        .unwrap_or(&recipe.name)
}

fn member(recipe: Option<&Recipe>, obtained: Obtained) -> Result<Member, BundleError> {
    let name = obtained
        .name
        .or_else(|| recipe.map(|recipe| recipe.name.clone()))
        .unwrap_or_default();
    let Some(first) = obtained.blobs.first() else {
        return Err(BundleError::Recipe {
            path: PathBuf::from(name),
            why: "its source gave nothing".to_owned(),
        });
    };
    Ok(Member {
        kind: recipe.map_or(Kind::DebianPackage, |recipe| recipe.kind),
        version: obtained
            .version
            .or_else(|| recipe.and_then(|recipe| recipe.version.clone()))
            .unwrap_or_default(),
        reference: recipe.and_then(|recipe| recipe.reference.clone()),
        architecture: obtained.architecture,
        control: obtained.control,
        sha256: first.sha256.clone(),
        size: obtained.blobs.iter().map(|blob| blob.size).sum(),
        licence: recipe.map_or_else(
            || format!("see /usr/share/doc/{name}/copyright"),
            |recipe| recipe.licence.clone(),
        ),
        origin: obtained.origin,
        blobs: obtained.blobs,
        name,
    })
}
