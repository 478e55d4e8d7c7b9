//! Estimates: a guess at first, what this machine took afterwards.

use openg2p_plan::{Estimate, Experience, Verdict};

use crate::{item, plan, update};

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

#[test]
fn a_guess_has_a_wide_range() {
    let made = plan(vec![item("a", &[], update())]).unwrap();
    let estimate = made.steps[0].estimate;
    assert!(near(estimate.seconds, 2.0) && estimate.low < 1.0 && estimate.high > 5.0);
    assert_eq!(estimate.learned_from, 0);
}

#[test]
fn a_step_that_ran_before_is_expected_to_take_as_long_again() {
    let mut made = plan(vec![item("a", &[], update()), item("b", &[], update())]).unwrap();
    let mut known = Experience::default();
    for seconds in [10.0, 12.0, 11.0, 40.0, 11.5] {
        known.learn(&made.steps[0], made.steps[0].guess, seconds);
    }
    made.estimate_with(&known);
    let estimate = made.steps[0].estimate;
    assert!(near(estimate.seconds, 11.5), "{estimate:?}");
    assert!(estimate.low < 10.0 && estimate.high > 40.0, "{estimate:?}");
    assert_eq!(estimate.learned_from, 5);
    // a step of the same sort that never ran: this machine takes longer than guessed
    let other = made.steps[1].estimate;
    assert!(other.seconds > 10.0 && other.learned_from == 5, "{other:?}");
    // another action is another thing
    let mut created = plan(vec![item("a", &[], Verdict::Create)]).unwrap();
    created.estimate_with(&known);
    assert_eq!(created.steps[0].estimate, Estimate::guess(2.0));
}

#[test]
fn only_the_newest_count_and_nonsense_is_passed_over() {
    let made = plan(vec![item("a", &[], update())]).unwrap();
    let step = &made.steps[0];
    let mut known = Experience::default();
    for _ in 0..100 {
        known.learn(step, 2.0, 100.0);
    }
    for _ in 0..8 {
        known.learn(step, 2.0, 1.0);
        known.learn(step, 2.0, f64::NAN);
        known.learn(step, 2.0, -1.0);
    }
    let estimate = known.estimate(step.action, &step.resource, 2.0);
    assert!(near(estimate.seconds, 1.0) && estimate.high < 2.0, "{estimate:?}");
    let text = serde_json::to_string(&known).unwrap();
    assert!(text.len() < 2000, "{} bytes for one step", text.len());
    assert_eq!(serde_json::from_str::<Experience>(&text).unwrap(), known);
}

#[test]
fn the_time_of_a_plan_is_its_longest_chain() {
    let made = plan(vec![
        item("a", &[], update()),
        item("b", &["a"], update()),
        item("c", &[], update()),
    ])
    .unwrap();
    assert!(near(made.time().seconds, 4.0));
    assert!(near(made.critical_path(), 4.0));
}
