//! Parses and compiles single expressions within their limits.

use regex_automata::meta;
use regex_syntax::ast::{self, Ast, visit};
use regex_syntax::hir::{Class, Hir, HirKind};

use crate::pattern::{PatternError, PatternLimits};

/// How deep groups may nest, as in ripgrep.
const NEST_LIMIT: u32 = 250;

/// Longest part of a pattern that an error repeats, in bytes.
const SHOWN_MAX: usize = 120;

const ESC: u8 = 0x1b;

/// Reads one pattern: an expression, or a text when `fixed`.
pub(crate) fn parse(
    pattern: &str,
    fixed: bool,
    insensitive: bool,
    limits: &PatternLimits,
) -> Result<Hir, PatternError> {
    check_length(pattern, limits)?;
    let hir = match (fixed, insensitive) {
        (true, false) => Hir::literal(pattern.as_bytes()),
        (true, true) => parse_expression(&regex_syntax::escape(pattern), true, pattern)?,
        (false, _) => parse_expression(pattern, insensitive, pattern)?,
    };
    if demands_newline(&hir) {
        return Err(PatternError::Newline { pattern: shown(pattern) });
    }
    Ok(hir)
}

/// Compiles an expression; `pattern` is what errors call it.
pub(crate) fn compile(hir: &Hir, pattern: &str, limits: &PatternLimits) -> Result<meta::Regex, PatternError> {
    let config = meta::Regex::config()
        .utf8_empty(false)
        .nfa_size_limit(Some(limits.compiled_bytes))
        .hybrid_cache_capacity(limits.compiled_bytes);
    meta::Regex::builder().configure(config).build_from_hir(hir).map_err(|source| {
        let pattern = shown(pattern);
        match source.size_limit() {
            Some(value) => PatternError::TooLarge { pattern, limit: "pattern_compiled_bytes", value },
            None => PatternError::Compile { pattern, source: Box::new(source) },
        }
    })
}

/// Whether smart case makes the patterns insensitive: some literal, and none of them upper case.
pub(crate) fn smart_case_is_insensitive(
    patterns: &[String],
    fixed: bool,
    limits: &PatternLimits,
) -> Result<bool, PatternError> {
    let mut letters = Letters::default();
    for pattern in patterns {
        check_length(pattern, limits)?;
        if fixed {
            pattern.chars().for_each(|char| letters.see(char));
            continue;
        }
        let syntax = |source: ast::Error| PatternError::Syntax {
            pattern: shown(pattern),
            source: Box::new(source.into()),
        };
        let ast = ast::parse::ParserBuilder::new().nest_limit(NEST_LIMIT).build().parse(pattern);
        let Ok(()) = visit(&ast.map_err(syntax)?, &mut letters);
    }
    Ok(letters.any && !letters.upper)
}

/// Whether the expression names the escape character, rather than merely allowing for it.
pub(crate) fn contains_escape(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.contains(&ESC),
        HirKind::Class(Class::Unicode(class)) => {
            class.iter().any(|range| range.start() == '\u{1b}' && range.end() == '\u{1b}')
        }
        HirKind::Class(Class::Bytes(class)) => {
            class.iter().any(|range| range.start() == ESC && range.end() == ESC)
        }
        HirKind::Repetition(rep) => contains_escape(&rep.sub),
        HirKind::Capture(capture) => contains_escape(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(contains_escape),
    }
}

fn check_length(pattern: &str, limits: &PatternLimits) -> Result<(), PatternError> {
    if pattern.len() <= limits.pattern_bytes {
        return Ok(());
    }
    let (limit, value) = ("pattern_bytes", limits.pattern_bytes);
    Err(PatternError::TooLarge { pattern: shown(pattern), limit, value })
}

fn parse_expression(expression: &str, insensitive: bool, pattern: &str) -> Result<Hir, PatternError> {
    regex_syntax::ParserBuilder::new()
        .utf8(false)
        .nest_limit(NEST_LIMIT)
        .case_insensitive(insensitive)
        .build()
        .parse(expression)
        .map_err(|source| PatternError::Syntax { pattern: shown(pattern), source: Box::new(source) })
}

/// Whether the expression has a newline that it can't do without, as ripgrep refuses it too.
fn demands_newline(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => false,
        HirKind::Literal(literal) => literal.0.contains(&b'\n'),
        HirKind::Class(Class::Unicode(class)) => {
            matches!(class.ranges(), [range] if range.start() == '\n' && range.end() == '\n')
        }
        HirKind::Class(Class::Bytes(class)) => {
            matches!(class.ranges(), [range] if range.start() == b'\n' && range.end() == b'\n')
        }
        HirKind::Repetition(rep) => demands_newline(&rep.sub),
        HirKind::Capture(capture) => demands_newline(&capture.sub),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().any(demands_newline),
    }
}

fn shown(pattern: &str) -> String {
    let mut end = pattern.len().min(SHOWN_MAX);
    while !pattern.is_char_boundary(end) {
        end -= 1;
    }
    let more = if end < pattern.len() { "…" } else { "" };
    format!("{}{more}", &pattern[..end])
}

/// The literals seen in patterns.
#[derive(Default)]
struct Letters {
    any: bool,
    upper: bool,
}

impl Letters {
    fn see(&mut self, char: char) {
        self.any = true;
        self.upper |= char.is_uppercase();
    }
}

impl ast::Visitor for &mut Letters {
    type Output = ();
    type Err = std::convert::Infallible;

    fn finish(self) -> Result<(), Self::Err> {
        Ok(())
    }

    fn visit_pre(&mut self, ast: &Ast) -> Result<(), Self::Err> {
        if let Ast::Literal(literal) = ast {
            self.see(literal.c);
        }
        Ok(())
    }

    fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), Self::Err> {
        match item {
            ast::ClassSetItem::Literal(literal) => self.see(literal.c),
            ast::ClassSetItem::Range(range) => {
                self.see(range.start.c);
                self.see(range.end.c);
            }
            _ => {}
        }
        Ok(())
    }
}
