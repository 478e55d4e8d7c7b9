//! Small plans, each about one rule.

use openg2p_plan::{Action, Clash, Owner, PlanError, Presence, Risk, Verdict, removal, towards};

use crate::{id, inputs, item, names, owned, plan, update};

fn unknown() -> Verdict {
    Verdict::Unknown("no answer".into())
}

#[test]
fn what_hangs_on_a_thing_that_is_made_anew_is_made_anew_unread() {
    let replaced = Verdict::Replace("it was cut off".into());
    let made = plan(vec![
        item("cluster", &[], replaced),
        item("namespace", &["cluster"], unknown()),
        item("object", &["namespace"], unknown()),
    ])
    .unwrap();
    assert_eq!(
        names(&made),
        ["replace cluster", "create namespace", "create object"]
    );
    assert_eq!(made.steps[2].before.is, Presence::Unread);
}

#[test]
fn what_cannot_be_read_for_another_reason_stops_the_plan() {
    let items = vec![
        item("cluster", &[], Verdict::Replace("it was cut off".into())),
        item("file", &[], unknown()),
    ];
    let Err(PlanError::Unknown(list)) = plan(items) else {
        panic!("a plan was made")
    };
    assert_eq!(list.len(), 1);
    assert!(
        plan(vec![
            item("cluster", &[], Verdict::Same),
            item("object", &["cluster"], unknown())
        ])
        .is_err()
    );
}

#[test]
fn a_thing_that_needs_nothing_done_passes_its_needs_on() {
    let made = plan(vec![
        item("a", &[], update()),
        item("b", &["a"], Verdict::Same),
        item("c", &["b"], Verdict::Same),
        item("d", &["c"], update()),
        item("e", &["c", "d"], update()),
    ])
    .unwrap();
    assert_eq!(names(&made), ["update a", "update d", "update e"]);
    assert_eq!(made.steps[1].needs, [0]);
    assert_eq!(made.steps[2].needs, [0, 1]);
    assert_eq!(made.unchanged, 2);
}

#[test]
fn soft_order_is_no_need() {
    let mut second = item("a", &[], update());
    second.resource.follows = [id("b"), id("not-there")].into();
    let made = plan(vec![second, item("b", &[], update())]).unwrap();
    assert_eq!(names(&made), ["update b", "update a"]);
    assert_eq!(made.steps[1].needs, [0_usize; 0]);
    assert_eq!(made.steps[1].follows, [0]);
    // a wish against a need gives way
    let mut against = item("a", &[], update());
    against.resource.follows = [id("b")].into();
    let made = plan(vec![against, item("b", &["a"], update())]).unwrap();
    assert_eq!(names(&made), ["update a", "update b"]);
    assert_eq!(made.steps[0].follows, [0_usize; 0]);
}

#[test]
fn the_shortest_loop_is_told() {
    let made = plan(vec![
        item("a", &["b"], update()),
        item("b", &["c"], update()),
        item("c", &["a"], update()),
        item("x", &["y"], update()),
        item("y", &["x"], update()),
    ]);
    let Err(PlanError::Cycle(names)) = made else {
        panic!("a plan was made")
    };
    assert_eq!(names, ["thing/x", "thing/y"]);
}

#[test]
fn one_thing_has_one_writer() {
    let mut first = item("a", &[], update());
    first.claims = vec!["file /etc/x".into(), "file /etc/y".into()];
    let mut second = item("b", &[], Verdict::Same);
    second.claims = vec!["file /etc/x".into()];
    second.resource.owner = Owner::Environment("dev".into());
    let Err(PlanError::ClaimedTwice(clashes)) = plan(vec![first.clone(), second]) else {
        panic!("a plan was made")
    };
    let claimants = [
        "thing/a of tests (site, asked for by site.yaml:3)",
        "thing/b of tests (environment dev, asked for by site.yaml:3)",
    ];
    let clash = Clash {
        claim: "file /etc/x".into(),
        claimants: claimants.map(str::to_owned).into(),
    };
    assert_eq!(clashes, [clash]);
    // the same id twice, and a thing that claims its own id or one thing twice is no clash with itself
    assert!(matches!(
        plan(vec![first.clone(), first.clone()]),
        Err(PlanError::ClaimedTwice(clashes)) if clashes.len() == 3
    ));
    first.claims.push("thing/a".into());
    assert!(plan(vec![first]).is_ok());
}

#[test]
fn removal_goes_the_other_way_round() {
    let ledger = openg2p_plan::Ledger::default();
    let selected = vec![owned("a", &[]), owned("b", &["a"]), owned("c", &["a", "b"])];
    let made = removal(&ledger, inputs(), selected, &[Owner::Site], Vec::new()).unwrap();
    assert_eq!(names(&made), ["remove c", "remove b", "remove a"]);
    assert_eq!(made.steps[2].needs, [0, 1]);
    assert!(made.steps.iter().all(|step| step.after.is == Presence::Absent));
    assert_eq!(made.fault(), None);
}

#[test]
fn orphans_come_last_and_conflicts_come_first() {
    let made = towards(
        "s",
        inputs(),
        vec![item("a", &[], update())],
        vec![owned("z", &[])],
        Vec::new(),
    )
    .unwrap();
    assert_eq!(names(&made), ["update a", "remove z"]);
    assert_eq!(made.steps[1].action, Action::Remove);
    let refused = plan(vec![
        item("a", &[], Verdict::Conflict("not ours".into())),
        item("b", &[], Verdict::Conflict("not ours either".into())),
        item("c", &[], unknown()),
    ]);
    assert!(matches!(refused, Err(PlanError::Conflict(list)) if list.len() == 2));
}

#[test]
fn a_step_says_what_it_does_and_what_it_rests_on() {
    let made = plan(vec![item("a", &[], update()), item("b", &["a"], Verdict::Same)]).unwrap();
    let step = &made.steps[0];
    assert_eq!(step.kind, "thing");
    assert_eq!(step.why, "a test wants it");
    assert_eq!(step.asked_by, "site.yaml:3");
    assert_eq!(step.risk, Risk::Restart);
    assert_eq!(step.undo, "nothing");
    assert_eq!(step.before.is, Presence::Present);
    assert_eq!(step.after, openg2p_plan::Mark::of_desired(&step.desired));
    // the ledger knows what `b` should be; a thing that it does not know is kept with the plan
    assert_eq!(made.facts[0].desired, None);
    let mut unrecorded = item("b", &[], Verdict::Same);
    unrecorded.recorded = false;
    let wanted = unrecorded.resource.desired.clone();
    assert_eq!(plan(vec![unrecorded]).unwrap().facts[0].desired, Some(wanted));
}
