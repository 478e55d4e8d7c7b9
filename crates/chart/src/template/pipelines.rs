//! Parses pipelines: declarations, commands, operands.

use std::sync::Arc;

use super::constants;
use super::format::quote;
use super::lexer::Token;
use super::parser::{Parse, Parser};
use super::syntax::{Command, Expr, ExprKind, Number, Pipe, Text};

impl Parser<'_> {
    pub(super) fn text(&self, quoted: &str) -> Parse<Text> {
        match constants::unquote(quoted) {
            Some(text) => Ok(text),
            None => self.fail("invalid syntax"),
        }
    }

    pub(super) fn pipeline(&mut self, context: &str, end: Token) -> Parse<Pipe> {
        let mut pipe = Pipe {
            offset: self.peek_non_space().offset,
            declared: Vec::new(),
            assign: false,
            // Most have one, and a list makes room for four otherwise.
            commands: Vec::with_capacity(1),
        };
        self.declarations(&mut pipe, context)?;
        loop {
            let item = self.next_non_space();
            match item.token {
                token if token == end => {
                    self.check(&pipe, context)?;
                    return Ok(pipe);
                }
                Token::Bool
                | Token::CharConstant
                | Token::Dot
                | Token::Field
                | Token::Identifier
                | Token::Number
                | Token::Nil
                | Token::RawString
                | Token::String
                | Token::Variable
                | Token::LeftParen => {
                    self.backup();
                    pipe.commands.push(self.command()?);
                }
                _ => return self.unexpected(&item, context),
            }
        }
    }

    fn declarations(&mut self, pipe: &mut Pipe, context: &str) -> Parse<()> {
        loop {
            let variable = self.peek_non_space();
            if variable.token != Token::Variable {
                return Ok(());
            }
            self.next();
            // A space may stand between the variable and what follows.
            let after = self.peek();
            let next = self.peek_non_space();
            let name: Arc<str> = variable.text.into();
            if matches!(next.token, Token::Assign | Token::Declare) {
                pipe.assign = next.token == Token::Assign;
                self.next_non_space();
                pipe.declared.push(Arc::clone(&name));
                self.variables.push(name);
                return Ok(());
            }
            if next.token == Token::Char && next.text == "," {
                self.next_non_space();
                pipe.declared.push(Arc::clone(&name));
                self.variables.push(name);
                if context == "range" && pipe.declared.len() < 2 {
                    match self.peek_non_space().token {
                        Token::Variable | Token::RightDelim | Token::RightParen => continue,
                        _ => return self.fail("range can only initialize variables"),
                    }
                }
                return self.fail(format!("too many declarations in {context}"));
            }
            if after.token == Token::Space {
                self.backup3(variable, after);
            } else {
                self.backup2(variable);
            }
            return Ok(());
        }
    }

    fn check(&self, pipe: &Pipe, context: &str) -> Parse<()> {
        if pipe.commands.is_empty() {
            return self.fail(format!("missing value for {context}"));
        }
        for (index, command) in pipe.commands.iter().enumerate().skip(1) {
            let constant = command.args.first().is_some_and(|first| {
                matches!(
                    first.kind,
                    ExprKind::Bool(_)
                        | ExprKind::Dot
                        | ExprKind::Nil
                        | ExprKind::Number { .. }
                        | ExprKind::Str { .. }
                )
            });
            if constant {
                return self.fail(format!("non executable command in pipeline stage {}", index + 1));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parse<Command> {
        let mut command = Command {
            offset: self.peek_non_space().offset,
            args: Vec::with_capacity(1),
        };
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                if command.args.len() == command.args.capacity() {
                    // a function and two arguments, rarely more
                    command.args.reserve_exact(2);
                }
                command.args.push(operand);
            }
            let item = self.next();
            match item.token {
                Token::Space => continue,
                Token::RightDelim | Token::RightParen => self.backup(),
                Token::Pipe => {}
                _ => return self.unexpected(&item, "operand"),
            }
            break;
        }
        if command.args.is_empty() {
            return self.fail("empty command");
        }
        Ok(command)
    }

    fn operand(&mut self) -> Parse<Option<Expr>> {
        let Some(mut node) = self.term()? else {
            return Ok(None);
        };
        let first = self.peek();
        if first.token != Token::Field {
            return Ok(Some(node));
        }
        let mut names: Vec<Arc<str>> = Vec::new();
        while self.peek().token == Token::Field {
            names.push(self.next().text[1..].into());
        }
        match &mut node.kind {
            ExprKind::Field(fields) | ExprKind::Variable(_, fields) => {
                fields.extend(names);
                // Go gives the whole chain the position of its second part.
                node.offset = first.offset;
            }
            ExprKind::Bool(_)
            | ExprKind::Str { .. }
            | ExprKind::Number { .. }
            | ExprKind::Nil
            | ExprKind::Dot => {
                return self.fail(format!("unexpected . after term {}", quote(&node.to_string())));
            }
            ExprKind::Function(_) | ExprKind::Pipe(_) | ExprKind::Chain(..) => {
                node = Expr {
                    offset: first.offset,
                    kind: ExprKind::Chain(Box::new(node), names),
                };
            }
        }
        Ok(Some(node))
    }

    fn term(&mut self) -> Parse<Option<Expr>> {
        let item = self.next_non_space();
        let mut offset = item.offset;
        let kind = match item.token {
            Token::Identifier => match (self.lookup)(item.text) {
                Some(function) => ExprKind::Function(function),
                None => return self.fail(format!("function {} not defined", quote(item.text))),
            },
            Token::Dot => ExprKind::Dot,
            Token::Nil => ExprKind::Nil,
            Token::Variable => {
                if !self.variables.iter().any(|known| **known == *item.text) {
                    return self.fail(format!("undefined variable {}", quote(item.text)));
                }
                ExprKind::Variable(item.text.into(), Vec::new())
            }
            Token::Field => ExprKind::Field(vec![item.text[1..].into()]),
            Token::Bool => ExprKind::Bool(item.text == "true"),
            Token::Number | Token::CharConstant => {
                let value: Result<Number, String> = if item.token == Token::Number {
                    constants::number(item.text)
                } else {
                    constants::character(item.text)
                };
                match value {
                    Ok(value) => ExprKind::Number {
                        value,
                        text: item.text.into(),
                    },
                    Err(reason) => return self.fail(reason),
                }
            }
            Token::LeftParen => {
                let pipe =
                    self.deeper(|parser| parser.pipeline("parenthesized pipeline", Token::RightParen))?;
                offset = pipe.offset;
                ExprKind::Pipe(Box::new(pipe))
            }
            Token::String | Token::RawString => ExprKind::Str {
                value: self.text(item.text)?,
                text: item.text.into(),
            },
            _ => {
                self.backup();
                return Ok(None);
            }
        };
        Ok(Some(Expr { offset, kind }))
    }
}
