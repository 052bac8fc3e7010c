//! Log trees in kubelet's layout.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// Bytes of a message of [`busy`].
const MESSAGE_BYTES: usize = 1000;

/// A small tree: two pods, `prod:web-1/nginx` with three records and `dev:db-1/postgres` with one.
pub(crate) fn small(root: &Path) {
    write(
        root,
        "prod_web-1_11111111-1111-1111-1111-111111111111/nginx",
        &[
            "2026-11-24T10:00:00.000000001Z stdout F GET /index.html 200",
            "2026-11-24T10:00:01.000000000Z stderr F upstream failed: error 502",
            "2026-11-24T10:00:02.000000000Z stdout F GET /health 200",
        ],
    );
    write(
        root,
        "dev_db-1_22222222-2222-2222-2222-222222222222/postgres",
        &["2026-11-24T10:00:01.500000000Z stderr F ERROR: deadlock detected"],
    );
}

/// One pod that wrote `records` records of 1,000 bytes.
pub(crate) fn busy(root: &Path, records: usize) {
    let message = "x".repeat(MESSAGE_BYTES);
    let path = container(root, "prod_busy-1_33333333-3333-3333-3333-333333333333/app").join("0.log");
    let mut file = std::io::BufWriter::new(fs::File::create(path).expect("a file"));
    for record in 0..records {
        let second = record % 60;
        writeln!(file, "2026-11-24T10:00:{second:02}Z stdout F {message}").expect("a line");
    }
    file.flush().expect("the file");
}

/// One pod with a compressed file that takes minutes to read: gzip members that are the same, one behind the
/// other.
pub(crate) fn endless(root: &Path) {
    let line = format!("2026-11-24T10:00:00Z stdout F {}\n", "x".repeat(8000));
    let mut member = GzEncoder::new(Vec::new(), Compression::default());
    for _ in 0..8192 {
        member.write_all(line.as_bytes()).expect("memory");
    }
    let member = member.finish().expect("memory");
    let folder = container(root, "prod_old-1_44444444-4444-4444-4444-444444444444/app");
    let mut file = fs::File::create(folder.join("0.log.20261124-100000.gz")).expect("a file");
    for _ in 0..400 {
        file.write_all(&member).expect("a member");
    }
    fs::write(folder.join("0.log"), &line).expect("a file");
}

/// Writes one container's live file; `place` is `<namespace>_<pod>_<uid>/<container>`.
pub(crate) fn write(root: &Path, place: &str, lines: &[&str]) {
    fs::write(container(root, place).join("0.log"), lines.join("\n") + "\n").expect("a file");
}

fn container(root: &Path, place: &str) -> PathBuf {
    let folder = root.join(place);
    fs::create_dir_all(&folder).expect("a folder");
    folder
}
