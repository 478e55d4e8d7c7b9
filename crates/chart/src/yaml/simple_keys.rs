//! Which tokens may turn out to be keys: that shows only once a `:` follows on the same line.

use std::collections::VecDeque;

use super::scan::{Mark, Scan, Scanner};

/// A token that may be a key.
#[derive(Clone, Copy, Default)]
pub(super) struct SimpleKey {
    pub(super) possible: bool,
    pub(super) required: bool,
    /// The number of the token, counted from the beginning of the text.
    pub(super) token: usize,
    pub(super) mark: Mark,
}

/// The latest candidate on each level of flow collections, the block around them first.
pub(super) struct SimpleKeys {
    levels: Vec<SimpleKey>,
    /// The levels of the tokens that are not taken yet, in the order of the tokens.
    by_token: VecDeque<(usize, usize)>,
}

impl SimpleKeys {
    pub(super) fn new() -> Self {
        Self {
            levels: vec![SimpleKey::default()],
            by_token: VecDeque::new(),
        }
    }

    pub(super) fn innermost(&self) -> usize {
        self.levels.len() - 1
    }

    pub(super) fn at(&self, level: usize) -> Option<SimpleKey> {
        self.levels.get(level).copied()
    }

    pub(super) fn enter(&mut self, key: SimpleKey) {
        self.levels.push(key);
    }

    pub(super) fn leave(&mut self) {
        if let Some(key) = self.levels.pop() {
            self.forget(key.token);
        }
    }

    pub(super) fn rule_out(&mut self, level: usize) {
        if let Some(key) = self.levels.get_mut(level) {
            key.possible = false;
        }
    }

    fn remember(&mut self, key: SimpleKey) {
        let level = self.innermost();
        self.levels[level] = key;
        match self.position(key.token) {
            Ok(at) => self.by_token[at].1 = level,
            Err(at) => self.by_token.insert(at, (key.token, level)),
        }
    }

    pub(super) fn forget(&mut self, token: usize) {
        if let Ok(at) = self.position(token) {
            self.by_token.remove(at);
        }
    }

    fn position(&self, token: usize) -> Result<usize, usize> {
        self.by_token.binary_search_by_key(&token, |(known, _)| *known)
    }

    /// The level of the token with this number, which is the next to be taken, if it may be a key.
    pub(super) fn level_of_next(&mut self, token: usize) -> Option<usize> {
        while self.by_token.front().is_some_and(|(known, _)| *known < token) {
            self.by_token.pop_front();
        }
        let (known, level) = self.by_token.front()?;
        (*known == token).then_some(*level)
    }
}

impl Scanner<'_> {
    pub(super) fn key_is_valid(&mut self, level: usize) -> Scan<bool> {
        let Some(key) = self.simple_keys.at(level).filter(|key| key.possible) else {
            return Ok(false);
        };
        if key.mark.line < self.mark.line || key.mark.index + 1024 < self.mark.index {
            if key.required {
                return self.fail("could not find expected ':'", Some(key.mark));
            }
            self.simple_keys.rule_out(level);
            return Ok(false);
        }
        Ok(true)
    }

    pub(super) fn save_simple_key(&mut self) -> Scan<()> {
        if !self.simple_key_allowed {
            return Ok(());
        }
        let key = SimpleKey {
            possible: true,
            required: self.flow_level == 0 && self.indent == self.column(),
            token: self.next_number(),
            mark: self.mark,
        };
        self.remove_simple_key()?;
        self.simple_keys.remember(key);
        Ok(())
    }

    pub(super) fn remove_simple_key(&mut self) -> Scan<()> {
        let level = self.simple_keys.innermost();
        let Some(key) = self.simple_keys.at(level).filter(|key| key.possible) else {
            return Ok(());
        };
        if key.required {
            return self.fail("could not find expected ':'", Some(key.mark));
        }
        self.simple_keys.rule_out(level);
        self.simple_keys.forget(key.token);
        Ok(())
    }
}
