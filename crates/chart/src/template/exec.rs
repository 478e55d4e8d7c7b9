//! Runs a template: walks its nodes and writes text.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use super::fault::Fault;
use super::format;
use super::syntax::{Branch, Command, Expr, Node, Pipe, Tree};
use super::value::{Entries, Value};
use crate::random::Randomness;
use crate::render::Lookup;

/// How deep templates, branches and loops may be nested in one another before a recursion is assumed.
const MAX_DEPTH: usize = 12_000;

/// How many loop iterations one chart may make; nobody waits for more.
const MAX_ITERATIONS: u64 = 20_000_000;

/// How many bytes one chart may write.
const MAX_OUTPUT: usize = 256 << 20;

/// How many bytes one text or list may take, and how many all results of functions together.
const MAX_RESULT: u64 = 64 << 20;
const MAX_RESULTS: u64 = 2 << 30;

/// Helm's limit for an `include` of the same name inside itself.
const MAX_INCLUDES: u32 = 1000;

/// The templates that one template can see.
#[derive(Default)]
pub(crate) struct Set {
    pub(crate) templates: HashMap<Arc<str>, Arc<Tree>>,
    /// `tpl` sees the templates around it, and its own definitions hide them.
    pub(crate) parent: Option<Rc<Set>>,
}

impl Set {
    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Tree>> {
        self.templates
            .get(name)
            .or_else(|| self.parent.as_ref()?.find(name))
    }

    /// Adds a definition, by Go's rule that an empty one never replaces another.
    pub(crate) fn add(&mut self, tree: Arc<Tree>) {
        if tree.is_empty() && self.templates.contains_key(&tree.name) {
            return;
        }
        self.templates.insert(Arc::clone(&tree.name), tree);
    }
}

/// What all templates of one rendering share.
pub(crate) struct Engine<'e> {
    pub(crate) lookup: Option<&'e dyn Lookup>,
    pub(crate) random: Option<&'e dyn Randomness>,
    /// `required` and `fail` stop nothing.
    pub(crate) lint: bool,
    /// The name of the variable that every template begins with.
    dollar: Arc<str>,
    includes: RefCell<HashMap<Arc<str>, u32>>,
    parsed: RefCell<HashMap<String, Rc<Vec<Arc<Tree>>>>>,
    depth: Cell<usize>,
    iterations: Cell<u64>,
    produced: Cell<u64>,
}

/// What a function knows about its caller.
pub(crate) struct Call<'c, 'e> {
    pub(crate) engine: &'c Engine<'e>,
    pub(crate) set: &'c Rc<Set>,
}

impl<'e> Engine<'e> {
    pub(crate) fn new(lookup: Option<&'e dyn Lookup>, random: Option<&'e dyn Randomness>) -> Self {
        Self {
            lookup,
            random,
            lint: false,
            dollar: "$".into(),
            includes: RefCell::default(),
            parsed: RefCell::default(),
            depth: Cell::new(0),
            iterations: Cell::new(0),
            produced: Cell::new(0),
        }
    }

    /// Counts what a function returned, so that no chart takes the machine's memory.
    pub(crate) fn account(&self, value: &Value) -> Result<(), Fault> {
        let size = match value {
            Value::Str(text) => text.len(),
            Value::Raw(bytes) | Value::Bytes(bytes) => bytes.len(),
            Value::List(list) => list.items.len() * size_of::<Value>(),
            _ => return Ok(()),
        };
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        if size > MAX_RESULT {
            return Err(Fault::new(format!(
                "the result is larger than {} MiB",
                MAX_RESULT >> 20
            )));
        }
        let produced = self.produced.get().saturating_add(size);
        self.produced.set(produced);
        if produced > MAX_RESULTS {
            return Err(Fault::new(format!(
                "the chart's functions made more than {} GiB of text",
                MAX_RESULTS >> 30
            )));
        }
        Ok(())
    }

    /// Runs the template of that name.
    pub(crate) fn execute(&self, set: &Rc<Set>, name: &str, data: Value) -> Result<Vec<u8>, Fault> {
        let tree = set.find(name).cloned().ok_or_else(|| {
            Fault::new(format!(
                "template: no template {name:?} associated with template \"gotpl\""
            ))
        })?;
        self.run(set, &tree, data)
    }

    fn run(&self, set: &Rc<Set>, tree: &Tree, data: Value) -> Result<Vec<u8>, Fault> {
        let data = Rv {
            value: data,
            interface: false,
        };
        let mut state = State {
            engine: self,
            set,
            tree,
            variables: vec![(Arc::clone(&self.dollar), data.clone())],
            at: At::Nothing,
            // most templates write a few lines
            out: Vec::with_capacity(256),
        };
        match state.walk(&data, &tree.nodes) {
            Ok(()) => Ok(state.out),
            Err(Halt::Fault(fault)) => Err(*fault),
            Err(Halt::Break | Halt::Continue) => {
                Err(Fault::new("{{break}} or {{continue}} outside {{range}}"))
            }
        }
    }

    /// The `include` function.
    pub(crate) fn include(&self, set: &Rc<Set>, name: &str, data: Value) -> Result<Vec<u8>, Fault> {
        let key: Arc<str> = name.into();
        {
            let mut includes = self.includes.borrow_mut();
            let count = includes.entry(Arc::clone(&key)).or_default();
            if *count > MAX_INCLUDES {
                return Err(Fault::new(format!(
                    "rendering template has a nested reference name: {name}: unable to execute template"
                )));
            }
            *count += 1;
        }
        let result = self.execute(set, name, data);
        if let Some(count) = self.includes.borrow_mut().get_mut(&key) {
            *count -= 1;
        }
        result
    }

    /// The `tpl` function.
    pub(crate) fn tpl(&self, set: &Rc<Set>, text: &str, data: Value) -> Result<Vec<u8>, Fault> {
        let known = self.parsed.borrow().get(text).cloned();
        let trees = if let Some(trees) = known {
            trees
        } else {
            const NAME: &str = "gotpl";
            let parsed = super::parser::parse(NAME, text, crate::functions::find).map_err(|fault| {
                fault.prefixed(&format!("cannot parse template {}: ", format::quote(text)))
            })?;
            let trees = Rc::new(parsed.trees(NAME).into_iter().map(Arc::new).collect::<Vec<_>>());
            self.parsed
                .borrow_mut()
                .insert(text.to_owned(), Rc::clone(&trees));
            trees
        };
        let Some((root, defines)) = trees.split_last() else {
            return Ok(Vec::new());
        };
        let result = if defines.is_empty() {
            self.run(set, root, data)
        } else {
            let mut inner = Set {
                templates: HashMap::new(),
                parent: Some(Rc::clone(set)),
            };
            for tree in defines {
                if !(tree.is_empty() && inner.find(&tree.name).is_some()) {
                    inner.add(Arc::clone(tree));
                }
            }
            self.run(&Rc::new(inner), root, data)
        };
        match result {
            Ok(bytes) => Ok(remove_no_value(bytes)),
            Err(fault) => Err(fault.prefixed(&format!(
                "error during tpl function execution for {}: ",
                format::quote(text)
            ))),
        }
    }
}

/// Go prints missing values as `<no value>`; Helm removes these words from the output.
pub(crate) fn remove_no_value(bytes: Vec<u8>) -> Vec<u8> {
    const WORDS: &str = "<no value>";
    const NEEDLE: &[u8] = WORDS.as_bytes();
    // Texts are searched faster than bytes, and nearly all output is text without these words.
    let found = match std::str::from_utf8(&bytes) {
        Ok(text) => text.contains(WORDS),
        Err(_) => bytes.windows(NEEDLE.len()).any(|window| window == NEEDLE),
    };
    if !found {
        return bytes;
    }
    let mut kept = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(NEEDLE) {
            at += NEEDLE.len();
        } else {
            kept.push(bytes[at]);
            at += 1;
        }
    }
    kept
}

/// A value and whether Go's reflection would see an interface around it, which decides some errors.
#[derive(Clone)]
pub(crate) struct Rv {
    pub(crate) value: Value,
    pub(crate) interface: bool,
}

impl Rv {
    pub(crate) fn plain(value: Value) -> Self {
        Self {
            value,
            interface: false,
        }
    }
}

/// Why walking stopped.
pub(crate) enum Halt {
    Fault(Box<Fault>),
    Break,
    Continue,
}

impl From<Fault> for Halt {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

pub(crate) type Walk<T> = Result<T, Halt>;

/// The node that is being worked on, for errors.
#[derive(Clone, Copy)]
pub(crate) enum At<'t> {
    Nothing,
    Pipe(&'t Pipe),
    Command(&'t Command),
    Expr(&'t Expr),
    Template(usize, &'t str, Option<&'t Pipe>),
}

pub(crate) struct State<'t, 'e> {
    pub(crate) engine: &'t Engine<'e>,
    pub(crate) set: &'t Rc<Set>,
    pub(crate) tree: &'t Tree,
    pub(crate) variables: Vec<(Arc<str>, Rv)>,
    pub(crate) at: At<'t>,
    pub(crate) out: Vec<u8>,
}

impl<'t> State<'t, '_> {
    /// An error at the current node.
    pub(crate) fn fail<T>(&self, message: impl Into<Fault>) -> Walk<T> {
        let fault: Fault = message.into();
        let (offset, context) = match self.at {
            At::Nothing => {
                return Err(fault.prefixed(&format!("template: {}: ", self.tree.name)).into());
            }
            At::Pipe(pipe) => (pipe.offset, pipe.to_string()),
            At::Command(command) => (command.offset, command.to_string()),
            At::Expr(expr) => (expr.offset, expr.to_string()),
            At::Template(offset, name, pipe) => {
                let pipe = pipe.map(|pipe| format!(" {pipe}")).unwrap_or_default();
                (offset, format!("{{{{template {}{pipe}}}}}", format::quote(name)))
            }
        };
        let location = self.tree.source.location(offset);
        let prefix = format!(
            "template: {location}: executing {} at <{context}>: ",
            format::quote(&self.tree.name)
        );
        Err(fault.prefixed(&prefix).at(location).into())
    }

    fn walk(&mut self, dot: &Rv, nodes: &'t [Node]) -> Walk<()> {
        let depth = self.engine.depth.get();
        if depth >= MAX_DEPTH {
            return self.fail(format!("templates are nested more than {MAX_DEPTH} levels deep"));
        }
        self.engine.depth.set(depth + 1);
        let result = nodes.iter().try_for_each(|node| self.walk_node(dot, node));
        self.engine.depth.set(depth);
        result
    }

    fn walk_node(&mut self, dot: &Rv, node: &'t Node) -> Walk<()> {
        match node {
            Node::Text(text) => {
                self.out.extend_from_slice(text.as_bytes());
                Ok(())
            }
            Node::Action(pipe) => {
                let value = self.pipeline(dot, pipe)?;
                if pipe.declared.is_empty() {
                    self.print(&value.value);
                    if self.out.len() > MAX_OUTPUT {
                        return self.fail(format!("the output is larger than {MAX_OUTPUT} bytes"));
                    }
                }
                Ok(())
            }
            Node::If(branch) => self.walk_branch(dot, branch, false),
            Node::With(branch) => self.walk_branch(dot, branch, true),
            Node::Range(branch) => {
                let mark = self.variables.len();
                let result = self.walk_range(dot, branch);
                self.variables.truncate(mark);
                result
            }
            Node::Template { offset, name, pipe } => self.walk_template(dot, *offset, name, pipe.as_deref()),
            Node::Break => Err(Halt::Break),
            Node::Continue => Err(Halt::Continue),
        }
    }

    fn print(&mut self, value: &Value) {
        match value {
            Value::Nil => self.out.extend_from_slice(b"<no value>"),
            Value::Str(text) => self.out.extend_from_slice(text.as_bytes()),
            Value::Raw(bytes) => self.out.extend_from_slice(bytes),
            // A method of the pointer counts here.
            Value::Object(object) => self.out.extend_from_slice(object.text().as_bytes()),
            other => self.out.extend_from_slice(format::display(other).as_bytes()),
        }
    }

    fn walk_branch(&mut self, dot: &Rv, branch: &'t Branch, with: bool) -> Walk<()> {
        let mark = self.variables.len();
        let result = self.pipeline(dot, &branch.pipe).and_then(|value| {
            if value.value.truth() {
                self.walk(if with { &value } else { dot }, &branch.body)
            } else if let Some(otherwise) = &branch.otherwise {
                self.walk(dot, otherwise)
            } else {
                Ok(())
            }
        });
        self.variables.truncate(mark);
        result
    }

    fn walk_range(&mut self, dot: &Rv, branch: &'t Branch) -> Walk<()> {
        let over = self.pipeline(dot, &branch.pipe)?.value;
        let interface = over.holds_interfaces();
        let mark = self.variables.len();
        let mut empty = true;
        let mut pairs: Box<dyn Iterator<Item = (Value, Value)>> = match &over {
            Value::Nil => Box::new(std::iter::empty()),
            Value::Int(count, kind) => {
                if branch.pipe.declared.len() > 1 {
                    return self.fail(format!(
                        "can't use {count} to iterate over more than one variable"
                    ));
                }
                let (count, kind) = (*count, *kind);
                Box::new((0..count).map(move |index| (Value::Nil, Value::Int(index, kind))))
            }
            Value::Map(map) => Box::new(
                map.snapshot()
                    .into_iter()
                    .map(|(key, value)| (Value::Str(key), value)),
            ),
            Value::List(_) | Value::Bytes(_) => {
                let items = over.elements().unwrap_or_default();
                Box::new(
                    items
                        .into_iter()
                        .enumerate()
                        .map(|(index, item)| (Value::int(i64::try_from(index).unwrap_or(i64::MAX)), item)),
                )
            }
            other => {
                // Go has followed the pointer by now.
                let text = match other {
                    Value::Object(object) => object.plain_text().unwrap_or_else(|| object.text()),
                    other => format::display(other),
                };
                return self.fail(format!("range can't iterate over {text}"));
            }
        };
        for (index, element) in pairs.by_ref() {
            empty = false;
            let count = self.engine.iterations.get() + 1;
            self.engine.iterations.set(count);
            if count > MAX_ITERATIONS {
                return self.fail(format!("loops run more than {MAX_ITERATIONS} times"));
            }
            let element = Rv {
                value: element,
                interface,
            };
            self.bind_range(branch, index, &element)?;
            let step = self.walk(&element, &branch.body);
            self.variables.truncate(mark);
            match step {
                Ok(()) | Err(Halt::Continue) => {}
                Err(Halt::Break) => break,
                Err(fault) => return Err(fault),
            }
        }
        match (&branch.otherwise, empty) {
            (Some(otherwise), true) => self.walk(dot, otherwise),
            _ => Ok(()),
        }
    }

    fn bind_range(&mut self, branch: &'t Branch, index: Value, element: &Rv) -> Walk<()> {
        let names = &branch.pipe.declared;
        let index = Rv::plain(index);
        match (names.as_slice(), branch.pipe.assign) {
            ([only], true) => self.assign(only, element.clone())?,
            ([first, second, ..], true) => {
                self.assign(first, index)?;
                self.assign(second, element.clone())?;
            }
            ([_], false) => self.set_top(1, element.clone()),
            ([_, _, ..], false) => {
                self.set_top(1, element.clone());
                self.set_top(2, index);
            }
            ([], _) => {}
        }
        Ok(())
    }

    fn set_top(&mut self, from_end: usize, value: Rv) {
        let length = self.variables.len();
        if let Some(slot) = length
            .checked_sub(from_end)
            .and_then(|at| self.variables.get_mut(at))
        {
            slot.1 = value;
        }
    }

    pub(crate) fn assign(&mut self, name: &str, value: Rv) -> Walk<()> {
        match self
            .variables
            .iter_mut()
            .rev()
            .find(|(known, _)| &**known == name)
        {
            Some(slot) => {
                slot.1 = value;
                Ok(())
            }
            None => self.fail(format!("undefined variable: {name}")),
        }
    }

    fn walk_template(&mut self, dot: &Rv, offset: usize, name: &'t str, pipe: Option<&'t Pipe>) -> Walk<()> {
        self.at = At::Template(offset, name, pipe);
        let Some(tree) = self.set.find(name).cloned() else {
            return self.fail(format!("template {} not defined", format::quote(name)));
        };
        let data = match pipe {
            Some(pipe) => self.pipeline(dot, pipe)?,
            None => Rv::plain(Value::Nil),
        };
        let mut state = State {
            engine: self.engine,
            set: self.set,
            tree: &tree,
            variables: vec![(Arc::clone(&self.engine.dollar), data.clone())],
            at: At::Nothing,
            out: std::mem::take(&mut self.out),
        };
        let result = state.walk(&data, &tree.nodes);
        self.out = state.out;
        result
    }
}

/// An empty map, which several functions return.
pub(crate) fn empty_map() -> Value {
    Value::map(Entries::new())
}
