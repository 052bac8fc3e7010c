//! Random records, written in all the ways that their format allows.

use fastrand::Rng;

use crate::model::{self, NUMBERS, TEXTS, WORDS, json_text, pick};

/// A JSON object in one line: nested, with duplicate keys, escapes and spaces.
pub(crate) fn json(rng: &mut Rng) -> String {
    let mut out = String::new();
    space(&mut out, rng);
    object(&mut out, rng, 3);
    space(&mut out, rng);
    out
}

fn object(out: &mut String, rng: &mut Rng, depth: usize) {
    let members = if depth == 3 { rng.usize(0..9) } else { rng.usize(0..4) };
    out.push('{');
    for i in 0..members {
        if i > 0 {
            out.push(',');
        }
        space(out, rng);
        let key = model::key(rng);
        out.push_str(&json_text(key, rng));
        space(out, rng);
        out.push(':');
        value(out, rng, depth - 1);
    }
    space(out, rng);
    out.push('}');
}

fn value(out: &mut String, rng: &mut Rng, depth: usize) {
    space(out, rng);
    match rng.usize(if depth == 0 { 3 } else { 0 }..10) {
        0 | 1 => object(out, rng, depth),
        2 => {
            out.push('[');
            for i in 0..rng.usize(0..4) {
                if i > 0 {
                    out.push(',');
                }
                value(out, rng, depth - 1);
            }
            space(out, rng);
            out.push(']');
        }
        3 => out.push_str(pick(rng, &["true", "false", "null"])),
        4 | 5 => out.push_str(pick(rng, &NUMBERS)),
        _ => {
            let text = pick(rng, &TEXTS);
            out.push_str(&json_text(text, rng));
        }
    }
    space(out, rng);
}

fn space(out: &mut String, rng: &mut Rng) {
    if rng.u8(0..6) == 0 {
        out.push_str(pick(rng, &[" ", "  ", "\t", "\r", "                    "]));
    }
}

/// A logfmt line, and the object with the same fields.
pub(crate) fn logfmt(rng: &mut Rng) -> (String, String) {
    let mut line = String::new();
    let mut object = Vec::new();
    for _ in 0..rng.usize(0..7) {
        line.push_str(pick(rng, &[" ", " ", "  ", "\t"]));
        let key = pick(rng, &WORDS);
        let value = match rng.usize(0..3) {
            0 => pick(rng, &TEXTS),
            1 => pick(rng, &NUMBERS),
            _ => "false",
        };
        let bare = !value.contains(|c| c <= ' ' || c == '"');
        line.push_str(key);
        if value.is_empty() && rng.bool() {
            // A flag.
        } else if bare && rng.bool() {
            line.push_str(&format!("={value}"));
        } else {
            line.push_str(&format!("={}", json_text(value, rng)));
        }
        object.push(format!("{}:{}", json_text(key, rng), json_text(value, rng)));
    }
    (line, format!("{{{}}}", object.join(",")))
}
