//! What each function of WASI 0.2 answers, whatever its version: the same world that `preview1.wat` shows. It is told
//! nothing, what it writes goes nowhere, and what it asks for beyond that fails.

use wit_parser::{Function, Handle, Int, Resolve, SizeAlign, Type, TypeDefKind, TypeId};

/// Both clocks stand still here, one second after the epoch: some runtimes won't start at zero.
const SECOND: u64 = 1;
/// All that is random is made of this byte.
pub(crate) const RANDOM: u8 = 42;
/// How many bytes an output stream says it would take.
const WRITABLE: u64 = 1 << 20;
/// Names of errors that say that something isn't to be had, the best first.
const REFUSALS: [&str; 5] = ["not-supported", "unsupported", "access-denied", "not-permitted", "closed"];

/// What a function gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// All bytes zero: nought, false, the empty list or text, `none`, `ok`, nothing at all.
    Zero,
    /// This number.
    Number(u64),
    /// What these bytes are in memory.
    Bytes(Vec<u8>),
    /// A list of as many random bytes as its one argument says.
    RandomBytes,
    /// The indices of its one argument, a list of handles: all of them are ready.
    AllReady,
    /// A new resource of this type, which does nothing.
    Resource(TypeId),
    /// Nothing: the call traps.
    Trap,
}

impl Answer {
    /// The answer of a function of `interface`, a name such as `io/streams`, without `wasi:` and the version.
    pub(crate) fn of(resolve: &Resolve, sizes: &SizeAlign, interface: &str, function: &Function) -> Answer {
        match (interface, function.name.as_str()) {
            ("clocks/monotonic-clock", "now") => Answer::Number(SECOND * 1_000_000_000),
            ("clocks/monotonic-clock", "resolution") => Answer::Number(1),
            ("clocks/wall-clock", "now") => datetime(SECOND, 0),
            ("clocks/wall-clock", "resolution") => datetime(0, 1),
            ("random/random", "get-random-u64") | ("random/insecure", "get-insecure-random-u64") => {
                Answer::Number(u64::from_ne_bytes([RANDOM; 8]))
            }
            ("random/random", "get-random-bytes") | ("random/insecure", "get-insecure-random-bytes") => {
                Answer::RandomBytes
            }
            // Two 64-bit numbers.
            ("random/insecure-seed", "insecure-seed") => Answer::Bytes(vec![RANDOM; 16]),
            // Empty lists, and `none`.
            (
                "cli/environment"
                | "cli/terminal-stdin"
                | "cli/terminal-stdout"
                | "cli/terminal-stderr"
                | "filesystem/preopens",
                _,
            )
            | ("filesystem/types", "filesystem-error-code")
            | ("io/error", "[method]error.to-debug-string")
            | ("io/poll", "[method]pollable.block")
            | (
                "io/streams",
                "[method]output-stream.write"
                | "[method]output-stream.flush"
                | "[method]output-stream.blocking-flush"
                | "[method]output-stream.blocking-write-and-flush"
                | "[method]output-stream.write-zeroes"
                | "[method]output-stream.blocking-write-zeroes-and-flush",
            ) => Answer::Zero,
            ("io/streams", "[method]output-stream.check-write") => {
                // `ok` of a 64-bit number, which is aligned by its size.
                Answer::Bytes([0, WRITABLE].map(u64::to_le_bytes).concat())
            }
            ("io/poll", "[method]pollable.ready") => Answer::Number(1),
            ("io/poll", "poll") => Answer::AllReady,
            _ => otherwise(resolve, sizes, function),
        }
    }
}

/// `wall-clock.datetime`: seconds, then nanoseconds in 32 bits and as many to fill up.
fn datetime(seconds: u64, nanoseconds: u64) -> Answer {
    Answer::Bytes([seconds, nanoseconds].map(u64::to_le_bytes).concat())
}

/// What follows from the function's type alone.
fn otherwise(resolve: &Resolve, sizes: &SizeAlign, function: &Function) -> Answer {
    let Some(result) = function.result.as_ref().and_then(|result| definition(resolve, result)) else {
        return Answer::Trap;
    };
    match result {
        TypeDefKind::Handle(Handle::Own(resource)) => Answer::Resource(root(resolve, *resource)),
        TypeDefKind::Result(result) => match refusal(resolve, sizes, result.err.as_ref()) {
            Some(error) => {
                // The discriminant of `err`, then the error, where the larger of both payloads would start.
                let cases = [result.ok.as_ref(), result.err.as_ref()];
                let mut bytes = vec![0; sizes.payload_offset(Int::U8, cases).size_wasm32()];
                bytes[0] = 1;
                bytes.extend(error);
                Answer::Bytes(bytes)
            }
            None => Answer::Trap,
        },
        _ => Answer::Trap,
    }
}

/// The bytes of the error that says that something isn't to be had, if this type has one.
fn refusal(resolve: &Resolve, sizes: &SizeAlign, error: Option<&Type>) -> Option<Vec<u8>> {
    let error = error?;
    let (names, tag): (Vec<&str>, Int) = match definition(resolve, error)? {
        TypeDefKind::Enum(cases) => {
            (cases.cases.iter().map(|case| case.name.as_str()).collect(), cases.tag())
        }
        // A case that carries something isn't for us to fill.
        TypeDefKind::Variant(cases) => (
            cases.cases.iter().map(|case| if case.ty.is_none() { case.name.as_str() } else { "" }).collect(),
            cases.tag(),
        ),
        _ => return None,
    };
    let case = REFUSALS.iter().find_map(|refusal| names.iter().position(|name| name == refusal))?;
    // No interface of WASI has an error with more than 256 cases.
    let case = u8::try_from(case).ok().filter(|_| tag == Int::U8)?;
    let mut bytes = vec![0; sizes.size(error).size_wasm32()];
    bytes[0] = case;
    Some(bytes)
}

/// What a type is, names for it looked through.
fn definition<'a>(resolve: &'a Resolve, ty: &Type) -> Option<&'a TypeDefKind> {
    match ty {
        Type::Id(id) => Some(&resolve.types[root(resolve, *id)].kind),
        _ => None,
    }
}

/// The type that this one is another name for, or itself.
fn root(resolve: &Resolve, mut id: TypeId) -> TypeId {
    while let TypeDefKind::Type(Type::Id(next)) = resolve.types[id].kind {
        id = next;
    }
    id
}
