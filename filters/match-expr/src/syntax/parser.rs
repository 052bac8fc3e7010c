//! The grammar, by recursive descent:
//!
//! ```text
//! or        = and { "||" and }
//! and       = unary { "&&" unary }
//! unary     = "!" unary | "(" or ")" | predicate
//! predicate = path ( "exists" | compare literal | "in" "[" literal { "," literal } "]" )
//! path      = [ "." ] key { "." key | "[" ( text | index | "*" ) "]" }
//! ```

use super::lexer::{self, Kind, Token};
use super::{Expr, Literal, Node, Order, Predicate, Step, SyntaxError, Test};
use crate::pattern::Pattern;
use crate::{MAX_DEPTH, MAX_LIST, MAX_PATTERNS, MAX_PREDICATES, MAX_SOURCE, MAX_STEPS, number};

pub(super) fn parse(source: &str) -> Result<Expr, SyntaxError> {
    if source.len() > MAX_SOURCE {
        let message = format!("the expression has {} bytes; at most {MAX_SOURCE} are allowed", source.len());
        return Err(SyntaxError::new(source, 0, message));
    }
    let (token, next) = lexer::next(source, 0)?;
    let mut parser = Parser { source, token, next, predicates: Vec::new(), depth: 0, pattern_count: 0 };
    let root = parser.or()?;
    if parser.token.kind != Kind::End {
        return Err(parser.expected("`&&`, `||` or the end"));
    }
    Ok(Expr { root, predicates: parser.predicates })
}

struct Parser<'s> {
    source: &'s str,
    token: Token<'s>,
    /// The byte after `token`.
    next: usize,
    predicates: Vec<Predicate>,
    depth: usize,
    pattern_count: usize,
}

impl<'s> Parser<'s> {
    fn or(&mut self) -> Result<Node, SyntaxError> {
        let mut parts = vec![self.and()?];
        while self.take("||")? {
            parts.push(self.and()?);
        }
        Ok(one_or(parts, Node::Or))
    }

    fn and(&mut self) -> Result<Node, SyntaxError> {
        let mut parts = vec![self.unary()?];
        while self.take("&&")? {
            parts.push(self.unary()?);
        }
        Ok(one_or(parts, Node::And))
    }

    fn unary(&mut self) -> Result<Node, SyntaxError> {
        let nested = matches!(self.token.kind, Kind::Symbol("!" | "("));
        if !nested {
            return self.predicate();
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let node = if self.take("!")? {
            Node::Not(Box::new(self.unary()?))
        } else {
            self.advance()?;
            let inner = self.or()?;
            if !self.take(")")? {
                return Err(self.expected("`&&`, `||` or `)`"));
            }
            inner
        };
        self.depth -= 1;
        Ok(node)
    }

    fn predicate(&mut self) -> Result<Node, SyntaxError> {
        if self.predicates.len() == MAX_PREDICATES {
            return Err(self.wrong(format!("more than {MAX_PREDICATES} comparisons")));
        }
        let path_at = self.token.at;
        let path = self.path()?;
        let operator = self.token.clone();
        let negated = matches!(operator.kind, Kind::Symbol("!=" | "!~"));
        let (test, operand_at) = self.test(&operator)?;
        let index = self.predicates.len();
        self.predicates.push(Predicate { path, test, path_at, operand_at });
        let node = Node::Predicate(index);
        Ok(if negated { Node::Not(Box::new(node)) } else { node })
    }

    /// The rest of a predicate, from `operator` on, and where its operand begins.
    fn test(&mut self, operator: &Token<'s>) -> Result<(Test, usize), SyntaxError> {
        let order = match operator.kind {
            Kind::Symbol("<") => Some(Order::Less),
            Kind::Symbol("<=") => Some(Order::AtMost),
            Kind::Symbol(">") => Some(Order::Greater),
            Kind::Symbol(">=") => Some(Order::AtLeast),
            Kind::Symbol("==" | "!=" | "=~" | "!~")
            | Kind::Word("exists" | "in" | "contains" | "startswith" | "endswith") => None,
            _ => return Err(self.expected(COMPARISONS)),
        };
        self.advance()?;
        let at = self.token.at;
        if let Some(order) = order {
            let literal = self.literal()?;
            if !matches!(literal, Literal::Number(..) | Literal::Text(_)) {
                let message = "only numbers and text have an order; use `==` or `!=`";
                return Err(SyntaxError::new(self.source, at, message));
            }
            return Ok((Test::Order(order, literal), at));
        }
        let test = match operator.kind {
            Kind::Word("exists") => return Ok((Test::Exists, operator.at)),
            Kind::Word("in") => Test::OneOf(self.list()?),
            Kind::Word("contains") => Test::Contains(self.literal()?),
            Kind::Word("startswith") => Test::StartsWith(self.text()?),
            Kind::Word("endswith") => Test::EndsWith(self.text()?),
            Kind::Symbol("=~" | "!~") => Test::Matches(Box::new(self.pattern()?)),
            _ => Test::Equal(self.literal()?),
        };
        Ok((test, at))
    }

    fn path(&mut self) -> Result<Vec<Step>, SyntaxError> {
        self.take(".")?;
        let mut path = vec![self.key("a field, such as level or user.id")?];
        loop {
            if self.take(".")? {
                path.push(self.key("a key after the `.`")?);
            } else if self.take("[")? {
                path.push(self.subscript()?);
                if !self.take("]")? {
                    return Err(self.expected("`]`"));
                }
            } else {
                return Ok(path);
            }
            if path.len() > MAX_STEPS {
                return Err(self.wrong(format!("a path of more than {MAX_STEPS} steps")));
            }
        }
    }

    fn key(&mut self, wanted: &str) -> Result<Step, SyntaxError> {
        let key = match &self.token.kind {
            Kind::Word(word) => (*word).to_owned(),
            Kind::Text(text) => text.clone(),
            _ => return Err(self.expected(wanted)),
        };
        self.advance()?;
        Ok(Step::Key(key))
    }

    fn subscript(&mut self) -> Result<Step, SyntaxError> {
        let step = match &self.token.kind {
            Kind::Text(text) => Step::Key(text.clone()),
            Kind::Symbol("*") => Step::Each,
            Kind::Number(digits) => match digits.parse() {
                Ok(index) => Step::Index(index),
                Err(_) => return Err(self.expected("a whole number")),
            },
            _ => return Err(self.expected("an index, `*` or a key in quotes")),
        };
        self.advance()?;
        Ok(step)
    }

    fn literal(&mut self) -> Result<Literal, SyntaxError> {
        let literal = match &self.token.kind {
            Kind::Text(text) => Literal::Text(text.clone()),
            Kind::Word("true") => Literal::Bool(true),
            Kind::Word("false") => Literal::Bool(false),
            Kind::Word("null") => Literal::Null,
            Kind::Number(digits) => match number::parse(digits.as_bytes()) {
                Some(value) => Literal::Number(value, (*digits).to_owned()),
                None => return Err(self.expected("a number as JSON writes it, or text in quotes")),
            },
            _ => {
                return Err(self.expected("a value: text in quotes, a number, true, false or null"));
            }
        };
        self.advance()?;
        Ok(literal)
    }

    fn text(&mut self) -> Result<String, SyntaxError> {
        let Kind::Text(text) = &self.token.kind else {
            return Err(self.expected("text in quotes"));
        };
        let text = text.clone();
        self.advance()?;
        Ok(text)
    }

    fn list(&mut self) -> Result<Vec<Literal>, SyntaxError> {
        if !self.take("[")? {
            return Err(self.expected("a list, such as [\"a\", \"b\"]"));
        }
        let mut list = vec![self.literal()?];
        while self.take(",")? {
            if list.len() == MAX_LIST {
                return Err(self.wrong(format!("a list of more than {MAX_LIST} values")));
            }
            list.push(self.literal()?);
        }
        if !self.take("]")? {
            return Err(self.expected("`,` or `]`"));
        }
        Ok(list)
    }

    fn pattern(&mut self) -> Result<Pattern, SyntaxError> {
        let at = self.token.at;
        if self.pattern_count == MAX_PATTERNS {
            return Err(self.wrong(format!("more than {MAX_PATTERNS} regular expressions")));
        }
        self.pattern_count += 1;
        let source = self.text()?;
        Pattern::new(&source).map_err(|message| {
            SyntaxError::new(self.source, at, format!("this regular expression is refused: {message}"))
        })
    }

    /// Takes the symbol if it comes next.
    fn take(&mut self, symbol: &str) -> Result<bool, SyntaxError> {
        let there = matches!(self.token.kind, Kind::Symbol(found) if found == symbol);
        if there {
            self.advance()?;
        }
        Ok(there)
    }

    fn advance(&mut self) -> Result<(), SyntaxError> {
        (self.token, self.next) = lexer::next(self.source, self.next)?;
        Ok(())
    }

    fn wrong(&self, message: impl Into<String>) -> SyntaxError {
        SyntaxError::new(self.source, self.token.at, message)
    }

    /// "expected ..., found ...", with a hint where habits from other languages lead astray.
    fn expected(&self, wanted: &str) -> SyntaxError {
        let hint = match &self.token.kind {
            Kind::Symbol("=") => "; equality is `==`, a regular expression `=~`",
            Kind::Symbol("&") | Kind::Word("and" | "AND") => "; write `&&`",
            Kind::Symbol("|") | Kind::Word("or" | "OR") => "; write `||`",
            Kind::Word("not" | "NOT") => "; write `!` before the comparison",
            Kind::Word(_) if wanted.starts_with("a value") || wanted.starts_with("text") => {
                "; text goes in quotes"
            }
            Kind::Number(_) if wanted.starts_with("a key") => "; an element is written a[0]",
            Kind::End | Kind::Symbol("&&" | "||" | ")") if wanted == COMPARISONS => {
                "; for a boolean write `== true`"
            }
            _ => "",
        };
        self.wrong(format!("expected {wanted}, found {}{hint}", self.token.kind.shown()))
    }
}

const COMPARISONS: &str = "`exists` or a comparison (== != < <= > >= =~ !~ in contains startswith endswith)";

fn one_or(mut parts: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    if parts.len() == 1 { parts.remove(0) } else { many(parts) }
}
