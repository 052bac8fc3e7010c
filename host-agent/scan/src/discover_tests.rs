//! Cases of layouts on disk.

use super::*;

use std::os::unix::fs::symlink;

const LINE: &str = "1970-01-01T00:00:07Z stdout F hello\n";

fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn names(set: &LogSet) -> Vec<String> {
    let name = |path: &Path, kind| format!("{kind} {}", path.file_name().unwrap().to_str().unwrap());
    set.files
        .iter()
        .map(|file| match &file.input {
            Input::Plain(path) => name(path, "plain"),
            Input::Gzip(path) => name(path, "gzip"),
            Input::Pipe(_) => "pipe".to_owned(),
        })
        .collect()
}

#[test]
fn kubelets_layout() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    for file in [
        "default_web-0_11-22/app/1.log",
        "default_web-0_11-22/app/1.log.20260102-030405",
        "default_web-0_11-22/app/1.log.20260102-030405.gz",
        "default_web-0_11-22/app/1.log.20251231-235959.gz",
        "default_web-0_11-22/app/1.log.20260103-030405.tmp",
        "default_web-0_11-22/app/0.log",
        "default_web-0_11-22/app/note.txt",
        "default_web-0_11-22/app/x.log",
        "kube-system_etcd-n1_0123456789abcdef0123456789abcdef/etcd/10.log",
        "not-a-pod/app/0.log",
        "stray.log",
    ] {
        write(root, file, LINE);
    }
    let sets = LogRoot::new(root).list().unwrap();
    let identities: Vec<_> = sets.iter().map(|set| &set.source).collect();
    assert_eq!(identities.len(), 3);
    assert_eq!((identities[0].pod.as_str(), identities[0].restart), ("web-0", 0));
    assert_eq!(
        *identities[1],
        Source {
            namespace: "default".into(),
            pod: "web-0".into(),
            container: "app".into(),
            restart: 1,
            uid: "11-22".into(),
            container_id: String::new(),
        }
    );
    assert_eq!((identities[2].container.as_str(), identities[2].restart), ("etcd", 10));
    assert_eq!(
        names(&sets[1]),
        ["gzip 1.log.20251231-235959.gz", "plain 1.log.20260102-030405", "plain 1.log"]
    );
    assert_eq!(sets[1].files[2].size, LINE.len() as u64);
}

#[test]
fn dockers_layout() {
    let dir = tempfile::tempdir().unwrap();
    for suffix in ["", ".1", ".2.gz", ".10.gz", ".1.gz"] {
        write(dir.path(), &format!("abc/abc-json.log{suffix}"), "{}\n");
    }
    write(dir.path(), "abc/config.v2.json", "{}");
    write(dir.path(), "def/other.log", "");
    let sets = LogRoot::new(dir.path()).list().unwrap();
    assert_eq!(sets.len(), 1);
    assert_eq!(sets[0].source.container_id, "abc");
    assert_eq!(
        names(&sets[0]),
        ["gzip abc-json.log.10.gz", "gzip abc-json.log.2.gz", "plain abc-json.log.1", "plain abc-json.log"]
    );
}

#[test]
fn kubelets_links_into_dockers_directory() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "docker/abc/abc-json.log", "{}\n");
    write(dir.path(), "docker/abc/abc-json.log.1.gz", "{}\n");
    let container = dir.path().join("pods/ns_pod_uid/app");
    fs::create_dir_all(&container).unwrap();
    symlink(dir.path().join("docker/abc/abc-json.log"), container.join("3.log")).unwrap();
    let sets = LogRoot::new(dir.path().join("pods")).list().unwrap();
    assert_eq!(sets.len(), 1);
    assert_eq!((sets[0].source.restart, sets[0].source.container_id.as_str()), (3, "abc"));
    assert_eq!(names(&sets[0]), ["gzip abc-json.log.1.gz", "plain 3.log"]);
}

#[test]
fn a_root_that_is_missing_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let error = LogRoot::new(dir.path().join("none")).list().unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");
}

#[test]
fn single_files_and_what_is_none() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "a.gz", "not compressed");
    let set = file_set(&dir.path().join("a.gz")).unwrap();
    assert_eq!(names(&set), ["plain a.gz"]);
    assert!(set.source.container.ends_with("/a.gz"));
    fs::write(dir.path().join("b.log"), [0x1f, 0x8b, 8]).unwrap();
    assert_eq!(names(&file_set(&dir.path().join("b.log")).unwrap()), ["gzip b.log"]);
    assert!(matches!(file_set(dir.path()), Err(ScanError::NotRegular { .. })));
    assert!(matches!(file_set(&dir.path().join("c")), Err(ScanError::Unreadable { .. })));
}

#[test]
fn times_at_both_ends() {
    let dir = tempfile::tempdir().unwrap();
    let at = |second: u32| format!("1970-01-01T00:00:0{second}Z stdout F hello\n");
    write(dir.path(), "ns_pod_uid/app/0.log.20260101-000000", &format!("torn\n{}{}", at(1), at(2)));
    write(dir.path(), "ns_pod_uid/app/0.log", &format!("{}{}torn", at(3), at(4)));
    let sets = LogRoot::new(dir.path()).list().unwrap();
    let expected = SetTimes { oldest: Some(1_000_000_000), newest: Some(4_000_000_000), problem: None };
    assert_eq!(times(&sets[0]), expected);
    assert_eq!(oldest(&sets[0]), expected.oldest);
    fs::remove_dir_all(dir.path().join("ns_pod_uid")).unwrap();
    let gone = times(&sets[0]);
    assert!(gone.oldest.is_none() && gone.problem.is_some_and(|problem| problem.contains("0.log")));
}

#[test]
fn a_rotation_behind_the_listing_hides_no_file() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "0.log", LINE);
    let mut rotations = 1;
    let sets = settled(|| {
        let listed = LogPath::from(dir.path()).entries()?;
        if rotations > 0 {
            rotations -= 1;
            fs::rename(dir.path().join("0.log"), dir.path().join("0.log.20260102-030405"))?;
            write(dir.path(), "0.log", LINE);
        }
        Ok(container_sets(&listed, &LogPath::from(dir.path()), &Source::default()))
    })
    .unwrap();
    assert_eq!(names(&sets[0]), ["plain 0.log.20260102-030405", "plain 0.log"]);
}
