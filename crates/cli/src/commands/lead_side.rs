//! What runs on the lead node: `agent` and `engine`. The program starts them itself; people have no use for them.

use clap::Args;

use super::Context;
use crate::error::{CliError, Exit};

/// What `agent` takes.
#[derive(Debug, Args)]
pub struct AgentArgs {}

/// What `engine` takes.
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// The run's id
    #[arg(value_name = "RUN")]
    pub run: String,
}

/// Speaks frames on standard input and output until the operator goes.
pub fn agent(_args: &AgentArgs, _context: &Context<'_>) -> Result<Exit, CliError> {
    openg2p_lead::program::arrived();
    super::block_on(async {
        let mut input = tokio::io::BufReader::with_capacity(1 << 20, tokio::io::stdin());
        let mut output = tokio::io::stdout();
        match openg2p_lead::agent::serve(&mut input, &mut output).await {
            Ok(()) => Ok(Exit::Done),
            Err(error) => Err(CliError::failed("agent::frames", "the conversation broke").because_of(&error)),
        }
    })
}

/// Performs a run.
pub fn engine(args: &EngineArgs, _context: &Context<'_>) -> Result<Exit, CliError> {
    super::block_on(async {
        Ok(match openg2p_lead::engine::run(&args.run).await {
            0 => Exit::Done,
            2 => Exit::Refused,
            _ => Exit::Failed,
        })
    })
}
