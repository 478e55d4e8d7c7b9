//! Go's `fmt`: how values print, and the verbs of `printf`.

pub(crate) use super::float::format_float;
use super::object::Object;
pub(crate) use super::printf::sprintf;
use super::value::Value;

/// Deeper values, which only a map inside itself makes, are cut off.
const MAX_DEPTH: usize = 200;

/// Texts end once they are longer than the engine takes.
const MAX_TEXT: usize = 64 << 20;

/// A value as `%v` prints it.
pub(crate) fn display(value: &Value) -> String {
    let mut out = Vec::new();
    write_value(&mut out, value, &Flags::default(), 'v', 0);
    String::from_utf8(out).unwrap_or_else(|error| text_of(error.as_bytes()))
}

/// Bytes as a text. As in Go, each byte that is no part of a character becomes U+FFFD.
pub(crate) fn text_of(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    out
}

/// A value as `%v` prints it, keeping bytes that are not UTF-8.
pub(crate) fn display_bytes(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    write_value(&mut out, value, &Flags::default(), 'v', 0);
    out
}

/// Go's `Sprint`: operands with a space between two that are not strings.
pub(crate) fn sprint(values: &[Value]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, value) in values.iter().enumerate() {
        let text = value.string_bytes().is_some();
        if index > 0 && !text && values[index - 1].string_bytes().is_none() {
            out.push(b' ');
        }
        out.extend_from_slice(&display_bytes(value));
    }
    out
}

/// Go's `Sprintln`.
pub(crate) fn sprintln(values: &[Value]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = values.iter().map(display_bytes).collect();
    let mut out = parts.join(&b' ');
    out.push(b'\n');
    out
}

/// Go's `strconv.Quote`.
pub(crate) fn quote(text: &str) -> String {
    quote_bytes(text.as_bytes(), false)
}

/// Go's `strconv.Quote` (or `QuoteToASCII`) for any bytes.
pub(crate) fn quote_bytes(bytes: &[u8], ascii: bool) -> String {
    let mut out = String::with_capacity(bytes.len() + 2);
    out.push('"');
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid();
        // most texts have nothing to escape
        if valid
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
        {
            out.push_str(valid);
        } else {
            for character in valid.chars() {
                push_quoted(&mut out, character, '"', ascii);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out.push('"');
    out
}

fn push_quoted(out: &mut String, character: char, mark: char, ascii: bool) {
    match character {
        '\\' => out.push_str("\\\\"),
        '\u{7}' => out.push_str("\\a"),
        '\u{8}' => out.push_str("\\b"),
        '\u{c}' => out.push_str("\\f"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\u{b}' => out.push_str("\\v"),
        _ if character == mark => {
            out.push('\\');
            out.push(character);
        }
        ' '..='~' => out.push(character),
        _ if !ascii && is_printable(character) => out.push(character),
        _ => {
            let code = u32::from(character);
            if code < 0x80 {
                out.push_str(&format!("\\x{code:02x}"));
            } else if code < 0x1_0000 {
                out.push_str(&format!("\\u{code:04x}"));
            } else {
                out.push_str(&format!("\\U{code:08x}"));
            }
        }
    }
}

/// Go's `unicode.IsPrint`, as close as the standard library gets.
pub(crate) fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return (' '..='~').contains(&character);
    }
    // A combining mark is only escaped at the start of a text.
    let probe: String = ['a', character].iter().collect();
    probe.escape_debug().nth(1) == Some(character)
}

#[derive(Clone, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of a verb")]
pub(super) struct Flags {
    pub(super) plus: bool,
    pub(super) minus: bool,
    pub(super) sharp: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    /// The value is shown because its verb is wrong; `#` is no wish for Go's syntax then.
    pub(super) erroneous: bool,
    /// Fields of structs are named.
    pub(super) names: bool,
}

pub(super) fn write_typed(out: &mut Vec<u8>, value: &Value) {
    if value.is_nil() {
        out.extend_from_slice(b"<nil>");
        return;
    }
    out.extend_from_slice(value.type_name().as_bytes());
    out.push(b'=');
    write_value(out, value, &Flags::default(), 'v', 0);
}

pub(super) fn print_verb(out: &mut Vec<u8>, value: &Value, mut flags: Flags, verb: char) {
    if verb == 'T' {
        let name = if value.is_nil() {
            "<nil>".to_owned()
        } else {
            value.type_name()
        };
        let cut: String = name
            .chars()
            .take(flags.precision.filter(|_| !value.is_nil()).unwrap_or(usize::MAX))
            .collect();
        pad(out, cut.as_bytes(), &flags);
        return;
    }
    if value.is_nil() {
        if verb == 'v' {
            pad(out, b"<nil>", &flags);
        } else {
            out.extend_from_slice(format!("%!{verb}(<nil>)").as_bytes());
        }
        return;
    }
    if flags.minus {
        flags.zero = false;
    }
    if verb == 'v' {
        // "%+v" names the fields of structs; it puts no sign before numbers.
        flags.names = std::mem::take(&mut flags.plus);
    }
    write_value(out, value, &flags, verb, 0);
}

/// Go shows the value of a verb that it cannot have with the flags that were meant for the verb.
fn bad_verb(out: &mut Vec<u8>, value: &Value, flags: &Flags, verb: char) {
    out.extend_from_slice(format!("%!{verb}({}=", value.type_name()).as_bytes());
    let flags = Flags {
        erroneous: true,
        ..flags.clone()
    };
    write_value(out, value, &flags, 'v', 0);
    out.push(b')');
}

fn write_value(out: &mut Vec<u8>, value: &Value, flags: &Flags, verb: char, depth: usize) {
    // A longer text is refused by whoever asked for it.
    if out.len() > MAX_TEXT {
        return;
    }
    if depth > MAX_DEPTH {
        out.extend_from_slice(b"...");
        return;
    }
    let syntax = verb == 'v' && flags.sharp && !flags.erroneous;
    match value {
        // Only nested ones come here, which Go does not pad.
        Value::Nil => out.extend_from_slice(b"<nil>"),
        Value::Bool(inner) => match verb {
            't' | 'v' => pad(out, if *inner { b"true" } else { b"false" }, flags),
            _ => bad_verb(out, value, flags, verb),
        },
        Value::Int(number, kind) => match verb {
            'v' | 'd' | 'b' | 'o' | 'O' | 'x' | 'X' => {
                let wide = if kind.is_unsigned() {
                    i128::from(number.cast_unsigned())
                } else {
                    i128::from(*number)
                };
                if syntax && kind.is_unsigned() {
                    out.extend_from_slice(format!("0x{wide:x}").as_bytes());
                } else {
                    write_integer(out, wide, flags, verb);
                }
            }
            'c' | 'q' | 'U' => write_rune(out, *number, flags, verb),
            _ => bad_verb(out, value, flags, verb),
        },
        Value::Float(number) => match verb {
            'v' | 'b' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G' | 'x' | 'X' => {
                write_float(out, *number, flags, verb);
            }
            _ => bad_verb(out, value, flags, verb),
        },
        Value::Str(_) | Value::Raw(_) => {
            let bytes = value.string_bytes().unwrap_or_default();
            if syntax {
                pad(out, quote_bytes(bytes, false).as_bytes(), flags);
            } else {
                write_text(out, bytes, value, flags, verb);
            }
        }
        Value::Bytes(bytes) => match verb {
            's' | 'q' | 'x' | 'X' => write_text(out, bytes, value, flags, verb),
            _ => {
                let items = value.elements().unwrap_or_default();
                write_items(out, &items, flags, verb, depth);
            }
        },
        Value::List(list) if syntax => {
            out.extend_from_slice(value.type_name().as_bytes());
            if list.nil {
                out.extend_from_slice(b"(nil)");
                return;
            }
            out.push(b'{');
            for (index, item) in list.items.iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(b", ");
                }
                write_nested_syntax(out, item, flags, depth);
            }
            out.push(b'}');
        }
        Value::List(list) => write_items(out, &list.items, flags, verb, depth),
        Value::Map(map) => {
            let (open, separator, close): (&[u8], &[u8], u8) = if syntax {
                (b"{", b", ", b'}')
            } else {
                (b"[", b" ", b']')
            };
            out.extend_from_slice(
                if syntax {
                    value.type_name()
                } else {
                    "map".to_owned()
                }
                .as_bytes(),
            );
            if syntax && map.nil {
                out.extend_from_slice(b"(nil)");
                return;
            }
            out.extend_from_slice(open);
            for (index, (key, item)) in map.snapshot().iter().enumerate() {
                if index > 0 {
                    out.extend_from_slice(separator);
                }
                write_value(out, &Value::Str(key.clone()), flags, verb, depth + 1);
                out.push(b':');
                if syntax {
                    write_nested_syntax(out, item, flags, depth);
                } else {
                    write_value(out, item, flags, verb, depth + 1);
                }
            }
            out.push(close);
        }
        Value::Object(object) => match verb {
            // The pointer inside of something is no more than an address.
            's' | 'q' if depth > 0 && object.is_bare_pointer() => bad_verb(out, value, flags, verb),
            _ if depth == 0 || !object.is_bare_pointer() => {
                if let Some(fields) = object.printed_fields() {
                    write_struct(out, object.type_name(), &fields, flags, verb, depth);
                } else {
                    write_object(out, value, object.as_ref(), flags, verb);
                }
            }
            _ => write_object(out, value, object.as_ref(), flags, verb),
        },
    }
}

fn write_object(out: &mut Vec<u8>, value: &Value, object: &dyn Object, flags: &Flags, verb: char) {
    match verb {
        'v' | 's' => pad(out, object.text().as_bytes(), flags),
        'q' => pad(out, quote(&object.text()).as_bytes(), flags),
        'x' | 'X' => write_text(out, object.text().as_bytes(), value, flags, verb),
        _ => bad_verb(out, value, flags, verb),
    }
}

/// Go's `strconv.CanBackquote`, for one character.
fn stands_in_back_quotes(character: char) -> bool {
    match character {
        '`' | '\u{7f}' | '\u{feff}' => false,
        character => character >= ' ' || character == '\t',
    }
}

fn write_struct(
    out: &mut Vec<u8>,
    type_name: &str,
    fields: &[(&str, Value)],
    flags: &Flags,
    verb: char,
    depth: usize,
) {
    let syntax = verb == 'v' && flags.sharp && !flags.erroneous;
    if type_name.starts_with('*') {
        out.push(b'&');
    }
    if syntax {
        out.extend_from_slice(type_name.trim_start_matches('*').as_bytes());
    }
    out.push(b'{');
    for (index, (name, field)) in fields.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(if syntax { b", " } else { b" " });
        }
        if syntax || flags.names {
            out.extend_from_slice(name.as_bytes());
            out.push(b':');
        }
        write_value(out, field, flags, verb, depth + 1);
    }
    out.push(b'}');
}

fn write_nested_syntax(out: &mut Vec<u8>, item: &Value, flags: &Flags, depth: usize) {
    if item.is_nil() {
        out.extend_from_slice(b"interface {}(nil)");
    } else {
        write_value(out, item, flags, 'v', depth + 1);
    }
}

fn write_items(out: &mut Vec<u8>, items: &[Value], flags: &Flags, verb: char, depth: usize) {
    out.push(b'[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        write_value(out, item, flags, verb, depth + 1);
    }
    out.push(b']');
}

fn pad(out: &mut Vec<u8>, text: &[u8], flags: &Flags) {
    let width = text_of(text).chars().count();
    let missing = flags.width.unwrap_or(0).saturating_sub(width);
    let fill = if flags.zero && !flags.minus { b'0' } else { b' ' };
    if flags.minus {
        out.extend_from_slice(text);
        out.extend(std::iter::repeat_n(b' ', missing));
    } else {
        out.extend(std::iter::repeat_n(fill, missing));
        out.extend_from_slice(text);
    }
}

fn write_text(out: &mut Vec<u8>, bytes: &[u8], value: &Value, flags: &Flags, verb: char) {
    let cut = |bytes: &[u8]| -> Vec<u8> {
        match flags.precision {
            Some(precision) => {
                let text = text_of(bytes);
                text.chars().take(precision).collect::<String>().into_bytes()
            }
            None => bytes.to_vec(),
        }
    };
    match verb {
        'v' | 's' => pad(out, &cut(bytes), flags),
        'q' => {
            let cut = cut(bytes);
            let text = match std::str::from_utf8(&cut) {
                Ok(text) if flags.sharp && text.chars().all(stands_in_back_quotes) => format!("`{text}`"),
                _ => quote_bytes(&cut, flags.plus),
            };
            pad(out, text.as_bytes(), flags);
        }
        'x' | 'X' => {
            let cut = flags
                .precision
                .map_or(bytes, |precision| &bytes[..precision.min(bytes.len())]);
            let mut text = String::new();
            for (index, byte) in cut.iter().enumerate() {
                if flags.space && index > 0 {
                    text.push(' ');
                }
                if flags.sharp && (index == 0 || flags.space) {
                    text.push_str(if verb == 'x' { "0x" } else { "0X" });
                }
                text.push_str(&if verb == 'x' {
                    format!("{byte:02x}")
                } else {
                    format!("{byte:02X}")
                });
            }
            pad(out, text.as_bytes(), flags);
        }
        _ => bad_verb(out, value, flags, verb),
    }
}

fn write_rune(out: &mut Vec<u8>, number: i64, flags: &Flags, verb: char) {
    let character = u32::try_from(number)
        .ok()
        .and_then(char::from_u32)
        .unwrap_or('\u{fffd}');
    match verb {
        'c' => pad(out, character.to_string().as_bytes(), flags),
        'U' => {
            let mut text = format!("U+{number:04X}");
            if flags.sharp && is_printable(character) {
                text.push_str(&format!(" '{character}'"));
            }
            pad(out, text.as_bytes(), flags);
        }
        _ => {
            let mut text = String::from("'");
            push_quoted(&mut text, character, '\'', flags.plus);
            text.push('\'');
            pad(out, text.as_bytes(), flags);
        }
    }
}

fn write_integer(out: &mut Vec<u8>, number: i128, flags: &Flags, verb: char) {
    let magnitude = number.unsigned_abs();
    let mut digits = match verb {
        'b' => format!("{magnitude:b}"),
        'o' | 'O' => format!("{magnitude:o}"),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        _ => magnitude.to_string(),
    };
    let sign = if number < 0 {
        "-"
    } else if flags.plus {
        "+"
    } else if flags.space {
        " "
    } else {
        ""
    };
    let prefix = match verb {
        'b' if flags.sharp => "0b",
        'o' if flags.sharp && !digits.starts_with('0') => "0",
        'O' => "0o",
        'x' if flags.sharp => "0x",
        'X' if flags.sharp => "0X",
        _ => "",
    };
    if let Some(precision) = flags.precision {
        if precision == 0 && number == 0 {
            pad(
                out,
                b"",
                &Flags {
                    zero: false,
                    ..flags.clone()
                },
            );
            return;
        }
        digits = format!("{}{digits}", "0".repeat(precision.saturating_sub(digits.len())));
    } else if flags.zero && !flags.minus {
        // Go widens the digits, not the prefix.
        let wanted = flags.width.unwrap_or(0).saturating_sub(sign.len());
        digits = format!("{}{digits}", "0".repeat(wanted.saturating_sub(digits.len())));
    }
    pad(
        out,
        format!("{sign}{prefix}{digits}").as_bytes(),
        &Flags {
            zero: false,
            ..flags.clone()
        },
    );
}

fn write_float(out: &mut Vec<u8>, number: f64, flags: &Flags, verb: char) {
    let sharp = flags.sharp && (verb != 'v' || flags.erroneous);
    let verb = match verb {
        'v' => 'g',
        'F' => 'f',
        other => other,
    };
    let precision = flags.precision.or(matches!(verb, 'e' | 'E' | 'f').then_some(6));
    let text = format_float(number, verb, precision);
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (&text[..1], digits),
        None => ("+", text.as_str()),
    };
    let sign = if sign == "+" && flags.space && !flags.plus {
        " "
    } else {
        sign
    };
    if !number.is_finite() {
        let bare = number.is_nan() && !flags.space && !flags.plus;
        let shown = if bare {
            digits.to_owned()
        } else {
            format!("{sign}{digits}")
        };
        let unpadded = Flags {
            zero: false,
            ..flags.clone()
        };
        // As everywhere, a sign that nobody asked for is left out; that of an infinity stays.
        return pad(out, shown.as_bytes(), &unpadded);
    }
    let digits = if sharp && verb != 'b' {
        with_point(digits, verb, precision)
    } else {
        digits.to_owned()
    };
    if !flags.plus && sign == "+" {
        return pad(out, digits.as_bytes(), flags);
    }
    let missing = flags
        .width
        .unwrap_or(0)
        .saturating_sub(digits.chars().count() + 1);
    if flags.zero && !flags.minus && missing > 0 {
        out.extend_from_slice(format!("{sign}{}{digits}", "0".repeat(missing)).as_bytes());
        return;
    }
    pad(out, format!("{sign}{digits}").as_bytes(), flags);
}

/// What `#` asks for: a point always, and the zeros at the end.
fn with_point(number: &str, verb: char, precision: Option<usize>) -> String {
    let hexadecimal = matches!(verb, 'x' | 'X');
    let tail = number
        .find(|character| matches!(character, 'p' | 'P') || !hexadecimal && matches!(character, 'e' | 'E'))
        .unwrap_or(number.len());
    let (digits, tail) = number.split_at(tail);
    let mut missing = if matches!(verb, 'g' | 'G' | 'x') {
        precision.unwrap_or(6)
    } else {
        0
    };
    let significant = digits.chars().filter(|character| *character != '.');
    missing = missing.saturating_sub(significant.skip_while(|character| *character == '0').count());
    let mut out = digits.to_owned();
    if !digits.contains('.') {
        missing = missing.saturating_sub(usize::from(digits == "0"));
        out.push('.');
    }
    out.push_str(&"0".repeat(missing));
    out + tail
}
