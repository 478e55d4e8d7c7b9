//! Plans and explanations without any machine.

use crate::{Place, bundle};

/// A place with a site file and a bundle.
fn place() -> Place {
    let place = Place::with_site();
    bundle::make(&place.path("bundle"));
    place
}

#[test]
fn a_fresh_plan_is_the_same_every_time_and_needs_no_machine() {
    let place = place();
    let first = place
        .run(&["plan", "--fresh", "-o", "json", "-o", "plan.json"])
        .succeeds();
    let second = place.run(&["plan", "--fresh", "-o", "json"]).succeeds();
    assert!(first.out == second.out, "two plans of one site differ");
    let plan = first.json();
    assert_eq!(plan["apiVersion"], "openg2p.org/plan/v2");
    let steps = plan["steps"].as_array().unwrap();
    assert!(steps.len() > 100, "{} steps", steps.len());
    for step in steps {
        assert_eq!(step["action"], "create");
        assert_eq!(step["before"]["is"], "absent");
        for key in ["why", "askedBy", "undo", "kind", "part"] {
            assert!(
                step[key].as_str().is_some_and(|text| !text.is_empty()),
                "{key} of {step}"
            );
        }
    }
    // a module is asked for by its own line, although its profile fills in most of it
    let site = place.read("site.yaml");
    let line = 1 + site.lines().position(|line| line.contains("spar: {}")).unwrap();
    let module = steps.iter().find(|step| step["part"] == "spar").unwrap();
    assert_eq!(
        module["askedBy"],
        format!("site.yaml:{line} (environments.dev.modules.spar)")
    );
    // what it needs and nobody wrote stands where it is needed
    let database = steps.iter().find(|step| step["part"] == "postgresql").unwrap();
    let asked = database["askedBy"].as_str().unwrap();
    assert!(asked.starts_with("site.yaml:"), "{asked}");
    // the saved plan is the same with its seal
    let mut saved: serde_json::Value = serde_json::from_str(&place.read("plan.json")).unwrap();
    assert!(saved.as_object_mut().unwrap().remove("seal").is_some());
    assert_eq!(saved, plan);
    // and another site file makes another plan
    place.edit("spar: {}", "spar: {mapper: {replicas: 2}}");
    let third = place.run(&["plan", "--fresh", "-o", "json"]).succeeds();
    assert!(third.out != first.out);
}

#[test]
fn a_plan_is_told_with_warnings_groups_and_counts() {
    let place = place();
    let run = place.run(&["plan", "--fresh"]).succeeds();
    assert!(
        run.err.starts_with("warning: made without any machine"),
        "{}",
        run.err
    );
    assert!(run.out.starts_with("site / host  "), "{}", &run.out[..200]);
    assert!(run.out.contains("environment dev / spar  "), "{}", run.out);
    assert!(run.out.contains("  + host-packages/"), "{}", run.out);
    assert!(
        run.err.contains("to create; 0 unchanged") && run.err.contains("time: at least about"),
        "{}",
        run.err
    );
}

#[test]
fn pictures_are_drawn_by_their_endings() {
    let place = place();
    for (name, start, end) in [
        ("plan.svg", "<svg ", "</svg>\n"),
        ("plan.dot", "digraph plan {", "}\n"),
    ] {
        place.run(&["plan", "--fresh", "--picture", name]).succeeds();
        let text = place.read(name);
        assert!(text.starts_with(start) && text.ends_with(end), "{}", &text[..80]);
    }
    let run = place
        .run(&["plan", "--fresh", "--picture", "plan.png"])
        .ends_with(1);
    assert!(run.err.contains("plan::picture"), "{}", run.err);
}

#[test]
fn the_schema_is_the_published_one() {
    let run = Place::new().run(&["plan", "--schema"]).succeeds();
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/plan.schema.json"
    );
    assert!(run.out == std::fs::read_to_string(path).unwrap());
}

#[test]
fn a_resource_is_explained() {
    let place = place();
    let run = place.run(&["explain", "/etc/openg2p/kubeadm.yaml"]).succeeds();
    for text in [
        "host-file/",
        "how kubeadm makes the cluster",
        "site.yaml:",
        "kubernetes-cluster/",
        "undone by",
        "leads to",
    ] {
        assert!(run.out.contains(text), "no `{text}` in\n{}", run.out);
    }
    let json = place.run(&["explain", "0", "-o", "json"]).succeeds().json();
    assert!(json["explanation"]["why"].is_string(), "{json}");
    let many = place.run(&["explain", "spar"]).ends_with(1);
    assert!(
        many.err.contains("explain::resource") && many.err.contains("openg2p explain "),
        "{}",
        many.err
    );
    let none = place.run(&["explain", "no-such-thing"]).ends_with(1);
    assert!(none.err.contains("no resource of this site"), "{}", none.err);
    let beyond = place.run(&["explain", "99999"]).ends_with(1);
    assert!(beyond.err.contains("explain::step"), "{}", beyond.err);
}

#[test]
fn a_step_of_a_saved_plan_is_explained() {
    let place = place();
    place.run(&["plan", "--fresh", "-o", "plan.json"]).succeeds();
    let run = place.run(&["explain", "3", "--plan", "plan.json"]).succeeds();
    for text in [
        "step        3: create it",
        "before      absent",
        "risk        harmless",
        "a guess",
    ] {
        assert!(run.out.contains(text), "no `{text}` in\n{}", run.out);
    }
}

#[test]
fn a_saved_plan_that_is_not_whole_is_refused_before_anything_is_asked() {
    let place = place();
    place.run(&["plan", "--fresh", "-o", "plan.json"]).succeeds();
    let text = place.read("plan.json");
    for (from, to, why) in [
        ("openg2p.org/plan/v2", "openg2p.org/plan/v1", "this program reads"),
        ("\"number\": 1,", "\"number\": 2,", "it was altered"),
        ("\"steps\"", "\"stets\"", "its seal does not fit"),
    ] {
        place.write("plan.json", text.replacen(from, to, 1));
        let run = place.run(&["apply", "plan.json"]).ends_with(1);
        assert!(
            run.err.contains("plan::unreadable") && run.err.contains(why),
            "no `{why}` in {}",
            run.err
        );
    }
}
