//! A module's database, read from the Job that its chart brings for it.

use openg2p_plan::Fingerprint;
use openg2p_ports::ObjectRef;
use serde_json::{Value, json};

/// The container of the chart postgres-init that makes a database and its role.
const CONTAINER: &str = "postgres-init";
/// The server in every environment, from the chart openg2p-commons.
const SERVER: &str = "postgresql";
/// Arguments that only making a database takes.
const MAKING: &[&str] = &["--password-file", "--extensions"];

/// What a Job's manifest says of the database that it makes; none for any other manifest.
pub(crate) struct Database {
    /// Its name.
    pub(crate) name: String,
    /// Its role.
    pub(crate) role: String,
    /// The server that holds it.
    pub(crate) server: ObjectRef,
    /// The Job that drops both.
    pub(crate) remove: Value,
}

fn argument<'a>(arguments: &'a [Value], name: &str) -> Option<&'a str> {
    let beginning = format!("{name}=");
    arguments
        .iter()
        .filter_map(Value::as_str)
        .find_map(|argument| argument.strip_prefix(&beginning))
}

impl Database {
    /// The kind of resource that it becomes, see `openg2p_kinds`.
    pub(crate) const KIND: &'static str = "postgresql-database";

    /// Adds what the kind must know besides the manifest of the Job that makes it.
    pub(crate) fn describe(self, desired: &mut Value) {
        desired["database"] = json!(self.name);
        desired["role"] = json!(self.role);
        desired["server"] = json!(self.server);
        desired["remove"] = self.remove;
    }

    /// Reads `manifest`.
    pub(crate) fn of(manifest: &Value) -> Option<Self> {
        if manifest["kind"] != "Job" {
            return None;
        }
        let container = &manifest["spec"]["template"]["spec"]["containers"][0];
        let arguments = container["args"].as_array()?;
        if container["name"] != CONTAINER || arguments.first()? != "provision" {
            return None;
        }
        Some(Self {
            name: argument(arguments, "--database")?.to_owned(),
            role: argument(arguments, "--username")?.to_owned(),
            server: ObjectRef {
                api_version: "apps/v1".into(),
                kind: "StatefulSet".into(),
                namespace: manifest["metadata"]["namespace"].as_str().map(str::to_owned),
                name: SERVER.into(),
            },
            remove: removal(manifest, arguments)?,
        })
    }
}

/// The same pod with the verb `remove`: same image, same account, same policies, for the pod's labels stay. What only making needs
/// goes, the module's password with it.
fn removal(manifest: &Value, arguments: &[Value]) -> Option<Value> {
    let mut removal = manifest.clone();
    let kept = arguments.iter().skip(1).filter(|argument| {
        let text = argument.as_str().unwrap_or_default();
        !MAKING.iter().any(|name| text.starts_with(&format!("{name}=")))
    });
    let mut arguments = vec![json!("remove")];
    arguments.extend(kept.cloned());
    arguments.push(json!("--terminate-sessions"));
    let pod = removal.pointer_mut("/spec/template/spec")?;
    pod["containers"][0]["args"] = json!(arguments);
    let own = |volume: &Value| volume["name"] != "database";
    if let Some(mounts) = pod["containers"][0]["volumeMounts"].as_array_mut() {
        mounts.retain(own);
    }
    if let Some(volumes) = pod["volumes"].as_array_mut() {
        volumes.retain(own);
    }
    // a Job's template cannot be changed, so its name tells one from the next
    let template = Fingerprint::of(&removal["spec"]["template"]);
    let name = manifest["metadata"]["name"].as_str()?;
    let stem = name.rsplit_once('-').map_or(name, |(stem, _)| stem);
    removal["metadata"]["name"] = json!(format!("{stem}-remove-{}", template.as_str().get(..8)?));
    Some(removal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Value {
        json!({
            "apiVersion": "batch/v1", "kind": "Job",
            "metadata": {"name": "spar-postgres-init-0123abcd", "namespace": "dev", "labels": {"x": "y"}},
            "spec": {"backoffLimit": 3, "template": {
                "metadata": {"labels": {"app.kubernetes.io/component": "spar-postgres-init"}},
                "spec": {
                    "containers": [{
                        "name": "postgres-init", "image": "init:1",
                        "args": ["provision", "--host=postgresql", "--port=5432",
                            "--provisioner-password-file=/run/openg2p/provisioner/password",
                            "--database=dev_spar", "--username=dev_spar",
                            "--password-file=/run/openg2p/database/password",
                            "--owner=ministry/dev/spar", "--extensions=pg_trgm", "--deadline=300s"],
                        "volumeMounts": [{"name": "provisioner"}, {"name": "database"}],
                    }],
                    "volumes": [{"name": "provisioner"}, {"name": "database"}],
                },
            }},
        })
    }

    #[test]
    fn the_removal_is_the_same_pod_without_what_only_making_needs() {
        let made = Database::of(&job()).unwrap();
        assert_eq!((made.name.as_str(), made.role.as_str()), ("dev_spar", "dev_spar"));
        assert_eq!(made.server.to_string(), "StatefulSet dev/postgresql");
        let container = &made.remove["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(
            container["args"],
            json!([
                "remove",
                "--host=postgresql",
                "--port=5432",
                "--provisioner-password-file=/run/openg2p/provisioner/password",
                "--database=dev_spar",
                "--username=dev_spar",
                "--owner=ministry/dev/spar",
                "--deadline=300s",
                "--terminate-sessions"
            ])
        );
        assert_eq!(container["volumeMounts"], json!([{"name": "provisioner"}]));
        assert_eq!(
            made.remove["spec"]["template"]["spec"]["volumes"],
            json!([{"name": "provisioner"}])
        );
        assert_eq!(
            made.remove["spec"]["template"]["metadata"],
            job()["spec"]["template"]["metadata"]
        );
        let name = made.remove["metadata"]["name"].as_str().unwrap();
        assert!(
            name.starts_with("spar-postgres-init-remove-") && name.len() < 60,
            "{name}"
        );
    }

    #[test]
    fn other_jobs_are_left_alone() {
        let mut other = job();
        other["spec"]["template"]["spec"]["containers"][0]["args"][0] = json!("wait");
        assert!(Database::of(&other).is_none());
        let mut other = job();
        other["spec"]["template"]["spec"]["containers"][0]["name"] = json!("migrate");
        assert!(Database::of(&other).is_none());
    }
}
