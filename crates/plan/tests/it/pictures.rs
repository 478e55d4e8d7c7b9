//! Pictures, letter by letter: `tests/pictures/` holds one plan as it is drawn. `OPENG2P_BLESS=1` draws it anew; look at it then.

use std::collections::BTreeSet;
use std::path::Path;

use openg2p_plan::{Owner, Plan, Verdict, picture, towards};

use crate::random::all_before;
use crate::{id, inputs, item, owned, plan, update};

/// Every action, two owners, soft order, layers of several steps, a wide one, and letters that both formats must not show raw.
fn kept() -> Plan {
    let mut soft = item("d \"quoted\" \\ & <b>", &["a"], update());
    soft.resource.follows = [id("c")].into();
    soft.resource.why = "one\nand another line".into();
    let mut elsewhere = item("e", &["a", "b", "c"], Verdict::Replace("it cannot change".into()));
    elsewhere.resource.owner = Owner::Environment("dev".into());
    towards(
        "site <one>",
        inputs(),
        vec![
            item("a", &[], Verdict::Create),
            item("b", &["a"], Verdict::Create),
            item("c", &["a"], update()),
            soft,
            elsewhere,
            item("f with quite a long name of its own", &["a", "e"], update()),
            item("g", &[], Verdict::Create),
            item("h", &["g"], Verdict::Create),
        ],
        vec![owned("x", &[]), owned("y", &["x"])],
        Vec::new(),
    )
    .unwrap()
}

fn compare(name: &str, drawn: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/pictures")
        .join(name);
    if std::env::var_os("OPENG2P_BLESS").is_some() {
        std::fs::write(&path, drawn).unwrap();
    }
    assert_eq!(drawn, std::fs::read_to_string(&path).unwrap(), "{name}");
}

#[test]
fn a_plan_is_drawn_as_it_was() {
    compare("plan.svg", &picture::svg(&kept()));
    compare("plan.dot", &picture::dot(&kept()));
    // a picture of nothing is a picture too
    let empty = plan(Vec::new()).unwrap();
    compare("empty.svg", &picture::svg(&empty));
    compare("empty.dot", &picture::dot(&empty));
}

/// The lines of `drawn` from one step to another, soft ones left out.
fn lines(drawn: &str) -> BTreeSet<(usize, usize)> {
    let lines = drawn.lines().filter_map(|line| {
        let (from, to) = line.trim().strip_suffix(';')?.split_once(" -> ")?;
        let number = |text: &str| text.strip_prefix('s')?.parse().ok();
        Some((number(from)?, number(to)?))
    });
    lines.collect()
}

/// Plans of more than three times sixty-four steps: a line is drawn unless another way leads there, which is looked for here step by
/// step.
#[test]
fn a_line_is_drawn_where_no_other_way_leads() {
    let mut random = 7_u64;
    let mut draw = |below: usize| {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(random >> 33).unwrap() % below
    };
    for width in [1, 3, 9] {
        let names: Vec<String> = (0..200).map(|number| format!("n{number:03}")).collect();
        let items = names.iter().enumerate().map(|(number, name)| {
            let needs: BTreeSet<&str> = (0..width.min(number))
                .map(|_| names[number - 1 - draw(number.min(90))].as_str())
                .collect();
            item(name, &needs.into_iter().collect::<Vec<_>>(), Verdict::Create)
        });
        let made = plan(items.collect()).unwrap();
        let before: Vec<BTreeSet<usize>> = (0..made.steps.len())
            .map(|number| all_before(&made, number))
            .collect();
        let mut expected = BTreeSet::new();
        for step in &made.steps {
            for need in &step.needs {
                let mut others = step.needs.iter().filter(|other| *other != need);
                if !others.any(|other| before[*other].contains(need)) {
                    expected.insert((*need, step.number));
                }
            }
        }
        assert_eq!(lines(&picture::dot(&made)), expected, "{width}");
        let drawn = picture::svg(&made);
        assert_eq!(drawn.matches("<path ").count(), expected.len(), "{width}");
    }
}
