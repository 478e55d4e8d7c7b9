//! Two kinds of patterns: Go's `filepath.Match` for `.helmignore`, and the glob library of `.Files.Glob`.

/// Go's `filepath.Match`; nothing where the pattern is malformed.
pub(crate) fn file_match(pattern: &str, name: &str) -> Option<bool> {
    Some(FilePattern::compile(pattern)?.matches(name))
}

/// A pattern of Go's `filepath.Match`.
#[derive(Debug)]
pub(crate) struct FilePattern(Vec<Token>);

impl FilePattern {
    /// Nothing where the pattern is malformed.
    pub(crate) fn compile(pattern: &str) -> Option<Self> {
        let pattern: Vec<char> = pattern.chars().collect();
        file_tokens(&pattern).map(Self)
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        matches(&self.0, name)
    }
}

#[derive(Debug)]
enum Token {
    Char(char),
    /// One character, but not one of these.
    Any(Vec<char>),
    /// Any number of characters, but none of these.
    Star(Vec<char>),
    /// Any number of characters.
    Super,
    Class {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
    /// One of several patterns.
    Choice(Vec<Vec<Token>>),
}

fn file_tokens(pattern: &[char]) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < pattern.len() {
        match pattern[at] {
            '*' => tokens.push(Token::Star(vec!['/'])),
            '?' => tokens.push(Token::Any(vec!['/'])),
            '\\' => {
                at += 1;
                tokens.push(Token::Char(*pattern.get(at)?));
            }
            '[' => {
                let (token, end) = class(pattern, at + 1, '^')?;
                tokens.push(token);
                at = end;
            }
            other => tokens.push(Token::Char(other)),
        }
        at += 1;
    }
    Some(tokens)
}

/// A class such as `[a-z]`, from after its bracket; also the position of the closing bracket.
fn class(pattern: &[char], start: usize, negation: char) -> Option<(Token, usize)> {
    let mut at = start;
    let negated = pattern.get(at) == Some(&negation);
    if negated {
        at += 1;
    }
    let mut ranges = Vec::new();
    loop {
        let mut low = *pattern.get(at)?;
        if low == ']' && !ranges.is_empty() {
            return Some((Token::Class { negated, ranges }, at));
        }
        if low == ']' || low == '-' {
            return None;
        }
        if low == '\\' {
            at += 1;
            low = *pattern.get(at)?;
        }
        at += 1;
        let mut high = low;
        if pattern.get(at) == Some(&'-') {
            at += 1;
            high = *pattern.get(at)?;
            if high == '\\' {
                at += 1;
                high = *pattern.get(at)?;
            }
            if high == ']' {
                return None;
            }
            at += 1;
        }
        ranges.push((low, high));
    }
}

/// The patterns of `.Files.Glob`, compiled with `/` as separator; nothing where malformed.
pub(crate) struct Glob(Vec<Token>);

impl Glob {
    pub(crate) fn compile(pattern: &str) -> Option<Self> {
        let pattern: Vec<char> = pattern.chars().collect();
        let mut at = 0;
        let tokens = match glob_tokens(&pattern, &mut at, false) {
            Some(tokens) => tokens,
            // The library takes an open choice for a pattern that fits nothing.
            None if pattern.contains(&'{') && !pattern.contains(&'}') => vec![Token::Choice(Vec::new())],
            None => return None,
        };
        Some(Self(tokens))
    }

    pub(crate) fn matches(&self, name: &str) -> bool {
        matches(&self.0, name)
    }
}

fn glob_tokens(pattern: &[char], at: &mut usize, nested: bool) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    while let Some(&character) = pattern.get(*at) {
        match character {
            '*' if pattern.get(*at + 1) == Some(&'*') => {
                while pattern.get(*at + 1) == Some(&'*') {
                    *at += 1;
                }
                tokens.push(Token::Super);
            }
            '*' => tokens.push(Token::Star(vec!['/'])),
            '?' => tokens.push(Token::Any(vec!['/'])),
            '\\' => {
                *at += 1;
                tokens.push(Token::Char(*pattern.get(*at)?));
            }
            '[' => {
                let (token, end) = class(pattern, *at + 1, '!')?;
                tokens.push(token);
                *at = end;
            }
            '{' => {
                let mut choices = Vec::new();
                loop {
                    *at += 1;
                    choices.push(glob_tokens(pattern, at, true)?);
                    match pattern.get(*at) {
                        Some(',') => {}
                        Some('}') => break,
                        _ => return None,
                    }
                }
                tokens.push(Token::Choice(choices));
            }
            ',' | '}' if nested => return Some(tokens),
            other => tokens.push(Token::Char(other)),
        }
        *at += 1;
    }
    if nested { None } else { Some(tokens) }
}

/// How many steps a match may take before it counts as none: nested choices could take forever.
const MAX_STEPS: usize = 1_000_000;

fn matches(tokens: &[Token], name: &str) -> bool {
    matches_from(tokens, None, name, &mut 0)
}

/// What must match behind the tokens of a choice.
struct After<'t> {
    tokens: &'t [Token],
    next: Option<&'t After<'t>>,
}

fn matches_from(tokens: &[Token], after: Option<&After<'_>>, name: &str, steps: &mut usize) -> bool {
    *steps += 1;
    if *steps > MAX_STEPS {
        return false;
    }
    let Some((first, rest)) = tokens.split_first() else {
        return match after {
            Some(after) => matches_from(after.tokens, after.next, name, steps),
            None => name.is_empty(),
        };
    };
    let mut characters = name.chars();
    let next = characters.next();
    match first {
        Token::Char(wanted) => next == Some(*wanted) && matches_from(rest, after, characters.as_str(), steps),
        Token::Any(but) => {
            next.is_some_and(|found| !but.contains(&found))
                && matches_from(rest, after, characters.as_str(), steps)
        }
        Token::Class { negated, ranges } => {
            next.is_some_and(|found| {
                ranges.iter().any(|(low, high)| *low <= found && found <= *high) != *negated
            }) && matches_from(rest, after, characters.as_str(), steps)
        }
        Token::Star(but) => {
            let most = name.find(but.as_slice()).unwrap_or(name.len());
            ends(&name[..most]).any(|taken| matches_from(rest, after, &name[taken..], steps))
        }
        Token::Super => ends(name).any(|taken| matches_from(rest, after, &name[taken..], steps)),
        Token::Choice(choices) => {
            let behind = After {
                tokens: rest,
                next: after,
            };
            choices
                .iter()
                .any(|choice| matches_from(choice, Some(&behind), name, steps))
        }
    }
}

/// Where a beginning of the text can end, the shortest first.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    text.char_indices()
        .map(|(at, _)| at)
        .chain(std::iter::once(text.len()))
}
