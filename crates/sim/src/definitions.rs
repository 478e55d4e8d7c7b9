//! What CustomResourceDefinitions say of the fields of their objects.

use openg2p_ports::ObjectRef;
use serde_json::Value;

use crate::objects::{Field, Objects, Refusal, refuse};

/// Whether a schema leads to a field. Fields in lists are not looked for.
fn leads(schema: &Value, field: &[String]) -> bool {
    let [first, rest @ ..] = field else { return true };
    if schema["x-kubernetes-preserve-unknown-fields"] == true {
        return true;
    }
    match schema["properties"].get(first) {
        Some(known) => leads(known, rest),
        None => schema["additionalProperties"].is_object() && leads(&schema["additionalProperties"], rest),
    }
}

impl Objects {
    /// Refuses a field of a custom resource that its definition does not declare, as an apply with strict validation is refused.
    pub(crate) fn declared<'f>(
        &self,
        place: &ObjectRef,
        mut fields: impl Iterator<Item = &'f Field>,
    ) -> Result<(), Refusal> {
        let version = place
            .api_version
            .split_once('/')
            .map_or("", |(_, version)| version);
        let definition = self.stored.iter().find(|(definition, stored)| {
            let spec = &stored.value["spec"];
            definition.kind == "CustomResourceDefinition"
                && spec["group"] == place.group()
                && spec["names"]["kind"] == place.kind.as_str()
        });
        let versions = definition.and_then(|(_, stored)| stored.value["spec"]["versions"].as_array());
        let Some(served) = versions
            .into_iter()
            .flatten()
            .find(|served| served["name"] == version)
        else {
            return Ok(());
        };
        let schema = &served["schema"]["openAPIV3Schema"];
        let unknown = fields.find(|field| field[0] != "metadata" && !leads(schema, field));
        unknown.map_or(Ok(()), |field| {
            let field = field.join(".");
            refuse(
                500,
                format!(
                    "failed to create typed patch object ({place}): .{field}: field not declared in schema"
                ),
            )
        })
    }
}
