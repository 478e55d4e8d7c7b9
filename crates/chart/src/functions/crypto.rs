//! Checksums.

use sha2::Digest as _;

use super::arguments::bytes;
use crate::template::signature::{Function, Ty, fixed};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("sha1sum", &[Ty::Str], |_, args| {
        Ok(hex(&sha1::Sha1::digest(bytes(args, 0))))
    }),
    fixed("sha256sum", &[Ty::Str], |_, args| {
        Ok(hex(&sha2::Sha256::digest(bytes(args, 0))))
    }),
    fixed("sha512sum", &[Ty::Str], |_, args| {
        Ok(hex(&sha2::Sha512::digest(bytes(args, 0))))
    }),
    fixed("adler32sum", &[Ty::Str], |_, args| {
        Ok(adler32(bytes(args, 0)).to_string().into())
    }),
];

fn hex(digest: &[u8]) -> Value {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(digest.len() * 2);
    for byte in digest {
        let _ = write!(out, "{byte:02x}");
    }
    out.into()
}

fn adler32(input: &[u8]) -> u32 {
    let (low, high) = input.iter().fold((1_u32, 0_u32), |(low, high), byte| {
        let low = (low + u32::from(*byte)) % 65_521;
        (low, (high + low) % 65_521)
    });
    (high << 16) | low
}
