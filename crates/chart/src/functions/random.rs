//! Random values, drawn from the injected source only.

use base64::Engine as _;

use super::arguments::{bounded, int, text};
use crate::random::Randomness;
use crate::template::exec::Call;
use crate::template::fault::Fault;
use crate::template::signature::{Function, Ty, fixed};
use crate::template::value::Value;

pub(super) const FUNCTIONS: &[Function] = &[
    fixed("randAlphaNum", &[Ty::Int], |call, args| {
        characters(call, "randAlphaNum", int(args, 0), |c| c.is_ascii_alphanumeric())
    }),
    fixed("randAlpha", &[Ty::Int], |call, args| {
        characters(call, "randAlpha", int(args, 0), |c| c.is_ascii_alphabetic())
    }),
    fixed("randNumeric", &[Ty::Int], |call, args| {
        characters(call, "randNumeric", int(args, 0), |c| c.is_ascii_digit())
    }),
    fixed("randAscii", &[Ty::Int], |call, args| {
        characters(call, "randAscii", int(args, 0), |c| c < 127)
    }),
    fixed("randBytes", &[Ty::Int], |call, args| {
        let mut buffer = vec![0; bounded(int(args, 0))?];
        source(call, "randBytes")?.fill(&mut buffer);
        Ok(base64::engine::general_purpose::STANDARD.encode(buffer).into())
    }),
    fixed("randInt", &[Ty::Int, Ty::Int], |call, args| {
        let (least, most) = (int(args, 0), int(args, 1));
        let source = source(call, "randInt")?;
        let Some(range) = most
            .checked_sub(least)
            .and_then(|range| u64::try_from(range).ok())
            .filter(|range| *range > 0)
        else {
            return Err("invalid argument to Intn".into());
        };
        Ok(Value::int(least.wrapping_add(below(source, range).cast_signed())))
    }),
    fixed("shuffle", &[Ty::Str], |call, args| {
        let mut characters: Vec<char> = text(args, 0).chars().collect();
        let source = source(call, "shuffle")?;
        for index in (1..characters.len()).rev() {
            let other = below(source, u64::try_from(index).unwrap_or(0) + 1);
            characters.swap(index, usize::try_from(other).unwrap_or(0));
        }
        Ok(characters.into_iter().collect::<String>().into())
    }),
    fixed("uuidv4", &[], |call, _| {
        let mut bytes = [0_u8; 16];
        source(call, "uuidv4")?.fill(&mut bytes);
        bytes[6] = (bytes[6] & 0x0F) | 0x40;
        bytes[8] = (bytes[8] & 0x3F) | 0x80;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(format!(
            "{}-{}-{}-{}-{}",
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..]
        )
        .into())
    }),
];

/// The injected source, or a refusal.
pub(super) fn source<'c>(call: &Call<'c, '_>, function: &'static str) -> Result<&'c dyn Randomness, Fault> {
    call.engine.random.ok_or_else(|| Fault {
        refused: Some(function),
        ..Fault::new(format!(
            "{function} gives another value at every rendering and is refused here"
        ))
    })
}

/// A number below the bound, without bias.
pub(super) fn below(source: &dyn Randomness, bound: u64) -> u64 {
    let limit = u64::MAX - u64::MAX % bound;
    loop {
        let mut buffer = [0_u8; 8];
        source.fill(&mut buffer);
        let number = u64::from_be_bytes(buffer);
        if number < limit {
            return number % bound;
        }
    }
}

fn characters(
    call: &Call<'_, '_>,
    function: &'static str,
    count: i64,
    accepts: fn(u8) -> bool,
) -> Result<Value, Fault> {
    let source = source(call, function)?;
    // Go answers a negative length with an empty text.
    let count = if count < 0 { 0 } else { bounded(count)? };
    let alphabet: Vec<char> = (b' '..=b'~')
        .filter(|byte| accepts(*byte))
        .map(char::from)
        .collect();
    let size = u64::try_from(alphabet.len()).unwrap_or(1);
    let mut out = String::with_capacity(count);
    for _ in 0..count {
        out.push(alphabet[usize::try_from(below(source, size)).unwrap_or(0)]);
    }
    Ok(out.into())
}
