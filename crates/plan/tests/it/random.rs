//! Plans of random sites, by the thousand.

use std::collections::{BTreeMap, BTreeSet};

use openg2p_plan::{Action, Assessed, Owned, Plan, Presence, ResourceId, Verdict, towards};
use proptest::prelude::*;

use crate::{id, inputs, item, owned, update};

/// What one thing of a random site is: its verdict, whom it needs and whom it follows, as distances to smaller numbers.
type Draw = (u8, Vec<u8>, Vec<u8>);

fn site() -> impl Strategy<Value = (Vec<Draw>, Vec<Vec<u8>>)> {
    let draw = (
        0_u8..5,
        prop::collection::vec(1_u8..12, 0..4),
        prop::collection::vec(0_u8..30, 0..2),
    );
    let orphan = prop::collection::vec(1_u8..6, 0..3);
    (
        prop::collection::vec(draw, 0..40),
        prop::collection::vec(orphan, 0..12),
    )
}

fn name(number: usize) -> String {
    // numbers scattered, so that the order of names says nothing
    format!("t{}", number * 37 % 101)
}

fn assessed(draws: &[Draw]) -> Vec<Assessed> {
    let thing = |(number, (verdict, needs, follows)): (usize, &Draw)| {
        let verdict = match verdict {
            0 => Verdict::Create,
            1 => update(),
            2 => Verdict::Replace("so it is".into()),
            _ => Verdict::Same,
        };
        let needs: Vec<String> = needs
            .iter()
            .filter_map(|distance| number.checked_sub(usize::from(*distance)))
            .map(name)
            .collect();
        let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
        let mut thing = item(&name(number), &needs, verdict);
        thing.resource.follows = follows
            .iter()
            .map(|other| id(&name(usize::from(*other))))
            .collect();
        thing
    };
    draws.iter().enumerate().map(thing).collect()
}

fn orphans(draws: &[Vec<u8>]) -> Vec<Owned> {
    let thing = |(number, needs): (usize, &Vec<u8>)| {
        let needs: Vec<String> = needs
            .iter()
            .filter_map(|distance| number.checked_sub(usize::from(*distance)))
            .map(|number| format!("o{number}"))
            .collect();
        let needs: Vec<&str> = needs.iter().map(String::as_str).collect();
        owned(&format!("o{number}"), &needs)
    };
    draws.iter().enumerate().map(thing).collect()
}

fn planned(items: Vec<Assessed>, orphans: Vec<Owned>) -> Plan {
    towards("s", inputs(), items, orphans, Vec::new()).unwrap()
}

/// All steps before a step, through needs of needs.
pub(crate) fn all_before(plan: &Plan, number: usize) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = plan.steps[number].needs.clone();
    while let Some(step) = open.pop() {
        if found.insert(step) {
            open.extend(&plan.steps[step].needs);
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn a_plan_is_whole_ordered_and_the_same_whatever_the_order_of_its_input((draws, lost) in site()) {
        let (items, gone) = (assessed(&draws), orphans(&lost));
        let plan = planned(items.clone(), gone.clone());
        prop_assert_eq!(plan.fault(), None);

        // the order in which things are given says nothing
        let (mut back, mut back_gone) = (items.clone(), gone.clone());
        back.reverse();
        back_gone.reverse();
        prop_assert_eq!(&plan, &planned(back, back_gone));

        // each thing is a step or a fact, as its verdict says
        let steps: BTreeMap<&ResourceId, usize> =
            plan.steps.iter().map(|step| (&step.resource, step.number)).collect();
        for thing in &items {
            let step = steps.get(&thing.resource.id).map(|number| plan.steps[*number].action);
            prop_assert_eq!(step, thing.verdict.action());
            let fact = plan.facts.iter().any(|fact| fact.resource == thing.resource.id);
            prop_assert_eq!(fact, step.is_none());
        }
        prop_assert_eq!(plan.count(Action::Remove), gone.len());

        // whoever needs a thing that is changed, through however many that are not, comes behind it
        let needs: BTreeMap<&ResourceId, &BTreeSet<ResourceId>> =
            items.iter().map(|thing| (&thing.resource.id, &thing.resource.needs)).collect();
        for thing in &items {
            let Some(number) = steps.get(&thing.resource.id) else { continue };
            let before = all_before(&plan, *number);
            let mut open: Vec<&ResourceId> = needs[&thing.resource.id].iter().collect();
            let mut seen = BTreeSet::new();
            while let Some(need) = open.pop() {
                if !seen.insert(need) { continue }
                if let Some(step) = steps.get(need) {
                    prop_assert!(before.contains(step), "{} misses {}", thing.resource.id, need);
                }
                open.extend(needs[need].iter());
            }
            // and waits for nothing else
            for step in before {
                prop_assert!(seen.contains(&plan.steps[step].resource));
            }
        }

        // removal: whoever needs a thing is gone before it
        for thing in &gone {
            let number = steps[&thing.entry.resource];
            for need in &thing.entry.needs {
                prop_assert!(plan.steps[steps[need]].needs.contains(&number));
            }
            prop_assert_eq!(plan.steps[number].after.is, Presence::Absent);
        }
    }

    #[test]
    fn the_more_is_as_it_should_be_the_less_is_done((draws, _) in site()) {
        let items = assessed(&draws);
        let whole = planned(items.clone(), Vec::new());
        let mut done = items;
        for thing in &mut done {
            thing.verdict = Verdict::Same;
        }
        let nothing = planned(done, Vec::new());
        prop_assert!(nothing.is_empty());
        prop_assert_eq!(nothing.unchanged, whole.unchanged + whole.steps.len());
    }

    #[test]
    fn pictures_of_any_plan_can_be_drawn((draws, lost) in site()) {
        let plan = planned(assessed(&draws), orphans(&lost));
        let svg = openg2p_plan::picture::svg(&plan);
        prop_assert_eq!(svg.matches("<g>").count(), plan.steps.len());
        let whole = openg2p_plan::picture::dot(&plan).ends_with("}\n");
        prop_assert!(whole);
    }
}
