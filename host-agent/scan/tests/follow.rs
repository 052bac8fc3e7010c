//! A scanner that follows a set through what kubelet and the runtimes do to its files.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use weir_scan::{Flags, LogRoot, LogSet, Position, RecordBatch, Scanner, Search, Step, list_again};

struct Pod {
    root: tempfile::TempDir,
    dir: PathBuf,
    second: u32,
}

impl Pod {
    fn new() -> Pod {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("ns_pod_uid/app");
        fs::create_dir_all(&dir).unwrap();
        Pod { root, dir, second: 0 }
    }

    fn set(&self) -> LogSet {
        let mut sets = LogRoot::new(self.root.path()).list().unwrap();
        assert_eq!(sets.len(), 1);
        sets.remove(0)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn live(&self) -> File {
        OpenOptions::new().append(true).create(true).open(self.path("0.log")).unwrap()
    }

    fn write(&self, tags: &str) {
        write_to(&mut self.live(), tags);
    }

    /// Renames the live file, as kubelet does before it asks for a new one.
    fn rotate(&mut self) -> String {
        self.second += 1;
        let name = format!("0.log.20260101-{:06}", self.second);
        fs::rename(self.path("0.log"), self.path(&name)).unwrap();
        name
    }

    fn compress(&self, name: &str) {
        let content = fs::read(self.path(name)).unwrap();
        let mut encoder = GzEncoder::new(File::create(self.path("x.tmp")).unwrap(), Compression::fast());
        encoder.write_all(&content).unwrap();
        encoder.finish().unwrap();
        fs::rename(self.path("x.tmp"), self.path(&format!("{name}.gz"))).unwrap();
        fs::remove_file(self.path(name)).unwrap();
    }
}

/// Each word is a line: `o` or `e` for the stream, `P` or `F`, and the text. The number in the text is
/// the time too, so that no two files begin alike.
fn write_to(file: &mut File, words: &str) {
    for word in words.split_whitespace() {
        let stream = if word.starts_with('o') { "stdout" } else { "stderr" };
        let (tag, text) = word[1..].split_at(1);
        let digits: String = text.chars().filter(char::is_ascii_digit).collect();
        let second: u32 = digits.parse().unwrap();
        writeln!(
            file,
            "1970-01-01T{:02}:{:02}:{:02}Z {stream} {tag} {text}",
            second / 3600,
            second / 60 % 60,
            second % 60
        )
        .unwrap();
    }
}

struct Reader {
    scanner: Scanner,
    gaps: Vec<String>,
}

impl Reader {
    fn new(set: LogSet) -> Reader {
        let mut scanner = Scanner::new(set, 0, Arc::new(Search::default()));
        scanner.follow();
        Reader { scanner, gaps: Vec::new() }
    }

    /// What is new, after a listing.
    fn read(&mut self, pod: &Pod) -> String {
        self.list(pod);
        self.drain()
    }

    fn list(&mut self, pod: &Pod) {
        let listed = list_again(&LogSet { dirs: vec![pod.dir.clone().into()], ..example(pod) });
        self.scanner.update(listed.into_iter().next().map_or_else(Vec::new, |set| set.files), None);
    }

    fn drain(&mut self) -> String {
        let mut out = String::new();
        loop {
            let mut batch = RecordBatch::default();
            let step = self.scanner.step(&mut batch);
            for record in &batch.records {
                out.push_str(&String::from_utf8_lossy(batch.message(record)));
                for (flag, mark) in [(Flags::LATE, "~"), (Flags::UNFINISHED, "…"), (Flags::MALFORMED, "!")]
                {
                    out.push_str(if record.flags.has(flag) { mark } else { "" });
                }
                out.push(' ');
            }
            self.gaps.extend(self.scanner.take_gaps().iter().map(|gap| gap.reason.name().to_owned()));
            match step {
                Step::More => {}
                Step::Idle if self.scanner.is_settling() => self.scanner.look(),
                Step::Idle | Step::End => return out.trim_end().to_owned(),
            }
        }
    }

    fn position(&mut self) -> Position {
        self.scanner.position().unwrap()
    }
}

fn example(pod: &Pod) -> LogSet {
    let source = weir_scan::Source {
        namespace: "ns".into(),
        pod: "pod".into(),
        uid: "uid".into(),
        container: "app".into(),
        ..weir_scan::Source::default()
    };
    LogSet { source, files: Vec::new(), dirs: vec![pod.dir.clone().into()] }
}

#[test]
fn goes_through_rotations() {
    let mut pod = Pod::new();
    pod.write("oFa1");
    let mut reader = Reader::new(pod.set());
    assert_eq!(reader.read(&pod), "a1");
    assert_eq!(reader.read(&pod), "");
    pod.write("oFa2");
    assert_eq!(reader.read(&pod), "a2");
    let mut old = pod.live();
    let first = pod.rotate();
    write_to(&mut old, "oFa3 oPa4");
    assert_eq!(reader.read(&pod), "a3");
    pod.write("oFb5 oFa6");
    assert_eq!(reader.read(&pod), "a4b5 a6");
    // The runtime's last words to the file that it has left.
    write_to(&mut old, "eFa7");
    assert_eq!(reader.read(&pod), "a7~");
    pod.compress(&first);
    let second = pod.rotate();
    pod.write("oFa8");
    assert_eq!(reader.read(&pod), "a8");
    let third = pod.rotate();
    pod.compress(&second);
    pod.write("oFa9");
    pod.compress(&third);
    pod.rotate();
    pod.write("oFa10");
    assert_eq!(reader.read(&pod), "a9 a10");
    assert_eq!(reader.gaps, [""; 0]);
}

#[test]
fn a_failed_reopen_brings_the_old_name_back() {
    let mut pod = Pod::new();
    pod.write("oFa1");
    let mut reader = Reader::new(pod.set());
    assert_eq!(reader.read(&pod), "a1");
    let name = pod.rotate();
    assert_eq!(reader.read(&pod), "");
    fs::rename(pod.path(&name), pod.path("0.log")).unwrap();
    pod.write("oFa2");
    assert_eq!(reader.read(&pod), "a2");
    assert_eq!(reader.gaps, [""; 0]);
}

#[test]
fn only_whole_records_are_given() {
    let pod = Pod::new();
    pod.write("oPa1 eFe2");
    let mut reader = Reader::new(pod.set());
    assert_eq!(reader.read(&pod), "e2");
    let mut live = pod.live();
    live.write_all(b"1970-01-01T00:00:03Z stdout F b3").unwrap();
    assert_eq!(reader.read(&pod), "");
    live.write_all(b"3\n").unwrap();
    assert_eq!(reader.read(&pod), "a1b33~");
    pod.write("ePlast4");
    assert_eq!(reader.read(&pod), "");
    reader.scanner.seal();
    assert_eq!(reader.drain(), "last4…");
}

#[test]
fn what_is_cut_short_is_a_gap_and_read_anew() {
    let pod = Pod::new();
    pod.write("oFa1 oFa2");
    let mut reader = Reader::new(pod.set());
    assert_eq!(reader.read(&pod), "a1 a2");
    pod.live().set_len(0).unwrap();
    pod.write("oFa3");
    assert_eq!(reader.read(&pod), "a3");
    assert_eq!(reader.gaps, ["shrunk"]);
    // Longer than before when it is looked at next.
    pod.live().set_len(0).unwrap();
    pod.write("oFa4 oFa5 oFa6");
    assert_eq!(reader.read(&pod), "a4 a5 a6");
    assert_eq!(reader.gaps, ["shrunk", "shrunk"]);
}

#[test]
fn what_was_deleted_unread_is_a_gap() {
    let mut pod = Pod::new();
    pod.write("oFa1");
    let mut reader = Reader::new(pod.set());
    assert_eq!(reader.read(&pod), "a1");
    let first = pod.rotate();
    pod.write("oFa2");
    let second = pod.rotate();
    pod.write("oFa3");
    fs::remove_file(pod.path(&first)).unwrap();
    fs::remove_file(pod.path(&second)).unwrap();
    assert_eq!(reader.read(&pod), "a3");
    assert_eq!(reader.gaps, ["rotated-away"]);
}

#[test]
fn a_position_outlasts_rotation_and_compression() {
    let mut pod = Pod::new();
    pod.write("oFa1 oPa2 eFe3");
    let mut reader = Reader::new(pod.set());
    assert_eq!(reader.read(&pod), "a1 e3");
    let position = reader.position();
    drop(reader);
    pod.write("eFe4 oFb5");
    let name = pod.rotate();
    pod.write("oFa6");
    pod.compress(&name);
    let mut reader = Reader::new(pod.set());
    reader.scanner.resume(&position);
    assert_eq!(reader.drain(), "a2b5~ e4 a6");
    assert_eq!(reader.gaps, [""; 0]);
    fs::remove_file(pod.path(&format!("{name}.gz"))).unwrap();
    let mut reader = Reader::new(pod.set());
    reader.scanner.resume(&position);
    assert_eq!(reader.drain(), "a6");
    assert_eq!(reader.gaps, ["rotated-away"]);
}

#[test]
fn the_past_ends_where_the_follow_begins() {
    let mut pod = Pod::new();
    pod.write("oFa1 ePe2");
    pod.rotate();
    pod.write("oPa3 eFf4 oPb5");
    let mut live = pod.live();
    live.write_all(b"1970-01-01T00:00:06Z std").unwrap();
    let mut reader = Reader::new(pod.set());
    reader.scanner.seek_end();
    let mut past = Reader { scanner: reader.scanner.before(), gaps: Vec::new() };
    assert_eq!(past.drain(), "e2f4 a1");
    assert_eq!(reader.read(&pod), "");
    live.write_all(b"err F g6\n").unwrap();
    write_to(&mut live, "oFc7");
    assert_eq!(past.drain(), "");
    assert_eq!(reader.read(&pod), "a3b5c7~ g6");
    assert!(past.gaps.is_empty() && reader.gaps.is_empty());
}

#[test]
fn an_inode_that_is_used_again_is_another_file() {
    let mut pod = Pod::new();
    pod.write("oFa1");
    let first = pod.rotate();
    pod.write("oFa2");
    pod.rotate();
    pod.write("oFa3");
    let mut reader = Reader::new(pod.set());
    reader.scanner.seek_end();
    assert_eq!(reader.read(&pod), "");
    // What a file system does that gives the number of a deleted file to the next one.
    pod.rotate();
    fs::rename(pod.path(&first), pod.path("0.log")).unwrap();
    fs::write(pod.path("0.log"), "").unwrap();
    pod.write("oFa4");
    assert_eq!(reader.read(&pod), "a4");
    assert_eq!(reader.gaps, [""; 0]);
}

#[test]
fn a_position_in_a_file_that_was_empty_is_behind_what_was_read() {
    let pod = Pod::new();
    pod.live();
    let mut reader = Reader::new(pod.set());
    assert_eq!(reader.read(&pod), "");
    pod.write("oFa1");
    assert_eq!(reader.read(&pod), "a1");
    let position = reader.position();
    assert_eq!(position.offset, 33, "{position:?}");
}

#[test]
fn two_rotations_within_a_second_lose_nothing_while_following() {
    let mut pod = Pod::new();
    pod.write("oFa1");
    let mut reader = Reader::new(pod.set());
    assert_eq!(reader.read(&pod), "a1");
    let first = pod.rotate();
    pod.write("oFa2");
    assert_eq!(reader.read(&pod), "a2");
    pod.write("oFa3");
    // The second rotation takes the first one's name, and its file is gone.
    fs::rename(pod.path("0.log"), pod.path(&first)).unwrap();
    pod.write("oFa4");
    assert_eq!(reader.read(&pod), "a3 a4");
    assert_eq!(reader.gaps, [""; 0]);
}

#[test]
fn what_came_behind_the_last_look_is_read_before_the_newer_file() {
    let mut pod = Pod::new();
    pod.write("oF1");
    let mut reader = Reader::new(pod.set());
    assert_eq!(reader.read(&pod), "1");
    let mut old = pod.live();
    pod.rotate();
    pod.write("oF3");
    reader.list(&pod);
    write_to(&mut old, "oF2");
    assert_eq!(reader.drain(), "2 3");
}

#[test]
fn a_file_that_was_written_anew_before_it_was_read_is_a_gap() {
    // Behind one older file it is open already when that is read, behind two it is not; behind a compressed one, which
    // is left at its end, nothing looks at it before it is read.
    for (older, compressed) in [(1, false), (2, false), (1, true)] {
        let mut pod = Pod::new();
        let mut expected = Vec::new();
        for number in 0..older {
            pod.write(&format!("oF{number}1 oF{number}2"));
            expected.push(format!("{number}1 {number}2"));
            let name = pod.rotate();
            if compressed {
                pod.compress(&name);
            }
        }
        pod.write("oF33 oF34");
        let mut reader = Reader::new(pod.set());
        // It is listed, but not read yet; what takes its place is as long.
        fs::write(pod.path("0.log"), "").unwrap();
        pod.write("oF55 oF56");
        assert_eq!(reader.read(&pod), format!("{} 55 56", expected.join(" ")), "{older} files before it");
        assert_eq!(reader.gaps, ["shrunk"], "{older} files before it");
    }
}
