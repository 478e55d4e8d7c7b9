//! Evaluates pipelines, commands, fields and calls, step by step as Go's `text/template` does.

use std::sync::Arc;

use super::exec::{At, Call, Rv, State, Walk};
use super::object::Method;
use super::signature::{Function, Ty};
use super::syntax::{Command, Expr, ExprKind, Number, Pipe, Text};
use super::value::{IntKind, MapKind, Value};

/// The arguments of a call: those written after the name, and the one that the pipe brings.
pub(crate) struct Args<'t> {
    written: &'t [Expr],
    piped: Option<Rv>,
}

impl Args<'_> {
    fn none() -> Self {
        Self {
            written: &[],
            piped: None,
        }
    }

    fn is_empty(&self) -> bool {
        self.written.is_empty() && self.piped.is_none()
    }
}

impl<'t> State<'t, '_> {
    pub(crate) fn pipeline(&mut self, dot: &Rv, pipe: &'t Pipe) -> Walk<Rv> {
        self.at = At::Pipe(pipe);
        let mut value: Option<Rv> = None;
        for command in &pipe.commands {
            let result = self.command(dot, command, value)?;
            // Go looks into an interface here, which turns a nil interface into no value at all.
            value = Some(Rv::plain(result.value));
        }
        let value = value.unwrap_or_else(|| Rv::plain(Value::Nil));
        for name in &pipe.declared {
            if pipe.assign {
                self.assign(name, value.clone())?;
            } else {
                self.variables.push((Arc::clone(name), value.clone()));
            }
        }
        Ok(value)
    }

    fn command(&mut self, dot: &Rv, command: &'t Command, piped: Option<Rv>) -> Walk<Rv> {
        let Some((first, written)) = command.args.split_first() else {
            return Ok(Rv::plain(Value::Nil));
        };
        let args = Args { written, piped };
        match &first.kind {
            ExprKind::Field(names) => {
                self.at = At::Expr(first);
                self.chain(dot, dot.clone(), At::Expr(first), names, args)
            }
            ExprKind::Chain(inner, names) => self.chain_expr(dot, first, inner, names, args),
            ExprKind::Function(function) => {
                self.at = At::Expr(first);
                self.function(dot, function, At::Command(command), args)
            }
            ExprKind::Pipe(pipe) => {
                self.no_arguments(first, &args)?;
                self.pipeline(dot, pipe)
            }
            ExprKind::Variable(name, fields) => self.variable(dot, first, name, fields, args),
            ExprKind::Dot => {
                self.at = At::Expr(first);
                self.no_arguments(first, &args)?;
                Ok(dot.clone())
            }
            ExprKind::Nil => {
                self.at = At::Expr(first);
                self.no_arguments(first, &args)?;
                self.fail("nil is not a command")
            }
            ExprKind::Bool(_) | ExprKind::Number { .. } | ExprKind::Str { .. } => {
                self.at = At::Expr(first);
                self.no_arguments(first, &args)?;
                self.constant(first)
            }
        }
    }

    fn no_arguments(&self, first: &Expr, args: &Args<'_>) -> Walk<()> {
        if args.is_empty() {
            return Ok(());
        }
        self.fail(format!("can't give argument to non-function {first}"))
    }

    fn constant(&mut self, expr: &'t Expr) -> Walk<Rv> {
        self.at = At::Expr(expr);
        let value = match &expr.kind {
            ExprKind::Bool(value) => Value::Bool(*value),
            ExprKind::Str { value, .. } => text_value(value),
            ExprKind::Number {
                value: Number::Int(number),
                ..
            } => Value::int(*number),
            ExprKind::Number {
                value: Number::Float(number),
                ..
            } => Value::Float(*number),
            ExprKind::Number {
                value: Number::Uint(_),
                text,
            } => return self.fail(format!("{text} overflows int")),
            _ => Value::Nil,
        };
        Ok(Rv::plain(value))
    }

    fn chain_expr(
        &mut self,
        dot: &Rv,
        whole: &'t Expr,
        inner: &'t Expr,
        names: &'t [Arc<str>],
        args: Args<'t>,
    ) -> Walk<Rv> {
        self.at = At::Expr(whole);
        if matches!(inner.kind, ExprKind::Nil) {
            return self.fail(format!("indirection through explicit nil in {whole}"));
        }
        let receiver = self.argument(dot, None, inner)?;
        self.chain(dot, receiver, At::Expr(whole), names, args)
    }

    fn variable(
        &mut self,
        dot: &Rv,
        expr: &'t Expr,
        name: &str,
        fields: &'t [Arc<str>],
        args: Args<'t>,
    ) -> Walk<Rv> {
        self.at = At::Expr(expr);
        let found = self
            .variables
            .iter()
            .rev()
            .find(|(known, _)| &**known == name)
            .map(|(_, value)| value.clone());
        let Some(value) = found else {
            return self.fail(format!("undefined variable: {name}"));
        };
        if fields.is_empty() {
            self.no_arguments(expr, &args)?;
            return Ok(value);
        }
        self.chain(dot, value, At::Expr(expr), fields, args)
    }

    fn chain(
        &mut self,
        dot: &Rv,
        mut receiver: Rv,
        node: At<'t>,
        names: &'t [Arc<str>],
        args: Args<'t>,
    ) -> Walk<Rv> {
        let Some((last, before)) = names.split_last() else {
            return Ok(receiver);
        };
        for name in before {
            receiver = self.field(dot, name, node, Args::none(), &receiver)?;
        }
        self.field(dot, last, node, args, &receiver)
    }

    fn field(&mut self, dot: &Rv, name: &str, node: At<'t>, args: Args<'t>, receiver: &Rv) -> Walk<Rv> {
        if receiver.value.is_nil() {
            if receiver.interface {
                return self.fail(format!("nil pointer evaluating interface {{}}.{name}"));
            }
            return Ok(Rv::plain(Value::Nil));
        }
        if let Some(method) = method(&receiver.value, name) {
            let arguments = self.arguments(dot, name, method.params, false, args)?;
            return match (method.run)(&receiver.value, &arguments) {
                Ok(value) => Ok(Rv::plain(value)),
                Err(fault) => {
                    self.at = node;
                    self.fail(fault.prefixed(&format!("error calling {name}: ")))
                }
            };
        }
        let type_name = |receiver: &Rv| {
            if receiver.interface {
                "interface {}".to_owned()
            } else {
                receiver.value.type_name()
            }
        };
        match &receiver.value {
            Value::Map(map) => {
                if !args.is_empty() {
                    return self.fail(format!("{name} is not a method but has arguments"));
                }
                Ok(match (map.get(name), map.kind) {
                    (Some(value), kind) => Rv {
                        value,
                        interface: matches!(kind, MapKind::Any | MapKind::Values),
                    },
                    (None, MapKind::Any | MapKind::Values) => Rv {
                        value: Value::Nil,
                        interface: true,
                    },
                    (None, MapKind::Strings) => Rv::plain("".into()),
                    (None, MapKind::Files) => Rv::plain(Value::Bytes([].into())),
                })
            }
            Value::Object(object) => {
                if let Some(value) = object.field(name) {
                    if !args.is_empty() {
                        return self.fail(format!("{name} has arguments but cannot be invoked as function"));
                    }
                    return Ok(Rv::plain(value));
                }
                if object.is_nil() {
                    return self.fail(format!("nil pointer evaluating {}.{name}", type_name(receiver)));
                }
                self.fail(format!(
                    "can't evaluate field {name} in type {}",
                    type_name(receiver)
                ))
            }
            _ => self.fail(format!(
                "can't evaluate field {name} in type {}",
                type_name(receiver)
            )),
        }
    }

    fn function(&mut self, dot: &Rv, function: &'static Function, node: At<'t>, args: Args<'t>) -> Walk<Rv> {
        if function.builtin && matches!(function.name, "and" | "or") {
            return self.short_circuit(dot, function, args);
        }
        let arguments = self.arguments(dot, function.name, function.params, function.variadic, args)?;
        let call = Call {
            engine: self.engine,
            set: self.set,
        };
        let result = (function.run)(&call, &arguments).and_then(|value| {
            self.engine.account(&value)?;
            Ok(value)
        });
        match result {
            Ok(value) => Ok(Rv::plain(value)),
            Err(fault) => {
                self.at = node;
                self.fail(fault.prefixed(&format!("error calling {}: ", function.name)))
            }
        }
    }

    fn short_circuit(&mut self, dot: &Rv, function: &'static Function, args: Args<'t>) -> Walk<Rv> {
        if args.is_empty() {
            return self.fail(format!(
                "wrong number of args for {}: want at least 1 got 0",
                function.name
            ));
        }
        let stop = function.name == "or";
        let mut value = Rv::plain(Value::Nil);
        for arg in args.written {
            value = self.argument(dot, Some(Ty::Reflect), arg)?;
            if value.value.truth() == stop {
                return Ok(value);
            }
        }
        Ok(args.piped.unwrap_or(value))
    }

    fn arguments(
        &mut self,
        dot: &Rv,
        name: &str,
        params: &'static [Ty],
        variadic: bool,
        args: Args<'t>,
    ) -> Walk<Vec<Value>> {
        let given = args.written.len() + usize::from(args.piped.is_some());
        if variadic {
            let least = params.len() - 1;
            if given < least {
                let written = args.written.len();
                return self.fail(format!(
                    "wrong number of args for {name}: want at least {least} got {written}"
                ));
            }
        } else if given != params.len() {
            return self.fail(format!(
                "wrong number of args for {name}: want {} got {given}",
                params.len()
            ));
        }
        let param = |index: usize| params.get(index).or(params.last()).copied().unwrap_or(Ty::Any);
        let mut values = Vec::with_capacity(given);
        for (index, arg) in args.written.iter().enumerate() {
            values.push(self.argument(dot, Some(param(index)), arg)?.value);
        }
        if let Some(piped) = args.piped {
            values.push(self.validate(piped, Some(param(given - 1)))?.value);
        }
        Ok(values)
    }

    /// Checks a value against the type of a parameter, as Go's `validateType` does.
    fn validate(&self, value: Rv, ty: Option<Ty>) -> Walk<Rv> {
        let Some(ty) = ty else { return Ok(value) };
        if value.value.is_nil() && !value.interface {
            if ty.can_be_nil() {
                return Ok(Rv::plain(ty.zero()));
            }
            return self.fail(format!("invalid value; expected {}", ty.name()));
        }
        if ty.accepts(&value.value) {
            return Ok(value);
        }
        let got = if value.value.is_nil() {
            "interface {}".to_owned()
        } else {
            value.value.type_name()
        };
        self.fail(format!("wrong type for value; expected {}; got {got}", ty.name()))
    }

    fn argument(&mut self, dot: &Rv, ty: Option<Ty>, expr: &'t Expr) -> Walk<Rv> {
        self.at = At::Expr(expr);
        match &expr.kind {
            ExprKind::Dot => self.validate(dot.clone(), ty),
            ExprKind::Nil => match ty {
                Some(ty) if !ty.can_be_nil() => self.fail(format!("cannot assign nil to {}", ty.name())),
                Some(ty) => Ok(Rv::plain(ty.zero())),
                None => Ok(Rv::plain(Value::Nil)),
            },
            ExprKind::Field(names) => {
                let value = self.chain(dot, dot.clone(), At::Expr(expr), names, Args::none())?;
                self.validate(value, ty)
            }
            ExprKind::Variable(name, fields) => {
                let value = self.variable(dot, expr, name, fields, Args::none())?;
                self.validate(value, ty)
            }
            ExprKind::Pipe(pipe) => {
                let value = self.pipeline(dot, pipe)?;
                self.validate(value, ty)
            }
            ExprKind::Function(function) => {
                let value = self.function(dot, function, At::Expr(expr), Args::none())?;
                self.validate(value, ty)
            }
            ExprKind::Chain(inner, names) => {
                let value = self.chain_expr(dot, expr, inner, names, Args::none())?;
                self.validate(value, ty)
            }
            ExprKind::Bool(_) | ExprKind::Number { .. } | ExprKind::Str { .. } => self.literal(ty, expr),
        }
    }

    fn literal(&mut self, ty: Option<Ty>, expr: &'t Expr) -> Walk<Rv> {
        let value = match (ty, &expr.kind) {
            (None | Some(Ty::Any | Ty::Reflect), _) => return self.constant(expr),
            (Some(Ty::Str), ExprKind::Str { value, .. }) => text_value(value),
            (Some(Ty::Bool), ExprKind::Bool(value)) => Value::Bool(*value),
            (
                Some(Ty::Int),
                ExprKind::Number {
                    value: Number::Int(number),
                    ..
                },
            ) => Value::int(*number),
            (
                Some(Ty::Int),
                ExprKind::Number {
                    value: Number::Float(number),
                    ..
                },
            ) if is_whole(*number) =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
                Value::int(*number as i64)
            }
            (
                Some(Ty::Uint32),
                ExprKind::Number {
                    value: Number::Int(number),
                    ..
                },
            ) if *number >= 0 => Value::Int(*number, IntKind::Uint32),
            (Some(Ty::Float), ExprKind::Number { value, .. }) => Value::Float(match value {
                Number::Float(number) => *number,
                #[expect(clippy::cast_precision_loss, reason = "as Go converts constants")]
                Number::Int(number) => *number as f64,
                #[expect(clippy::cast_precision_loss, reason = "as Go converts constants")]
                Number::Uint(number) => *number as f64,
            }),
            (Some(ty), _) => {
                let expected = match ty {
                    Ty::Str => "string",
                    Ty::Bool => "bool",
                    Ty::Int => "integer",
                    Ty::Uint32 => "unsigned integer",
                    Ty::Float => "float",
                    other => {
                        return self.fail(format!("can't handle {expr} for arg of type {}", other.name()));
                    }
                };
                return self.fail(format!("expected {expected}; found {expr}"));
            }
        };
        Ok(Rv::plain(value))
    }
}

fn is_whole(number: f64) -> bool {
    number.fract() == 0.0 && number.abs() < 9.0e18
}

/// The method of that name, where the value has one.
fn method(value: &Value, name: &str) -> Option<Method> {
    match value {
        Value::Object(object) => object.method(name),
        Value::Map(map) if map.kind == MapKind::Files => crate::files::method(name),
        Value::Map(map) if map.kind == MapKind::Values => crate::capabilities::values_method(name),
        Value::List(_) => crate::capabilities::versions_method(value, name),
        _ => None,
    }
}

fn text_value(text: &Text) -> Value {
    match text {
        Text::Utf8(text) => Value::Str(Arc::clone(text)),
        Text::Raw(bytes) => Value::Raw(bytes.as_ref().into()),
    }
}
