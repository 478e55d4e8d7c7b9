//! Runs after failures, lost files, lost ledgers: whatever the next runs do, they make no secret, no volume and no key anew, and delete
//! none. There is no switch that would let them: `apply` and `destroy` have none that overrules the ledger.

use std::collections::BTreeMap;

use openg2p_sim::{Dice, Fault, Node, Simulation, Things, Trouble};

use crate::operator::{Ended, apply, converge};
use crate::seeds::everywhere;
use crate::tiny::{self, ENVIRONMENTS, Shape};

/// Everything that holds data or opens it: content of Secrets, volumes, private keys.
fn precious(things: &Things) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for (place, stored) in things.cluster.iter().flat_map(openg2p_sim::Objects::all) {
        match place.kind.as_str() {
            "Secret" => {
                let data = serde_json::to_vec(&stored.value["data"]["password"]).unwrap();
                found.insert(place.to_string(), data);
            }
            "PersistentVolumeClaim" | "Namespace" => {
                let uid = stored.value["metadata"]["uid"].as_str().unwrap_or_default();
                found.insert(place.to_string(), uid.as_bytes().to_vec());
            }
            _ => {}
        }
    }
    for (path, node) in things.machine.files.all() {
        if let Node::File { bytes, .. } = node
            && (path.starts_with("/var/lib/openg2p/volumes/") || path.ends_with("/authority.key"))
        {
            found.insert(path.clone(), bytes.to_vec());
        }
    }
    found
}

/// Something is lost.
fn lose(things: &mut Things, dice: &mut Dice) -> String {
    let ledgers: Vec<String> = things
        .state
        .keys()
        .filter(|name| name.starts_with("ledger/"))
        .cloned()
        .collect();
    match dice.below(7) {
        0 => {
            for name in &ledgers {
                things.state.remove(name);
            }
            "all ledgers".into()
        }
        1 => {
            for name in &ledgers {
                let bytes = things.state[name].to_vec();
                let half = bytes.len() / 2;
                things.state.insert(name.clone(), bytes[..half].into());
            }
            "half of every ledger".into()
        }
        2 => {
            if let Some(name) = ledgers.last() {
                things.state.remove(name);
            }
            "the newest ledger".into()
        }
        3 => {
            things.state.retain(|name, _| !name.starts_with("journal/"));
            "the journal".into()
        }
        4 => {
            things.machine.files.erase("/etc/openg2p/nginx");
            "Nginx' folder".into()
        }
        5 => {
            let paths: Vec<String> = things
                .machine
                .files
                .all()
                .filter(|(path, node)| {
                    let key = path.ends_with("/authority.key");
                    matches!(node, Node::File { .. }) && path.starts_with("/etc/openg2p/") && !key
                })
                .map(|(path, _)| path.clone())
                .collect();
            let path = dice.pick(&paths).cloned().unwrap_or_default();
            things.machine.files.erase(&path);
            path
        }
        _ => {
            things.machine.files.erase("/etc/kubernetes/admin.conf");
            "the credential for the cluster".into()
        }
    }
}

fn rerun(seed: u64) -> Result<usize, String> {
    let mut dice = Dice::new(seed);
    let shape = Shape::of(&ENVIRONMENTS, &["bridge", "spar"]);
    let mut edited = shape.clone();
    edited.edition = 1;
    let simulation: Simulation = tiny::resume(&tiny::installed(&shape).things(), seed);
    let before = precious(&simulation.things());
    let mut told = Vec::new();
    for run in 0..4 {
        let lost = simulation.change(|things| lose(things, &mut dice));
        let number = simulation.count() + usize::try_from(dice.below(100)).unwrap();
        let troubles = [Trouble::FailBefore, Trouble::AnswerLost, Trouble::KillDuring];
        simulation.fault(Fault::at(number, *dice.pick(&troubles).unwrap()));
        let wish = tiny::wish(if dice.one_in(2) { &shape } else { &edited });
        let ended: Ended = apply(&simulation, &wish, &format!("run-{run}"));
        told.push(format!("lost {lost}: {ended:?}"));
        let now = precious(&simulation.things());
        let gone: Vec<&String> = before
            .iter()
            .filter(|(name, content)| now.get(*name) != Some(content))
            .map(|(name, _)| name)
            .collect();
        if !gone.is_empty() {
            return Err(format!(
                "seed {seed}: {gone:?} changed or went:\n{}",
                told.join("\n")
            ));
        }
    }
    Ok(told.len())
}

#[test]
fn a_hundred_reruns_delete_nothing_that_holds_data() {
    let wrong = everywhere(0..100, |seed| rerun(seed).map(|_| ()));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn an_authority_whose_certificate_is_lost_keeps_its_key() {
    let shape = Shape::of(&ENVIRONMENTS, &["spar"]);
    let simulation = tiny::installed(&shape);
    let key = |simulation: &Simulation| {
        precious(&simulation.things())
            .remove("/etc/openg2p/pki/authority.key")
            .unwrap()
    };
    let before = key(&simulation);
    simulation.change(|things| things.machine.files.erase("/etc/openg2p/pki/authority.crt"));
    converge(&simulation, &tiny::wish(&shape));
    // every device that trusts the authority trusts this key
    assert!(before == key(&simulation), "the authority has another key");
}
