//! Renders a chart.

use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::capabilities::Capabilities;
use crate::coalesce::{coalesce_values, table_at};
use crate::dependencies;
use crate::error::ChartError;
use crate::faults;
use crate::functions;
use crate::functions::semver::is_compatible;
use crate::instance::Instance;
use crate::load::Chart;
use crate::manifest;
use crate::random::Randomness;
use crate::rendered::{Crd, Rendered};
use crate::schema;
use crate::template::exec::{Engine, Set, remove_no_value};
use crate::template::parser;
use crate::template::value::{Entries, Map, MapKind, Value};
use crate::values::Values;
use crate::yaml::{self, Yaml};

/// How much stack a rendering may use; templates may include one another a thousand times deep.
const STACK: usize = 512 << 20;

/// Answers `lookup` from a snapshot of the cluster.
pub trait Lookup: Send + Sync {
    /// The object of that name, or a list where the name is empty; nothing where there is none.
    fn lookup(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Option<Json>;
}

/// `.Release`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    /// The name.
    pub name: String,
    /// The namespace.
    pub namespace: String,
    /// Whether this is an upgrade rather than an installation.
    pub is_upgrade: bool,
    /// The revision, from 1.
    pub revision: u32,
}

impl Release {
    /// The first installation of a release.
    pub fn new(name: impl Into<String>, namespace: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            namespace: namespace.into(),
            is_upgrade: false,
            revision: 1,
        }
    }

    /// Helm's rule for names, which objects are mostly named after.
    ///
    /// # Errors
    ///
    /// [`ChartError::ReleaseName`]
    pub fn check_name(&self) -> Result<(), ChartError> {
        const RULE: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
        let end =
            |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let part = |part: &str| {
            end(part.bytes().next())
                && end(part.bytes().next_back())
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        };
        let reason = if self.name.is_empty() {
            "no name provided".to_owned()
        } else if self.name.len() > 53 || !self.name.split('.').all(part) {
            format!("invalid release name, must match regex {RULE} and the length must not be longer than 53")
        } else {
            return Ok(());
        };
        Err(ChartError::ReleaseName {
            name: self.name.clone(),
            reason,
        })
    }
}

/// What a rendering depends on besides the chart.
#[derive(Clone)]
pub struct RenderOptions {
    /// `.Release`.
    pub release: Release,
    /// The user's values, merged over the chart's.
    pub values: Values,
    /// `.Capabilities`.
    pub capabilities: Capabilities,
    /// The snapshot behind `lookup`; without one every lookup finds nothing.
    pub lookup: Option<Arc<dyn Lookup>>,
    /// The source of random values and of the time; without one, functions that need it are refused.
    pub random: Option<Arc<dyn Randomness>>,
    /// Leave out the check against `values.schema.json`.
    pub skip_schema: bool,
    /// Show the notes of subcharts as well.
    pub subchart_notes: bool,
}

impl RenderOptions {
    /// Options for the first installation of a release without values of its own.
    pub fn new(release: Release) -> Self {
        Self {
            release,
            values: Values::new(),
            capabilities: Capabilities::default(),
            lookup: None,
            random: None,
            skip_schema: false,
            subchart_notes: false,
        }
    }

    /// The same with the user's values.
    #[must_use]
    pub fn with_values(mut self, values: Values) -> Self {
        self.values = values;
        self
    }

    /// The same with other capabilities.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// The same with a snapshot for `lookup`.
    #[must_use]
    pub fn with_lookup(mut self, lookup: Arc<dyn Lookup>) -> Self {
        self.lookup = Some(lookup);
        self
    }

    /// The same with a source of random values and of the time.
    #[must_use]
    pub fn with_random(mut self, random: Arc<dyn Randomness>) -> Self {
        self.random = Some(random);
        self
    }
}

/// Renders a chart; the same chart and options give the same result.
///
/// # Errors
///
/// See [`ChartError`]: values that break the schema, templates that fail, output that is no YAML.
pub fn render(chart: &Chart, options: &RenderOptions) -> Result<Rendered, ChartError> {
    on_large_stack(|| render_here(chart, options))
}

/// The values that the chart's templates see: the user's over the chart's and its subcharts'.
///
/// # Errors
///
/// As [`render`], without what concerns templates.
pub fn effective_values(chart: &Chart, options: &RenderOptions) -> Result<Json, ChartError> {
    on_large_stack(|| {
        let (_, values) = prepare(chart, options)?;
        functions::serialize::to_json_value(&Value::Map(values)).map_err(|reason| ChartError::Values {
            chart: chart.name().to_owned(),
            reason,
        })
    })
}

/// Runs work on a stack of its own. It is not a thread of its own: to start one, and to give it memory of its own, would take
/// as long as many a rendering.
pub(crate) fn on_large_stack<T>(work: impl FnOnce() -> Result<T, ChartError>) -> Result<T, ChartError> {
    // What the work has touched is not looked at any more after a panic.
    let outcome = panic::catch_unwind(AssertUnwindSafe(|| stacker::grow(STACK, work)));
    outcome.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        Err(ChartError::Internal {
            reason: format!("rendering stopped unexpectedly, which is a fault of this program: {text}"),
        })
    })
}

fn prepare<'c>(chart: &'c Chart, options: &RenderOptions) -> Result<(Instance<'c>, Map), ChartError> {
    let mut instance = Instance::new(chart);
    let user = Map::new(options.values.entries());
    dependencies::process(&mut instance, &user)?;
    let values = coalesce_values(&instance, &user, false)?;
    if !options.skip_schema {
        schema::validate(&instance, &values)?;
    }
    Ok((instance, values))
}

struct Renderable<'c> {
    path: String,
    text: Cow<'c, str>,
    scope: Map,
    base: String,
}

fn render_here(chart: &Chart, options: &RenderOptions) -> Result<Rendered, ChartError> {
    if chart.metadata.is_library() {
        return Err(ChartError::Metadata {
            chart: chart.name().to_owned(),
            reason: "library charts are not installable".to_owned(),
        });
    }
    let (instance, values) = prepare(chart, options)?;
    let wanted = &instance.metadata.kube_version;
    if !wanted.is_empty() && !is_compatible(wanted, &options.capabilities.kube_version) {
        return Err(ChartError::Kubernetes {
            wanted: wanted.clone(),
            found: options.capabilities.kube_version.clone(),
        });
    }
    let mut files = run(&instance, &values, options, false)?;
    let notes_path = format!("{}/templates/NOTES.txt", instance.name());
    let mut notes: Option<String> = None;
    for (path, text) in files.extract_if(.., |path, _| path.ends_with("NOTES.txt")) {
        if options.subchart_notes || path == notes_path {
            match &mut notes {
                Some(all) => {
                    all.push('\n');
                    all.push_str(&text);
                }
                None => notes = Some(text),
            }
        }
    }
    let documents = manifest::sort(&files)?;
    drop(files);
    let mut crds = Vec::new();
    collect_crds(&instance, [instance.name(), instance.name()], &mut crds)?;
    Ok(Rendered::new(documents, notes, crds))
}

/// What the templates make where `required` and `fail` stop nothing; none where the values do not come together.
pub(crate) fn rendered_for_lint(
    chart: &Chart,
    options: &RenderOptions,
) -> Result<Option<BTreeMap<String, String>>, ChartError> {
    match prepare(chart, options) {
        Ok((instance, values)) => run(&instance, &values, options, true).map(Some),
        Err(error @ ChartError::Schema { .. }) => Err(error),
        Err(_) => Ok(None),
    }
}

fn run(
    instance: &Instance<'_>,
    values: &Map,
    options: &RenderOptions,
    lint: bool,
) -> Result<BTreeMap<String, String>, ChartError> {
    let release = &options.release;
    let release: Entries = [
        ("Name", release.name.as_str().into()),
        ("Namespace", release.namespace.as_str().into()),
        ("IsUpgrade", release.is_upgrade.into()),
        ("IsInstall", (!release.is_upgrade && !lint).into()),
        ("Revision", Value::int(i64::from(release.revision))),
        ("Service", "Helm".into()),
    ]
    .into_iter()
    .map(|(key, value)| (key.into(), value))
    .collect();
    let shared = Shared {
        release: Value::map(release),
        capabilities: options.capabilities.object(),
    };
    let mut renderables = Vec::new();
    scope_of(
        instance,
        [instance.name(), instance.name()],
        &values.retyped(MapKind::Values),
        &shared,
        true,
        &mut renderables,
    );
    // Helm reads and runs deeper templates first, so that a parent's definitions win.
    renderables.sort_by(|left, right| {
        let depth = |path: &str| path.bytes().filter(|byte| *byte == b'/').count();
        (depth(&right.path), &right.path).cmp(&(depth(&left.path), &left.path))
    });
    let mut set = Set {
        templates: HashMap::with_capacity(renderables.len()),
        parent: None,
    };
    // A library comes with the chart and with each of its subcharts; its texts are read once. Only those that are equally long are
    // compared.
    let mut known: BTreeMap<(usize, &str), parser::Parsed> = BTreeMap::new();
    for renderable in &renderables {
        let parsed = match known.entry((renderable.text.len(), &renderable.text)) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => entry.insert(
                parser::parse(&renderable.path, &renderable.text, functions::find)
                    .map_err(|fault| faults::parse_error(&renderable.path, &fault))?,
            ),
        };
        for tree in parsed.trees(&renderable.path) {
            set.add(Arc::new(tree));
        }
    }
    let set = Rc::new(set);
    let mut engine = Engine::new(options.lookup.as_deref(), options.random.as_deref());
    engine.lint = lint;
    let mut files = BTreeMap::new();
    for renderable in &renderables {
        if functions::base_path(&renderable.path).starts_with('_') {
            continue;
        }
        let template: Entries = [
            ("Name".into(), renderable.path.as_str().into()),
            ("BasePath".into(), renderable.base.as_str().into()),
        ]
        .into_iter()
        .collect();
        renderable
            .scope
            .insert("Template", Value::Map(Map::typed(template, MapKind::Values)));
        let bytes = engine
            .execute(
                &set,
                &renderable.path,
                Value::Map(renderable.scope.retyped(MapKind::Values)),
            )
            .map_err(|fault| faults::run_error(&renderable.path, &fault, &set))?;
        let text = String::from_utf8(remove_no_value(bytes))
            .unwrap_or_else(|error| crate::template::format::text_of(error.as_bytes()));
        files.insert(renderable.path.clone(), text);
    }
    Ok(files)
}

struct Shared {
    release: Value,
    capabilities: Value,
}

/// What the templates of a chart see, and the templates of it and its subcharts. The paths are that of the chart and that
/// under which its subcharts have theirs.
fn scope_of<'c>(
    instance: &Instance<'c>,
    [path, below]: [&str; 2],
    values: &Map,
    shared: &Shared,
    root: bool,
    renderables: &mut Vec<Renderable<'c>>,
) -> Map {
    let subcharts = Map::new(Entries::new());
    let scope = Map::new(
        [
            ("Chart", instance.metadata.object(root)),
            ("Files", crate::files::value(instance.files)),
            ("Release", shared.release.clone()),
            ("Capabilities", shared.capabilities.clone()),
            ("Values", Value::Map(values.clone())),
            ("Subcharts", Value::Map(subcharts.clone())),
        ]
        .into_iter()
        .map(|(key, value)| (key.into(), value))
        .collect(),
    );
    for dependency in &instance.dependencies {
        let name = dependency.name();
        let inner = table_at(values, name).unwrap_or_else(|| Map::new(Entries::new()));
        let inner_path = format!("{below}/charts/{name}");
        let inner_below = format!("{below}/charts/{}", dependency.origin);
        let inner_scope = scope_of(
            dependency,
            [&inner_path, &inner_below],
            &inner.retyped(MapKind::Values),
            shared,
            false,
            renderables,
        );
        subcharts.insert(name, Value::Map(inner_scope));
    }
    let library = instance.metadata.is_library();
    for file in instance.templates {
        if library && !functions::base_path(&file.name).starts_with('_') {
            continue;
        }
        renderables.push(Renderable {
            path: functions::clean_path(&format!("{path}/{}", file.name)),
            // Nearly always it is text, and this finds it out sooner.
            text: std::str::from_utf8(&file.data)
                .map_or_else(|_| String::from_utf8_lossy(&file.data), Cow::Borrowed),
            scope: scope.clone(),
            base: format!("{path}/templates"),
        });
    }
    scope
}

fn collect_crds(
    instance: &Instance<'_>,
    [path, below]: [&str; 2],
    crds: &mut Vec<Crd>,
) -> Result<(), ChartError> {
    for file in instance.files {
        let extension = file
            .name
            .rsplit_once('.')
            .map(|(_, extension)| extension.to_ascii_lowercase());
        if !file.name.starts_with("crds/") || !matches!(extension.as_deref(), Some("yaml" | "yml" | "json")) {
            continue;
        }
        let source = format!("{path}/{}", file.name);
        let text = String::from_utf8_lossy(&file.data).into_owned();
        let mut objects = Vec::new();
        for document in manifest::split(&text) {
            let value = yaml::read(document.as_bytes()).map_err(|error| ChartError::Manifest {
                template: source.clone(),
                reason: format!("error converting YAML to JSON: {error}"),
            })?;
            if value != Yaml::Null {
                objects.push(yaml::to_json(&value));
            }
        }
        crds.push(Crd {
            source,
            text,
            objects,
        });
    }
    for dependency in &instance.dependencies {
        let inner_path = format!("{below}/charts/{}", dependency.name());
        let inner_below = format!("{below}/charts/{}", dependency.origin);
        collect_crds(dependency, [&inner_path, &inner_below], crds)?;
    }
    Ok(())
}
