//! The lead node as the command line sees it: one connection, requests and replies.

use std::path::{Path, PathBuf};

use openg2p_bundle::index::{Digest, Index};
use openg2p_lead::paths;
use openg2p_lead::protocol::{Reply, Request};
use openg2p_ports::PortError;
use openg2p_run::{Event, Failure};
use openg2p_spec::Site;
use openg2p_world::frames::{self, Frame};
use openg2p_world::ssh::{Connection, Ended, Remote, Target};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::error::{CliError, ErrorKind};
use crate::output::Printer;

/// Bytes of a blob in one frame.
const PIECE: usize = 1 << 20;

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        // these come before any effect; everything else may have left something that the next run goes on from
        let kind = match failure.code.as_str() {
            "run::unknown" | "run::none" => ErrorKind::BadInput,
            "run::locked" | "verify::not-installed" | "ledger::not-lost" | "ledger::older" => {
                ErrorKind::Refused
            }
            _ => ErrorKind::Failed,
        };
        let mut error = CliError::new(kind, failure.code, format!("{} failed", failure.what))
            .at(failure.place)
            .because(failure.why);
        error.hints.extend(failure.hint);
        error
    }
}

impl From<PortError> for CliError {
    fn from(error: PortError) -> Self {
        Failure::from(error).into()
    }
}

/// Several reasons as one refusal: the first in full, the others below it.
pub(crate) fn refusal(failures: Vec<Failure>, message: &str) -> CliError {
    let code = failures
        .first()
        .map_or("run::refused", |failure| failure.code.as_str())
        .to_owned();
    let mut error = CliError::refused(code, message);
    for failure in failures {
        error
            .why
            .push(format!("{}: {} [{}]", failure.place, failure.why, failure.code));
        if let Some(hint) = failure.hint
            && !error.hints.contains(&hint)
        {
            error.hints.push(hint);
        }
    }
    error
}

/// A conversation with the agent on the lead node.
pub struct Lead {
    connection: Connection,
    remote: Option<Remote>,
    // the pinned host key lies here as long as the connection does
    _scratch: tempfile::TempDir,
}

impl Lead {
    /// Logs in and starts this program there as the agent: the copy that an earlier run installed, or one that is sent into the
    /// login's home and removes itself once it runs. A host that is only looked at keeps nothing.
    pub async fn connect(site: &Site, identity: Option<&Path>) -> Result<Self, CliError> {
        let node = site
            .lead()
            .ok_or_else(|| CliError::bad_input("site::no-lead", "no node has the role `lead`"))?;
        let scratch = tempfile::tempdir().map_err(|error| {
            CliError::failed("cli::scratch", "a temporary directory cannot be made").because(error)
        })?;
        let target = Target {
            name: node.name.clone(),
            address: node.address,
            port: node.ssh.port,
            user: node.ssh.user.clone(),
            host_key: node.ssh.host_key.clone(),
            identity: identity.map(Path::to_owned),
        };
        let connection = Connection::new(target, scratch.path()).map_err(before_any_effect)?;
        let own = own_program()?;
        let remote = agent(&connection, &own).await.map_err(before_any_effect)?;
        Ok(Self {
            connection,
            remote: Some(remote),
            _scratch: scratch,
        })
    }

    /// Asks one question.
    pub async fn ask(&mut self, request: &Request) -> Result<Reply, CliError> {
        self.send(request).await?;
        self.reply().await
    }

    /// Makes good what a run left that was cut off behind its last step. The site is as it should be without that, so a failure is told and no
    /// more.
    pub async fn settle(&mut self, node: &str, printer: &Printer) {
        let request = Request::Settle { node: node.into() };
        if let Err(error) = self.ask(&request).await {
            printer.warning(&format!("the ledger has no new copy in the cluster: {error}"));
        }
    }

    async fn send(&mut self, request: &Request) -> Result<(), CliError> {
        let Some(remote) = self.remote.as_mut() else {
            return Err(self.broken().await);
        };
        if frames::send(&mut remote.input, request).await.is_err() {
            return Err(self.broken().await);
        }
        Ok(())
    }

    async fn reply(&mut self) -> Result<Reply, CliError> {
        let Some(remote) = self.remote.as_mut() else {
            return Err(self.broken().await);
        };
        match frames::receive::<_, Reply>(&mut remote.output).await {
            Ok(Some(Reply::Failed(failure))) => Err(failure.into()),
            Ok(Some(Reply::Refused { failures })) => Err(refusal(failures, "nothing was changed")),
            Ok(Some(reply)) => Ok(reply),
            Ok(None) | Err(_) => Err(self.broken().await),
        }
    }

    async fn broken(&mut self) -> CliError {
        match self.remote.take() {
            Some(remote) => self.connection.ended(remote).await.error.into(),
            None => CliError::failed("ssh::closed", "the connection to the lead node is closed"),
        }
    }

    /// The next event of a run that was attached to, or none at its end.
    pub async fn event(&mut self) -> Result<Option<Event>, CliError> {
        match self.reply().await? {
            Reply::Event(event) => Ok(Some(event)),
            Reply::Closed => Ok(None),
            other => Err(unexpected(&other)),
        }
    }

    /// Starts to receive the events of a run.
    pub async fn attach(&mut self, run: &str, from: u64) -> Result<(), CliError> {
        self.send(&Request::Attach {
            run: run.into(),
            from,
        })
        .await
    }

    /// Sends what the lead node lacks of the bundle in `directory`. `progress` hears bytes sent and bytes in all.
    pub async fn send_bundle(
        &mut self,
        directory: &Path,
        index: &Index,
        text: &str,
        progress: &dyn Fn(u64, u64),
    ) -> Result<(), CliError> {
        let Reply::Wanted { blobs } = self.ask(&Request::OfferBundle { index: text.into() }).await? else {
            return Err(CliError::failed(
                "agent::order",
                "the lead node did not answer the offer of a bundle",
            ));
        };
        let sizes: std::collections::BTreeMap<&str, u64> = index
            .members
            .iter()
            .flat_map(|member| &member.blobs)
            .map(|blob| (blob.sha256.as_str(), blob.size))
            .collect();
        let all: u64 = blobs.iter().filter_map(|sha256| sizes.get(sha256.as_str())).sum();
        let mut sent = 0;
        for sha256 in &blobs {
            let size = sizes.get(sha256.as_str()).copied().unwrap_or(0);
            self.send_blob(directory, sha256, size, &mut |bytes| {
                sent += bytes;
                progress(sent, all);
            })
            .await?;
        }
        self.ask(&Request::CommitBundle).await?;
        Ok(())
    }

    async fn send_blob(
        &mut self,
        directory: &Path,
        sha256: &str,
        size: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), CliError> {
        let path = directory.join("blobs/sha256").join(sha256);
        let unreadable = |why: String| {
            CliError::bad_input("bundle::blob-missing", "a member of the bundle cannot be read")
                .at(path.display())
                .because(why)
                .hint("`openg2p bundle verify` names every damaged member; `openg2p bundle create` makes them anew")
        };
        let mut file = tokio::fs::File::open(&path)
            .await
            .map_err(|error| unreadable(error.to_string()))?;
        let length = file
            .metadata()
            .await
            .map_err(|error| unreadable(error.to_string()))?
            .len();
        if length != size {
            return Err(unreadable(format!(
                "it has {length} bytes, and the index says {size}"
            )));
        }
        self.send(&Request::Blob {
            sha256: sha256.into(),
            size,
        })
        .await?;
        let mut left = size;
        while left > 0 {
            let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            file.read_exact(&mut piece)
                .await
                .map_err(|error| unreadable(error.to_string()))?;
            left -= piece.len() as u64;
            progress(piece.len() as u64);
            let Some(remote) = self.remote.as_mut() else {
                return Err(self.broken().await);
            };
            if frames::write(&mut remote.input, &Frame::Data(piece))
                .await
                .is_err()
            {
                return Err(self.broken().await);
            }
        }
        if let Some(remote) = self.remote.as_mut()
            && remote.input.flush().await.is_err()
        {
            return Err(self.broken().await);
        }
        self.reply().await?;
        Ok(())
    }
}

/// The agent there, greeted.
async fn agent(connection: &Connection, own: &Program) -> Result<Remote, PortError> {
    let name = openg2p_lead::program::name(&own.digest);
    match greeted(connection, &format!("{}/{name}", paths::BIN)).await? {
        Ok(remote) => return Ok(remote),
        Err(ended) if ended.absent => {}
        Err(ended) => return Err(ended.error),
    }
    // two operators may send the same program at the same time, and each copy removes itself
    let sent = connection
        .upload(&own.path, &format!("{name}-{}", std::process::id()))
        .await?;
    match greeted(connection, &sent.path).await {
        Ok(Ok(remote)) => Ok(remote),
        Ok(Err(Ended { error, .. })) | Err(error) => {
            // the reason is what the person needs; a connection that is gone cannot be tidied up either
            let _ = connection.withdraw(&sent).await;
            Err(error)
        }
    }
}

/// Starts the agent and waits for its first word.
async fn greeted(connection: &Connection, program: &str) -> Result<Result<Remote, Ended>, PortError> {
    let mut remote = connection.start(program, "agent")?;
    let asked = frames::send(&mut remote.input, &Request::Greet).await;
    let answered = match asked {
        Ok(()) => frames::receive::<_, Reply>(&mut remote.output).await,
        Err(error) => Err(error),
    };
    match answered {
        Ok(Some(_)) => Ok(Ok(remote)),
        Ok(None) | Err(_) => Ok(Err(connection.ended(remote).await)),
    }
}

/// An answer that fits no question of ours.
pub(crate) fn unexpected(reply: &Reply) -> CliError {
    let text: String = format!("{reply:?}").chars().take(120).collect();
    CliError::failed("agent::order", "the lead node gave an answer that does not fit").because(text)
}

/// Failing to log in changes nothing: it is a refusal, not a failure half way.
fn before_any_effect(error: PortError) -> CliError {
    let mut error = CliError::from(error);
    error.kind = ErrorKind::Refused;
    error
}

struct Program {
    path: PathBuf,
    digest: String,
}

fn own_program() -> Result<Program, CliError> {
    let failed = |error: std::io::Error| {
        CliError::failed("cli::program", "this program cannot read its own file").because(error)
    };
    let path = std::env::current_exe().map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut file = std::fs::File::open(&path).map_err(failed)?;
    std::io::copy(&mut file, &mut hasher).map_err(failed)?;
    let digest = Digest::from_hash(&hasher.finalize()).as_str().to_owned();
    Ok(Program { path, digest })
}
