//! Writes a log tree as kubelet and a container runtime leave it: rotated and gzip files, earlier
//! restarts, long lines in parts, a line torn by each rotation, both formats.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use weir_query::Stream;

use super::content::{App, Writer};
use super::random::Random;
use crate::json;
use crate::timestamp::TimeWriter;

/// Runtimes cut a line into parts of this many bytes.
const PART_BYTES: usize = 16 << 10;

/// How much time the tree covers.
const SPAN_NANOS: i64 = 6 * 3600 * 1_000_000_000;

/// What to write. The same values give the same bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TreeSpec {
    /// Messages of all containers together, about.
    pub(crate) lines: u64,
    /// What the contents start from.
    pub(crate) seed: u64,
    /// Time of the newest record, nanoseconds since the epoch.
    pub(crate) end: i64,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TreeSize {
    /// Containers.
    pub(crate) containers: u64,
    /// Files.
    pub(crate) files: u64,
    /// Messages.
    pub(crate) lines: u64,
    /// Bytes of log before gzip.
    pub(crate) bytes: u64,
}

/// One container of the sample.
struct Container {
    namespace: &'static str,
    pod: &'static str,
    uid: &'static str,
    name: &'static str,
    app: App,
    /// Its part of all lines, in percent.
    percent: u64,
    /// Whether an earlier instance's log is still there.
    restarted: bool,
    layout: Layout,
}

/// How a line is written down.
#[derive(Clone, Copy)]
enum Layout {
    Cri,
    /// Docker's, of which old nodes keep some.
    JsonFile,
}

const CONTAINERS: [Container; 8] = [
    container(
        "shop",
        "web-6d5f7c9b8-4kq2z",
        "0b9c7d1e-5a41-4c62-9f0e-1d2c3b4a5f60",
        "nginx",
        App::Web,
        24,
    ),
    container(
        "shop",
        "web-6d5f7c9b8-tx7wm",
        "1c0d8e2f-6b52-4d73-8a1f-2e3d4c5b6a71",
        "nginx",
        App::Web,
        20,
    ),
    Container {
        restarted: true,
        ..container(
            "shop",
            "checkout-7f9b6d4c5-9hjlp",
            "2d1e9f30-7c63-4e84-9b20-3f4e5d6c7b82",
            "app",
            App::Checkout,
            20,
        )
    },
    container(
        "shop",
        "payments-5c8d7f6b9-2vxkr",
        "3e2fa041-8d74-4f95-ac31-405f6e7d8c93",
        "api",
        App::Payments,
        8,
    ),
    container(
        "platform",
        "auth-84d9c6b7f-nq5rt",
        "4f30b152-9e85-40a6-bd42-51607f8e9da4",
        "server",
        App::Auth,
        10,
    ),
    Container {
        restarted: true,
        ..container(
            "platform",
            "ingest-0",
            "5041c263-af96-41b7-8e53-6271809faeb5",
            "worker",
            App::Ingest,
            8,
        )
    },
    // A static pod has a uid of 32 hex digits.
    container(
        "kube-system",
        "coredns-node-1",
        "6152d374b0a742c89f64738291b0bfc6",
        "coredns",
        App::Dns,
        7,
    ),
    Container {
        layout: Layout::JsonFile,
        ..container(
            "data",
            "etl-29381400-x9d2c",
            "7263e485-c1b8-43d9-a075-8493a2c1d0e7",
            "job",
            App::Etl,
            3,
        )
    },
];

const fn container(
    namespace: &'static str,
    pod: &'static str,
    uid: &'static str,
    name: &'static str,
    app: App,
    percent: u64,
) -> Container {
    Container {
        namespace,
        pod,
        uid,
        name,
        app,
        percent,
        restarted: false,
        layout: Layout::Cri,
    }
}

/// Writes the tree below `root`, which is made if it isn't there.
///
/// # Errors
/// Whatever the file system says.
pub(crate) fn write(root: &Path, spec: &TreeSpec) -> io::Result<TreeSize> {
    let mut size = TreeSize::default();
    for (index, container) in CONTAINERS.iter().enumerate() {
        let dir = root
            .join(format!(
                "{}_{}_{}",
                container.namespace, container.pod, container.uid
            ))
            .join(container.name);
        fs::create_dir_all(&dir)?;
        let random = Random::new(spec.seed, index as u64);
        let mut instance = Instance {
            dir: &dir,
            writer: Writer::new(container.app, random.clone()),
            random,
            layout: container.layout,
            time: TimeWriter::default(),
            size: &mut size,
        };
        let lines = (spec.lines * container.percent / 100).max(10);
        let start = spec.end - SPAN_NANOS;
        if container.restarted {
            let death = start + SPAN_NANOS / 4;
            instance.write(&Life {
                restart: 0,
                lines: lines / 4,
                start,
                end: death,
                dies: true,
            })?;
            instance.write(&Life {
                restart: 1,
                lines: lines * 3 / 4,
                start: death,
                end: spec.end,
                dies: false,
            })?;
        } else {
            instance.write(&Life {
                restart: 0,
                lines,
                start,
                end: spec.end,
                dies: false,
            })?;
        }
        size.containers += 1;
    }
    Ok(size)
}

/// From a container's start to its end, or to now.
struct Life {
    restart: u32,
    lines: u64,
    start: i64,
    end: i64,
    dies: bool,
}

impl Life {
    /// Numbers of the messages at which the file was rotated: the first file is gzip by now, the second
    /// not yet. Of an earlier instance, one file is left.
    fn rotations(&self) -> [u64; 2] {
        if self.dies {
            [0, 0]
        } else {
            [self.lines / 2, self.lines * 4 / 5]
        }
    }

    fn time(&self, number: u64, random: &mut Random) -> i64 {
        if number + 1 == self.lines {
            return self.end;
        }
        // Ascending, each within its own stretch of time.
        let stretch =
            (self.end - self.start) / i64::try_from(self.lines.max(1)).unwrap_or(i64::MAX);
        let within = random.below(u64::try_from(stretch).unwrap_or(0).max(1));
        self.start
            + stretch * i64::try_from(number).unwrap_or(i64::MAX)
            + i64::try_from(within).unwrap_or(0)
    }
}

/// Writes one container's files.
struct Instance<'a> {
    dir: &'a Path,
    writer: Writer,
    random: Random,
    layout: Layout,
    time: TimeWriter,
    size: &'a mut TreeSize,
}

impl Instance<'_> {
    fn write(&mut self, life: &Life) -> io::Result<()> {
        let rotations = life.rotations();
        let live = format!("{}.log", life.restart);
        let mut file = LogFile::create(&self.dir.join(&live))?;
        let mut message = Vec::new();
        for number in 0..life.lines {
            message.clear();
            let time = life.time(number, &mut self.random);
            let last = life.dies && number + 1 == life.lines;
            let stream = if last {
                self.writer.last_words(&mut message)
            } else {
                self.writer.next(time, &mut message)
            };
            let mut done = 0;
            if number > 0 && rotations.contains(&number) {
                // What stood unfinished in the runtime's buffer ends the old file, the rest heads the new one.
                done = message.len() / 2;
                self.part(&mut file, &message[..done], time, stream, true)?;
                let rotated = format!("{live}.{}", rotation_name(time));
                file.finish()?;
                fs::rename(self.dir.join(&live), self.dir.join(&rotated))?;
                if number == rotations[0] {
                    compress(self.dir, &rotated)?;
                }
                file = LogFile::create(&self.dir.join(&live))?;
                self.size.files += 1;
            }
            self.message(&mut file, &message[done..], time, stream)?;
            self.size.lines += 1;
        }
        self.size.files += 1;
        file.finish()
    }

    /// Writes a message in as many parts as it takes.
    fn message(
        &mut self,
        file: &mut LogFile,
        message: &[u8],
        time: i64,
        stream: Stream,
    ) -> io::Result<()> {
        let mut rest = message;
        while rest.len() > PART_BYTES {
            let (part, next) = rest.split_at(PART_BYTES);
            self.part(file, part, time, stream, true)?;
            rest = next;
        }
        self.part(file, rest, time, stream, false)
    }

    fn part(
        &mut self,
        file: &mut LogFile,
        part: &[u8],
        time: i64,
        stream: Stream,
        partial: bool,
    ) -> io::Result<()> {
        let line = &mut file.line;
        line.clear();
        let stream = match stream {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        };
        match self.layout {
            Layout::Cri => {
                push_go_time(line, &mut self.time, time);
                line.extend_from_slice(
                    format!(" {stream} {} ", if partial { 'P' } else { 'F' }).as_bytes(),
                );
                line.extend_from_slice(part);
            }
            Layout::JsonFile => {
                line.extend_from_slice(b"{\"log\":");
                // Docker replaces what isn't UTF-8 as well.
                let mut text = String::from_utf8_lossy(part).into_owned();
                if !partial {
                    text.push('\n');
                }
                json::push_string(line, &text);
                line.extend_from_slice(format!(",\"stream\":\"{stream}\",\"time\":\"").as_bytes());
                push_go_time(line, &mut self.time, time);
                line.extend_from_slice(b"\"}");
            }
        }
        line.push(b'\n');
        self.size.bytes += line.len() as u64;
        file.out.write_all(&file.line)
    }
}

/// A log file that is being written.
struct LogFile {
    out: BufWriter<File>,
    line: Vec<u8>,
}

impl LogFile {
    fn create(path: &Path) -> io::Result<LogFile> {
        Ok(LogFile {
            out: BufWriter::with_capacity(64 << 10, File::create(path)?),
            line: Vec::new(),
        })
    }

    fn finish(self) -> io::Result<()> {
        self.out
            .into_inner()
            .map(drop)
            .map_err(io::IntoInnerError::into_error)
    }
}

/// Puts `<name>.gz` in place of `name`.
fn compress(dir: &Path, name: &str) -> io::Result<()> {
    let mut from = File::open(dir.join(name))?;
    let mut to = GzEncoder::new(
        File::create(dir.join(format!("{name}.gz")))?,
        Compression::default(),
    );
    io::copy(&mut from, &mut to)?;
    to.finish()?;
    fs::remove_file(dir.join(name))
}

/// `20261124-101500`.
fn rotation_name(nanos: i64) -> String {
    let text = crate::timestamp::text(nanos, 0);
    text.chars()
        .filter_map(|c| {
            if c == 'T' {
                Some('-')
            } else {
                c.is_ascii_digit().then_some(c)
            }
        })
        .collect()
}

/// A time as Go's RFC 3339 with nanoseconds has it: without zeros at the fraction's end.
fn push_go_time(out: &mut Vec<u8>, writer: &mut TimeWriter, nanos: i64) {
    writer.push(out, nanos, 9);
    out.pop();
    while out.last() == Some(&b'0') {
        out.pop();
    }
    if out.last() == Some(&b'.') {
        out.pop();
    }
    out.push(b'Z');
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: TreeSpec = TreeSpec {
        lines: 2000,
        seed: 7,
        end: 1_764_000_000_000_000_000,
    };

    fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        for pod in fs::read_dir(root).expect("a folder") {
            let pod = pod.expect("an entry").path();
            for container in fs::read_dir(&pod).expect("a folder") {
                for file in fs::read_dir(container.expect("an entry").path()).expect("a folder") {
                    let path = file.expect("an entry").path();
                    let name = path
                        .strip_prefix(root)
                        .expect("below the root")
                        .display()
                        .to_string();
                    found.push((name, fs::read(&path).expect("a file")));
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn one_seed_gives_one_tree() {
        let (a, b) = (
            tempfile::tempdir().expect("a folder"),
            tempfile::tempdir().expect("a folder"),
        );
        let size = write(a.path(), &SPEC).expect("written");
        assert_eq!(size, write(b.path(), &SPEC).expect("written"));
        assert_eq!(files(a.path()), files(b.path()));
        assert!((1900..=2100).contains(&size.lines), "{size:?}");
        assert_eq!(size.files, files(a.path()).len() as u64);
    }

    #[test]
    fn the_tree_has_what_makes_logs_hard() {
        let dir = tempfile::tempdir().expect("a folder");
        write(
            dir.path(),
            &TreeSpec {
                lines: 20_000,
                ..SPEC
            },
        )
        .expect("written");
        let files = files(dir.path());
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.iter().any(|name| name.ends_with(".gz")));
        assert!(
            names
                .iter()
                .any(|name| name.contains(".log.") && !name.ends_with(".gz"))
        );
        assert!(names.iter().any(|name| name.ends_with("/1.log")));
        let has = |needle: &str| {
            files.iter().any(|(_, bytes)| {
                bytes
                    .windows(needle.len())
                    .any(|window| window == needle.as_bytes())
            })
        };
        for needle in [
            " stdout P ",
            " stderr F ",
            "{\"log\":",
            "4111 1111 1111 1111",
            "Bearer eyJ",
            "postgres://auth:",
        ] {
            assert!(has(needle), "{needle}");
        }
    }

    #[test]
    fn times_are_written_as_go_does() {
        for (nanos, text) in [
            (1_500_000_000, "1970-01-01T00:00:01.5Z"),
            (2_000_000_000, "1970-01-01T00:00:02Z"),
            (1, "1970-01-01T00:00:00.000000001Z"),
        ] {
            let mut out = Vec::new();
            push_go_time(&mut out, &mut TimeWriter::default(), nanos);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
        assert_eq!(rotation_name(1_764_000_000_000_000_000), "20251124-160000");
    }
}
