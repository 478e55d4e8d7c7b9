//! An environment: its namespace, secrets, commons and modules.

use std::collections::{BTreeMap, BTreeSet};

use openg2p_catalog::Component;
use openg2p_names::kubernetes::{NamespaceName, OwnerLabel};
use openg2p_names::postgresql::{DatabaseName, RoleName};
use openg2p_names::{EnvironmentId, Key, NameError};
use openg2p_plan::{Owner, ResourceId};
use serde_json::{Map, Value, json};

use crate::release::Release;
use crate::{ComposeError, Composer, Draft};

impl Composer<'_> {
    pub(crate) fn environment(&mut self, name: &str) {
        let site = self.inputs.site;
        let Some(environment) = site.environments.get(name) else {
            return;
        };
        let catalog = self.inputs.catalog;
        let wanted: Vec<&str> = environment
            .commons
            .keys()
            .chain(environment.modules.keys())
            .map(String::as_str)
            .collect();
        for component in &wanted {
            if catalog.get(component).is_none() {
                let user = format!("environment {name}");
                self.errors.push(ComposeError::Component {
                    name: (*component).into(),
                    user,
                });
            }
        }
        let components = catalog.with_needs(wanted);
        if components.is_empty() {
            return;
        }
        let id = environment.id.as_str();
        if let Err(error) = fits(id) {
            self.errors.push(error.into());
            return;
        }
        let owner = Owner::Environment(id.into());
        let namespace = self.namespace(id, owner.clone(), &format!("environment {name}"), "restricted");

        // components that share a release share one chart's values
        let mut releases: BTreeMap<&str, (Vec<&Component>, Value)> = BTreeMap::new();
        for component in &components {
            let own = self.values(name, id, component);
            let (members, values) = releases
                .entry(&component.release)
                .or_insert_with(|| (Vec::new(), json!({})));
            members.push(component);
            match &component.section {
                None => merge(values, &own),
                Some(section) => merge(values, &json!({section: own})),
            }
        }
        // sections of the chart whose component is not wanted are off
        let sections: Vec<(&str, &str)> = catalog
            .of_kind(openg2p_catalog::ComponentKind::Commons)
            .filter_map(|component| Some((component.release.as_str(), component.section.as_deref()?)))
            .collect();
        for (release, section) in sections {
            if let Some((members, values)) = releases.get_mut(release) {
                let on = members
                    .iter()
                    .any(|member| member.section.as_deref() == Some(section));
                values[section]["enabled"] = json!(on);
            }
        }

        // commons before modules, whose Jobs need the commons' servers
        let mut releases: Vec<_> = releases.into_iter().collect();
        releases.sort_by_key(|(name, (members, _))| (members.first().map(|member| member.kind), *name));
        let mut servers: Vec<ResourceId> = Vec::new();
        for (release, (members, values)) in releases {
            let needs = vec![namespace.clone()];
            let mut workload_needs = Vec::new();
            let mut images: BTreeSet<String> = BTreeSet::new();
            for component in &members {
                workload_needs.extend(self.secrets(id, component, &owner, &namespace));
                images.extend(component.images.iter().cloned());
            }
            workload_needs.extend(self.image_needs(&images.into_iter().collect::<Vec<_>>()));
            workload_needs.extend(self.guards.iter().cloned());
            let Some(first) = members.first() else { continue };
            let commons = first.kind == openg2p_catalog::ComponentKind::Commons;
            let own = self.release(&Release {
                chart: &first.chart,
                name: release,
                namespace: id,
                owner: owner.clone(),
                part: release,
                values,
                needs,
                workload_needs,
                job_needs: servers.clone(),
            });
            if commons {
                servers.extend(own);
            }
        }
    }

    /// The component's chart values: what the catalogue fixes, what the engine names, and what profile and site file say.
    fn values(&mut self, name: &str, environment: &str, component: &Component) -> Value {
        let mut values = Value::Object(component.values.clone());
        for database in &component.databases {
            match database_names(environment, &component.name) {
                Ok((name, role)) => set(
                    &mut values,
                    &database.value,
                    json!({"name": name, "username": role, "existingSecret": database.secret}),
                ),
                Err(error) => self.errors.push(error.into()),
            }
        }
        for secret in &component.secrets {
            if let Some(path) = &secret.value {
                set(&mut values, path, json!(secret.name));
            }
        }
        if component.databases.is_empty() {
            // no Job of its own makes a database
        } else {
            let owner = format!("{}/{environment}/{}", self.inputs.site.name, component.name);
            set(&mut values, "postgres-init.owner", json!(owner));
        }
        let empty = Map::new();
        let own = openg2p_spec::component_values(self.inputs.site, name, &component.name).unwrap_or(&empty);
        merge(&mut values, &Value::Object(own.clone()));
        values
    }

    /// Secrets and registered senders of a component; gives what its workloads need.
    fn secrets(
        &mut self,
        environment: &str,
        component: &Component,
        owner: &Owner,
        namespace: &ResourceId,
    ) -> Vec<ResourceId> {
        let labels = self.labels(owner);
        let mut made = Vec::new();
        let mut secret = |composer: &mut Self, name: &str, keys: Value, guards: bool| {
            let desired = json!({
                "namespace": environment, "name": name, "labels": labels, "keys": keys, "guardsData": guards,
            });
            made.push(composer.add(Draft {
                kind: "kubernetes-secret",
                name: format!("{environment}/{name}"),
                owner: owner.clone(),
                part: &component.name,
                why: format!("{} logs in or signs with it", component.name),
                desired,
                needs: BTreeSet::from([namespace.clone()]),
            }));
        };
        for declared in &component.secrets {
            secret(self, &declared.name, json!(declared.keys), declared.guards_data);
        }
        for database in &component.databases {
            // a name that does not fit was noted with the values
            let Ok((_, username)) = database_names(environment, &component.name) else {
                continue;
            };
            let keys = json!({"username": {"value": username}, "password": {"random": 32}});
            secret(self, &database.secret, keys, false);
        }
        for partner in &component.partners {
            let reference = format!("PARTNER_{}", partner.reference);
            let desired = json!({
                "namespace": environment,
                "secret": partner.secret,
                "key": partner.key,
                "configMap": "partner-keys-partners",
                "entry": format!("{reference}.pem"),
                "commonName": reference,
            });
            let needs = BTreeSet::from([
                namespace.clone(),
                ResourceId::new("kubernetes-secret", &format!("{environment}/{}", partner.secret)),
            ]);
            made.push(self.add(Draft {
                kind: "partner-certificate",
                name: format!("{environment}/{reference}"),
                owner: owner.clone(),
                part: &component.name,
                why: format!("partner-keys verifies what {reference} signs"),
                desired,
                needs,
            }));
        }
        made
    }
}

/// Refuses an id that cannot be a namespace or an owner's label; the site file's check refuses it too, with its line.
fn fits(id: &str) -> Result<(), NameError> {
    let id = EnvironmentId::new(id)?;
    NamespaceName::of(&id)?;
    OwnerLabel::of(&openg2p_names::Owner::Environment(id))?;
    Ok(())
}

/// Database and role of a component.
fn database_names(environment: &str, component: &str) -> Result<(String, String), NameError> {
    let key = Key::of(environment, component)?;
    Ok((DatabaseName::of(&key)?.into(), RoleName::of(&key)?.into()))
}

/// Lays `over` on `base`: maps are merged, everything else is replaced.
fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                merge(base.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (base, over) => *base = over.clone(),
    }
}

/// Sets a dotted path; maps on the way are kept.
fn set(values: &mut Value, path: &str, value: Value) {
    let nested = path.rsplit('.').fold(value, |inner, key| json!({ key: inner }));
    merge(values, &nested);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotted_path_keeps_its_neighbours() {
        let mut values = json!({"auth": {"a": 1}});
        set(&mut values, "auth.existingSecret", json!("s"));
        assert_eq!(values, json!({"auth": {"a": 1, "existingSecret": "s"}}));
    }
}
