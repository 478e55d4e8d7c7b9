//! `.Capabilities`: what the cluster can do, as the caller says.

use std::rc::Rc;

use crate::coalesce;
use crate::error::ChartError;
use crate::functions::semver::Version;
use crate::template::fault::Fault;
use crate::template::object::{Field, Method, MethodRun, Struct, no_methods};
use crate::template::signature::Ty;
use crate::template::value::{List, ListKind, Value};

/// The cluster that a chart is rendered for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// The Kubernetes version, such as `v1.36.3`.
    pub kube_version: String,
    /// Groups and versions such as `apps/v1`; a cluster also lists kinds, such as `apps/v1/Deployment`.
    pub api_versions: Vec<String>,
    /// The Helm version that charts may ask for.
    pub helm_version: String,
}

impl Default for Capabilities {
    /// A current Kubernetes with the groups that `helm template` assumes.
    fn default() -> Self {
        Self {
            kube_version: "v1.36.3".to_owned(),
            api_versions: DEFAULT_VERSIONS
                .iter()
                .map(|version| (*version).to_owned())
                .collect(),
            helm_version: "v3.22.0".to_owned(),
        }
    }
}

/// The groups that Helm assumes without a cluster, in its order.
pub(crate) const DEFAULT_VERSIONS: &[&str] = &[
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "lifecycle.k8s.io/v1alpha1",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];

impl Capabilities {
    /// The same with another Kubernetes version.
    #[must_use]
    pub fn with_kube_version(mut self, version: impl Into<String>) -> Self {
        self.kube_version = version.into();
        self
    }

    /// The same with the version that a person gives, such as `1.30`, read as Helm reads it.
    ///
    /// # Errors
    ///
    /// [`ChartError::KubernetesVersion`] where it is no version.
    pub fn try_kube_version(self, version: &str) -> Result<Self, ChartError> {
        let failed = |reason: String| ChartError::KubernetesVersion {
            version: version.to_owned(),
            reason,
        };
        let text = version.trim_start();
        let text = text.strip_prefix('v').unwrap_or(text);
        let end = text
            .find(|character: char| !(character.is_ascii_digit() || character == '.'))
            .unwrap_or(text.len());
        // What follows the numbers, such as a vendor's mark, is passed over.
        let numbers = text[..end].trim_end_matches('.');
        let parts: Vec<&str> = numbers.split('.').take_while(|part| !part.is_empty()).collect();
        if parts.is_empty() {
            return Err(failed(format!("could not parse {version:?} as version")));
        }
        if parts.len() < 2 {
            return Err(failed(format!("illegal version string {version:?}")));
        }
        let numbers: Result<Vec<u64>, _> = parts.iter().map(|part| part.parse::<u64>()).collect();
        let numbers = numbers.map_err(|_| failed(format!("illegal version string {version:?}")))?;
        let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
        Ok(self.with_kube_version(format!("v{}", numbers.join("."))))
    }

    /// The same with more API versions.
    #[must_use]
    pub fn with_api_versions<S: Into<String>>(mut self, versions: impl IntoIterator<Item = S>) -> Self {
        self.api_versions.extend(versions.into_iter().map(Into::into));
        self
    }

    /// As templates see it.
    pub(crate) fn object(&self) -> Value {
        let parsed = Version::parse(&self.kube_version).ok();
        let part =
            |number: Option<u64>| Value::from(number.map(|number| number.to_string()).unwrap_or_default());
        let field = |name, json, value: Value| Field {
            name,
            json: Some(json),
            omit_empty: false,
            value,
        };
        let version = if self.kube_version.starts_with('v') {
            self.kube_version.clone()
        } else {
            format!("v{}", self.kube_version)
        };
        let kube = Value::Object(Rc::new(Struct {
            type_name: "chartutil.KubeVersion",
            pointer: false,
            fields: vec![
                field("Version", "Version", version.as_str().into()),
                field(
                    "Major",
                    "Major",
                    part(parsed.as_ref().map(|version| version.major)),
                ),
                field(
                    "Minor",
                    "Minor",
                    part(parsed.as_ref().map(|version| version.minor)),
                ),
            ],
            text: Some(version),
            methods: |name| match name {
                "String" | "GitVersion" => Some(Method {
                    params: &[],
                    run: |value, _| match value {
                        Value::Object(object) => Ok(object.text().into()),
                        other => Ok(other.clone()),
                    },
                }),
                _ => None,
            },
        }));
        let optional = |name, json, value: &str| Field {
            name,
            json: Some(json),
            omit_empty: true,
            value: value.into(),
        };
        let helm = Value::Object(Rc::new(Struct {
            type_name: "version.BuildInfo",
            pointer: false,
            fields: vec![
                optional("Version", "version", &self.helm_version),
                optional("GitCommit", "git_commit", ""),
                optional("GitTreeState", "git_tree_state", ""),
                optional("GoVersion", "go_version", ""),
            ],
            text: None,
            methods: no_methods,
        }));
        let versions = self
            .api_versions
            .iter()
            .map(|version| version.as_str().into())
            .collect();
        Value::Object(Rc::new(Struct {
            type_name: "*chartutil.Capabilities",
            pointer: true,
            fields: vec![
                field("KubeVersion", "KubeVersion", kube),
                field(
                    "APIVersions",
                    "APIVersions",
                    Value::List(List::typed(versions, ListKind::Versions)),
                ),
                field("HelmVersion", "HelmVersion", helm),
            ],
            text: None,
            methods: no_methods,
        }))
    }
}

/// The method of `.Capabilities.APIVersions`.
pub(crate) fn versions_method(value: &Value, name: &str) -> Option<Method> {
    let Value::List(list) = value else { return None };
    if list.kind != ListKind::Versions || name != "Has" {
        return None;
    }
    Some(Method {
        params: &[Ty::Str],
        run: |value, args| {
            let Value::List(list) = value else {
                return Ok(false.into());
            };
            let wanted = args.first().and_then(Value::string_bytes);
            Ok(list.items.iter().any(|item| item.string_bytes() == wanted).into())
        },
    })
}

/// The methods of `.Values`, which few charts know of.
pub(crate) fn values_method(name: &str) -> Option<Method> {
    let (params, run): (&'static [Ty], MethodRun) = match name {
        "YAML" => (&[], |value, _| {
            Ok(format!("{}\n", crate::functions::to_yaml(value)).into())
        }),
        "AsMap" => (&[], |value, _| match value {
            Value::Map(map) => Ok(Value::Map(map.retyped(crate::template::value::MapKind::Any))),
            other => Ok(other.clone()),
        }),
        "Table" => (&[Ty::Str], |value, args| {
            let (Value::Map(map), Some(Value::Str(path))) = (value, args.first()) else {
                return Ok(Value::Nil);
            };
            coalesce::table_at(map, path)
                .map(|table| Value::Map(table.retyped(crate::template::value::MapKind::Values)))
                .ok_or_else(|| Fault::new(format!("{path:?} is not a table")))
        }),
        "PathValue" => (&[Ty::Str], |value, args| {
            let (Value::Map(map), Some(Value::Str(path))) = (value, args.first()) else {
                return Ok(Value::Nil);
            };
            coalesce::value_at(map, path).ok_or_else(|| Fault::new(format!("{path:?} is not a value")))
        }),
        _ => return None,
    };
    Some(Method { params, run })
}
