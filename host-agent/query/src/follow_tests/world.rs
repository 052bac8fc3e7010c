//! A node's logs, and what kubelet and the runtime do to them: each action is one that they take, on real
//! files, and every record is known with the file that its bytes went to.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Files that kubelet keeps of a container, the live one included.
const MAX_FILES: usize = 4;

/// Time of the first record, seconds since the epoch.
const START: i64 = 1_800_000_000;

/// In place of the inode of a file that was deleted.
const NO_INODE: u64 = 0;

/// A record that was written, or is being written.
#[derive(Debug)]
pub(super) struct Written {
    /// What it says so far.
    pub(super) text: String,
    /// Nanoseconds since the epoch, of its first part.
    pub(super) time: i64,
    /// Whether its last part was written.
    pub(super) ended: bool,
    /// Inodes that its parts are in.
    inodes: Vec<u64>,
    /// The file that it was in was emptied.
    emptied: bool,
    /// Part of it was destroyed before it was given.
    pub(super) lost: bool,
    /// Nothing on disk tells of it: it was written to an empty file and destroyed by emptying that again, before
    /// anything of it was given, or all of its log came and went while nobody could see it.
    pub(super) traceless: bool,
    /// It came to a file that the runtime had left.
    pub(super) straggler: bool,
}

impl Written {
    /// Whether its parts may be in several files, or on both sides of where one was emptied.
    pub(super) fn reaches_across_files(&self) -> bool {
        self.inodes.len() > 1
    }
}

/// The log of one instance of a container.
pub(super) struct Log {
    pub(super) pod: usize,
    pub(super) restart: u32,
    /// By number, in the order of their first bytes.
    pub(super) records: Vec<Written>,
    dir: PathBuf,
    /// What the runtime writes to; `None` when the container has ended.
    out: Option<File>,
    /// What it wrote to before it reopened.
    before: Option<File>,
    /// Bytes of a line whose rest is still to be written.
    torn: Vec<u8>,
    /// That line ends a record.
    torn_ends: bool,
    /// For each stream, the record whose end is still to be written.
    open: [Option<usize>; 2],
    /// Rotated files by name, oldest first, with their inodes; plain unless it ends in `.gz`.
    rotated: BTreeMap<String, u64>,
    /// The live name is taken.
    has_live: bool,
    /// Something was destroyed in it.
    pub(super) damaged: bool,
    /// A file of it was compressed before anything was given: a position in that file, which had no line to know it
    /// by, may take it for deleted.
    pub(super) unrecognised: bool,
}

pub(super) struct World {
    root: tempfile::TempDir,
    pub(super) logs: Vec<Log>,
    /// Seconds that the node's clock shows since the start.
    clock: i64,
    nanos: i64,
    /// What it showed at the last rotation.
    rotated_at: i64,
    pods: usize,
    /// The clock was set back.
    pub(super) stepped: bool,
    pub(super) actions: Vec<String>,
}

impl World {
    pub(super) fn new() -> World {
        World {
            root: tempfile::tempdir().expect("a temporary folder"),
            logs: Vec::new(),
            clock: 0,
            nanos: 0,
            rotated_at: 0,
            pods: 0,
            stepped: false,
            actions: Vec::new(),
        }
    }

    pub(super) fn root(&self) -> &Path {
        self.root.path()
    }

    /// Name of the pod that a log is of.
    pub(super) fn pod(&self, log: usize) -> String {
        format!("pod-{}", self.logs[log].pod)
    }

    pub(super) fn new_pod(&mut self) {
        let dir = self.root().join(format!("ns_pod-{}_uid-{}/app", self.pods, self.pods));
        fs::create_dir_all(&dir).expect("a directory");
        self.note(format!("new pod {}", self.pods));
        self.logs.push(Log::new(dir, self.pods, 0));
        self.pods += 1;
    }

    /// Takes one of the actions that are possible now. `given` tells whether record `n` of a log was given.
    pub(super) fn act(&mut self, rng: &mut Rng, given: &dyn Fn(usize, usize) -> bool) {
        if self.logs.is_empty() || self.pods < 3 && rng.u8(..) < 6 {
            return self.new_pod();
        }
        let log = rng.usize(..self.logs.len());
        let is_running = self.logs[log].out.is_some();
        match rng.u8(..100) {
            0..=44 if is_running => self.write(log, rng),
            45..=52 if is_running => self.tear(log, rng),
            53..=64 if is_running => self.rotate(log, given),
            65..=79 if is_running => self.reopen(log, rng),
            80..=81 if is_running => self.fail_to_reopen(log),
            82..=86 => self.compress(log, given),
            87..=88 => self.delete_oldest(log, given),
            89..=90 if is_running => self.truncate(log, given),
            91..=93 if is_running => self.restart(log, given),
            94 => self.delete_pod(log, given),
            95..=96 => {
                // Kubelet orders rotated files by the time in their names, and so must whoever reads them: a step
                // back over a rotation can't be told from none.
                let stepped = (self.clock - rng.i64(0..4)).max(self.rotated_at);
                self.stepped |= stepped < self.clock;
                self.clock = stepped;
                self.note("clock step".to_owned());
            }
            _ => self.clock += rng.i64(0..3),
        }
    }

    /// What was destroyed while nobody looked, or while the kernel's events got lost, of a log of which nobody knew,
    /// leaves no trace.
    pub(super) fn forget(&mut self, is_known: &dyn Fn(usize) -> bool) {
        for (number, log) in self.logs.iter_mut().enumerate() {
            if !is_known(number) {
                log.records.iter_mut().for_each(|record| record.traceless |= record.lost);
            }
        }
    }

    /// Ends every line that is torn, so that what is there is whole.
    pub(super) fn settle(&mut self) {
        for log in &mut self.logs {
            log.flush_torn();
        }
    }

    fn note(&mut self, action: String) {
        self.actions.push(action);
    }

    fn now(&mut self) -> i64 {
        // A step of the clock within one second is as good as none.
        self.nanos += 1;
        (START + self.clock) * 1_000_000_000 + self.nanos
    }

    fn write(&mut self, log: usize, rng: &mut Rng) {
        let many = rng.usize(1..4);
        self.note(format!("write {many} to {log}"));
        for _ in 0..many {
            let (stream, partial) = (rng.usize(..2), rng.u8(..) < 60);
            let line = self.line(log, stream, partial);
            self.logs[log].put(&line);
        }
    }

    /// The next line of a stream: of the record that is open, or of a new one.
    fn line(&mut self, log: usize, stream: usize, partial: bool) -> Vec<u8> {
        let time = self.now();
        let log = &mut self.logs[log];
        let number = log.open[stream].take().unwrap_or_else(|| {
            log.records.push(Written {
                text: format!("{}:", log.records.len()),
                time,
                ended: false,
                inodes: Vec::new(),
                emptied: false,
                lost: false,
                traceless: false,
                straggler: false,
            });
            log.records.len() - 1
        });
        let record = &mut log.records[number];
        let part = if record.inodes.is_empty() { record.text.clone() } else { String::new() } + "x";
        if !record.inodes.is_empty() {
            record.text.push('x');
        } else {
            record.text = part.clone();
        }
        record.inodes.extend(log.out.as_ref().map(inode));
        record.ended = !partial;
        if partial {
            log.open[stream] = Some(number);
        }
        let stream = ["stdout", "stderr"][stream];
        let tag = if partial { 'P' } else { 'F' };
        format!("{} {stream} {tag} {part}\n", rfc3339(time)).into_bytes()
    }

    fn tear(&mut self, log: usize, rng: &mut Rng) {
        let (stream, partial) = (rng.usize(..2), rng.u8(..) < 60);
        let line = self.line(log, stream, partial);
        let at = rng.usize(1..line.len());
        self.note(format!("tear a line of {log} at {at}"));
        self.logs[log].put(&line[..at]);
        self.logs[log].torn = line[at..].to_vec();
        self.logs[log].torn_ends = !partial;
    }

    fn rotate(&mut self, log: usize, given: &dyn Fn(usize, usize) -> bool) {
        if !self.logs[log].has_live {
            return;
        }
        let mut name = format!("{}.log.20270115-{:06}", self.logs[log].restart, self.clock);
        // The second of two rotations within a second takes the first one's name, and with it the file: a reader that
        // goes on from a position in that has nothing left to tell where it was.
        if self.logs[log].rotated.keys().any(|rotated| rotated.starts_with(&name)) {
            self.clock += 1;
            name = format!("{}.log.20270115-{:06}", self.logs[log].restart, self.clock);
        }
        self.rotated_at = self.clock;
        self.note(format!("rotate {log} to {name}"));
        let entry = &mut self.logs[log];
        let live = entry.path(&entry.live());
        let number = fs::metadata(&live).expect("the live file").ino();
        fs::rename(live, entry.path(&name)).expect("renamed");
        entry.has_live = false;
        // Two rotations within a second: the first one's file is gone.
        if let Some(gone) = entry.rotated.insert(name, number) {
            entry.destroy_file(gone, &|record| given(log, record));
        }
    }

    fn reopen(&mut self, log: usize, rng: &mut Rng) {
        if self.logs[log].has_live {
            return;
        }
        self.note(format!("reopen {log}"));
        self.logs[log].flush_torn();
        let entry = &mut self.logs[log];
        let live = entry.path(&entry.live());
        let out = OpenOptions::new().append(true).create_new(true).open(live).expect("a new file");
        entry.has_live = true;
        entry.before = entry.out.replace(out);
        if rng.u8(..) < 40 {
            self.note(format!("last words of {log}"));
            let line = self.line(log, 0, false);
            self.logs[log].put(&line);
            // Another stream's logger writes out what it holds, to the file that was left.
            if self.logs[log].open[1].is_none() {
                let line = self.line(log, 1, false);
                let entry = &mut self.logs[log];
                let before = entry.before.as_mut().expect("it was just left");
                before.write_all(&line).expect("written");
                let number = inode(before);
                let record = entry.records.last_mut().expect("it was just written");
                (record.inodes, record.straggler) = (vec![number], true);
            }
        }
    }

    fn fail_to_reopen(&mut self, log: usize) {
        let entry = &mut self.logs[log];
        let Some(out) = entry.out.as_ref().filter(|_| !entry.has_live).map(inode) else { return };
        let Some(name) = entry.rotated.iter().find(|(_, inode)| **inode == out).map(|(name, _)| name.clone())
        else {
            return;
        };
        fs::rename(entry.path(&name), entry.path(&entry.live())).expect("renamed back");
        entry.rotated.remove(&name);
        entry.has_live = true;
        self.note(format!("fail to reopen {log}"));
    }

    /// Compresses the oldest plain rotated file that the runtime has left.
    fn compress(&mut self, log: usize, given: &dyn Fn(usize, usize) -> bool) {
        let entry = &mut self.logs[log];
        let busy: Vec<u64> = entry.out.iter().chain(&entry.before).map(inode).collect();
        let plain = |(name, inode): &(&String, &u64)| !name.ends_with(".gz") && !busy.contains(inode);
        let Some((name, old)) = entry.rotated.iter().find(plain).map(|(name, inode)| (name.clone(), *inode))
        else {
            return;
        };
        let content = fs::read(entry.path(&name)).expect("the rotated file");
        let (tmp, to) = (format!("{name}.tmp"), format!("{name}.gz"));
        let mut gz = GzEncoder::new(File::create(entry.path(&tmp)).expect("a file"), Compression::fast());
        gz.write_all(&content).expect("written");
        let new = inode(&gz.finish().expect("finished"));
        fs::rename(entry.path(&tmp), entry.path(&to)).expect("renamed");
        fs::remove_file(entry.path(&name)).expect("removed");
        entry.rotated.remove(&name);
        entry.rotated.insert(to, new);
        for record in &mut entry.records {
            record.inodes.iter_mut().filter(|inode| **inode == old).for_each(|inode| *inode = new);
        }
        entry.unrecognised |= !(0..entry.records.len()).any(|record| given(log, record));
        self.note(format!("compress {name} of {log}"));
    }

    fn delete_oldest(&mut self, log: usize, given: &dyn Fn(usize, usize) -> bool) {
        let entry = &mut self.logs[log];
        if entry.rotated.len() + 1 < MAX_FILES {
            return;
        }
        let busy: Vec<u64> = entry.out.iter().map(inode).collect();
        let Some((name, inode)) = entry.rotated.iter().next().map(|(name, inode)| (name.clone(), *inode))
        else {
            return;
        };
        if busy.contains(&inode) {
            return;
        }
        fs::remove_file(entry.path(&name)).expect("removed");
        entry.rotated.remove(&name);
        entry.destroy_file(inode, &|record| given(log, record));
        self.note(format!("delete {name} of {log}"));
    }

    fn truncate(&mut self, log: usize, given: &dyn Fn(usize, usize) -> bool) {
        let entry = &mut self.logs[log];
        if !entry.has_live || !entry.torn.is_empty() {
            return;
        }
        let Some(out) = &entry.out else { return };
        let number = inode(out);
        let in_it = |record: &Written| record.inodes.contains(&number) && !record.emptied;
        // One that only ends in it may have been given without its end.
        let begins = |record: &Written| in_it(record) && record.inodes.first() == Some(&number);
        let is_known =
            (0..entry.records.len()).any(|record| begins(&entry.records[record]) && given(log, record));
        // Nothing on disk would tell that the end of a line which begins in an older file isn't the next thing.
        let reaches_in = |record: &Written| {
            record.inodes.contains(&number) && record.inodes.iter().any(|inode| *inode != number)
        };
        if !is_known && (entry.open.iter().any(Option::is_some) || entry.records.iter().any(reaches_in)) {
            return;
        }
        out.set_len(0).expect("emptied");
        entry.destroy(number, &|record| given(log, record));
        for record in entry.records.iter_mut().filter(|record| in_it(record)) {
            record.traceless |= record.lost && !is_known;
            record.emptied = true;
        }
        self.note(format!("truncate {log}"));
    }

    /// The container ends and is started anew. Kubelet keeps the logs of the instance before, and no older ones.
    fn restart(&mut self, log: usize, given: &dyn Fn(usize, usize) -> bool) {
        self.note(format!("restart {log}"));
        let entry = &mut self.logs[log];
        entry.flush_torn();
        (entry.out, entry.before, entry.open) = (None, None, [None; 2]);
        let (dir, pod, restart) = (entry.dir.clone(), entry.pod, entry.restart);
        let older = self.logs.iter().position(|other| other.pod == pod && other.restart + 1 == restart);
        if let Some(older) = older {
            self.logs[older].delete(&|record| given(older, record));
        }
        self.logs.push(Log::new(dir, pod, restart + 1));
    }

    fn delete_pod(&mut self, log: usize, given: &dyn Fn(usize, usize) -> bool) {
        let pod = self.logs[log].pod;
        if !self.logs[log].dir.exists() {
            return;
        }
        self.note(format!("delete pod {pod}"));
        for log in (0..self.logs.len()).filter(|log| self.logs[*log].pod == pod).collect::<Vec<_>>() {
            let entry = &mut self.logs[log];
            entry.flush_torn();
            (entry.out, entry.before) = (None, None);
            entry.delete(&|record| given(log, record));
        }
        let dir = self.logs[log].dir.parent().expect("the pod's directory").to_owned();
        fs::remove_dir_all(dir).expect("removed");
    }
}

impl Log {
    fn new(dir: PathBuf, pod: usize, restart: u32) -> Log {
        let path = dir.join(format!("{restart}.log"));
        let out = OpenOptions::new().append(true).create_new(true).open(path).expect("a new file");
        Log {
            pod,
            restart,
            records: Vec::new(),
            dir,
            out: Some(out),
            before: None,
            torn: Vec::new(),
            torn_ends: false,
            open: [None; 2],
            rotated: BTreeMap::new(),
            has_live: true,
            damaged: false,
            unrecognised: false,
        }
    }

    /// Numbers of the records that were destroyed, at least in part.
    pub(super) fn lost(&self) -> impl Iterator<Item = usize> + '_ {
        self.records.iter().enumerate().filter(|(_, record)| record.lost).map(|(number, _)| number)
    }

    /// How many records are there and whole.
    pub(super) fn whole(&self) -> u64 {
        let whole = self.records.iter().filter(|record| record.ended && !record.lost).count() as u64;
        // The line that is torn ends one, or is a part of one that is counted as not ended.
        whole - u64::from(!self.torn.is_empty() && self.torn_ends)
    }

    /// Whether the container has ended, so that nothing waits for more.
    pub(super) fn is_over(&self) -> bool {
        self.out.is_none()
    }

    fn live(&self) -> String {
        format!("{}.log", self.restart)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn put(&mut self, bytes: &[u8]) {
        self.flush_torn();
        self.out.as_mut().expect("a container that runs").write_all(bytes).expect("written");
    }

    fn flush_torn(&mut self) {
        let torn = std::mem::take(&mut self.torn);
        if let Some(out) = &mut self.out {
            out.write_all(&torn).expect("written");
        }
    }

    /// Notes what is lost with a file, or with what was in it.
    fn destroy(&mut self, inode: u64, given: &dyn Fn(usize) -> bool) {
        self.damaged = true;
        for (number, record) in self.records.iter_mut().enumerate() {
            record.lost |= record.inodes.contains(&inode) && !given(number);
        }
    }

    /// Notes what is lost with a file that is deleted: another one may get its number.
    fn destroy_file(&mut self, inode: u64, given: &dyn Fn(usize) -> bool) {
        self.destroy(inode, given);
        let all = self.records.iter_mut().flat_map(|record| &mut record.inodes);
        all.filter(|of| **of == inode).for_each(|of| *of = NO_INODE);
    }

    /// Deletes all its files.
    fn delete(&mut self, given: &dyn Fn(usize) -> bool) {
        let rotated = std::mem::take(&mut self.rotated);
        for (name, inode) in rotated {
            fs::remove_file(self.path(&name)).expect("removed");
            self.destroy_file(inode, given);
        }
        if std::mem::take(&mut self.has_live) {
            let live = self.path(&self.live());
            let number = fs::metadata(&live).expect("the live file").ino();
            fs::remove_file(live).expect("removed");
            self.destroy_file(number, given);
        }
    }
}

fn inode(file: &File) -> u64 {
    file.metadata().expect("an open file").ino()
}

fn rfc3339(time: i64) -> String {
    let time = jiff::Timestamp::from_nanosecond(i128::from(time)).expect("in range");
    time.strftime("%Y-%m-%dT%H:%M:%S%.9fZ").to_string()
}
