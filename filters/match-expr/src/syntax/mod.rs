//! From the text of an expression to its tree. Everything that can be wrong with an expression is found
//! here, or where a format binds it to its own fields.

mod error;
mod lexer;
mod parser;

pub use error::SyntaxError;

use crate::pattern::Pattern;
use crate::text::Malformed;

/// A parsed expression: the tree refers to `predicates` by index.
#[derive(Debug)]
pub(crate) struct Expr {
    pub(crate) root: Node,
    pub(crate) predicates: Vec<Predicate>,
}

impl Expr {
    pub(crate) fn parse(source: &str) -> Result<Expr, SyntaxError> {
        parser::parse(source)
    }
}

/// The tree over predicates. `!=` and `!~` are `Not` around the test that they negate.
#[derive(Debug)]
pub(crate) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Predicate(usize),
}

impl Node {
    /// Evaluates the tree, asking `test` for no more predicates than needed.
    pub(crate) fn holds<F>(&self, test: &mut F) -> Result<bool, Malformed>
    where
        F: FnMut(usize) -> Result<bool, Malformed>,
    {
        match self {
            Node::Predicate(index) => test(*index),
            Node::Not(inner) => Ok(!inner.holds(test)?),
            Node::And(parts) => {
                for part in parts {
                    if !part.holds(test)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Node::Or(parts) => {
                for part in parts {
                    if part.holds(test)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

/// One comparison. It holds if any value at the path passes the test; a missing field has no value.
#[derive(Debug)]
pub(crate) struct Predicate {
    /// At least one step, the first of them a key.
    pub(crate) path: Vec<Step>,
    pub(crate) test: Test,
    /// Where in the source the path begins, and the operand (the operator, where there is none), in bytes.
    pub(crate) path_at: usize,
    pub(crate) operand_at: usize,
}

/// A step of a path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// A member of an object.
    Key(String),
    /// An element of an array; a negative index counts from the end.
    Index(i64),
    /// Every element of an array.
    Each,
}

/// What is asked of a value.
#[derive(Debug)]
pub(crate) enum Test {
    Exists,
    Equal(Literal),
    OneOf(Vec<Literal>),
    /// The literal is a number or text.
    Order(Order, Literal),
    Contains(Literal),
    StartsWith(String),
    EndsWith(String),
    Matches(Box<Pattern>),
}

/// A value in the expression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    /// The number, and how it was written.
    Number(f64, String),
    Text(String),
}

/// `<`, `<=`, `>` and `>=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Order {
    /// Whether `left` stands in this order to `right`.
    pub(crate) fn holds<T: PartialOrd + ?Sized>(self, left: &T, right: &T) -> bool {
        match self {
            Order::Less => left < right,
            Order::AtMost => left <= right,
            Order::Greater => left > right,
            Order::AtLeast => left >= right,
        }
    }
}

#[cfg(test)]
mod tests;
