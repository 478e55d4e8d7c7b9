//! Arguments and environment.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// Verify partners' detached signatures and issue tokens for the services that ask for it
///
/// Answers the two calls that SPAR and G2P Bridge make for every signed request: an OAuth token and the Keymanager's
/// jwtVerify. Stands in the place of the MOSIP Keymanager until that joins the commons.
#[derive(Debug, Clone, Parser)]
#[command(name = "partner-keys", version, max_term_width = 110)]
pub(crate) struct Settings {
    /// Address and port to listen on
    #[arg(
        long,
        env = "PARTNER_KEYS_LISTEN",
        default_value = "0.0.0.0:8080",
        value_name = "ADDRESS:PORT"
    )]
    pub(crate) listen: SocketAddr,
    /// Folder with one file per partner, its reference id and .pem: an X.509 certificate or a public key
    #[arg(
        long,
        env = "PARTNER_KEYS_PARTNERS_DIR",
        default_value = "/etc/partner-keys/partners",
        value_name = "FOLDER"
    )]
    pub(crate) partners: PathBuf,
    /// Folder with one file per client: its name is the client id, its content the client's secret
    #[arg(
        long,
        env = "PARTNER_KEYS_CLIENTS_DIR",
        default_value = "/etc/partner-keys/clients",
        value_name = "FOLDER"
    )]
    pub(crate) clients: PathBuf,
    /// How long a token is announced to be valid, in seconds
    #[arg(long, env = "PARTNER_KEYS_TOKEN_SECONDS", default_value_t = 300,
          value_parser = clap::value_parser!(u32).range(10..=86_400), value_name = "SECONDS")]
    pub(crate) token_seconds: u32,
    /// Largest request body, in bytes
    #[arg(long, env = "PARTNER_KEYS_MAX_BODY", default_value_t = 16 * 1024 * 1024,
          value_parser = clap::value_parser!(u32).range(1024..=256 * 1024 * 1024), value_name = "BYTES")]
    pub(crate) max_body: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Settings::command().debug_assert();
    }
}
