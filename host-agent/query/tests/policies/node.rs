//! The logs of a node, made up: pods of a namespace that policies cover and of one that they don't, with secrets in random
//! places. The same node can be written with other secrets.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::secrets::Kind;

/// First time in the logs, nanoseconds since the epoch.
pub(crate) const BEGIN: i64 = 1_795_514_400_000_000_000;

/// Where the runtime splits a line.
const SPLIT: usize = 16 << 10;

/// The namespace that policies cover.
pub(crate) const COVERED: &str = "shop";

/// Part of a message.
#[derive(Clone, Debug)]
enum Piece {
    Text(Vec<u8>),
    /// A secret by its number.
    Secret(usize),
    /// The same with a colour code in it, in the half of it.
    Coloured(usize),
    /// Text up to a few bytes of what comes next before the place where the runtime splits the line.
    UpToSplit(usize),
}

#[derive(Clone, Debug)]
struct Line {
    time: i64,
    stderr: bool,
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug)]
struct Log {
    namespace: &'static str,
    pod: String,
    /// json-file in place of CRI.
    json: bool,
    /// Files, oldest first; each has its lines, and whether the last of them is cut in two by the rotation.
    files: Vec<(Vec<Line>, bool)>,
}

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    logs: Vec<Log>,
    /// Kinds of its secrets.
    pub(crate) kinds: Vec<Kind>,
    /// Last time in the logs.
    pub(crate) end: i64,
}

impl Node {
    pub(crate) fn new(rng: &mut Rng) -> Node {
        let mut node = Node { logs: Vec::new(), kinds: Vec::new(), end: BEGIN };
        for number in 0..rng.usize(1..4) {
            let namespace = if number == 1 { "open" } else { COVERED };
            let mut time = BEGIN + rng.i64(0..1_000_000_000);
            let json = rng.u8(0..4) == 0;
            let files = (0..rng.usize(1..4)).map(|_| {
                let lines = (0..rng.usize(1..30)).map(|_| {
                    time += rng.i64(0..3) * 700_000_000;
                    let pieces = node.message(rng, json, namespace == COVERED);
                    Line { time, stderr: rng.u8(0..4) == 0, pieces }
                });
                (lines.collect(), rng.bool())
            });
            let files = files.collect();
            node.end = node.end.max(time);
            node.logs.push(Log { namespace, pod: format!("web-{number}"), json, files });
        }
        node
    }

    fn message(&mut self, rng: &mut Rng, json: bool, with_secrets: bool) -> Vec<Piece> {
        let text = |text: &str| Piece::Text(text.as_bytes().to_vec());
        let mut pieces = Vec::new();
        if rng.u8(0..3) > 0 || !with_secrets {
            let words = [
                "GET /cart 200",
                "error: no route level=error",
                "drain of pool 3 begins",
                "{\"level\":\"error\",\"status\":500}",
                "user=bob login ok",
                "",
                "warm up [REDACTED:card] seen",
            ];
            pieces.push(text(words[rng.usize(0..words.len())]));
            return pieces;
        }
        let kind = Kind::any(rng);
        self.kinds.push(kind);
        let secret = self.kinds.len() - 1;
        let lead = ["", "error ", "user=bob ", "drain "][rng.usize(0..4)];
        match rng.u8(0..9) {
            0 => pieces.push(Piece::UpToSplit(match kind {
                Kind::Password => " password=".len() + 3,
                Kind::Bearer => " Authorization: Bearer ".len() + 3,
                Kind::Card | Kind::Email => " of ".len() + 3,
            })),
            1 if !json => pieces.push(Piece::Text(b"\xff\xfe raw \xc3 ".to_vec())),
            _ => pieces.push(text(lead)),
        }
        let coloured = rng.u8(0..6) == 0;
        let hidden = if coloured { Piece::Coloured(secret) } else { Piece::Secret(secret) };
        match kind {
            Kind::Password if rng.bool() => {
                pieces.extend([text(" {\"body\":\"{\\\"password\\\":\\\""), hidden, text("\\\"}\"} done")]);
            }
            Kind::Password => pieces.extend([text(" password="), hidden, text(" done")]),
            Kind::Bearer => pieces.extend([text(" Authorization: Bearer "), hidden]),
            Kind::Card | Kind::Email => pieces.extend([text(" of "), hidden, text(" paid")]),
        }
        pieces
    }

    /// Secrets for this node.
    pub(crate) fn secrets(&self, rng: &mut Rng, any_length: bool) -> Vec<String> {
        self.kinds.iter().map(|kind| kind.secret(rng, any_length)).collect()
    }

    /// Writes the logs below a folder. `gzip` says which of the older files are compressed.
    pub(crate) fn write(&self, root: &Path, secrets: &[String], gzip: u64) {
        for (number, log) in self.logs.iter().enumerate() {
            let dir = root.join(format!("{}_{}_1111-{number}/app", log.namespace, log.pod));
            fs::create_dir_all(&dir).expect("a folder");
            let mut rest = Vec::new();
            for (index, (lines, cuts)) in log.files.iter().enumerate() {
                let is_live = index + 1 == log.files.len();
                let mut content = std::mem::take(&mut rest);
                for (place, line) in lines.iter().enumerate() {
                    let parts = line.parts(secrets, *cuts && !is_live && place + 1 == lines.len());
                    let last = parts.len() - 1;
                    for (part, bytes) in parts.iter().enumerate() {
                        let text = line.raw(bytes, part < last, log.json);
                        let next = *cuts && !is_live && place + 1 == lines.len() && part == last && last > 0;
                        if next { rest.extend(text) } else { content.extend(text) }
                    }
                }
                let name = if is_live { "0.log".to_owned() } else { format!("0.log.20261124-10000{index}") };
                if !is_live && gzip >> (number * 4 + index) & 1 == 1 {
                    let file = fs::File::create(dir.join(format!("{name}.gz"))).expect("a file");
                    let mut encoder = GzEncoder::new(file, Compression::fast());
                    encoder.write_all(&content).expect("written");
                    encoder.finish().expect("finished");
                } else {
                    fs::write(dir.join(name), content).expect("written");
                }
            }
        }
    }
}

impl Line {
    fn message(&self, secrets: &[String]) -> Vec<u8> {
        let mut message = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => message.extend_from_slice(text),
                Piece::Secret(number) => message.extend_from_slice(secrets[*number].as_bytes()),
                Piece::Coloured(number) => {
                    let (first, second) = secrets[*number].split_at(secrets[*number].len() / 2);
                    message.extend_from_slice(format!("{first}\x1b[31m{second}\x1b[0m").as_bytes());
                }
                Piece::UpToSplit(behind) => {
                    message.extend("filler ".bytes().cycle().take(SPLIT - behind - message.len()));
                }
            }
        }
        message
    }

    /// The parts in which the runtime writes the line: cut where it splits lines, or, with `by_rotation`, anywhere.
    fn parts(&self, secrets: &[String], by_rotation: bool) -> Vec<Vec<u8>> {
        let message = self.message(secrets);
        // Near the end, where a secret is more often than not.
        let at = if by_rotation { message.len().saturating_sub(9) } else { SPLIT };
        if at == 0 || message.len() <= at {
            return vec![message];
        }
        let (head, rest) = message.split_at(at);
        let mut parts: Vec<Vec<u8>> = head.chunks(SPLIT).map(<[u8]>::to_vec).collect();
        parts.extend(rest.chunks(SPLIT).map(<[u8]>::to_vec));
        parts
    }

    fn raw(&self, part: &[u8], is_partial: bool, json: bool) -> Vec<u8> {
        let (seconds, nanos) = (self.time.div_euclid(1_000_000_000), self.time.rem_euclid(1_000_000_000));
        let day = seconds - BEGIN / 1_000_000_000;
        let (minute, second) = (day / 60, day % 60);
        let time = format!("2026-11-24T10:{minute:02}:{second:02}.{nanos:09}Z");
        let stream = if self.stderr { "stderr" } else { "stdout" };
        if json {
            let end = if is_partial { "" } else { "\n" };
            let log = String::from_utf8_lossy(part).into_owned() + end;
            let line = serde_json::json!({ "log": log, "stream": stream, "time": time });
            return format!("{line}\n").into_bytes();
        }
        let tag = if is_partial { "P" } else { "F" };
        [format!("{time} {stream} {tag} ").as_bytes(), part, b"\n"].concat()
    }
}

/// Appends a record to the log of a pod of a node.
pub(crate) fn append(root: &Path, [namespace, pod]: [&str; 2], time: i64, stderr: bool, message: &[u8]) {
    let number = pod.trim_start_matches("web-");
    let dir = root.join(format!("{namespace}_{pod}_1111-{number}/app"));
    fs::create_dir_all(&dir).expect("a folder");
    let line = Line { time, stderr, pieces: Vec::new() };
    let mut file = fs::File::options().create(true).append(true).open(dir.join("0.log")).expect("a file");
    file.write_all(&line.raw(message, false, false)).expect("written");
}
