//! Random logs, searched by the scanner and by a plain model: every format, way of storing, block size,
//! direction, limit and context must give the same.

mod model;

use std::sync::Arc;

use model::{FileSpec, Kind, Line, Log, piped, scan, scan_striped, store};
use proptest::prelude::*;
use weir_scan::{
    Case, Context, Direction, Matcher, MessageRegex, PatternLimits, PatternSpec, ScanLimits, Search, Stream,
};

const PIECES: &[&[u8]] = &[
    b"a",
    b"b",
    b"ab",
    b"x",
    b" ",
    b"",
    b"E",
    b"error",
    b"\r",
    b"\0",
    b"\xff",
    b"\xc3",
    "é".as_bytes(),
    "😀".as_bytes(),
    b"\"",
    b"\\",
    b"\\n",
    b"/",
    b"\x1b[1m",
    b"\x1b[",
    b"\x1b",
    b" P ",
    b" F ",
    b"P",
    b"4111",
    b"stdout P ",
    b"{\"log\":\"",
    b"<",
    b"\t",
];

/// What JSON encoders write in more than one way, among what they don't.
const TEXTS: &[&str] = &[
    "a", "level", "\"", "\\", "/", "<", ">", "&", "'", "é", "😀", "k", "K", "\u{212a}", "\t", "\u{1}",
    "\u{7f}", " ", "=", "\u{2028}", "\u{fffd}",
];

const PATTERNS: &[&str] = &[
    "a",
    "b",
    "ab",
    "^a",
    "b$",
    "^$",
    "",
    r"\bb\b",
    r"\Bb",
    "error",
    "er+or$",
    "(?i)e",
    "stdout",
    "1970",
    " F ",
    "é",
    "[é😀]",
    r"\d+",
    r"\x1b",
    r"\x1b\[1m",
    "\"",
    r"\\",
    r"\\n",
    "[^a]",
    "a.b",
    "x{2}",
    "(?-u:\\xff)",
    "a|4111",
    r"\x00",
    r"\s",
    "^ab|x$",
    r"\w+r\b",
    "😀",
    "<",
    "(?i)ſ|s",
];

fn message() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        12 => proptest::collection::vec(proptest::sample::select(PIECES), 0..5).prop_map(|pieces| pieces.concat()),
        1 => (450..2500usize).prop_map(|length| [&b"ab".repeat(length / 2)[..], b"error"].concat()),
    ]
}

fn line() -> impl Strategy<Value = Line> {
    let good = (0..2_000_000_000u32, any::<bool>(), 0..3u8, message(), any::<u32>()).prop_map(
        |(delta, err, tag, message, style)| {
            let stream = if err { Stream::Stderr } else { Stream::Stdout };
            Line::Good {
                delta: delta / 2 * u32::from(style % 3 > 0),
                stream,
                partial: tag == 0,
                message,
                style,
            }
        },
    );
    prop_oneof![10 => good, 1 => message().prop_map(Line::Junk)]
}

fn file() -> impl Strategy<Value = FileSpec> {
    (proptest::collection::vec(line(), 0..12), any::<bool>(), any::<bool>())
        .prop_map(|(lines, gzip, final_newline)| FileSpec { lines, gzip, final_newline })
}

fn spec() -> impl Strategy<Value = PatternSpec> {
    let patterns =
        |count| proptest::collection::vec(proptest::sample::select(PATTERNS).prop_map(str::to_owned), count);
    let lists = (patterns(0..3), patterns(0..2), patterns(0..2));
    (lists, proptest::bits::u8::ANY).prop_map(|((patterns, and, not), bits)| PatternSpec {
        patterns,
        and: if bits & 3 == 0 { and } else { Vec::new() },
        not: if bits & 12 == 0 { not } else { Vec::new() },
        invert: bits & 0x70 == 0,
        word: bits & 0x83 == 0x81,
        line: bits & 0x8c == 0x84,
        case: if bits & 0x90 == 0x90 { Case::Insensitive } else { Case::Sensitive },
        fixed: false,
    })
}

fn limits() -> impl Strategy<Value = ScanLimits> {
    let defaults = ScanLimits::default();
    (
        proptest::sample::select(vec![3, 11, 60, 700, defaults.line_bytes]),
        prop_oneof![1..40usize, 40..2000usize, Just(defaults.block_bytes)],
        proptest::sample::select(vec![0, 45, 150, 1200, defaults.join_bytes]),
        proptest::sample::select(vec![2, 300, defaults.gzip_window_bytes]),
        prop_oneof![1..40usize, 40..600usize],
        prop_oneof![1..400usize, Just(defaults.batch_bytes)],
    )
        .prop_map(
            move |(line_bytes, block_bytes, join_bytes, gzip_window_bytes, stripe_bytes, batch_bytes)| {
                ScanLimits {
                    line_bytes,
                    block_bytes,
                    join_bytes,
                    gzip_window_bytes,
                    stripe_bytes,
                    batch_bytes,
                    ..defaults
                }
            },
        )
}

#[derive(Clone, Debug)]
struct Asked {
    spec: PatternSpec,
    required: Option<&'static str>,
    window: Option<(i64, i64)>,
    context: Context,
    limits: ScanLimits,
}

fn asked() -> impl Strategy<Value = Asked> {
    let window = proptest::option::weighted(0.2, (0..9_000_000_000i64, 0..9_000_000_000i64));
    let context = prop_oneof![
        Just(Context::default()),
        (0..4usize, 0..4usize).prop_map(|(before, after)| Context { before, after })
    ];
    let required =
        proptest::option::weighted(0.2, proptest::sample::select(&["b", "^a", "er", "\"", "é$"][..]));
    (spec(), required, window, context, limits()).prop_map(|(spec, required, window, context, limits)| {
        Asked { spec, required, window, context, limits }
    })
}

fn search(asked: &Asked, direction: Direction) -> Arc<Search> {
    let patterns = PatternLimits::default();
    let mut matcher = Matcher::new(&asked.spec, &patterns).unwrap();
    if let Some(required) = asked.required {
        let required = MessageRegex::new(required, &patterns).unwrap();
        let matching = matcher.unwrap_or_else(|| Matcher::everything(&patterns));
        matcher = Some(matching.requiring(Arc::new(required)));
    }
    let time = asked.window.map(|(from, length)| from..from + length);
    let (context, limits, matcher) = (asked.context, asked.limits, matcher.map(Arc::new));
    Arc::new(Search { matcher, time, direction, context, limits, ..Search::default() })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn every_way_gives_what_the_model_gives(
        files in proptest::collection::vec(file(), 1..4),
        json in any::<bool>(),
        asked in asked(),
        (steps, ahead) in (0..3usize, 1..5usize),
    ) {
        let kind = if json { Kind::Json } else { Kind::Cri };
        let log = Log::new(kind, &files, asked.limits.line_bytes);
        let dir = tempfile::tempdir().unwrap();
        let gzip: Vec<bool> = files.iter().map(|file| file.gzip).collect();
        let set = store(dir.path(), &log.contents, &gzip);
        for direction in [Direction::Forward, Direction::Backward] {
            let search = search(&asked, direction);
            prop_assert_eq!(scan(set.clone(), &search), log.search(&search), "{:?}", direction);
        }
        // Stripes: without context, or there are none.
        let bare = Asked { context: Context::default(), ..asked.clone() };
        for direction in [Direction::Forward, Direction::Backward] {
            let search = search(&bare, direction);
            let striped = scan_striped(set.clone(), &search, steps, ahead);
            prop_assert_eq!(striped.given, log.search(&search), "striped {:?}", direction);
        }
        // The first line of a pipe tells its format: later ones can be long in coming.
        let good = |line: &Line| matches!(line, Line::Good { .. });
        let told = files[0].lines.first().is_none_or(good) || !files[0].lines.iter().any(good);
        if let ([content], true) = (&log.contents[..], told) {
            for direction in [Direction::Forward, Direction::Backward] {
                let search = search(&asked, direction);
                let (set, writer) = piped(content.clone());
                let given = scan(set, &search);
                writer.join().unwrap();
                prop_assert_eq!(given, log.search(&search), "piped {:?}", direction);
            }
        }
    }

    #[test]
    fn a_part_of_a_message_finds_it_however_it_is_written(
        (pieces, from, length) in (proptest::collection::vec(proptest::sample::select(TEXTS), 1..8))
            .prop_flat_map(|pieces| { let count = pieces.len(); (Just(pieces), 0..count, 1..8usize) }),
        kind in proptest::sample::select(&[Kind::Cri, Kind::Json][..]),
        (style, partial) in (any::<u32>(), any::<bool>()),
        (form, insensitive) in (0..4u8, any::<bool>()),
    ) {
        let text = pieces[from..(from + length).min(pieces.len())].concat();
        let part = regex_syntax::escape(&text);
        let pattern = match form {
            0 => part,
            1 => format!(".*{part}"),
            2 => format!("[^x]*?(?:{part}|no such text)"),
            // Some characters by a class that leaves no more than their number.
            _ => text.char_indices().map(|(at, char)| match at % 3 {
                1 => "[^x]".to_owned(),
                _ => regex_syntax::escape(char.encode_utf8(&mut [0; 4])),
            }).collect(),
        };
        let case = if insensitive { Case::Insensitive } else { Case::Sensitive };
        let spec = PatternSpec { patterns: vec![pattern], case, ..PatternSpec::default() };
        let matcher = Matcher::new(&spec, &PatternLimits::default()).unwrap().map(Arc::new);
        let search = Arc::new(Search { matcher, ..Search::default() });
        let message = pieces.concat().into_bytes();
        let (delta, stream) = (1, Stream::Stdout);
        let line = Line::Good { delta, stream, partial, message: message.clone(), style };
        let file = FileSpec { lines: vec![line], gzip: false, final_newline: true };
        let log = Log::new(kind, &[file], search.limits.line_bytes);
        let dir = tempfile::tempdir().unwrap();
        let given = scan(store(dir.path(), &log.contents, &[false]), &search);
        prop_assert_eq!(given.len(), 1);
        prop_assert_eq!(&given[0].message, &message);
    }
}

/// The comparison above is worth nothing if there are no stripes.
#[test]
fn a_long_file_is_searched_in_stripes() {
    let line = |delta| Line::Good {
        delta,
        stream: Stream::Stdout,
        partial: delta % 3 == 0,
        message: b"error".repeat(delta as usize % 7),
        style: delta,
    };
    let lines: Vec<Line> = (0..200).map(line).collect();
    let log = Log::new(
        Kind::Cri,
        &[FileSpec { lines, gzip: false, final_newline: true }],
        ScanLimits::default().line_bytes,
    );
    let dir = tempfile::tempdir().unwrap();
    let set = store(dir.path(), &log.contents, &[false]);
    let asked = Asked {
        spec: PatternSpec { patterns: vec!["error$".to_owned()], ..PatternSpec::default() },
        required: None,
        window: None,
        context: Context::default(),
        limits: ScanLimits { block_bytes: 100, stripe_bytes: 333, ..ScanLimits::default() },
    };
    for direction in [Direction::Forward, Direction::Backward] {
        let search = search(&asked, direction);
        let striped = scan_striped(set.clone(), &search, 0, 3);
        assert_eq!(striped.given, log.search(&search), "{direction:?}");
        assert!(striped.stripes > 20, "{}", striped.stripes);
        assert_eq!(striped.lagging, 0, "{direction:?}");
    }
}
