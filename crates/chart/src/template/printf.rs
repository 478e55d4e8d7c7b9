//! Reads the directives of `printf`.

use super::format::{Flags, print_verb, write_typed};
use super::value::Value;

/// Larger widths, precisions and indices are refused.
const MAX_NUMBER: usize = 1_000_000;

/// Go's `Sprintf`.
pub(crate) fn sprintf(template: &[u8], values: &[Value]) -> Vec<u8> {
    let mut printer = Printer {
        template,
        values,
        at: 0,
        next: 0,
        reordered: false,
        good_index: true,
        out: Vec::new(),
    };
    printer.run();
    printer.out
}

struct Printer<'p> {
    template: &'p [u8],
    values: &'p [Value],
    at: usize,
    next: usize,
    reordered: bool,
    /// Whether the directive at hand names an argument that there is.
    good_index: bool,
    out: Vec<u8>,
}

impl Printer<'_> {
    fn run(&mut self) {
        while self.at < self.template.len() {
            let rest = &self.template[self.at..];
            let plain = rest.iter().position(|byte| *byte == b'%').unwrap_or(rest.len());
            self.out.extend_from_slice(&rest[..plain]);
            self.at += plain;
            if self.at >= self.template.len() {
                break;
            }
            self.at += 1;
            self.directive();
        }
        if !self.reordered && self.next < self.values.len() {
            self.out.extend_from_slice(b"%!(EXTRA ");
            let extra = &self.values[self.next..];
            for (index, value) in extra.iter().enumerate() {
                if index > 0 {
                    self.out.extend_from_slice(b", ");
                }
                write_typed(&mut self.out, value);
            }
            self.out.push(b')');
        }
    }

    fn directive(&mut self) {
        let mut flags = Flags::default();
        while let Some(byte) = self.template.get(self.at) {
            match byte {
                b'#' => flags.sharp = true,
                b'0' => flags.zero = true,
                b'+' => flags.plus = true,
                b'-' => flags.minus = true,
                b' ' => flags.space = true,
                _ => break,
            }
            self.at += 1;
        }
        self.good_index = true;
        let mut after_index = self.index();
        if self.template.get(self.at) == Some(&b'*') {
            self.at += 1;
            match self.star() {
                Some(width) => {
                    flags.minus |= width < 0;
                    flags.zero &= width >= 0;
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => self.out.extend_from_slice(b"%!(BADWIDTH)"),
            }
            after_index = false;
        } else {
            flags.width = self.number();
            self.good_index &= !after_index || flags.width.is_none();
        }
        // A point at the end is a verb.
        if self.at + 1 < self.template.len() && self.template[self.at] == b'.' {
            self.at += 1;
            self.good_index &= !after_index;
            after_index = self.index();
            if self.template.get(self.at) == Some(&b'*') {
                self.at += 1;
                match self.star() {
                    Some(precision) if precision >= 0 => flags.precision = usize::try_from(precision).ok(),
                    _ => self.out.extend_from_slice(b"%!(BADPREC)"),
                }
                after_index = false;
            } else {
                flags.precision = Some(self.number().unwrap_or(0));
            }
        }
        if !after_index {
            self.index();
        }
        let rest = self.template.get(self.at..).unwrap_or_default();
        let Some(chunk) = rest.utf8_chunks().next() else {
            self.out.extend_from_slice(b"%!(NOVERB)");
            self.at = self.template.len();
            return;
        };
        let first = chunk.valid().chars().next();
        self.at += first.map_or(1, char::len_utf8);
        let verb = first.unwrap_or(char::REPLACEMENT_CHARACTER);
        if verb == '%' {
            self.out.push(b'%');
        } else if !self.good_index {
            self.out
                .extend_from_slice(format!("%!{verb}(BADINDEX)").as_bytes());
        } else if let Some(value) = self.values.get(self.next) {
            self.next += 1;
            print_verb(&mut self.out, value, flags, verb);
        } else {
            self.out
                .extend_from_slice(format!("%!{verb}(MISSING)").as_bytes());
        }
    }

    /// Takes an explicit argument index such as `[2]`, and tells whether there was one; it may name no argument.
    fn index(&mut self) -> bool {
        let rest = self.template.get(self.at..).unwrap_or_default();
        if rest.first() != Some(&b'[') {
            return false;
        }
        self.reordered = true;
        let close = rest.iter().position(|byte| *byte == b']');
        let Some(close) = close.filter(|_| rest.len() >= 3) else {
            self.at += 1;
            self.good_index = false;
            return false;
        };
        let digits = &rest[1..close];
        let number = std::str::from_utf8(digits)
            .ok()
            .filter(|_| digits.iter().all(u8::is_ascii_digit))
            .and_then(|digits| digits.parse::<usize>().ok())
            .filter(|number| *number <= MAX_NUMBER);
        self.at += close + 1;
        match number {
            Some(number) if (1..=self.values.len()).contains(&number) => self.next = number - 1,
            _ => self.good_index = false,
        }
        number.is_some()
    }

    /// A number; Go gives up on the whole rest of the format where it is absurd.
    fn number(&mut self) -> Option<usize> {
        let rest = self.template.get(self.at..).unwrap_or_default();
        let length = rest
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(rest.len());
        let digits = std::str::from_utf8(&rest[..length])
            .ok()
            .filter(|digits| !digits.is_empty())?;
        let last = digits.len() - 1;
        // It looks before it takes the next digit.
        if digits[..last]
            .parse::<usize>()
            .unwrap_or(if last == 0 { 0 } else { usize::MAX })
            > MAX_NUMBER
        {
            self.at = self.template.len();
            return None;
        }
        self.at += length;
        digits.parse().ok()
    }

    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        match value {
            Value::Int(number, _) if number.unsigned_abs() <= MAX_NUMBER as u64 => Some(*number),
            _ => None,
        }
    }
}
