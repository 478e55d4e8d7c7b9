//! Decimal arithmetic as the library behind Sprig's `addf`, `mulf` and `divf` does it.

use super::super::template::float::format_float;

/// Digits after the point that a division keeps.
const DIVISION_PRECISION: i32 = 16;

/// A number as digits and a power of ten; digits are limited, which only absurd inputs notice.
#[derive(Clone, Debug)]
pub(super) struct Decimal {
    digits: num::Big,
    power: i32,
}

/// Big integers, small enough to own: only what decimals need.
mod num {
    /// A sign and decimal digits, most significant first, without leading zeros.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub(super) struct Big {
        pub(super) negative: bool,
        pub(super) digits: Vec<u8>,
    }
}

use num::Big;

impl Decimal {
    /// The shortest decimal that reads back as the float.
    pub(super) fn from_float(number: f64) -> Self {
        let text = format_float(number, 'e', None);
        let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
        let negative = mantissa.starts_with('-');
        let mantissa = mantissa.trim_start_matches('-');
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Vec<u8> = whole
            .bytes()
            .chain(fraction.bytes())
            .filter(u8::is_ascii_digit)
            .map(|d| d - b'0')
            .collect();
        let power: i32 = power.parse().unwrap_or(0);
        let power = power - i32::try_from(fraction.len()).unwrap_or(0);
        Self {
            digits: trimmed(negative, &digits),
            power,
        }
    }

    pub(super) fn to_float(&self) -> f64 {
        let digits: String = self
            .digits
            .digits
            .iter()
            .map(|digit| char::from(digit + b'0'))
            .collect();
        let sign = if self.digits.negative { "-" } else { "" };
        let digits = if digits.is_empty() { "0".to_owned() } else { digits };
        format!("{sign}{digits}e{}", self.power).parse().unwrap_or(0.0)
    }

    pub(super) fn add(&self, other: &Self) -> Self {
        let power = self.power.min(other.power);
        let (a, b) = (self.scaled(power), other.scaled(power));
        Self {
            digits: signed_sum(&a, &b),
            power,
        }
    }

    pub(super) fn sub(&self, other: &Self) -> Self {
        let mut negated = other.clone();
        negated.digits.negative = !negated.digits.negative && !negated.digits.digits.is_empty();
        self.add(&negated)
    }

    pub(super) fn mul(&self, other: &Self) -> Self {
        let digits = product(&self.digits.digits, &other.digits.digits);
        let negative = self.digits.negative != other.digits.negative;
        Self {
            digits: trimmed(negative, &digits),
            power: self.power.saturating_add(other.power),
        }
    }

    /// Rounds half away from zero at sixteen digits after the point.
    pub(super) fn div(&self, other: &Self) -> Self {
        if other.digits.digits.is_empty() {
            return Self {
                digits: trimmed(false, &[]),
                power: 0,
            };
        }
        // self * 10^shift / other, as an integer quotient with sixteen digits after the point
        let shift = self.power - other.power + DIVISION_PRECISION;
        let (mut top, mut bottom) = (self.digits.digits.clone(), other.digits.digits.clone());
        let zeros = usize::try_from(shift.unsigned_abs()).unwrap_or(0).min(2000);
        if shift >= 0 {
            top.extend(std::iter::repeat_n(0, zeros));
        } else {
            bottom.extend(std::iter::repeat_n(0, zeros));
        }
        let (mut quotient, remainder) = divide(&top, &bottom);
        let twice = sum(&remainder, &remainder);
        if compare(&twice, &bottom) != std::cmp::Ordering::Less {
            quotient = sum(&quotient, &[1]);
        }
        let negative = self.digits.negative != other.digits.negative;
        Self {
            digits: trimmed(negative, &quotient),
            power: -DIVISION_PRECISION,
        }
    }

    fn scaled(&self, power: i32) -> Big {
        let zeros = usize::try_from(self.power - power).unwrap_or(0).min(2000);
        let mut digits = self.digits.digits.clone();
        if !digits.is_empty() {
            digits.extend(std::iter::repeat_n(0, zeros));
        }
        Big {
            negative: self.digits.negative,
            digits,
        }
    }
}

fn trimmed(negative: bool, digits: &[u8]) -> Big {
    let first = digits
        .iter()
        .position(|digit| *digit != 0)
        .unwrap_or(digits.len());
    let digits = digits[first..].to_vec();
    Big {
        negative: negative && !digits.is_empty(),
        digits,
    }
}

fn compare(a: &[u8], b: &[u8]) -> std::cmp::Ordering {
    let (a, b) = (trimmed(false, a).digits, trimmed(false, b).digits);
    a.len().cmp(&b.len()).then_with(|| a.cmp(&b))
}

fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut a, mut b) = (a.iter().rev(), b.iter().rev());
    let mut carry = 0;
    loop {
        let (x, y) = (a.next(), b.next());
        if x.is_none() && y.is_none() {
            break;
        }
        let total = x.unwrap_or(&0) + y.unwrap_or(&0) + carry;
        out.push(total % 10);
        carry = total / 10;
    }
    if carry > 0 {
        out.push(carry);
    }
    out.reverse();
    out
}

/// `a - b`, where `a` is not smaller.
fn difference(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut b = b.iter().rev();
    let mut borrow = 0_i8;
    for digit in a.iter().rev() {
        let mut left =
            i8::try_from(*digit).unwrap_or(0) - borrow - i8::try_from(*b.next().unwrap_or(&0)).unwrap_or(0);
        borrow = i8::from(left < 0);
        if left < 0 {
            left += 10;
        }
        out.push(left.unsigned_abs());
    }
    out.reverse();
    out
}

fn signed_sum(a: &Big, b: &Big) -> Big {
    if a.negative == b.negative {
        return trimmed(a.negative, &sum(&a.digits, &b.digits));
    }
    match compare(&a.digits, &b.digits) {
        std::cmp::Ordering::Less => trimmed(b.negative, &difference(&b.digits, &a.digits)),
        _ => trimmed(a.negative, &difference(&a.digits, &b.digits)),
    }
}

fn product(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut out = vec![0_u32; a.len() + b.len()];
    for (i, x) in a.iter().rev().enumerate() {
        for (j, y) in b.iter().rev().enumerate() {
            out[i + j] += u32::from(*x) * u32::from(*y);
        }
    }
    let mut carry = 0;
    let mut digits: Vec<u8> = out
        .into_iter()
        .map(|cell| {
            let total = cell + carry;
            carry = total / 10;
            u8::try_from(total % 10).unwrap_or(0)
        })
        .collect();
    digits.reverse();
    digits
}

fn divide(top: &[u8], bottom: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut remainder: Vec<u8> = Vec::new();
    let mut quotient = Vec::new();
    for digit in top {
        remainder.push(*digit);
        remainder = trimmed(false, &remainder).digits;
        let mut count = 0;
        while compare(&remainder, bottom) != std::cmp::Ordering::Less {
            remainder = trimmed(false, &difference(&remainder, bottom)).digits;
            count += 1;
        }
        quotient.push(count);
    }
    (quotient, remainder)
}
