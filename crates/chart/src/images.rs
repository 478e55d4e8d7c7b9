//! Which images rendered objects run.

use std::collections::BTreeSet;

use serde_json::Value as Json;

/// The image references in pod specifications anywhere in an object, sorted.
pub fn images_of(object: &Json) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(object, &mut found);
    found
}

fn collect(value: &Json, found: &mut BTreeSet<String>) {
    match value {
        Json::Object(entries) => {
            for (key, inner) in entries {
                let containers = matches!(
                    key.as_str(),
                    "containers" | "initContainers" | "ephemeralContainers"
                );
                if let (true, Json::Array(items)) = (containers, inner) {
                    let images = items.iter().filter_map(|item| item.get("image")?.as_str());
                    found.extend(images.filter(|image| !image.is_empty()).map(str::to_owned));
                }
                // A volume can be an image since Kubernetes 1.31.
                if let (true, Some(Json::String(reference))) = (key == "image", inner.get("reference")) {
                    found.insert(reference.clone());
                }
                collect(inner, found);
            }
        }
        Json::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}
