//! Properties that hold for any input: merging never panics and follows Helm's rules, nothing panics on noise.

use std::collections::BTreeMap;

use openg2p_chart::{Chart, Release, RenderOptions, Values, effective_values, render};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-5_i64..5).prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-d]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn table() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-d]", value(), 0..4)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

fn merged(defaults: &Value, user: &Value) -> Value {
    let chart = Chart::load([
        (
            "Chart.yaml".to_owned(),
            b"apiVersion: v2\nname: p\nversion: 0.1.0\n".to_vec(),
        ),
        ("values.yaml".to_owned(), defaults.to_string().into_bytes()),
    ])
    .unwrap();
    effective_values(
        &chart,
        &RenderOptions::new(Release::new("r", "n")).with_values(user.clone().try_into().unwrap()),
    )
    .unwrap()
}

/// The rules in their shortest form: tables merge, a null removes a default, everything else replaces.
fn expected(defaults: &Map<String, Value>, user: &Map<String, Value>) -> Map<String, Value> {
    let mut out = user.clone();
    for (key, default) in defaults {
        match (user.get(key), default) {
            (None, default) => {
                out.insert(key.clone(), default.clone());
            }
            (Some(Value::Object(inner)), Value::Object(default)) => {
                out.insert(key.clone(), Value::Object(expected(default, inner)));
            }
            (Some(Value::Null), default) if !default.is_null() => {
                out.remove(key);
            }
            _ => {}
        }
    }
    out
}

/// At the top level a null removes even a default that is null itself.
fn expected_top(defaults: &Value, user: &Value) -> Value {
    let (Value::Object(defaults), Value::Object(user)) = (defaults, user) else {
        return json!({});
    };
    let mut out = expected(defaults, user);
    for key in defaults.keys() {
        if user.get(key) == Some(&Value::Null) {
            out.remove(key);
        }
    }
    Value::Object(out)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn values_merge_by_the_rules(defaults in table(), user in table()) {
        prop_assert_eq!(merged(&defaults, &user), expected_top(&defaults, &user));
    }

    #[test]
    fn no_values_change_nothing(defaults in table()) {
        prop_assert_eq!(merged(&defaults, &json!({})), defaults);
    }

    #[test]
    fn templates_of_noise_never_panic(text in "(\\{\\{-?|-?\\}\\}|[ \\n.$|()\":=a-f0-9]|\"|if |end|range |with |define |include |toYaml |list |dict |index |printf |tpl |\\$x|\\.Values|:=|else){0,40}") {
        noise(&text);
    }

    #[test]
    fn any_template_never_panics(text in "\\PC{0,60}") {
        noise(&text);
    }

    #[test]
    fn any_yaml_never_panics(text in "([ \\n\\t:\\-?#&*!|>'\"%@`{}\\[\\],a-c0-9~]|---|: |- |<<|!!|\\| ){0,60}") {
        let _ = Values::read(text.as_bytes());
    }

    #[test]
    fn any_bytes_never_panic_the_loader(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Chart::from_tgz(&bytes);
        let _ = Values::read(&bytes);
    }
}

fn noise(text: &str) {
    let files: BTreeMap<String, Vec<u8>> = [
        (
            "Chart.yaml".to_owned(),
            b"apiVersion: v2\nname: p\nversion: 0.1.0\n".to_vec(),
        ),
        ("values.yaml".to_owned(), b"a: {b: [1, x]}\n".to_vec()),
        ("templates/x.yaml".to_owned(), text.as_bytes().to_vec()),
    ]
    .into();
    let chart = Chart::load(files).unwrap();
    if let Err(error) = render(&chart, &RenderOptions::new(Release::new("r", "n"))) {
        assert_ne!(error.code(), "chart::internal", "{error}");
    }
}
