//! Files that no entry records, where things of ours are or were.

use std::collections::BTreeSet;

use openg2p_kinds::files;
use openg2p_plan::Entry;
use openg2p_ports::{PortError, World};

use super::{Checked, Found, Removed};

/// The engine's own folder. It goes behind the last run.
const ENGINE: &str = "/var/lib/openg2p";

/// In folders that we made, all that no entry records is told. In folders of others (those of systemd) it would be everything that the
/// distribution brings: there only what bears a name of ours is told. With an `owner`, an environment's id, only what bears that is.
pub(super) async fn search(
    world: &World,
    removed: &Removed<'_>,
    kinds: &[&str],
    owner: Option<&str>,
    checked: &mut Checked,
) -> Result<(), PortError> {
    let all = || removed.entries.iter().chain(removed.others);
    let recorded: BTreeSet<String> = all().flat_map(files).collect();
    let directories = all().filter(|entry| entry.resource.kind() == "host-directory");
    let made: BTreeSet<&str> = directories.clone().filter_map(path).collect();
    // goes with whatever is in it, which programs of others wrote for us
    let whole: BTreeSet<&str> = directories
        .filter(|entry| entry.desired["contents"] == "ours")
        .filter_map(path)
        .collect();
    let places: BTreeSet<String> = all()
        .filter(|entry| kinds.contains(&entry.resource.kind()))
        .flat_map(files)
        .collect();
    let folders: BTreeSet<&str> = places
        .iter()
        .filter_map(|path| path.rsplit_once('/'))
        .map(|(folder, _)| folder)
        .chain(made.iter().copied().filter(|folder| places.contains(*folder)))
        .filter(|folder| !whole.contains(folder))
        .collect();
    let environments: BTreeSet<&str> = all().filter_map(|entry| entry.owner.environment()).collect();
    for folder in folders {
        for name in world.host.list(folder).await? {
            let path = format!("{folder}/{name}");
            let alike = || name.contains("openg2p") || environments.iter().any(|id| bears(&name, id));
            let told = match owner {
                Some(id) => bears(&name, id),
                None => made.contains(folder) || alike(),
            };
            if path == ENGINE || recorded.contains(&path) || !told {
                continue;
            }
            checked.kept.push(Found::unrecorded(path));
        }
    }
    Ok(())
}

fn path(entry: &Entry) -> Option<&str> {
    entry.desired["path"].as_str()
}

/// Whether `name` has `id` in it as a word of its own: `spar-dev.service` has `dev`, `devices` has not.
fn bears(name: &str, id: &str) -> bool {
    let letter = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
    name.match_indices(id).any(|(at, _)| {
        let before = at.checked_sub(1).map(|before| name.as_bytes()[before]);
        let behind = name.as_bytes().get(at + id.len()).copied();
        !letter(before) && !letter(behind)
    })
}
