//! A ledger that is kept, and put back.

use std::collections::BTreeMap;

use openg2p_lead::protocol::{KeptLedger, Reply};
use openg2p_plan::Ledger;
use openg2p_run::saved;

use crate::Place;
use crate::host::Host;

fn kept(site: &str) -> Vec<u8> {
    let ledger = Ledger {
        site: site.into(),
        generation: 7,
        entries: BTreeMap::new(),
    };
    saved::pack(&ledger).unwrap()
}

/// The name in the site file that `openg2p init` writes.
fn site(place: &Place) -> String {
    let text = place.read("site.yaml");
    let line = text.lines().find_map(|line| line.trim().strip_prefix("name: "));
    line.unwrap().trim().to_owned()
}

#[test]
fn a_ledger_is_saved_for_its_owner_alone_and_an_earlier_file_is_replaced_whole() {
    use std::os::unix::fs::PermissionsExt as _;
    let host = Host::answers(vec![Reply::Ledger(KeptLedger::new(&kept("ministry")))]);
    host.place.write("ledger.gz", "earlier");
    let run = host.run(&["ledger", "save", "ledger.gz"]).succeeds();
    assert!(run.err.contains("generation 7"), "{}", run.err);
    let path = host.place.path("ledger.gz");
    assert_eq!(std::fs::read(&path).unwrap(), kept("ministry"));
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );

    let host = Host::answers(vec![Reply::Ledger(KeptLedger::new(b"damaged"))]);
    host.place.write("ledger.gz", "earlier");
    let run = host.run(&["ledger", "save", "ledger.gz"]).ends_with(3);
    assert!(run.err.contains("error[ledger::torn]"), "{}", run.err);
    assert_eq!(host.place.read("ledger.gz"), "earlier");

    let host = Host::answers(vec![Reply::Ledger(KeptLedger::new(&kept("ministry")))]);
    let run = host.run(&["ledger", "save", "no/such/folder.gz"]).ends_with(3);
    assert!(run.err.contains("error[ledger::save]"), "{}", run.err);
}

#[test]
fn what_is_no_ledger_of_this_site_is_refused_before_any_connection() {
    let place = Place::with_site();
    let run = place.run(&["ledger", "restore", "ledger.gz"]).ends_with(1);
    assert!(run.err.contains("error[ledger::file]"), "{}", run.err);
    let whole = kept("elsewhere");
    place.write("ledger.gz", &whole[..whole.len() - 5]);
    let run = place.run(&["ledger", "restore", "ledger.gz"]).ends_with(1);
    assert!(run.err.contains("error[ledger::torn]"), "{}", run.err);
    place.write("ledger.gz", &whole);
    let run = place
        .run(&["ledger", "restore", "ledger.gz", "-o", "json"])
        .ends_with(2);
    assert_eq!(run.json()["error"]["code"], "ledger::other-site");
}

#[test]
fn a_ledger_is_put_back() {
    let host = Host::answers(vec![Reply::Done]);
    host.place.write("ledger.gz", kept(&site(&host.place)));
    let run = host.run(&["ledger", "restore", "ledger.gz"]).succeeds();
    assert!(run.err.contains("next: openg2p plan"), "{}", run.err);
}
