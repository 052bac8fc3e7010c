//! A line whose every byte follows from its header, so that one look tells whether it came through unharmed.

use std::fmt;
use std::str::FromStr;

/// First word of every line.
const MARK: &str = "e2e";

/// What lines are filled with: also what JSON must escape. No CR, which containerd strips.
const FILLING: &[u8; 64] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456 \"\\{}";

/// Which of the two streams a line goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// Both, in the order of a ledger's entries.
    pub const BOTH: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

    /// The runtime's name for it.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

impl FromStr for Stream {
    type Err = String;

    fn from_str(name: &str) -> Result<Stream, String> {
        let found = Stream::BOTH.into_iter().find(|stream| stream.name() == name);
        found.ok_or_else(|| format!("'{name}' is not a stream: stdout or stderr"))
    }
}

impl fmt::Display for Stream {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// How long a writer's lines are, and in how many pieces they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// 40 to 295 bytes, at once.
    Short,
    /// 4 to 52 KB, at once: most are over the 16 KiB at which a runtime splits.
    Long,
    /// 1 to 3 KB in [`Form::pieces`] with pauses between: a rotation mostly comes in the middle of a line.
    Pieces,
}

impl Form {
    /// All of them.
    const ALL: [Form; 3] = [Form::Short, Form::Long, Form::Pieces];

    /// How many pieces a line is written in.
    pub fn pieces(self) -> usize {
        match self {
            Form::Short | Form::Long => 1,
            Form::Pieces => 8,
        }
    }

    /// Filling of one line, in bytes: always the same for the same seed.
    fn filling(self, seed: u64) -> usize {
        let (least, span) = match self {
            Form::Short => (40, 256),
            Form::Long => (4_000, 48_000),
            Form::Pieces => (1_000, 2_000),
        };
        least + usize::try_from(mixed(seed) % span).expect("the span is small")
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(name: &str) -> Result<Form, String> {
        match name {
            "short" => Ok(Form::Short),
            "long" => Ok(Form::Long),
            "pieces" => Ok(Form::Pieces),
            _ => Err(format!("'{name}' is not a form: short, long or pieces")),
        }
    }
}

/// Identity of one line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Line {
    /// Name of the writer, without spaces: one for each container.
    pub writer: String,
    /// Which process of this writer, from 0.
    pub run: u32,
    /// Where it was written.
    pub stream: Stream,
    /// Number within its stream, from 1.
    pub number: u64,
}

/// What a message turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parsed {
    /// A line as it was written.
    Whole(Line),
    /// The start of a line, with at least its header: what a writer leaves that died in the middle.
    Start(Line),
}

/// Why a message is none of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage(String);

impl fmt::Display for Damage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Damage {}

impl Line {
    /// Its bytes, without the newline.
    pub fn bytes(&self, form: Form) -> Vec<u8> {
        self.with_filling(form.filling(self.seed()))
    }

    /// Recognises a line by its header and checks every byte after it.
    ///
    /// # Errors
    ///
    /// Names what is wrong when the header isn't whole or a byte differs.
    pub fn parse(message: &[u8]) -> Result<Parsed, Damage> {
        let shown = || String::from_utf8_lossy(&message[..message.len().min(80)]).into_owned();
        let (line, filling) = header(message).ok_or_else(|| Damage(format!("no header: '{}'", shown())))?;
        let whole = line.with_filling(filling);
        if message == whole {
            return Ok(Parsed::Whole(line));
        }
        if whole.starts_with(message) {
            return Ok(Parsed::Start(line));
        }
        let same = message.iter().zip(&whole).take_while(|(a, b)| a == b).count();
        let alien = String::from_utf8_lossy(&message[same..message.len().min(same + 40)]).into_owned();
        let lengths = format!("{} bytes in place of {}", message.len(), whole.len());
        Err(Damage(format!("{lengths}, '{}' goes on with '{alien}' from byte {same} on", shown())))
    }

    /// Whether these bytes end this line: what is left of it once the file with its start was deleted.
    pub fn ends_with(&self, end: &[u8]) -> bool {
        Form::ALL.into_iter().any(|form| self.bytes(form).ends_with(end))
    }

    fn with_filling(&self, filling: usize) -> Vec<u8> {
        let Line { writer, run, stream, number } = self;
        let mut bytes = format!("{MARK} {writer} {run} {stream} {number:08} {filling} ").into_bytes();
        let mut state = self.seed();
        bytes.extend((0..filling).map(|_| {
            state = mixed(state);
            FILLING[usize::from(state.to_le_bytes()[7] & 63)]
        }));
        bytes
    }

    fn seed(&self) -> u64 {
        let fold = |seed: u64, byte: u8| (seed ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let name = self.writer.bytes().fold(0xcbf2_9ce4_8422_2325, fold);
        mixed(
            mixed(mixed(name) ^ u64::from(self.run) << 1 ^ u64::from(self.stream == Stream::Stderr))
                ^ self.number,
        )
    }
}

/// One step of SplitMix64.
fn mixed(seed: u64) -> u64 {
    let state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}

/// What the header says: whose line, and how long its filling is.
fn header(message: &[u8]) -> Option<(Line, usize)> {
    // A header is far shorter; a long line need not be text to its end.
    let text = message[..message.len().min(256)].utf8_chunks().next()?.valid();
    let mut words = text.splitn(7, ' ');
    if words.next()? != MARK {
        return None;
    }
    let writer = words.next()?.to_owned();
    let run = words.next()?.parse().ok()?;
    let stream = words.next()?.parse().ok()?;
    let number = words.next()?.parse().ok()?;
    let filling = words.next()?.parse().ok()?;
    words.next()?;
    Some((Line { writer, run, stream, number }, filling))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(number: u64) -> Line {
        Line { writer: "steady-short".to_owned(), run: 1, stream: Stream::Stderr, number }
    }

    #[test]
    fn a_line_is_recognised() {
        for form in Form::ALL {
            for number in 1..200 {
                let line = line(number);
                assert_eq!(Line::parse(&line.bytes(form)), Ok(Parsed::Whole(line)));
            }
        }
    }

    #[test]
    fn a_cut_line_is_a_start() {
        let bytes = line(7).bytes(Form::Short);
        assert_eq!(Line::parse(&bytes[..bytes.len() - 1]), Ok(Parsed::Start(line(7))));
    }

    #[test]
    fn an_end_belongs_to_its_line_only() {
        let bytes = line(7).bytes(Form::Pieces);
        assert!(line(7).ends_with(&bytes[900..]));
        assert!(!line(8).ends_with(&bytes[900..]));
        assert!(!line(7).ends_with(&bytes[900..bytes.len() - 1]));
    }

    #[test]
    fn any_other_change_is_damage() {
        let bytes = line(7).bytes(Form::Short);
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 1;
            assert_ne!(Line::parse(&changed), Ok(Parsed::Whole(line(7))), "byte {place}");
        }
        let two = [bytes.clone(), bytes.clone()].concat();
        assert!(Line::parse(&two).is_err());
        assert!(Line::parse(&bytes[1..]).is_err());
        assert!(Line::parse(&[&bytes[..60], &bytes[61..]].concat()).is_err());
    }

    #[test]
    fn long_lines_are_mostly_over_the_runtimes_split() {
        let over = (1..1000).filter(|&number| line(number).bytes(Form::Long).len() > 16_384).count();
        assert!(over > 600, "{over}");
    }
}
