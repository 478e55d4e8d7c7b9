//! `Chart.yaml`, versions 1 and 2.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::functions::semver::Version;
use crate::template::format::is_printable;
use crate::template::object::{Field, Object, Struct, no_methods};
use crate::template::value::{List, ListKind, Map, MapKind, Value};
use crate::yaml::{self, Yaml};

/// What `Chart.yaml` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The name of the chart.
    pub name: String,
    /// The version of the chart.
    pub version: String,
    /// The version of the program in it.
    pub app_version: String,
    /// `v1` or `v2`.
    pub api_version: String,
    /// `application`, `library` or nothing.
    pub kind: String,
    /// One sentence.
    pub description: String,
    /// The range of Kubernetes versions that it works with.
    pub kube_version: String,
    /// The project's page.
    pub home: String,
    /// The sources.
    pub sources: Vec<String>,
    /// Words to find it by.
    pub keywords: Vec<String>,
    /// The icon.
    pub icon: String,
    /// Not to be used any more.
    pub deprecated: bool,
    /// For other programs.
    pub annotations: BTreeMap<String, String>,
    /// Who looks after it.
    pub maintainers: Vec<Maintainer>,
    /// The charts that it needs.
    pub dependencies: Vec<Dependency>,
    pub(crate) condition: String,
    pub(crate) tags: String,
}

/// A person behind a chart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Maintainer {
    /// The name.
    pub name: String,
    /// The mail address.
    pub email: String,
    /// A page.
    pub url: String,
}

/// A chart that another one needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependency {
    /// The name of the chart.
    pub name: String,
    /// The range of versions.
    pub version: String,
    /// Where it comes from; not used here, because charts come with their dependencies.
    pub repository: String,
    /// Paths of values that switch it on or off.
    pub condition: String,
    /// Tags that switch it on or off.
    pub tags: Vec<String>,
    /// Another name for it.
    pub alias: String,
    pub(crate) import_values: Vec<Import>,
    pub(crate) enabled: bool,
}

/// An entry of `import-values`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Import {
    Export(String),
    Path { child: String, parent: String },
}

impl Metadata {
    /// Whether the chart has only templates for others.
    pub fn is_library(&self) -> bool {
        self.kind.eq_ignore_ascii_case("library")
    }

    /// Reads `Chart.yaml`, or the old `requirements.yaml` on top of it.
    pub(crate) fn read(&mut self, text: &[u8]) -> Result<(), String> {
        let document = yaml::read(text).map_err(|error| format!("error converting YAML to JSON: {error}"))?;
        let Yaml::Map(entries) = &document else {
            if document == Yaml::Null {
                return Ok(());
            }
            return Err(mismatch(&document, "Go value of type chart.Metadata"));
        };
        for (key, value) in entries.iter() {
            self.set(key, value)?;
        }
        Ok(())
    }

    fn set(&mut self, key: &str, value: &Yaml) -> Result<(), String> {
        if *value == Yaml::Null {
            return Ok(());
        }
        match key.to_ascii_lowercase().as_str() {
            "name" => self.name = text(value, "name")?,
            "home" => self.home = text(value, "home")?,
            "version" => self.version = text(value, "version")?,
            "description" => self.description = text(value, "description")?,
            "icon" => self.icon = text(value, "icon")?,
            "apiversion" => self.api_version = text(value, "apiVersion")?,
            "condition" => self.condition = text(value, "condition")?,
            "tags" => self.tags = text(value, "tags")?,
            "appversion" => self.app_version = text(value, "appVersion")?,
            "kubeversion" => self.kube_version = text(value, "kubeVersion")?,
            "type" => self.kind = text(value, "type")?,
            "sources" => self.sources = texts(value, "sources")?,
            "keywords" => self.keywords = texts(value, "keywords")?,
            "deprecated" => match value {
                Yaml::Bool(deprecated) => self.deprecated = *deprecated,
                other => {
                    return Err(mismatch(
                        other,
                        "Go struct field Metadata.deprecated of type bool",
                    ));
                }
            },
            "annotations" => match value {
                Yaml::Map(entries) => {
                    for (key, value) in entries.iter() {
                        self.annotations
                            .insert(key.to_string(), text(value, "annotations")?);
                    }
                }
                other => {
                    return Err(mismatch(
                        other,
                        "Go struct field Metadata.annotations of type map[string]string",
                    ));
                }
            },
            "maintainers" => {
                self.maintainers = list(value, "maintainers")?
                    .iter()
                    .map(maintainer)
                    .collect::<Result<_, _>>()?;
            }
            "dependencies" => {
                self.dependencies = list(value, "dependencies")?
                    .iter()
                    .map(dependency)
                    .collect::<Result<_, _>>()?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Helm's rules; the error is in its words.
    pub(crate) fn validate(&mut self) -> Result<(), String> {
        for text in [
            &mut self.name,
            &mut self.description,
            &mut self.home,
            &mut self.icon,
            &mut self.condition,
            &mut self.tags,
            &mut self.app_version,
            &mut self.kube_version,
        ]
        .into_iter()
        .chain(&mut self.sources)
        .chain(&mut self.keywords)
        {
            *text = sanitized(text);
        }
        let fail = |reason: &str| Err(format!("validation: chart.metadata.{reason}"));
        if self.api_version.is_empty() {
            return fail("apiVersion is required");
        }
        if self.name.is_empty() {
            return fail("name is required");
        }
        if self.name == "." || self.name == ".." {
            return fail(&format!("name {:?} is not allowed", self.name));
        }
        if self.name.contains('/') {
            return fail(&format!("name {:?} is invalid", self.name));
        }
        if self.version.is_empty() {
            return fail("version is required");
        }
        if Version::parse(&self.version).is_err() {
            return fail(&format!("version {:?} is invalid", self.version));
        }
        if !matches!(self.kind.as_str(), "" | "application" | "library") {
            return fail("type must be application or library");
        }
        let mut names: Vec<&str> = Vec::new();
        for dependency in &self.dependencies {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            if !dependency.alias.bytes().all(allowed) {
                return Err(format!(
                    "validation: dependency {:?} has disallowed characters in the alias",
                    dependency.name
                ));
            }
            let name = dependency.effective_name();
            if names.contains(&name) {
                return Err(format!(
                    "validation: more than one dependency with name or alias {name:?}"
                ));
            }
            names.push(name);
        }
        Ok(())
    }

    /// As templates see it in `.Chart`.
    pub(crate) fn object(&self, root: bool) -> Value {
        let field = |name, json, value: Value| Field {
            name,
            json: Some(json),
            omit_empty: true,
            value,
        };
        let annotations: crate::template::value::Entries = self
            .annotations
            .iter()
            .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
            .collect();
        let nil_strings = |items: &[String]| {
            let list = List::typed(
                items.iter().map(|item| item.as_str().into()).collect(),
                ListKind::Strings,
            );
            Value::List(List {
                nil: items.is_empty(),
                ..list
            })
        };
        let structs = |items: Vec<Value>, name: &'static str| {
            let nil = items.is_empty();
            Value::List(List {
                nil,
                ..List::typed(items, ListKind::Structs(name))
            })
        };
        let metadata = vec![
            field("Name", "name", self.name.as_str().into()),
            field("Home", "home", self.home.as_str().into()),
            field("Sources", "sources", nil_strings(&self.sources)),
            field("Version", "version", self.version.as_str().into()),
            field("Description", "description", self.description.as_str().into()),
            field("Keywords", "keywords", nil_strings(&self.keywords)),
            field(
                "Maintainers",
                "maintainers",
                structs(
                    self.maintainers.iter().map(Maintainer::object).collect(),
                    "*chart.Maintainer",
                ),
            ),
            field("Icon", "icon", self.icon.as_str().into()),
            field("APIVersion", "apiVersion", self.api_version.as_str().into()),
            field("Condition", "condition", self.condition.as_str().into()),
            field("Tags", "tags", self.tags.as_str().into()),
            field("AppVersion", "appVersion", self.app_version.as_str().into()),
            field("Deprecated", "deprecated", self.deprecated.into()),
            field(
                "Annotations",
                "annotations",
                Value::Map(Map {
                    nil: self.annotations.is_empty(),
                    ..Map::typed(annotations, MapKind::Strings)
                }),
            ),
            field("KubeVersion", "kubeVersion", self.kube_version.as_str().into()),
            field(
                "Dependencies",
                "dependencies",
                structs(
                    self.dependencies.iter().map(Dependency::object).collect(),
                    "*chart.Dependency",
                ),
            ),
            field("Type", "type", self.kind.as_str().into()),
        ];
        let inner = Struct {
            type_name: "chart.Metadata",
            pointer: false,
            fields: metadata,
            text: None,
            methods: no_methods,
        };
        let text = format!("{{{} {root}}}", inner.text());
        let mut fields: Vec<Field> = inner
            .fields
            .iter()
            .map(|field| Field {
                value: field.value.clone(),
                ..*field
            })
            .collect();
        // The embedded struct is a field of its own as well.
        fields.push(Field {
            name: "Metadata",
            json: None,
            omit_empty: false,
            value: Value::Object(Rc::new(inner)),
        });
        fields.push(Field {
            name: "IsRoot",
            json: Some("IsRoot"),
            omit_empty: false,
            value: root.into(),
        });
        Value::Object(Rc::new(Struct {
            type_name: "struct { chart.Metadata; IsRoot bool }",
            pointer: false,
            fields,
            text: Some(text),
            methods: no_methods,
        }))
    }
}

impl Maintainer {
    fn object(&self) -> Value {
        let field = |name, json, value: &str| Field {
            name,
            json: Some(json),
            omit_empty: true,
            value: value.into(),
        };
        Value::Object(Rc::new(Struct {
            type_name: "*chart.Maintainer",
            pointer: true,
            fields: vec![
                field("Name", "name", &self.name),
                field("Email", "email", &self.email),
                field("URL", "url", &self.url),
            ],
            text: None,
            methods: no_methods,
        }))
    }
}

impl Dependency {
    /// The name that values are found under.
    pub fn effective_name(&self) -> &str {
        if self.alias.is_empty() {
            &self.name
        } else {
            &self.alias
        }
    }

    fn object(&self) -> Value {
        let field = |name, json, omit_empty, value: Value| Field {
            name,
            json: Some(json),
            omit_empty,
            value,
        };
        let imports = self.import_values.iter().map(|import| match import {
            Import::Export(name) => [("child", format!("exports.{name}")), ("parent", ".".to_owned())],
            Import::Path { child, parent } => [("child", child.clone()), ("parent", parent.clone())],
        });
        let imports: Vec<Value> = imports
            .map(|pair| {
                let entries = pair
                    .into_iter()
                    .map(|(key, value)| (key.into(), value.into()))
                    .collect();
                Value::Map(Map::typed(entries, MapKind::Strings))
            })
            .collect();
        Value::Object(Rc::new(Struct {
            type_name: "*chart.Dependency",
            pointer: true,
            fields: vec![
                field("Name", "name", false, self.name.as_str().into()),
                field("Version", "version", true, self.version.as_str().into()),
                field("Repository", "repository", false, self.repository.as_str().into()),
                field("Condition", "condition", true, self.condition.as_str().into()),
                field(
                    "Tags",
                    "tags",
                    true,
                    Value::strings(self.tags.iter().map(String::as_str)),
                ),
                field("Enabled", "enabled", true, self.enabled.into()),
                field("ImportValues", "import-values", true, Value::list(imports)),
                field("Alias", "alias", true, self.alias.as_str().into()),
            ],
            text: None,
            methods: no_methods,
        }))
    }
}

/// Helm turns white space into spaces and drops what cannot be printed.
fn sanitized(text: &str) -> String {
    text.chars()
        .filter_map(|character| {
            if character.is_whitespace() {
                Some(' ')
            } else {
                is_printable(character).then_some(character)
            }
        })
        .collect()
}

fn mismatch(found: &Yaml, wanted: &str) -> String {
    format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into {wanted}",
        found.json_type()
    )
}

fn text(value: &Yaml, field: &str) -> Result<String, String> {
    // Go names the innermost struct and the whole path.
    let outer = match field.split_once('.') {
        Some(("dependencies", _)) => "Dependency",
        Some(("maintainers", _)) => "Maintainer",
        _ => "Metadata",
    };
    value
        .as_text()
        .ok_or_else(|| mismatch(value, &format!("Go struct field {outer}.{field} of type string")))
}

fn list<'y>(value: &'y Yaml, field: &str) -> Result<&'y [Yaml], String> {
    match value {
        Yaml::Seq(items) => Ok(items),
        Yaml::Null => Ok(&[]),
        other => Err(mismatch(
            other,
            &format!("Go struct field Metadata.{field} of type {}", list_type(field)),
        )),
    }
}

/// Go's name for the type of a list.
fn list_type(field: &str) -> &'static str {
    match field {
        "dependencies" => "[]*chart.Dependency",
        "maintainers" => "[]*chart.Maintainer",
        _ => "[]string",
    }
}

fn texts(value: &Yaml, field: &str) -> Result<Vec<String>, String> {
    list(value, field)?.iter().map(|item| text(item, field)).collect()
}

fn maintainer(value: &Yaml) -> Result<Maintainer, String> {
    if *value == Yaml::Null {
        return Err("validation: maintainers must not contain empty or null nodes".to_owned());
    }
    if !matches!(value, Yaml::Map(_)) {
        let wanted = "Go struct field Metadata.maintainers of type chart.Maintainer";
        return Err(mismatch(value, wanted));
    }
    let get = |key: &str| {
        value.get(key).map_or(Ok(String::new()), |value| {
            text(value, &format!("maintainers.{key}"))
        })
    };
    Ok(Maintainer {
        name: sanitized(&get("name")?),
        email: sanitized(&get("email")?),
        url: sanitized(&get("url")?),
    })
}

fn dependency(value: &Yaml) -> Result<Dependency, String> {
    if *value == Yaml::Null {
        return Err("validation: dependencies must not contain empty or null nodes".to_owned());
    }
    if !matches!(value, Yaml::Map(_)) {
        let wanted = "Go struct field Metadata.dependencies of type chart.Dependency";
        return Err(mismatch(value, wanted));
    }
    let get = |key: &str| {
        value.get(key).map_or(Ok(String::new()), |value| {
            text(value, &format!("dependencies.{key}"))
        })
    };
    let import = |item: &Yaml| match item {
        Yaml::Map(_) => {
            let part = |key: &str| {
                item.get(key).map_or("<nil>".to_owned(), |value| {
                    crate::template::format::display(&yaml::to_value(value))
                })
            };
            Some(Import::Path {
                child: part("child"),
                parent: part("parent"),
            })
        }
        Yaml::Str(name) => Some(Import::Export(name.to_string())),
        _ => None,
    };
    Ok(Dependency {
        name: sanitized(&get("name")?),
        version: sanitized(&get("version")?),
        repository: sanitized(&get("repository")?),
        condition: sanitized(&get("condition")?),
        tags: value
            .get("tags")
            .map_or(Ok(Vec::new()), |tags| texts(tags, "tags"))?
            .iter()
            .map(|tag| sanitized(tag))
            .collect(),
        alias: get("alias")?,
        import_values: match value.get("import-values") {
            Some(items) => list(items, "dependencies")?.iter().filter_map(import).collect(),
            None => Vec::new(),
        },
        enabled: matches!(value.get("enabled"), Some(Yaml::Bool(true))),
    })
}
