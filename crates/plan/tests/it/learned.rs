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

/// What a step with this guess is expected to take after steps of others with `learned` (guess, seconds) in turn.
fn after(learned: &[(f64, f64)], guess: f64) -> Estimate {
    let made = plan(vec![item("a", &[], update()), item("b", &[], update())]).unwrap();
    let mut known = Experience::default();
    for (guess, seconds) in learned {
        known.learn(&made.steps[0], *guess, *seconds);
    }
    known.estimate(made.steps[1].action, &made.steps[1].resource, guess)
}

#[test]
fn steps_learn_from_others_whose_guess_is_of_the_same_magnitude() {
    let magnitudes = [[0.1, 0.5, 0.99], [1.0, 5.0, 9.99], [10.0, 50.0, 1_000.0]];
    for (place, learned) in magnitudes.iter().enumerate() {
        for known in learned {
            for (other, asked) in magnitudes.iter().enumerate() {
                for guess in asked {
                    let estimate = after(&[(*known, 4.0 * known)], *guess);
                    let expected = if place == other { 4.0 * guess } else { *guess };
                    assert!(near(estimate.seconds, expected), "{known} {guess} {estimate:?}");
                    assert_eq!(estimate.learned_from, u32::from(place == other));
                }
            }
        }
    }
}

#[test]
fn a_range_is_as_wide_as_what_was_seen_and_some_more() {
    // of others: a half more on both sides
    let estimate = after(&[(2.0, 2.0), (2.0, 6.0), (2.0, 4.0)], 3.0);
    assert!(near(estimate.seconds, 6.0), "{estimate:?}");
    assert!(
        near(estimate.low, 3.0 / 1.5) && near(estimate.high, 9.0 * 1.5),
        "{estimate:?}"
    );
    // its own: a half more for a step or two, a tenth from three on
    let made = plan(vec![item("a", &[], update())]).unwrap();
    let step = &made.steps[0];
    let mut known = Experience::default();
    for (seconds, middle, low, high) in [
        (4.0, 4.0, 4.0 / 1.5, 4.0 * 1.5),
        (6.0, 4.0, 4.0 / 1.5, 6.0 * 1.5),
        (8.0, 6.0, 4.0 / 1.1, 8.0 * 1.1),
    ] {
        known.learn(step, 0.0, seconds);
        let estimate = known.estimate(step.action, &step.resource, 2.0);
        assert!(near(estimate.seconds, middle), "{estimate:?}");
        assert!(
            near(estimate.low, low) && near(estimate.high, high),
            "{estimate:?}"
        );
    }
    // a guess: three times in both directions
    let guess = Estimate::guess(6.0);
    assert!(near(guess.low, 2.0) && near(guess.high, 18.0));
}

#[test]
fn what_is_far_off_is_cut_from_a_range() {
    // of twenty ratios the lowest two and the highest two do not count
    let learned: Vec<(f64, f64)> = (1..=20).map(|number| (1.0, f64::from(number))).collect();
    let estimate = after(&learned, 1.0);
    assert!(near(estimate.seconds, 10.0), "{estimate:?}");
    assert!(
        near(estimate.low, 3.0 / 1.5) && near(estimate.high, 18.0 * 1.5),
        "{estimate:?}"
    );
    assert_eq!(estimate.learned_from, 20);
    // sixty-four of them are kept, the newest ones
    let learned: Vec<(f64, f64)> = (0..100)
        .map(|number| (1.0, if number < 36 { 99.0 } else { 2.0 }))
        .collect();
    let estimate = after(&learned, 1.0);
    assert_eq!(
        (estimate.learned_from, near(estimate.high, 3.0)),
        (64, true),
        "{estimate:?}"
    );
}

#[test]
fn a_step_that_took_no_time_counts_and_one_without_a_guess_teaches_no_others() {
    let made = plan(vec![item("a", &[], update()), item("b", &[], update())]).unwrap();
    let mut known = Experience::default();
    known.learn(&made.steps[0], 0.0, 0.0);
    let own = known.estimate(made.steps[0].action, &made.steps[0].resource, 5.0);
    assert_eq!((own.seconds, own.learned_from), (0.0, 1));
    for guess in [0.0, 0.5] {
        let other = known.estimate(made.steps[1].action, &made.steps[1].resource, guess);
        assert_eq!(other, Estimate::guess(guess));
    }
}

#[test]
fn the_range_of_a_plan_is_that_of_its_longest_chain_and_rests_on_the_least_that_was_learned() {
    let mut soft = item("d", &[], update());
    soft.resource.follows = [crate::id("b")].into();
    let mut made = plan(vec![
        item("a", &[], update()),
        item("b", &["a"], update()),
        item("c", &[], update()),
        soft,
    ])
    .unwrap();
    let mut known = Experience::default();
    for (place, times) in [(0, 2), (1, 3), (2, 4), (3, 5)] {
        for _ in 0..times {
            known.learn(&made.steps[place], 2.0, 10.0);
        }
    }
    made.estimate_with(&known);
    let time = made.time();
    assert!(
        near(time.seconds, 30.0) && near(made.critical_path(), 30.0),
        "{time:?}"
    );
    assert!(near(time.low, 10.0 / 1.5 + 20.0 / 1.1), "{time:?}");
    assert!(near(time.high, 10.0 * 1.5 + 20.0 * 1.1), "{time:?}");
    assert_eq!(time.learned_from, 2);
    let nothing = plan(Vec::new()).unwrap().time();
    assert_eq!((nothing.seconds, nothing.learned_from), (0.0, 0));
}
