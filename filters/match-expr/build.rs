//! Writes the Unicode data that `src/pattern/unicode.rs` embeds, from the tables of `regex-syntax`: a build
//! script can afford them (80 KB), a component cannot. Classes and case folding together take 6 KB here.

use std::path::Path;

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let write = |name: &str, numbers: Vec<u32>| {
        let mut bytes = Vec::new();
        for number in numbers {
            varint(&mut bytes, number);
        }
        std::fs::write(Path::new(&out).join(name), bytes).expect("OUT_DIR is writable");
    };
    for (name, pattern) in [("word.bin", r"\w"), ("digit.bin", r"\d"), ("space.bin", r"\s")] {
        write(name, gaps(&class(pattern)));
    }
    write("fold.bin", folds());
}

fn class(pattern: &str) -> ClassUnicode {
    let hir = regex_syntax::parse(pattern).expect("a class is a pattern");
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(class)) => class,
        other => panic!("{pattern} is no class: {other:?}"),
    }
}

/// For each range how far its begin is from the end of the one before, and its length less one.
fn gaps(class: &ClassUnicode) -> Vec<u32> {
    let mut before = 0;
    let mut numbers = Vec::new();
    for range in class.iter() {
        let (start, end) = (u32::from(range.start()), u32::from(range.end()));
        numbers.extend([start - before, end - start]);
        before = end;
    }
    numbers
}

/// Case folding as a map from each character to the next that is equal without regard to case, in a
/// circle. Written as runs of characters with the same distance to their next one: the gap to the run's
/// first character, how many there are, the step between them (1 or 2), and the distance in zigzag.
fn folds() -> Vec<u32> {
    let mut runs: Vec<(u32, u32, u32, i32)> = Vec::new();
    for c in ('\0'..='\u{1ffff}').filter(|c| c.is_alphabetic() || !c.is_ascii()) {
        let mut circle = ClassUnicode::new([ClassUnicodeRange::new(c, c)]);
        circle.try_case_fold_simple().expect("the feature unicode-case is on");
        let members: Vec<char> = circle.iter().flat_map(|range| range.start()..=range.end()).collect();
        if members.len() == 1 {
            continue;
        }
        let place = members.iter().position(|&member| member == c).expect("a circle has its own");
        let next = members[(place + 1) % members.len()];
        let code = u32::from(c);
        let distance = u32::from(next) as i32 - code as i32;
        // Every second letter is the other case's, so that two runs are open at a time.
        let open = runs.iter_mut().rev().take(2).find(|(first, count, step, far)| {
            *far == distance && if *count == 1 { code - *first <= 2 } else { code == *first + *count * *step }
        });
        match open {
            Some((first, count, step, _)) => {
                if *count == 1 {
                    *step = code - *first;
                }
                *count += 1;
            }
            None => runs.push((code, 1, 1, distance)),
        }
    }
    runs.sort_unstable();
    let mut before = 0;
    let mut numbers = Vec::new();
    for (first, count, step, distance) in runs {
        numbers.extend([first - before, count, step, (distance << 1 ^ distance >> 31) as u32]);
        before = first;
    }
    numbers
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn varint(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
