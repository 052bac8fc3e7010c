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
        let message = format!(
            "the expression has {} bytes; at most {MAX_SOURCE} are allowed",
            source.len()
        );
        return Err(SyntaxError::new(source, 0, message));
    }
    let (token, next) = lexer::next(source, 0)?;
    let mut parser = Parser {
        source,
        token,
        next,
        predicates: Vec::new(),
        depth: 0,
        pattern_count: 0,
    };
    let root = parser.or()?;
    if parser.token.kind != Kind::End {
        return Err(parser.expected("`&&`, `||` or the end"));
    }
    Ok(Expr {
        root,
        predicates: parser.predicates,
    })
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
        self.predicates.push(Predicate {
            path,
            test,
            path_at,
            operand_at,
        });
        let node = Node::Predicate(index);
        Ok(if negated {
            Node::Not(Box::new(node))
        } else {
            node
        })
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
            SyntaxError::new(
                self.source,
                at,
                format!("this regular expression is refused: {message}"),
            )
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
        self.wrong(format!(
            "expected {wanted}, found {}{hint}",
            self.token.kind.shown()
        ))
    }
}

const COMPARISONS: &str =
    "`exists` or a comparison (== != < <= > >= =~ !~ in contains startswith endswith)";

fn one_or(mut parts: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    if parts.len() == 1 {
        parts.remove(0)
    } else {
        many(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(source: &str) -> String {
        parse(source).expect_err(source).to_string()
    }

    #[test]
    fn and_binds_closer_than_or_and_not_closest() {
        let expr = parse("a == 1 || !b == 2 && (c exists || d != 3)").expect("it parses");
        let Node::Or(or) = expr.root else {
            panic!("{:?}", expr.root)
        };
        let Node::And(and) = &or[1] else {
            panic!("{or:?}")
        };
        assert!(matches!(and[0], Node::Not(_)));
        let Node::Or(inner) = &and[1] else {
            panic!("{and:?}")
        };
        assert!(matches!(inner[1], Node::Not(_)));
    }

    #[test]
    fn paths_in_every_spelling() {
        let expr = parse(r#".a."b.c"['d e'][0][-1][*].user-agent exists"#).expect("it parses");
        let key = |k: &str| Step::Key(k.to_owned());
        let want = [
            key("a"),
            key("b.c"),
            key("d e"),
            Step::Index(0),
            Step::Index(-1),
            Step::Each,
            key("user-agent"),
        ];
        assert_eq!(expr.predicates[0].path, want);
    }

    #[test]
    fn word_operators_may_be_keys() {
        for source in [
            "in in [1]",
            "exists exists",
            "true == true",
            "a.contains contains \"in\"",
        ] {
            parse(source).expect(source);
        }
    }

    #[test]
    fn literals_with_escapes() {
        let expr =
            parse(r#"a == "x\"\\\/\n\u00e9\ud83d\ude00\u0041" && b == '\d"'"#).expect("it parses");
        let text = |i: usize| match &expr.predicates[i].test {
            Test::Equal(Literal::Text(text)) => text.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(text(0), "x\"\\/\né😀A");
        assert_eq!(text(1), r#"\d""#);
    }

    #[test]
    fn errors_point_at_their_place() {
        assert_eq!(
            error("level == error"),
            "column 10: expected a value: text in quotes, a number, true, false or null, found \
             `error`; text goes in quotes\n  level == error\n           ^"
        );
        for (source, column, part) in [
            ("", 1, "expected a field"),
            ("level = 'x'", 7, "equality is `==`"),
            ("a == 1 and b == 2", 8, "write `&&`"),
            ("a == 1 & b == 2", 8, "write `&&`"),
            ("not a exists", 5, "expected `exists` or a comparison"),
            ("ok && a exists", 4, "for a boolean write `== true`"),
            ("a == 1)", 7, "the end"),
            ("(a == 1", 8, "or `)`"),
            ("a == 1.", 6, "a number as JSON writes it"),
            ("a == 5xx", 6, "found `5xx`"),
            ("a.0 == 1", 3, "written a[0]"),
            ("a[x] == 1", 3, "an index"),
            ("a[1.5] == 1", 3, "a whole number"),
            ("a < true", 5, "order"),
            ("a in []", 7, "expected a value"),
            ("a in [1 2]", 9, "`,` or `]`"),
            ("a startswith 1", 14, "text in quotes"),
            ("a == \"x", 6, "no closing"),
            ("a == 'x", 6, "no closing"),
            (r#"a =~ "\d""#, 7, "no escape"),
            (r#"a == "\ud800""#, 7, "surrogate"),
            (r#"a == "\u+123""#, 7, "hexadecimal"),
            ("a =~ '('", 6, "unclosed group"),
            ("é == ;", 6, "no meaning"),
        ] {
            let error = parse(source).expect_err(source);
            assert_eq!(error.column, column, "{source}: {error}");
            assert!(error.message.contains(part), "{source}: {error}");
        }
    }

    #[test]
    fn long_expressions_show_the_part_that_is_wrong() {
        let error = error(&format!("{} && b = 1", vec!["a == 1"; 50].join(" && ")));
        let mut lines = error.lines().skip(1);
        let (shown, caret) = (lines.next().expect("excerpt"), lines.next().expect("caret"));
        assert!(shown.len() < 80, "{error}");
        assert_eq!(&shown[caret.find('^').expect("caret")..], "= 1", "{error}");
    }

    #[test]
    fn every_limit_has_its_message() {
        let nested = format!("{}a exists{}", "(".repeat(65), ")".repeat(65));
        for (source, part) in [
            ("a".repeat(MAX_SOURCE + 1), "at most 16384"),
            (nested, "64 levels"),
            (vec!["a exists"; 257].join("||"), "256 comparisons"),
            (format!("{}.a exists", vec!["a"; 32].join(".")), "32 steps"),
            (
                format!("a in [{}]", vec!["1"; 1025].join(",")),
                "1024 values",
            ),
            (vec!["a =~ 'x'"; 33].join("||"), "32 regular"),
            (r"a =~ '\w{500}{500}'".to_owned(), "1048576"),
        ] {
            assert!(error(&source).contains(part), "{}", error(&source));
        }
    }
}
