//! Reads the directives of `printf`.

use super::format::{Flags, print_verb, write_typed};
use super::value::Value;

/// Go's `Sprintf`.
pub(crate) fn sprintf(template: &[u8], values: &[Value]) -> Vec<u8> {
    let mut printer = Printer {
        template,
        values,
        at: 0,
        next: 0,
        reordered: false,
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
        let mut bad_index = !self.index();
        if self.template.get(self.at) == Some(&b'*') {
            self.at += 1;
            match self.star() {
                Some(width) => {
                    flags.minus |= width < 0;
                    flags.width = usize::try_from(width.unsigned_abs()).ok();
                }
                None => self.out.extend_from_slice(b"%!(BADWIDTH)"),
            }
        } else {
            flags.width = self.number();
        }
        if self.template.get(self.at) == Some(&b'.') {
            self.at += 1;
            bad_index |= !self.index();
            if self.template.get(self.at) == Some(&b'*') {
                self.at += 1;
                match self.star() {
                    Some(precision) if precision >= 0 => flags.precision = usize::try_from(precision).ok(),
                    _ => self.out.extend_from_slice(b"%!(BADPREC)"),
                }
            } else {
                flags.precision = Some(self.number().unwrap_or(0));
            }
        }
        bad_index |= !self.index();
        let Some(verb) = std::str::from_utf8(&self.template[self.at..]).ok().map_or_else(
            || self.template.get(self.at).map(|byte| char::from(*byte)),
            |rest| rest.chars().next(),
        ) else {
            self.out.extend_from_slice(b"%!(NOVERB)");
            return;
        };
        self.at += verb.len_utf8();
        if verb == '%' {
            self.out.push(b'%');
        } else if bad_index {
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

    /// An explicit argument index such as `[2]`; false where it names no argument.
    fn index(&mut self) -> bool {
        if self.template.get(self.at) != Some(&b'[') {
            return true;
        }
        self.reordered = true;
        let rest = &self.template[self.at..];
        let Some(close) = rest.iter().position(|byte| *byte == b']') else {
            self.at += 1;
            return false;
        };
        let number = std::str::from_utf8(&rest[1..close])
            .ok()
            .and_then(|digits| digits.parse::<usize>().ok());
        self.at += close + 1;
        match number {
            Some(number) if (1..=self.values.len()).contains(&number) => {
                self.next = number - 1;
                true
            }
            _ => false,
        }
    }

    fn number(&mut self) -> Option<usize> {
        let rest = &self.template[self.at..];
        let length = rest
            .iter()
            .position(|byte| !byte.is_ascii_digit())
            .unwrap_or(rest.len());
        let number = std::str::from_utf8(&rest[..length]).ok()?.parse::<usize>().ok()?;
        self.at += length;
        (number <= 1_000_000).then_some(number)
    }

    fn star(&mut self) -> Option<i64> {
        let value = self.values.get(self.next)?;
        self.next += 1;
        match value {
            Value::Int(number, _) if number.abs() <= 1_000_000 => Some(*number),
            _ => None,
        }
    }
}
