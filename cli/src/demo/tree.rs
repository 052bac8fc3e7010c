//! The sample tree: which pods there are, what they run, and since when.

use std::fs;
use std::io;
use std::path::Path;

use super::content::{App, Writer};
use super::instance::{Instance, Layout, Life};
use super::random::Random;
use crate::timestamp::TimeWriter;

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

const CONTAINERS: [Container; 8] = [
    container("shop", "web-6d5f7c9b8-4kq2z", "0b9c7d1e-5a41-4c62-9f0e-1d2c3b4a5f60", "nginx", App::Web, 24),
    container("shop", "web-6d5f7c9b8-tx7wm", "1c0d8e2f-6b52-4d73-8a1f-2e3d4c5b6a71", "nginx", App::Web, 20),
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
        ..container("platform", "ingest-0", "5041c263-af96-41b7-8e53-6271809faeb5", "worker", App::Ingest, 8)
    },
    // A static pod has a uid of 32 hex digits.
    container("kube-system", "coredns-node-1", "6152d374b0a742c89f64738291b0bfc6", "coredns", App::Dns, 7),
    Container {
        layout: Layout::JsonFile,
        ..container("data", "etl-29381400-x9d2c", "7263e485-c1b8-43d9-a075-8493a2c1d0e7", "job", App::Etl, 3)
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
    Container { namespace, pod, uid, name, app, percent, restarted: false, layout: Layout::Cri }
}

/// Writes the tree below `root`, which is made if it isn't there.
///
/// # Errors
/// Whatever the file system says.
pub(crate) fn write(root: &Path, spec: &TreeSpec) -> io::Result<TreeSize> {
    let mut size = TreeSize::default();
    for (index, container) in CONTAINERS.iter().enumerate() {
        let dir = root
            .join(format!("{}_{}_{}", container.namespace, container.pod, container.uid))
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
        // Not all of them write their last record in the same instant.
        let end = spec.end - 137_000_003 * i64::try_from(index).unwrap_or(0);
        let start = end - SPAN_NANOS;
        if container.restarted {
            let death = start + SPAN_NANOS / 4;
            instance.write(&Life { restart: 0, lines: lines / 4, start, end: death, dies: true })?;
            instance.write(&Life { restart: 1, lines: lines * 3 / 4, start: death, end, dies: false })?;
        } else {
            instance.write(&Life { restart: 0, lines, start, end, dies: false })?;
        }
        size.containers += 1;
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: TreeSpec = TreeSpec { lines: 2000, seed: 7, end: 1_764_000_000_000_000_000 };

    fn files(root: &Path) -> Vec<(String, Vec<u8>)> {
        let mut found = Vec::new();
        for pod in fs::read_dir(root).expect("a folder") {
            let pod = pod.expect("an entry").path();
            for container in fs::read_dir(&pod).expect("a folder") {
                for file in fs::read_dir(container.expect("an entry").path()).expect("a folder") {
                    let path = file.expect("an entry").path();
                    let name = path.strip_prefix(root).expect("below the root").display().to_string();
                    found.push((name, fs::read(&path).expect("a file")));
                }
            }
        }
        found.sort();
        found
    }

    #[test]
    fn one_seed_gives_one_tree() {
        let (a, b) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let size = write(a.path(), &SPEC).expect("written");
        assert_eq!(size, write(b.path(), &SPEC).expect("written"));
        assert_eq!(files(a.path()), files(b.path()));
        assert!((1900..=2100).contains(&size.lines), "{size:?}");
        assert_eq!(size.files, files(a.path()).len() as u64);
    }

    #[test]
    fn the_tree_has_what_makes_logs_hard() {
        let dir = tempfile::tempdir().expect("a folder");
        write(dir.path(), &TreeSpec { lines: 20_000, ..SPEC }).expect("written");
        let files = files(dir.path());
        let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.iter().any(|name| name.ends_with(".gz")));
        assert!(names.iter().any(|name| name.contains(".log.") && !name.ends_with(".gz")));
        assert!(names.iter().any(|name| name.ends_with("/1.log")));
        let has = |needle: &str| {
            files
                .iter()
                .any(|(_, bytes)| bytes.windows(needle.len()).any(|window| window == needle.as_bytes()))
        };
        for needle in
            [" stdout P ", " stderr F ", "{\"log\":", "4111 1111 1111 1111", "Bearer eyJ", "postgres://auth:"]
        {
            assert!(has(needle), "{needle}");
        }
    }
}
