//! An independent reader of kubelet's log folder: what the answers of Weir are compared with. It is made to be plainly
//! right, not fast: every file is read whole and every line is looked at.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use weir_e2e_writer::Stream;

/// One instance of one container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    pub(crate) pod: String,
    pub(crate) container: String,
    pub(crate) restart: u32,
}

/// One record: a line with its parts joined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// When the runtime read its first part.
    pub(crate) time: Timestamp,
    pub(crate) stream: Stream,
    pub(crate) message: Vec<u8>,
    /// Its last part is `P`.
    pub(crate) unfinished: bool,
}

/// Records of each source, in the order of their first bytes.
pub(crate) type Records = BTreeMap<Source, Vec<Record>>;

/// A log file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogFile {
    pub(crate) source: Source,
    /// The time in a rotated file's name; none for the live file.
    pub(crate) rotated: Option<String>,
    gzipped: bool,
    pub(crate) path: PathBuf,
}

/// All log files of the workload below `root`; an agent in a pod has some of its own. Folders and files may come and go meanwhile; what is gone is left out.
pub(crate) fn files(root: &Path) -> Result<Vec<LogFile>> {
    let mut files = Vec::new();
    for pod in names(root)?.into_iter().filter(|pod| pod.starts_with("e2e_")) {
        for container in names(&root.join(&pod))? {
            let dir = root.join(&pod).join(&container);
            for name in names(&dir)? {
                // NAMESPACE_POD_UID; none of them has an underscore.
                let pod_name =
                    pod.split('_').nth(1).with_context(|| format!("'{pod}' is no pod's folder"))?;
                let Some((restart, rest)) = name.split_once(".log") else { bail!("'{name}' is no log") };
                if rest.ends_with(".tmp") {
                    continue;
                }
                let stem = rest.strip_suffix(".gz");
                files.push(LogFile {
                    source: Source {
                        pod: pod_name.to_owned(),
                        container: container.clone(),
                        restart: restart.parse()?,
                    },
                    rotated: stem.unwrap_or(rest).strip_prefix('.').map(str::to_owned),
                    gzipped: stem.is_some(),
                    path: dir.join(name),
                });
            }
        }
    }
    // Rotated ones by time, the live one last; of a plain file and its copy in gzip, the plain one first.
    files.sort_by_key(|file| {
        (file.source.clone(), file.rotated.is_none(), file.rotated.clone(), file.gzipped, file.path.clone())
    });
    files.dedup_by_key(|file| (file.source.clone(), file.rotated.clone()));
    Ok(files)
}

/// All records below `root`, which kubelet may rotate meanwhile.
pub(crate) fn read(root: &Path) -> Result<Records> {
    let open = open_all(root)?;
    let mut lines: BTreeMap<Source, Vec<u8>> = BTreeMap::new();
    for (file, mut handle) in open {
        let into = lines.entry(file.source).or_default();
        if file.gzipped {
            flate2::read::MultiGzDecoder::new(handle).read_to_end(into)?;
        } else {
            handle.read_to_end(into)?;
        }
    }
    lines.into_iter().map(|(source, bytes)| Ok((source, join(&bytes)?))).collect()
}

/// Opens all log files before any is read: an open file outlives its name. Begins again when one was rotated meanwhile,
/// so that none is missed.
fn open_all(root: &Path) -> Result<Vec<(LogFile, File)>> {
    let mut listed = files(root)?;
    loop {
        let mut open = Vec::new();
        for file in &listed {
            if let Some(handle) = unless_gone(File::open(&file.path))? {
                open.push((file.clone(), handle));
            }
        }
        let now = files(root)?;
        if now == listed {
            return Ok(open);
        }
        listed = now;
    }
}

/// Parses CRI lines and joins their parts, each stream by itself.
fn join(bytes: &[u8]) -> Result<Vec<Record>> {
    let mut records: Vec<Record> = Vec::new();
    let mut open: BTreeMap<Stream, usize> = BTreeMap::new();
    // What has no newline yet is still being written.
    for line in bytes.split_inclusive(|&byte| byte == b'\n').filter_map(|line| line.strip_suffix(b"\n")) {
        let shown = || format!("not a CRI line: '{}'", String::from_utf8_lossy(&line[..line.len().min(120)]));
        let mut fields = line.splitn(4, |&byte| byte == b' ');
        let mut text = || fields.next().and_then(|field| std::str::from_utf8(field).ok()).with_context(shown);
        let time = Timestamp::from_str(text()?).with_context(shown)?;
        let stream = Stream::from_str(text()?).map_err(anyhow::Error::msg).with_context(shown)?;
        let unfinished = match text()? {
            "P" => true,
            "F" => false,
            _ => bail!(shown()),
        };
        let message = fields.next().with_context(shown)?;
        let place = open.remove(&stream).unwrap_or_else(|| {
            records.push(Record { time, stream, message: Vec::new(), unfinished });
            records.len() - 1
        });
        records[place].message.extend_from_slice(message);
        records[place].unfinished = unfinished;
        if unfinished {
            open.insert(stream, place);
        }
    }
    Ok(records)
}

/// Names in a folder; none when it is gone.
fn names(dir: &Path) -> Result<Vec<String>> {
    let Some(entries) = unless_gone(fs::read_dir(dir))? else { return Ok(Vec::new()) };
    let name = |entry: io::Result<fs::DirEntry>| {
        entry?.file_name().into_string().map_err(|name| anyhow::anyhow!("{name:?} is no name of a log"))
    };
    entries.map(name).collect()
}

fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn parts_are_joined_over_files_and_streams() {
        let root = tempfile::tempdir().expect("a folder");
        let dir = root.path().join("e2e_web-node_0123/nginx");
        fs::create_dir_all(&dir).expect("a folder");
        let old = b"2026-11-24T10:00:00.1Z stdout F one\n2026-11-24T10:00:00.2Z stderr P tw\n";
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gz.write_all(old).expect("memory");
        fs::write(dir.join("0.log.20261124-100001.gz"), gz.finish().expect("memory")).expect("a file");
        // The same content twice, as between kubelet's rename and its remove.
        fs::write(dir.join("0.log.20261124-100001"), old).expect("a file");
        fs::write(dir.join("0.log.20261124-100002.tmp"), "half a file").expect("a file");
        let live = "2026-11-24T12:00:01+02:00 stdout F \n2026-11-24T10:00:02Z stderr F o\n\
                    2026-11-24T10:00:03Z stdout P end\n2026-11-24T10:00:04Z stdout F not yet writ";
        fs::write(dir.join("0.log"), live).expect("a file");
        let records = read(root.path()).expect("records");
        let source = Source { pod: "web-node".to_owned(), container: "nginx".to_owned(), restart: 0 };
        let shown: Vec<(String, &str, &[u8], bool)> = records[&source]
            .iter()
            .map(|r| (r.time.to_string(), r.stream.name(), r.message.as_slice(), r.unfinished))
            .collect();
        let at = |time: &str| format!("2026-11-24T10:00:{time}Z");
        assert_eq!(
            shown,
            [
                (at("00.1"), "stdout", &b"one"[..], false),
                (at("00.2"), "stderr", b"two", false),
                (at("01"), "stdout", b"", false),
                (at("03"), "stdout", b"end", true),
            ]
        );
    }

    #[test]
    fn what_is_no_cri_line_is_an_error() {
        for line in ["x\n", "2026-11-24T10:00:00Z stdout X a\n", "2026-11-24T10:00:00Z stdin F a\n"] {
            assert!(join(line.as_bytes()).is_err(), "{line}");
        }
    }
}
