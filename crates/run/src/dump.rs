//! A last dump of databases before they are removed, on request: made with the server's own `pg_dump` over the socket in its pod, where
//! the superuser needs no password, and written to a file on this host. It is made before anything is removed; one that fails
//! stops the removal.

use openg2p_kinds::kind;
use openg2p_plan::Entry;
use openg2p_ports::{Command, ObjectRef, PortError, World};
use serde::{Deserialize, Serialize};

/// A day: a dump takes as long as it takes, and one that hangs ends at last.
const DEADLINE: u64 = 24 * 3600;
/// Kubernetes' program keeps what it learned of the API there and not in root's home; the folder goes with the site.
const CACHE: &str = "/var/lib/openg2p/kubectl";

/// A database that was written to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Dumped {
    /// The database's name.
    pub database: String,
    /// The file, in `pg_dump`'s own format (`--format=custom`), for `pg_restore`.
    pub path: String,
    /// Its length.
    pub bytes: u64,
}

/// Dumps every database among `entries` to `folder/<namespace>.<database>.dump`. One whose server is gone went with it: there is nothing to
/// dump. `kubeconfig` is the file with the credential of this host's cluster.
pub async fn dump(
    world: &World,
    entries: &[Entry],
    kubeconfig: &str,
    folder: &str,
    tell: &(dyn Fn(&str) + Send + Sync),
) -> Result<Vec<Dumped>, PortError> {
    let mut made = Vec::new();
    for entry in entries {
        let holder = kind(entry.resource.kind()).and_then(|kind| kind.inside(&entry.desired));
        let (Some(server), Some(database)) = (holder, entry.desired["database"].as_str()) else {
            continue;
        };
        if world.cluster.get(&server).await?.is_none() {
            continue;
        }
        if made.is_empty() {
            // Debian brings /var/backups; what is below it is ours to make
            if let Some((above, _)) = folder.rsplit_once('/') {
                world.host.make_directory(above, 0o700).await?;
            }
            world.host.make_directory(folder, 0o700).await?;
        }
        made.push(one(world, &server, database, kubeconfig, folder, tell).await?);
    }
    Ok(made)
}

async fn one(
    world: &World,
    server: &ObjectRef,
    database: &str,
    kubeconfig: &str,
    folder: &str,
    tell: &(dyn Fn(&str) + Send + Sync),
) -> Result<Dumped, PortError> {
    let namespace = server.namespace.as_deref().unwrap_or_default();
    let path = format!("{folder}/{namespace}.{database}.dump");
    tell(&format!("dumping database {database} to {path}"));
    let command = Command::new(
        "kubectl",
        [
            format!("--kubeconfig={kubeconfig}"),
            format!("--cache-dir={CACHE}"),
            "exec".into(),
            format!("--namespace={namespace}"),
            format!("{}-0", server.name),
            "--container=postgresql".into(),
            "--".into(),
            "pg_dump".into(),
            "--host=/var/run/postgresql".into(),
            "--username=postgres".into(),
            "--no-password".into(),
            "--format=custom".into(),
            format!("--dbname={database}"),
        ],
    )
    .deadline(DEADLINE);
    let failed = |why: &str| {
        PortError::new(
            "dump::failed",
            format!("dump database {database}"),
            world.host.name(),
            why.trim().to_owned(),
        )
        .hint("nothing was removed; mend it and try again, or remove without `--dump`")
    };
    let (output, bytes) = world
        .host
        .run_into(command, &path)
        .await
        .map_err(|error| failed(&error.to_string()))?;
    match output.status {
        Some(0) if bytes > 0 => Ok(Dumped {
            database: database.into(),
            path,
            bytes,
        }),
        Some(0) => Err(failed("pg_dump wrote nothing")),
        _ => Err(failed(&output.stderr)),
    }
}
