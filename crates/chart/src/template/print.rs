//! The text of syntax nodes, as Go's `parse.Node.String` writes them; error messages quote it.

use std::fmt::{Display, Formatter, Result};

use super::syntax::{Command, Expr, ExprKind, Pipe};

impl Display for Pipe {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        if !self.declared.is_empty() {
            write!(
                out,
                "{} {} ",
                self.declared.join(", "),
                if self.assign { "=" } else { ":=" }
            )?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            if index > 0 {
                out.write_str(" | ")?;
            }
            write!(out, "{command}")?;
        }
        Ok(())
    }
}

impl Display for Command {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        for (index, arg) in self.args.iter().enumerate() {
            if index > 0 {
                out.write_str(" ")?;
            }
            if matches!(arg.kind, ExprKind::Pipe(_)) {
                write!(out, "({arg})")?;
            } else {
                write!(out, "{arg}")?;
            }
        }
        Ok(())
    }
}

impl Display for Expr {
    fn fmt(&self, out: &mut Formatter<'_>) -> Result {
        match &self.kind {
            ExprKind::Dot => out.write_str("."),
            ExprKind::Nil => out.write_str("nil"),
            ExprKind::Bool(value) => write!(out, "{value}"),
            ExprKind::Number { text, .. } | ExprKind::Str { text, .. } => out.write_str(text),
            ExprKind::Field(fields) => fields.iter().try_for_each(|field| write!(out, ".{field}")),
            ExprKind::Variable(name, fields) => {
                out.write_str(name)?;
                fields.iter().try_for_each(|field| write!(out, ".{field}"))
            }
            ExprKind::Function(function) => out.write_str(function.name),
            ExprKind::Pipe(pipe) => write!(out, "{pipe}"),
            ExprKind::Chain(inner, fields) => {
                if matches!(inner.kind, ExprKind::Pipe(_)) {
                    write!(out, "({inner})")?;
                } else {
                    write!(out, "{inner}")?;
                }
                fields.iter().try_for_each(|field| write!(out, ".{field}"))
            }
        }
    }
}
