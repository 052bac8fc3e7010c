//! What somebody who can write below the folder of logs plants there is not read through.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use weir_scan::{GapReason, LogRoot, RecordBatch, Scanner, Search, Step, list_again, times};

const SECRET: &str = "2026-11-24T10:00:00Z stdout F secret\n";
const LINE: &str = "2026-11-24T10:00:00Z stdout F line\n";
const POD: &str = "pods/prod_web-1_11/app";

/// A folder with `pods`, `docker`, and `elsewhere`, which holds a secret in files and folders like those of logs.
fn world() -> tempfile::TempDir {
    let world = tempfile::tempdir().unwrap();
    write(world.path(), "elsewhere/0.log", SECRET);
    write(world.path(), "elsewhere/app/0.log", SECRET);
    write(
        world.path(),
        "docker/cafe/cafe-json.log",
        r#"{"log":"docker\n","stream":"stdout","time":"2026-11-24T10:00:00Z"}"#,
    );
    write(world.path(), &format!("{POD}/0.log"), LINE);
    world
}

fn write(world: &Path, path: &str, content: &str) {
    let path = world.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

fn root(world: &Path) -> LogRoot {
    LogRoot::beneath(world.join("pods"), vec![world.join("docker")])
}

/// Every message beneath the root, and why files can't be read.
fn read(world: &Path) -> (Vec<String>, Vec<(GapReason, String)>) {
    let (mut messages, mut gaps) = (Vec::new(), Vec::new());
    for set in root(world).list().unwrap() {
        // The other ways to look at files.
        times(&set);
        let again = list_again(&set);
        for set in std::iter::once(set).chain(again) {
            let mut scanner = Scanner::new(set, 0, Arc::new(Search::default()));
            let mut batch = RecordBatch::default();
            while scanner.step(&mut batch) == Step::More {
                let message = |record| String::from_utf8_lossy(batch.message(record)).into_owned();
                messages.extend(batch.records.iter().map(message));
                batch.clear();
            }
            gaps.extend(scanner.take_gaps().into_iter().map(|gap| (gap.reason, gap.detail)));
        }
    }
    messages.sort();
    messages.dedup();
    (messages, gaps)
}

/// Puts something into a world.
type Plant<'a> = &'a dyn Fn(&Path, PathBuf);

fn plant(plant: impl FnOnce(&Path, PathBuf)) -> (Vec<String>, Vec<(GapReason, String)>) {
    let world = world();
    plant(world.path(), world.path().join(POD));
    read(world.path())
}

#[test]
fn links_are_not_followed_wherever_they_lead() {
    let plants: [Plant<'_>; 6] = [
        &|world, pod| symlink(world.join("elsewhere/0.log"), pod.join("1.log")).unwrap(),
        &|_, pod| symlink("../../../elsewhere/0.log", pod.join("1.log")).unwrap(),
        // Beneath the root too: another pod's log is another's.
        &|_, pod| symlink("../../prod_web-1_11/app/0.log", pod.join("1.log")).unwrap(),
        &|world, pod| symlink(world.join("docker/../elsewhere/0.log"), pod.join("1.log")).unwrap(),
        &|world, _| symlink(world.join("elsewhere"), world.join("pods/prod_web-1_11/b")).unwrap(),
        &|world, _| symlink(world.join("elsewhere"), world.join("pods/prod_other_22")).unwrap(),
    ];
    for (number, planted) in plants.into_iter().enumerate() {
        let (messages, gaps) = plant(planted);
        assert_eq!(messages, ["line"], "plant {number}");
        assert!(
            gaps.iter().any(|(reason, why)| *reason == GapReason::Unreadable && why.contains("not followed")),
            "plant {number}: {gaps:?}"
        );
    }
}

#[test]
fn a_link_within_an_allowed_folder_to_elsewhere_is_not_followed() {
    let (messages, _) = plant(|world, pod| {
        symlink(world.join("elsewhere"), world.join("docker/link")).unwrap();
        symlink(world.join("docker/link/0.log"), pod.join("1.log")).unwrap();
        symlink(world.join("elsewhere/0.log"), world.join("docker/beef-json.log")).unwrap();
        symlink(world.join("docker/beef-json.log"), pod.join("2.log")).unwrap();
    });
    assert_eq!(messages, ["line"]);
}

#[test]
fn kubelets_link_to_a_log_of_dockers_is_followed_with_what_is_rotated_beside_it() {
    let (messages, gaps) = plant(|world, pod| {
        let rotated = r#"{"log":"older\n","stream":"stdout","time":"2026-11-24T09:00:00Z"}"#;
        write(world, "docker/cafe/cafe-json.log.1", rotated);
        symlink(world.join("docker/cafe/cafe-json.log"), pod.join("1.log")).unwrap();
    });
    assert_eq!((messages, gaps), (["docker", "line", "older"].map(str::to_owned).to_vec(), Vec::new()));
}

#[test]
fn what_has_other_names_or_is_no_file_is_refused() {
    let (messages, gaps) = plant(|world, pod| {
        fs::hard_link(world.join("elsewhere/0.log"), pod.join("1.log")).unwrap();
        mknodat(CWD, pod.join("2.log"), FileType::Fifo, Mode::RUSR, 0).unwrap();
        fs::create_dir(pod.join("3.log")).unwrap();
        // Only an administrator can make one.
        let zero =
            mknodat(CWD, pod.join("4.log"), FileType::CharacterDevice, Mode::RUSR, rustix::fs::makedev(1, 5));
        assert!(zero.is_ok() || !rustix::process::geteuid().is_root());
    });
    assert_eq!(messages, ["line"]);
    assert!(
        gaps.iter().any(|(reason, why)| *reason == GapReason::NotRegular && why.contains("2 names")),
        "{gaps:?}"
    );
    assert!(gaps.iter().all(|(reason, _)| *reason == GapReason::NotRegular), "{gaps:?}");
}

/// A folder that is a link at one moment and itself at the next: whichever a lookup meets, nothing is read through it.
#[test]
fn nothing_is_read_through_a_folder_that_changes_places_with_a_link() {
    let world = world();
    let (dir, link) = (world.path().join("pods/prod_web-1_11/app"), world.path().join("link"));
    symlink(world.path().join("elsewhere/app"), &link).unwrap();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                renameat_with(CWD, &dir, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let (mut read_some, mut refused_some) = (false, false);
        for round in 0..20_000 {
            let (messages, gaps) = read(world.path());
            assert!(messages.iter().all(|message| message == "line"), "{messages:?}");
            read_some |= !messages.is_empty();
            refused_some |= gaps.iter().any(|(_, why)| why.contains("not followed"));
            if round > 1000 && read_some && refused_some {
                break;
            }
        }
        is_over.store(true, Ordering::Relaxed);
        assert!(read_some && refused_some, "the two were never both met");
    });
}
