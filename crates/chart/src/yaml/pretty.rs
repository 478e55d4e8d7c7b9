//! Which texts go-yaml v3 leaves unquoted.

use super::emit::is_base60;
use super::resolve::{Resolved, resolve};

/// Whether a plain scalar would be read back as the same string, by v3's rules and by those of YAML 1.1.
pub(super) fn is_plain_string(text: &str) -> bool {
    matches!(resolve(text), Resolved::Str) && !is_base60(text)
}
