//! Searches that wait for more.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::Weir;

/// How long a line may take that is waited for.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running follow, and the objects that it shows. It is killed when dropped.
struct Follow {
    child: Child,
    objects: Receiver<Value>,
}

impl Follow {
    fn start(logs: &Path, flags: &[&str]) -> Follow {
        let dir = logs.to_str().expect("a path of ours");
        let args = ["logs", "--dir", dir, "--all", "--follow", "--stats", "--show-token", "-o", "jsonl"];
        let mut command = Weir::new(args.iter().chain(flags)).into_command();
        command.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::piped());
        let mut child = command.spawn().expect("weir starts");
        let stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let (send, objects) = channel();
        std::thread::spawn(move || {
            let objects =
                stdout.lines().map_while(Result::ok).map_while(|line| serde_json::from_str(&line).ok());
            // Whoever listens may have heard enough.
            objects.map_while(|object: Value| send.send(object).ok()).for_each(drop);
        });
        Follow { child, objects }
    }

    /// Waits for an object that is wanted.
    #[track_caller]
    fn wait_for(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let start = Instant::now();
        loop {
            let left = DEADLINE.saturating_sub(start.elapsed());
            let object = self.objects.recv_timeout(left).unwrap_or_else(|error| panic!("{what}: {error}"));
            if wanted(&object) {
                return object;
            }
        }
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.child.kill().expect("our child");
        self.child.wait().expect("our child");
    }
}

fn line(message: &str) -> String {
    format!("2026-11-24T10:00:00Z stdout F {message}\n")
}

#[test]
fn a_restarted_container_is_followed_after_its_first_instance_has_ended() {
    let root = tempfile::tempdir().expect("a folder");
    let dir = root.path().join("ns_pod_uid/app");
    fs::create_dir_all(&dir).expect("a folder");
    fs::write(dir.join("0.log"), line("first")).expect("a file");
    let follow = Follow::start(root.path(), &[]);
    follow.wait_for("the first instance", |object| object["message"] == "first");
    fs::write(dir.join("1.log"), line("second")).expect("a file");
    follow.wait_for("the second instance", |object| object["message"] == "second");
    // The first one ends a second later, which isn't shown.
    let start = Instant::now();
    for round in 1.. {
        let message = format!("round {round}");
        let rotated = dir.join(format!("1.log.20261124-{:06}", 100_000 + round));
        fs::rename(dir.join("1.log"), rotated).expect("renamed");
        fs::write(dir.join("1.log"), line(&message)).expect("a file");
        let shown = follow.wait_for(&message, |object| object["message"] != Value::Null);
        assert_eq!((shown["message"].as_str(), shown["restart"].as_u64()), (Some(message.as_str()), Some(1)));
        if start.elapsed() > Duration::from_secs(3) {
            break;
        }
    }
}

/// What was shown stayed in the program until there was much of it, and was lost with a signal.
#[test]
fn a_follow_into_a_file_shows_each_record_as_it_comes() {
    let root = tempfile::tempdir().expect("a folder");
    let dir = root.path().join("logs/shop_web-1_11111111-1111-1111-1111-111111111111/app");
    fs::create_dir_all(&dir).expect("a folder");
    fs::write(dir.join("0.log"), line("first")).expect("a file");
    let shown = root.path().join("shown");
    let logs = root.path().join("logs");
    let mut command =
        Weir::new(["logs", "--dir", logs.to_str().expect("a path of ours"), "-f"]).into_command();
    let file = fs::File::create(&shown).expect("a file");
    let child = command.stdin(std::process::Stdio::null()).stdout(file).spawn().expect("weir starts");
    let _ended = Follow { child, objects: channel().1 };
    let start = Instant::now();
    while !fs::read_to_string(&shown).expect("text").contains("first") {
        assert!(start.elapsed() < DEADLINE, "nothing is shown");
        std::thread::yield_now();
    }
}

#[test]
fn a_gap_is_told_as_an_object_while_the_search_goes_on() {
    let root = tempfile::tempdir().expect("a folder");
    let (kept, deleted) = (root.path().join("ns_kept_uid/app"), root.path().join("ns_deleted_uid/app"));
    for dir in [&kept, &deleted] {
        fs::create_dir_all(dir).expect("a folder");
        fs::write(dir.join("0.log"), line("before")).expect("a file");
    }
    let follow = Follow::start(root.path(), &[]);
    for _ in [&kept, &deleted] {
        follow.wait_for("a record", |object| object["message"] == "before");
    }
    let token = follow.wait_for("a token", |object| object["type"] == "resume");
    drop(follow);
    fs::remove_dir_all(deleted).expect("removed");
    let follow = Follow::start(root.path(), &["--resume", token["token"].as_str().expect("a text")]);
    let gap = follow.wait_for("a gap", |object| object["type"] == "gap");
    assert_eq!((gap["pod"].as_str(), gap["reason"].as_str()), (Some("deleted"), Some("rotated-away")));
}

#[test]
fn a_follow_since_a_time_begins_there_and_goes_on() {
    let root = tempfile::tempdir().expect("a folder");
    let dir = root.path().join("ns_pod_uid/app");
    fs::create_dir_all(&dir).expect("a folder");
    let at =
        |second: u32| format!("2026-11-24T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
    let lines = |seconds: std::ops::Range<u32>| -> String {
        seconds.map(|second| format!("{} stdout F {second} {}\n", at(second), "x".repeat(200))).collect()
    };
    // Large enough for the window to be found by bisection, and the file before it to be left out.
    fs::write(dir.join("0.log.20261124-010000"), lines(0..3600)).expect("a file");
    fs::write(dir.join("0.log"), lines(3600..9000)).expect("a file");
    let follow = Follow::start(root.path(), &["--since", &at(8_500)]);
    let number =
        |object: &Value| -> Option<u32> { object["message"].as_str()?.split(' ').next()?.parse().ok() };
    let mut shown = Vec::new();
    let mut next = |last: u32| {
        while shown.last() != Some(&last) {
            let object = follow.wait_for("a record", |object| object["message"] != Value::Null);
            shown.extend(number(&object));
        }
    };
    next(8_999);
    let mut live = fs::File::options().append(true).open(dir.join("0.log")).expect("the file");
    std::io::Write::write_all(&mut live, lines(9_000..9_003).as_bytes()).expect("written");
    next(9_002);
    let expected: Vec<u32> = (8_500..9_003).collect();
    assert_eq!((shown.len(), shown == expected), (expected.len(), true), "from {:?}", shown.first());
}

#[test]
fn pages_of_any_size_add_up_to_the_whole_though_all_times_are_equal() {
    let root = tempfile::tempdir().expect("a folder");
    for pod in ["a", "b", "c"] {
        let dir = root.path().join(format!("ns_{pod}_uid/app"));
        fs::create_dir_all(&dir).expect("a folder");
        let lines = |numbers: std::ops::Range<u32>| -> String {
            numbers.map(|number| line(&format!("{pod}{number}"))).collect()
        };
        fs::write(dir.join("0.log.20261124-100000"), lines(0..200)).expect("a file");
        fs::write(dir.join("0.log"), lines(200..400)).expect("a file");
    }
    let dir = root.path().to_str().expect("a path of ours");
    let search = |flags: &[&str]| -> (Vec<String>, Option<String>) {
        let args = ["logs", "--dir", dir, "--show-token", "-o", "jsonl"];
        let outcome = Weir::new(args.iter().chain(flags)).run();
        let objects = outcome.objects();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let messages = objects.iter().filter_map(|object| text(&object["message"])).collect();
        let token = objects.iter().rev().find_map(|object| text(&object["token"]));
        (messages, token)
    };
    let (whole, _) = search(&["--all"]);
    assert_eq!(whole.len(), 1_200);
    for size in ["23", "400", "401", "5000"] {
        let (mut all, mut token) = search(&["--head", size]);
        loop {
            let resume = token.take().expect("a page tells where the next one begins");
            let (page, next) = search(&["--head", size, "--resume", &resume]);
            if page.is_empty() {
                break;
            }
            all.extend(page);
            token = next;
        }
        assert_eq!(all, whole, "pages of {size}");
    }
}
