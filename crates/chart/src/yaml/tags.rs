//! Scans anchors, tags and directives.

use super::characters::{is_alpha, is_blank, is_blank_or_end};
use super::scan::{Kind, Mark, Scan, Scanner, Tag};

impl<'t> Scanner<'t> {
    /// Letters, digits, `-` and `_`, as many as there are.
    fn word(&mut self) -> &'t str {
        let from = self.offset;
        self.skip_run(self.run(|byte| !is_alpha(char::from(byte))));
        self.since(from)
    }

    pub(super) fn fetch_anchor(&mut self, alias: bool) -> Scan<()> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        self.skip();
        let name = self.word();
        let next = self.at(0);
        if name.is_empty()
            || !(is_blank_or_end(next) || matches!(next, '?' | ':' | ',' | ']' | '}' | '%' | '@' | '`'))
        {
            return self.fail(
                "did not find expected alphabetic or numeric character",
                Some(start),
            );
        }
        self.push(
            if alias {
                Kind::Alias(name)
            } else {
                Kind::Anchor(name)
            },
            start,
        );
        Ok(())
    }

    pub(super) fn fetch_tag(&mut self) -> Scan<()> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        let (handle, suffix);
        if self.at(1) == '<' {
            self.skip();
            self.skip();
            handle = String::new();
            suffix = self.tag_uri("", start)?;
            if self.at(0) != '>' {
                return self.fail("did not find the expected '>'", Some(start));
            }
            self.skip();
        } else {
            let found = self.tag_handle(false, start)?;
            if found.len() > 1 && found.ends_with('!') {
                suffix = self.tag_uri("", start)?;
                handle = found;
            } else {
                let uri = self.tag_uri(&found, start)?;
                // The tag "!" alone has no handle.
                (handle, suffix) = if uri.is_empty() {
                    (uri, "!".to_owned())
                } else {
                    ("!".to_owned(), uri)
                };
            }
        }
        if !is_blank_or_end(self.at(0)) {
            return self.fail("did not find expected whitespace or line break", Some(start));
        }
        self.push(Kind::Tag(Box::new(Tag { handle, text: suffix })), start);
        Ok(())
    }

    fn tag_handle(&mut self, directive: bool, start: Mark) -> Scan<String> {
        if self.at(0) != '!' {
            return self.fail("did not find expected '!'", Some(start));
        }
        let from = self.offset;
        self.skip();
        self.word();
        if self.at(0) == '!' {
            self.skip();
        } else if directive && self.since(from) != "!" {
            return self.fail("did not find expected '!'", Some(start));
        }
        Ok(self.since(from).to_owned())
    }

    fn tag_uri(&mut self, head: &str, start: Mark) -> Scan<String> {
        let mut bytes: Vec<u8> = head.bytes().skip(1).collect();
        let mut found = !head.is_empty();
        while is_alpha(self.at(0)) || ";/?:@&=+$,.!~*'()[]%".contains(self.at(0)) && self.at(0) != '\0' {
            found = true;
            if self.at(0) == '%' {
                let digits = [self.at(1), self.at(2)].map(|digit| digit.to_digit(16));
                let [Some(high), Some(low)] = digits else {
                    return self.fail("did not find URI escaped octet", Some(start));
                };
                bytes.push(u8::try_from(high * 16 + low).unwrap_or(0));
                self.skip_run(3);
            } else {
                let from = self.offset;
                self.skip();
                bytes.extend(self.since(from).bytes());
            }
        }
        if !found {
            return self.fail("did not find expected tag URI", Some(start));
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(super) fn fetch_directive(&mut self) -> Scan<()> {
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.mark;
        self.skip();
        let name = self.word();
        if name.is_empty() {
            return self.fail("could not find expected directive name", Some(start));
        }
        if !is_blank_or_end(self.at(0)) {
            return self.fail("found unexpected non-alphabetical character", Some(start));
        }
        self.skip_blanks();
        let kind = match name {
            "YAML" => {
                let major = self.version_number(start)?;
                if self.at(0) != '.' {
                    return self.fail("did not find expected digit or '.' character", Some(start));
                }
                self.skip();
                Kind::VersionDirective {
                    major,
                    minor: self.version_number(start)?,
                }
            }
            "TAG" => {
                let handle = self.tag_handle(true, start)?;
                if !is_blank(self.at(0)) {
                    return self.fail("did not find expected whitespace", Some(start));
                }
                self.skip_blanks();
                let prefix = self.tag_uri("", start)?;
                if !is_blank_or_end(self.at(0)) {
                    return self.fail("did not find expected whitespace or line break", Some(start));
                }
                Kind::TagDirective(Box::new(Tag { handle, text: prefix }))
            }
            _ => return self.fail("found unknown directive name", Some(start)),
        };
        self.push(kind, start);
        self.rest_of_line(start)
    }

    fn version_number(&mut self, start: Mark) -> Scan<u32> {
        let from = self.offset;
        while self.at(0).is_ascii_digit() {
            if self.offset - from == 2 {
                return self.fail("found extremely long version number", Some(start));
            }
            self.skip();
        }
        match self.since(from).parse() {
            Ok(number) => Ok(number),
            Err(_) => self.fail("did not find expected version number", Some(start)),
        }
    }
}
