//! Random templates: mostly sensible, now and then not.

use super::grammar::{
    ADDRESSES, CONSTRAINTS, FORMATS, FUNCTIONS, JSONS, KEYS, PATTERNS, TEXTS, TOMLS, VERSIONS, WORDS, YAMLS,
};
use super::random::Random;
use super::values::{self, Shape};

/// Makes templates over known values.
pub(crate) struct Templates<'r> {
    pub(crate) random: &'r mut Random,
    /// Paths below `.Values`, with what is there.
    pub(crate) paths: Vec<(String, Shape)>,
    /// Names of definitions.
    pub(crate) defined: Vec<String>,
    variables: Vec<String>,
    in_range: bool,
}

impl<'r> Templates<'r> {
    pub(crate) fn new(random: &'r mut Random, paths: Vec<(String, Shape)>) -> Self {
        Self {
            random,
            paths,
            defined: Vec::new(),
            variables: Vec::new(),
            in_range: false,
        }
    }

    /// Some definitions, whose names later templates know.
    pub(crate) fn definitions(&mut self) -> String {
        let mut out = String::new();
        for name in ["t.one", "t.two"].into_iter().take(self.random.below(3)) {
            out.push_str(&format!("{{{{- define \"{name}\" }}}}"));
            self.block(2, &mut out);
            out.push_str("{{ end }}\n");
            self.defined.push(name.to_owned());
        }
        out
    }

    /// A run of text and actions.
    pub(crate) fn block(&mut self, depth: usize, out: &mut String) {
        let scope = self.variables.len();
        for _ in 0..=self.random.below(4) {
            self.node(depth, out);
        }
        self.variables.truncate(scope);
    }

    fn action(&mut self, inside: &str, out: &mut String) {
        let left = if self.random.percent(15) { "{{- " } else { "{{ " };
        let right = if self.random.percent(15) { " -}}" } else { " }}" };
        out.push_str(left);
        out.push_str(inside);
        out.push_str(right);
    }

    fn node(&mut self, depth: usize, out: &mut String) {
        match self.random.below(if depth == 0 { 9 } else { 18 }) {
            0 | 1 => out.push_str(self.random.pick(WORDS)),
            2..=6 => {
                let inside = self.pipeline();
                self.action(&inside, out);
            }
            7 => {
                let name = self.random.pick(&["$x", "$y", "$z"]);
                let known = self.variables.iter().any(|variable| variable == name);
                let sign = if known && self.random.percent(70) {
                    "="
                } else {
                    ":="
                };
                let value = self.pipeline();
                self.action(&format!("{name} {sign} {value}"), out);
                self.variables.push(name.to_owned());
            }
            8 if self.random.percent(40) => {
                let comment = self
                    .random
                    .pick(&["{{/* c */}}", "{{- /* c */ -}}", "{{/* a\nb */}}"]);
                out.push_str(comment);
            }
            8 => {
                let call = self.include();
                self.action(&call, out);
            }
            9..=11 => {
                let condition = self.pipeline();
                self.action(&format!("if {condition}"), out);
                self.block(depth - 1, out);
                if self.random.percent(30) {
                    let other = self.pipeline();
                    self.action(&format!("else if {other}"), out);
                    self.block(depth - 1, out);
                }
                if self.random.percent(40) {
                    self.action("else", out);
                    self.block(depth - 1, out);
                }
                self.action("end", out);
            }
            12 | 13 => {
                let value = self.pipeline();
                self.action(&format!("with {value}"), out);
                self.block(depth - 1, out);
                if self.random.percent(30) {
                    self.action("else", out);
                    self.block(depth - 1, out);
                }
                self.action("end", out);
            }
            _ => self.range(depth, out),
        }
    }

    fn range(&mut self, depth: usize, out: &mut String) {
        let wanted = *self.random.pick(&[&'l', &'l', &'d', &'a']);
        let over = self.expression(wanted, 1);
        let scope = self.variables.len();
        let head = match self.random.below(3) {
            0 => format!("range {over}"),
            1 => {
                self.variables.push("$e".to_owned());
                format!("range $e := {over}")
            }
            _ => {
                self.variables.extend(["$i".to_owned(), "$e".to_owned()]);
                format!("range $i, $e := {over}")
            }
        };
        self.action(&head, out);
        let outside = std::mem::replace(&mut self.in_range, true);
        self.block(depth - 1, out);
        if self.random.percent(10) {
            let stop = self.random.pick(&["break", "continue"]);
            self.action(stop, out);
        }
        self.in_range = outside;
        if self.random.percent(20) {
            self.action("else", out);
            self.block(depth - 1, out);
        }
        self.action("end", out);
        self.variables.truncate(scope);
    }

    fn include(&mut self) -> String {
        let name = match self.defined.len() {
            0 => "t.none".to_owned(),
            count => self.defined[self.random.below(count)].clone(),
        };
        let argument = self
            .random
            .pick(&["$", ".", "$.Values", "(dict \"Values\" $.Values)"]);
        match self.random.below(3) {
            0 => format!("template \"{name}\" {argument}"),
            1 => format!("include \"{name}\" {argument} | trim | nindent 2"),
            _ => format!("include \"{name}\" {argument}"),
        }
    }

    /// What may stand in an action.
    pub(crate) fn pipeline(&mut self) -> String {
        let kind = *self
            .random
            .pick(&[&'s', &'s', &'i', &'b', &'l', &'d', &'a', &'a']);
        let mut out = self.expression(kind, 2);
        if out.starts_with('(') && out.ends_with(')') && self.random.percent(80) {
            out = out[1..out.len() - 1].to_owned();
            // Only the outermost pair may go.
            let mut open = 0_i32;
            if out.chars().any(|character| {
                open += i32::from(character == '(') - i32::from(character == ')');
                open < 0
            }) {
                out = format!("({out})");
            }
        }
        while self.random.percent(25) {
            let stage = self.random.pick(&[
                "quote",
                "toYaml",
                "toJson",
                "trim",
                "upper",
                "len",
                "toString",
                "int",
                "default \"d\"",
                "indent 2",
                "nindent 2",
                "b64enc",
                "printf \"%v\"",
                "printf \"%T\"",
                "print",
                "first",
                "empty",
                "not",
                "list",
                "toStrings",
                "join \",\"",
                "squote",
                "typeOf",
                "html",
                "trunc 3",
                "kindOf",
            ]);
            out = format!("{out} | {stage}");
        }
        out
    }

    fn literal(&mut self, kind: char) -> String {
        match kind {
            's' => self.random.pick(TEXTS).to_owned(),
            'i' => self
                .random
                .pick(&[
                    "0",
                    "1",
                    "2",
                    "-3",
                    "7",
                    "1.5",
                    "1e3",
                    "0x1F",
                    "100",
                    "2.0",
                    "-0.5",
                    "12345678901",
                    "'a'",
                    "1_000",
                    "\"3\"",
                    "0b11",
                    "1e100",
                ])
                .to_owned(),
            'n' => self
                .random
                .pick(&["0", "1", "2", "3", "5", "-1", "10"])
                .to_owned(),
            'b' => self.random.pick(&["true", "false"]).to_owned(),
            'l' => self
                .random
                .pick(&[
                    "(list)",
                    "(list 1 2 3)",
                    "(list \"b\" \"a\" \"b\")",
                    "(until 3)",
                    "(tuple 1 \"x\" nil)",
                    "(list (list 1) (dict))",
                    "(splitList \",\" \"a,b\")",
                ])
                .to_owned(),
            'd' => self
                .random
                .pick(&[
                    "(dict)",
                    "(dict \"a\" 1)",
                    "(dict \"a\" (dict \"b\" 2) \"c\" nil)",
                    "$.Values",
                    "$.Chart",
                    "$.Release",
                ])
                .to_owned(),
            'p' => self.random.pick(PATTERNS).to_owned(),
            'v' => self.random.pick(VERSIONS).to_owned(),
            'c' => self.random.pick(CONSTRAINTS).to_owned(),
            'y' => self.random.pick(YAMLS).to_owned(),
            'j' => self.random.pick(JSONS).to_owned(),
            'o' => self.random.pick(TOMLS).to_owned(),
            'u' => self.random.pick(ADDRESSES).to_owned(),
            'k' => self.random.pick(KEYS).to_owned(),
            'f' => self.random.pick(FORMATS).to_owned(),
            _ => match self.random.below(12) {
                0 => "nil".to_owned(),
                1 => "$.Chart.Version".to_owned(),
                2 => "$.Values".to_owned(),
                3 => "$.Chart.Name".to_owned(),
                4 => "$.Template.Name".to_owned(),
                5 => "$.Release.Name".to_owned(),
                other => {
                    let kind = ['s', 'i', 'b', 'l', 'd', 's'][other % 6];
                    self.literal(kind)
                }
            },
        }
    }

    fn path(&mut self, kind: char) -> Option<String> {
        let wanted = match kind {
            's' => Shape::Text,
            'i' => Shape::Number,
            'b' => Shape::Truth,
            'l' => Shape::List,
            'd' => Shape::Table,
            'a' => self.paths.get(self.random.below(self.paths.len()))?.1,
            _ => return None,
        };
        let fitting: Vec<&String> = self
            .paths
            .iter()
            .filter(|(_, shape)| *shape == wanted)
            .map(|(path, _)| path)
            .collect();
        if fitting.is_empty() {
            return None;
        }
        let path = fitting[self.random.below(fitting.len())].clone();
        Some(match self.random.below(20) {
            0 if self.random.percent(30) => format!(".Values{path}"),
            1 if self.random.percent(30) => format!("$.Values{path}.missing"),
            2 => format!("(get $.Values \"{}\")", path.trim_start_matches('.')),
            _ => format!("$.Values{path}"),
        })
    }

    /// An operand of a kind.
    fn expression(&mut self, kind: char, depth: usize) -> String {
        // What is wrong with TOML is told in other words here, on purpose.
        if kind == 'o' {
            return self.literal(kind);
        }
        let kind = if self.random.percent(1) {
            *self.random.pick(&[&'s', &'i', &'b', &'l', &'d', &'a'])
        } else {
            kind
        };
        if !self.variables.is_empty() && self.random.percent(12) {
            return self.variables[self.random.below(self.variables.len())].clone();
        }
        if depth == 0 || self.random.percent(30) {
            if self.random.percent(60)
                && let Some(path) = self.path(kind)
            {
                return path;
            }
            return self.literal(kind);
        }
        let fitting: Vec<&(&str, &str, char)> = FUNCTIONS
            .iter()
            .filter(|(_, _, gives)| {
                *gives == kind || (kind == 'a' && *gives != 'x') || (kind == 'y' && *gives == 's')
            })
            .collect();
        if fitting.is_empty() || (kind == 'y' && self.random.percent(60)) {
            return self.literal(kind);
        }
        let (name, takes, _) = *fitting[self.random.below(fitting.len())];
        if *name == *"fail" && self.random.percent(90) {
            return self.literal(kind);
        }
        let mut takes: Vec<char> = takes.chars().collect();
        if self.random.percent(2) && !takes.is_empty() {
            takes.pop();
        } else if self.random.percent(1) {
            takes.push('a');
        }
        // A value that comes to hold itself kills Helm, slowly.
        let changes = matches!(name, "set" | "merge" | "mergeOverwrite" | "mustMerge");
        if changes && self.random.percent(97) {
            return format!(
                "({name} (dict \"a\" 1){})",
                match name {
                    "set" => " \"b\" (list 2)".to_owned(),
                    _ => format!(
                        " {}",
                        self.random.pick(&[
                            "(dict \"a\" 2 \"b\" 3)",
                            "(dict)",
                            "(dict \"a\" (dict \"c\" 4))"
                        ])
                    ),
                }
            );
        }
        let mut arguments: Vec<String> = takes
            .iter()
            .map(|kind| self.expression(*kind, depth - 1))
            .collect();
        // As a pipe, now and then.
        if self.random.percent(20)
            && let Some(last) = arguments.pop()
        {
            let rest = arguments
                .iter()
                .fold(String::new(), |rest, argument| format!("{rest} {argument}"));
            return format!("({last} | {name}{rest})");
        }
        let all = arguments
            .iter()
            .fold(String::new(), |all, argument| format!("{all} {argument}"));
        format!("({name}{all})")
    }
}

/// A scalar of YAML, for an object that templates fill.
pub(crate) fn scalar(random: &mut Random) -> &'static str {
    values::text(random)
}
