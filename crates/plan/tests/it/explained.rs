//! Explanations and pictures.

use openg2p_plan::{Verdict, explain, meant, picture};

use crate::{id, item, plan, update};

#[test]
fn a_resource_is_explained_by_what_hangs_on_it() {
    let resources: Vec<_> = [
        item("file", &[], update()),
        item("unit", &["file"], update()),
        item("cluster", &["unit"], update()),
        item("pod", &["cluster", "unit"], update()),
        item("other", &[], update()),
    ]
    .map(|item| item.resource)
    .into();
    let found = explain(&resources, &id("unit")).unwrap();
    assert_eq!(found.needs, [id("file")]);
    assert_eq!(found.needed_by, [id("cluster"), id("pod")]);
    assert_eq!(found.needed_by_in_all, 2);
    assert_eq!(found.leads_to, [id("unit"), id("pod")]);
    assert_eq!(found.asked_by, "site.yaml:3");
    assert_eq!(explain(&resources, &id("other")).unwrap().leads_to, [id("other")]);
    assert_eq!(explain(&resources, &id("none")), None);
}

#[test]
fn a_part_of_an_id_is_enough_when_it_is_the_only_one() {
    let ids = ["box1:/etc/openg2p", "box1:/etc/openg2p/pki", "box1:/etc/cni"].map(id);
    assert_eq!(meant(&ids, "cni"), Ok(&ids[2]));
    assert_eq!(meant(&ids, "thing/box1:/etc/openg2p"), Ok(&ids[0]));
    assert_eq!(meant(&ids, "pki"), Ok(&ids[1]));
    // a part of many paths and the whole end of one
    assert_eq!(meant(&ids, "/etc/openg2p"), Ok(&ids[0]));
    assert_eq!(meant(&ids, "/etc").map_err(|found| found.len()), Err(3));
    assert_eq!(meant(&ids, "box2").map_err(|found| found.len()), Err(0));
    let two = ["a/x", "b/xx"].map(id);
    assert_eq!(meant(&two, "x"), Ok(&two[0]));
}

#[test]
fn pictures_show_every_step_and_no_line_that_follows_from_others() {
    let mut soft = item("d", &[], update());
    soft.resource.follows = [id("c")].into();
    let made = plan(vec![
        item("a<&\"", &[], update()),
        item("b", &["a<&\""], Verdict::Create),
        item("c", &["a<&\"", "b"], update()),
        soft,
    ])
    .unwrap();
    let dot = picture::dot(&made);
    for line in ["s0 -> s1;", "s1 -> s2;", "s2 -> s3 [style=dashed];"] {
        assert!(dot.contains(line), "no {line} in {dot}");
    }
    assert!(!dot.contains("s0 -> s2"), "{dot}");
    assert!(dot.contains("a<&\\\""), "{dot}");
    let svg = picture::svg(&made);
    assert_eq!(svg.matches("<rect ").count(), 1 + 4);
    assert_eq!(svg.matches("<path ").count(), 3);
    assert_eq!(svg.matches("stroke-dasharray").count(), 1);
    assert!(svg.contains("a&lt;&amp;&quot;") && !svg.contains("a<&"), "{svg}");
    assert_eq!(svg, picture::svg(&made));
}
