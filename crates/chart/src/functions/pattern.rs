//! Go's regular expressions, in the syntax and with the words of `regexp/syntax`, for the crate that runs them.

use std::iter::Peekable;
use std::str::CharIndices;

/// Go's limit for a repeat count.
const MAX_REPEAT: u32 = 1_000;

/// The pattern as the crate reads it. What Go refuses and the crate does not is refused here, in Go's words.
///
/// In Go `\d`, `\w`, `\s` and `\b` know ASCII only, `\Q...\E` exists, a `{` that is no repeat count is a character, and
/// repetition operators do not follow one another.
pub(super) fn translate(pattern: &str) -> Result<String, String> {
    let mut translator = Translator {
        pattern,
        rest: pattern.char_indices().peekable(),
        out: String::with_capacity(pattern.len() + 8),
        class: false,
        repeated: None,
        operand: false,
    };
    translator.run()?;
    Ok(translator.out)
}

struct Translator<'p> {
    pattern: &'p str,
    rest: Peekable<CharIndices<'p>>,
    out: String,
    class: bool,
    /// Where the repetition operator began that stands just before.
    repeated: Option<usize>,
    /// Whether there is something to repeat.
    operand: bool,
}

impl Translator<'_> {
    fn next_is(&mut self, wanted: char) -> bool {
        self.rest
            .peek()
            .is_some_and(|(_, character)| *character == wanted)
    }

    fn position(&mut self) -> usize {
        self.rest.peek().map_or(self.pattern.len(), |(at, _)| *at)
    }

    fn run(&mut self) -> Result<(), String> {
        while let Some((at, character)) = self.rest.next() {
            let before = self.repeated.take();
            if self.class {
                self.in_class(character)?;
                continue;
            }
            match character {
                '*' | '+' | '?' => self.repeat(at, before)?,
                '{' => {
                    if let Some(length) = repeat_length(&self.pattern[at..]) {
                        let counts = &self.pattern[at..at + length];
                        if !counts_fit(counts) {
                            return Err(format!("invalid repeat count: `{counts}`"));
                        }
                        while self.position() < at + length {
                            self.rest.next();
                        }
                        self.repeat(at, before)?;
                    } else {
                        self.out.push_str("\\{");
                        self.operand = true;
                    }
                }
                '\\' => self.escape(at)?,
                '[' => self.open_class(),
                '(' | '|' => {
                    self.out.push(character);
                    self.operand = false;
                    if character == '(' && self.next_is('?') {
                        // What `(?` begins is the crate's to read; it repeats nothing.
                        self.rest.next();
                        self.out.push('?');
                    }
                }
                _ => {
                    self.out.push(character);
                    self.operand = true;
                }
            }
        }
        Ok(())
    }

    /// A repetition operator, already taken, and the `?` that may follow it.
    fn repeat(&mut self, at: usize, before: Option<usize>) -> Result<(), String> {
        let end = self.position();
        let lazy = self.next_is('?');
        if lazy {
            self.rest.next();
        }
        let whole = end + usize::from(lazy);
        if let Some(first) = before {
            return Err(format!(
                "invalid nested repetition operator: `{}`",
                &self.pattern[first..whole]
            ));
        }
        if !self.operand {
            return Err(format!(
                "missing argument to repetition operator: `{}`",
                &self.pattern[at..whole]
            ));
        }
        self.out.push_str(&self.pattern[at..whole]);
        self.repeated = Some(at);
        Ok(())
    }

    fn escape(&mut self, at: usize) -> Result<(), String> {
        let Some((_, character)) = self.rest.next() else {
            return Err("trailing backslash at end of expression: ``".to_owned());
        };
        self.operand = true;
        let class = self.class;
        match character {
            'd' => self.out.push_str(if class { "0-9" } else { "[0-9]" }),
            'w' => self
                .out
                .push_str(if class { "0-9A-Za-z_" } else { "[0-9A-Za-z_]" }),
            's' => self.out.push_str(if class {
                "\\t\\n\\x0C\\r "
            } else {
                "[\\t\\n\\x0C\\r ]"
            }),
            'D' if !class => self.out.push_str("[^0-9]"),
            'W' if !class => self.out.push_str("[^0-9A-Za-z_]"),
            'S' if !class => self.out.push_str("[^\\t\\n\\x0C\\r ]"),
            'b' if !class => self.out.push_str("(?-u:\\b)"),
            'Q' if !class => {
                let rest = &self.pattern[at + 2..];
                let (literal, length) = match rest.find("\\E") {
                    Some(end) => (&rest[..end], end + 2),
                    None => (rest, rest.len()),
                };
                self.out.push_str(&regex::escape(literal));
                while self.position() < at + 2 + length {
                    self.rest.next();
                }
            }
            '<' | '>' => self.out.push(character),
            '0'..='7' if character == '0' || self.rest.peek().is_some_and(|(_, next)| next.is_digit(8)) => {
                let mut code = character.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.rest.peek().and_then(|(_, next)| next.to_digit(8)) else {
                        break;
                    };
                    code = code * 8 + digit;
                    self.rest.next();
                }
                self.out.push_str(&format!("\\x{{{code:x}}}"));
            }
            other if !is_escape(other, class) => {
                let end = at + 1 + other.len_utf8();
                return Err(format!("invalid escape sequence: `{}`", &self.pattern[at..end]));
            }
            other => {
                self.out.push('\\');
                self.out.push(other);
                // What stands in braces here is no repeat count: `\x{1F600}`, `\p{Greek}`.
                if matches!(other, 'x' | 'p' | 'P') && self.next_is('{') {
                    for (_, next) in self.rest.by_ref() {
                        self.out.push(next);
                        if next == '}' {
                            break;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn open_class(&mut self) {
        self.class = true;
        self.operand = true;
        self.out.push('[');
        if self.next_is('^') {
            self.rest.next();
            self.out.push('^');
        }
        if self.next_is(']') {
            self.rest.next();
            self.out.push_str("\\]");
        }
    }

    fn in_class(&mut self, character: char) -> Result<(), String> {
        match character {
            '\\' => {
                let at = self.position() - 1;
                self.escape(at)?;
            }
            '[' if self.next_is(':') => {
                // A class such as [:alpha:].
                self.out.push('[');
                for (_, next) in self.rest.by_ref() {
                    self.out.push(next);
                    if next == ']' {
                        break;
                    }
                }
            }
            ']' => {
                self.class = false;
                self.out.push(']');
            }
            // The crate knows sets of sets and their operations, which Go does not.
            '[' | '&' | '~' => {
                self.out.push('\\');
                self.out.push(character);
            }
            _ => self.out.push(character),
        }
        Ok(())
    }
}

/// Whether Go knows the character behind a backslash.
fn is_escape(character: char, class: bool) -> bool {
    match character {
        'a' | 'f' | 'n' | 'r' | 't' | 'v' | 'x' | 'p' | 'P' | 'D' | 'W' | 'S' => true,
        'A' | 'B' | 'z' => !class,
        _ => character.is_ascii() && !character.is_ascii_alphanumeric(),
    }
}

/// The length of a repeat count such as `{2}`, `{2,}` or `{2,3}` at the beginning of a text.
fn repeat_length(text: &str) -> Option<usize> {
    let end = text.find('}')?;
    let inside = &text[1..end];
    let (least, most) = inside.split_once(',').unwrap_or((inside, ""));
    let number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text.len() < 2 || !text.starts_with('0'))
    };
    (!least.is_empty() && number(least) && number(most)).then_some(end + 1)
}

fn counts_fit(counts: &str) -> bool {
    let inside = &counts[1..counts.len() - 1];
    let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
    let number = |text: &str| text.parse::<u32>().unwrap_or(u32::MAX);
    let least = number(least);
    let most = if most.is_empty() { least } else { number(most) };
    least <= MAX_REPEAT && most <= MAX_REPEAT && least <= most
}

/// The last group where the pattern ends among its flags: `(?`, `(?i`.
fn unfinished_flags(pattern: &str) -> Option<&str> {
    let group = &pattern[pattern.rfind("(?")?..];
    group[2..]
        .bytes()
        .all(|byte| byte == b'-' || byte.is_ascii_alphabetic())
        .then_some(group)
}

/// What the crate refuses, in Go's words as far as they are known.
pub(super) fn reason(error: &regex::Error, pattern: &str) -> String {
    let text = error.to_string();
    let last = text
        .lines()
        .last()
        .unwrap_or_default()
        .trim_start_matches("error: ")
        .to_owned();
    let words = |rest: &str| last.starts_with(rest);
    if (last == "unclosed group" || words("expected flag"))
        && let Some(group) = unfinished_flags(pattern)
    {
        format!("invalid or unsupported Perl syntax: `{group}`")
    } else if last == "unclosed capture group name"
        && let Some(from) = pattern.rfind("(?P<")
    {
        match &pattern[from..] {
            "(?P<" => "invalid or unsupported Perl syntax: `(?P`".to_owned(),
            group => format!("invalid named capture: `{group}`"),
        }
    } else if last == "unclosed group" {
        format!("missing closing ): `{pattern}`")
    } else if last == "unopened group" {
        format!("unexpected ): `{pattern}`")
    } else if last == "unclosed character class" {
        let from = pattern.find('[').unwrap_or(0);
        format!("missing closing ]: `{}`", &pattern[from..])
    } else if words("look-around") {
        let group = ["(?=", "(?!", "(?<=", "(?<!"]
            .iter()
            .find(|group| pattern.contains(**group));
        format!(
            "invalid or unsupported Perl syntax: `{}`",
            group.map_or("(?", |group| &group[..group.len().min(3)])
        )
    } else if words("unrecognized flag")
        || words("unrecognized group")
        || words("repetition operator missing")
    {
        let from = pattern.find("(?").unwrap_or(0);
        let end = pattern[from..]
            .char_indices()
            .nth(3)
            .map_or(pattern.len(), |(at, _)| from + at);
        format!("invalid or unsupported Perl syntax: `{}`", &pattern[from..end])
    } else if words("unrecognized escape sequence") {
        format!("invalid escape sequence: `{}`", unknown_escape(pattern))
    } else if words("invalid character class range") {
        format!("invalid character class range: `{}`", range_of(pattern))
    } else if words("Unicode property not found") || words("Unicode property") {
        let from = pattern.find("\\p").or_else(|| pattern.find("\\P")).unwrap_or(0);
        let part = &pattern[from..];
        let end = part.find('}').map_or_else(
            || part.char_indices().nth(3).map_or(part.len(), |(at, _)| at),
            |at| at + 1,
        );
        format!("invalid character class range: `{}`", &part[..end])
    } else if words("Compiled regex exceeds size limit") {
        format!("expression too large: `{pattern}`")
    } else {
        format!("{last}: `{pattern}`")
    }
}

/// The first escape that neither of the languages knows.
fn unknown_escape(pattern: &str) -> &str {
    let mut at = 0;
    while let Some(found) = pattern[at..].find('\\') {
        let start = at + found;
        let Some(character) = pattern[start + 1..].chars().next() else {
            break;
        };
        let end = start + 1 + character.len_utf8();
        if character.is_alphanumeric() && !"AaBbDdfnPpQrSstvWwxzE0".contains(character) {
            return &pattern[start..end];
        }
        at = end;
    }
    pattern
}

/// The first range of a class that runs backwards.
fn range_of(pattern: &str) -> &str {
    let characters: Vec<(usize, char)> = pattern.char_indices().collect();
    for window in characters.windows(3) {
        if let [(start, low), (_, '-'), (end, high)] = window
            && low > high
        {
            return &pattern[*start..end + high.len_utf8()];
        }
    }
    pattern
}
