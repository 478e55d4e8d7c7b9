//! Where the engine keeps what it must remember.

use async_trait::async_trait;

use crate::PortError;

/// Durable storage on the lead node. Names are relative, e.g. `ledger/current`.
#[async_trait]
pub trait State: Send + Sync {
    /// The bytes under a name.
    async fn read(&self, name: &str) -> Result<Option<Vec<u8>>, PortError>;
    /// Replaces the bytes under a name: all or nothing, and on disk when it returns.
    async fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), PortError>;
    /// Appends to what stands under a name; on disk when it returns.
    async fn append(&self, name: &str, bytes: &[u8]) -> Result<(), PortError>;
    /// Names below a folder, sorted.
    async fn list(&self, folder: &str) -> Result<Vec<String>, PortError>;
    /// Removes a name; nothing there is fine.
    async fn remove(&self, name: &str) -> Result<(), PortError>;
}

/// The source of secrets.
pub trait Random: Send + Sync {
    /// Fills `buffer` with random bytes.
    fn fill(&self, buffer: &mut [u8]);
}
