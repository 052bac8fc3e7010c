//! Reading a pattern. `regex-syntax` parses and translates it, but without its Unicode tables, which would
//! take 80 KB of a component: between the two steps all that needs them is written out as ranges.

use regex_syntax::ast::{
    self, Ast, ClassAsciiKind, ClassBracketed, ClassPerl, ClassPerlKind, ClassSet, ClassSetItem,
    ClassSetRange, ClassSetUnion, Flag, Flags, FlagsItemKind, GroupKind, LiteralKind, Span,
};
use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange, Hir, translate};

use super::nfa;
use super::unicode::{self, Folding};

/// Most ranges that a pattern's classes are written out as. Each takes 160 bytes for a moment.
const MAX_RANGES: usize = 100_000;
/// Deepest nesting of groups, which bounds every recursion over a pattern.
const MAX_NESTING: u32 = 64;

/// Parses `source`, or says what is wrong with it.
pub(super) fn parse(source: &str) -> Result<Hir, String> {
    let mut parser = ast::parse::ParserBuilder::new().nest_limit(MAX_NESTING).build();
    let mut ast = parser.parse(source).map_err(|error| error.kind().to_string())?;
    Writer { case_insensitive: false, unicode: true, folding: None, ranges_left: MAX_RANGES }
        .ast(&mut ast)?;
    translate::TranslatorBuilder::new()
        .utf8(false)
        .build()
        .translate(source, &ast)
        .map_err(|error| error.kind().to_string())
}

/// Goes over a pattern in the order in which flags take effect, and takes the flag `i` out of it.
struct Writer {
    case_insensitive: bool,
    unicode: bool,
    /// Made when it is first needed.
    folding: Option<Folding>,
    ranges_left: usize,
}

impl Writer {
    fn ast(&mut self, ast: &mut Ast) -> Result<(), String> {
        match ast {
            Ast::Empty(_) | Ast::Dot(_) | Ast::Assertion(_) => {}
            Ast::Flags(set) => self.flags(&mut set.flags),
            Ast::Literal(literal) => {
                if let Some(class) = self.folded(literal.c, literal.c) {
                    let span = literal.span;
                    *ast = Ast::class_bracketed(self.bracketed(span, false, &class)?);
                }
            }
            Ast::ClassUnicode(_) => return Err(BY_PROPERTY.to_owned()),
            Ast::ClassPerl(perl) => {
                if self.unicode {
                    *ast = Ast::class_bracketed(self.written_out(perl)?);
                }
            }
            Ast::ClassBracketed(class) => self.set(&mut class.kind)?,
            Ast::Repetition(repetition) => self.ast(&mut repetition.ast)?,
            Ast::Group(group) => {
                let outside = (self.case_insensitive, self.unicode);
                if let GroupKind::NonCapturing(flags) = &mut group.kind {
                    self.flags(flags);
                }
                self.ast(&mut group.ast)?;
                (self.case_insensitive, self.unicode) = outside;
            }
            Ast::Alternation(parts) => {
                parts.asts.iter_mut().try_for_each(|part| self.ast(part))?;
            }
            Ast::Concat(parts) => parts.asts.iter_mut().try_for_each(|part| self.ast(part))?,
        }
        Ok(())
    }

    fn flags(&mut self, flags: &mut Flags) {
        let mut on = true;
        flags.items.retain(|item| match item.kind {
            FlagsItemKind::Negation => {
                on = false;
                true
            }
            FlagsItemKind::Flag(Flag::CaseInsensitive) => {
                self.case_insensitive = on;
                false
            }
            FlagsItemKind::Flag(Flag::Unicode) => {
                self.unicode = on;
                true
            }
            FlagsItemKind::Flag(_) => true,
        });
    }

    fn set(&mut self, set: &mut ClassSet) -> Result<(), String> {
        match set {
            ClassSet::Item(item) => self.item(item),
            ClassSet::BinaryOp(operation) => {
                self.set(&mut operation.lhs)?;
                self.set(&mut operation.rhs)
            }
        }
    }

    /// To fold what a class is made of is to fold the class: complements of folded sets are folded.
    fn item(&mut self, item: &mut ClassSetItem) -> Result<(), String> {
        let (span, class) = match item {
            ClassSetItem::Empty(_) => return Ok(()),
            ClassSetItem::Literal(literal) => (literal.span, self.folded(literal.c, literal.c)),
            ClassSetItem::Range(range) => (range.span, self.folded(range.start.c, range.end.c)),
            ClassSetItem::Ascii(ascii) => {
                let letters = match ascii.kind {
                    ClassAsciiKind::Lower => self.folded('a', 'z'),
                    ClassAsciiKind::Upper => self.folded('A', 'Z'),
                    ClassAsciiKind::Alnum | ClassAsciiKind::Alpha | ClassAsciiKind::Word => {
                        self.folded('a', 'z')
                    }
                    _ => None,
                };
                let Some(letters) = letters else {
                    return Ok(());
                };
                let negated = std::mem::take(&mut ascii.negated);
                let span = ascii.span;
                let mut union = self.items(span, &letters)?;
                union.push(item.clone());
                let kind = ClassSet::Item(ClassSetItem::Union(union));
                *item = ClassSetItem::Bracketed(Box::new(ClassBracketed { span, negated, kind }));
                return Ok(());
            }
            ClassSetItem::Unicode(_) => return Err(BY_PROPERTY.to_owned()),
            ClassSetItem::Perl(perl) => {
                if self.unicode {
                    *item = ClassSetItem::Bracketed(Box::new(self.written_out(perl)?));
                }
                return Ok(());
            }
            ClassSetItem::Bracketed(class) => return self.set(&mut class.kind),
            ClassSetItem::Union(union) => {
                return union.items.iter_mut().try_for_each(|item| self.item(item));
            }
        };
        if let Some(class) = class {
            *item = ClassSetItem::Union(self.items(span, &class)?);
        }
        Ok(())
    }

    /// What the characters from `start` to `end` are without regard to case; none if that is asked for
    /// by no flag or makes no difference.
    fn folded(&mut self, start: char, end: char) -> Option<ClassUnicode> {
        if !self.case_insensitive {
            return None;
        }
        let class = if self.unicode {
            let folding = self.folding.get_or_insert_with(Folding::new);
            folding.closure(start, end)
        } else {
            unicode::ascii_closure(start, end)
        };
        let written = ClassUnicode::new([ClassUnicodeRange::new(start, end)]);
        (class != written).then_some(class)
    }

    fn written_out(&mut self, perl: &ClassPerl) -> Result<ClassBracketed, String> {
        let class = match perl.kind {
            ClassPerlKind::Digit => unicode::digit(),
            ClassPerlKind::Space => unicode::space(),
            ClassPerlKind::Word => unicode::word(),
        };
        self.bracketed(perl.span, perl.negated, &class)
    }

    fn bracketed(
        &mut self,
        span: Span,
        negated: bool,
        class: &ClassUnicode,
    ) -> Result<ClassBracketed, String> {
        let kind = ClassSet::Item(ClassSetItem::Union(self.items(span, class)?));
        Ok(ClassBracketed { span, negated, kind })
    }

    fn items(&mut self, span: Span, class: &ClassUnicode) -> Result<ClassSetUnion, String> {
        let left = self.ranges_left.checked_sub(class.ranges().len());
        self.ranges_left = left.ok_or_else(nfa::too_large)?;
        let literal = |c| ast::Literal { span, kind: LiteralKind::Verbatim, c };
        let item = |range: &ClassUnicodeRange| {
            let (start, end) = (literal(range.start()), literal(range.end()));
            ClassSetItem::Range(ClassSetRange { span, start, end })
        };
        Ok(ClassSetUnion { span, items: class.iter().map(item).collect() })
    }
}

const BY_PROPERTY: &str = "classes by property, such as \\p{Greek}, are left out";
