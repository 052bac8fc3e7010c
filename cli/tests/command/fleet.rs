//! Several real agents, asked as if they were one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::agent::Agent;
use crate::program::{Outcome, Weir, weir};
use crate::sample::Tree;

/// How long something may take that is waited for.
const DEADLINE: Duration = Duration::from_secs(60);

/// An address where nobody listens.
const NOBODY: &str = "http://127.0.0.1:1";

/// Logs that are spread over agents, and all of them in one tree.
struct Nodes {
    whole: Tree,
    parts: Vec<Tree>,
}

impl Nodes {
    /// Seven pods on so many nodes; a record each second, in turn, some of the same time; a third are errors.
    fn new(nodes: usize) -> Nodes {
        let (whole, parts) = (Tree::new(), (0..nodes).map(|_| Tree::new()).collect::<Vec<_>>());
        for pod in 0..7 {
            let (mut rotated, mut live) = (String::new(), String::new());
            for number in 0..200 {
                let level = if number % 3 == 0 { "error" } else { "info" };
                let second = (number * 7 + pod) / 2;
                let line = format!(
                    "2026-11-24T10:{:02}:{:02}Z stdout F {{\"level\":\"{level}\",\"pod\":{pod},\"n\":{number}}}\n",
                    second / 60,
                    second % 60
                );
                if number < 100 { &mut rotated } else { &mut live }.push_str(&line);
            }
            // The nodes don't have them in order.
            for tree in [&whole, &parts[(pod * 5) % nodes]] {
                let dir = format!("shop_pod-{pod}_u{pod}/app");
                tree.gzip(&format!("{dir}/0.log.20261124-100500.gz"), rotated.as_bytes());
                tree.write(&format!("{dir}/0.log"), &live);
            }
        }
        Nodes { whole, parts }
    }

    fn agents(&self) -> Vec<Agent> {
        self.parts.iter().map(|tree| Agent::start(tree, &[])).collect()
    }
}

fn flags(agents: &[Agent]) -> Vec<String> {
    agents.iter().flat_map(|agent| ["--agent".to_owned(), agent.url()]).collect()
}

fn ask(verb: &str, agents: &[String], question: &[&str]) -> Outcome {
    Weir::new([verb].into_iter().chain(agents.iter().map(String::as_str)).chain(question.iter().copied()))
        .run()
}

/// What an answer says besides which agent has what.
fn unnamed(agents: &[Agent], answer: &Outcome) -> String {
    agents.iter().fold(answer.stdout().to_owned(), |text, agent| {
        let url = agent.url();
        text.replace(&format!(" {url} "), " ").replace(&format!("\"agent\":\"{url}\","), "")
    })
}

/// Every kind of question, without times that move.
const QUESTIONS: &[&[&str]] = &[
    &[],
    &["--all"],
    &["--all", "-o", "raw"],
    &["--all", "--reverse", "-o", "jsonl"],
    &["--head", "23"],
    &["--tail", "23", "-e", "error"],
    &["--tail", "9", "--reverse"],
    &["-e", "error", "-C", "2", "--head", "11"],
    &["-e", "error", "-B", "1", "-A", "3", "--tail", "12"],
    &["-e", "n\":1?7", "-C", "1", "--all"],
    &["--since", "2026-11-24T10:02:00Z", "--until", "2026-11-24T10:03:00Z", "--all"],
    &["--count", "-e", "info"],
    &["--count", "--per-source", "-o", "jsonl"],
    &["--count", "--head", "100", "--per-source"],
    &["--histogram", "1m", "-o", "jsonl", "-e", "error"],
    &["--histogram", "3m", "--per-source"],
    &["--histogram", "30s", "--tail", "40"],
    &["--filter", "json-match:where=level == \"error\"", "--tail", "20"],
    &["--filter", "json-match:where=n >= 100", "--count"],
    &["--filter", "stats:by=level,distinct=n"],
    &["--filter", "stats:every=1m,by=pod,top=2", "-o", "jsonl"],
    &["shop:pod-1", "shop:pod-4/app", "--all"],
];

#[test]
fn several_agents_answer_as_one_with_all_their_logs() {
    for nodes in [2, 3] {
        let nodes = Nodes::new(nodes);
        let agents = nodes.agents();
        let flags = flags(&agents);
        for question in QUESTIONS {
            let local = weir(&[&["logs", "--dir", nodes.whole.arg()], *question].concat()).exits(0);
            let remote = ask("logs", &flags, question).exits(0);
            assert!(!local.stdout().is_empty(), "{question:?}");
            assert_eq!(unnamed(&agents, &remote), local.stdout(), "{question:?}");
        }
    }
}

#[test]
fn each_record_says_which_agent_has_it() {
    let nodes = Nodes::new(2);
    let agents = nodes.agents();
    let all = flags(&agents);
    let text = ask("logs", &all, &["--all"]).exits(0);
    let objects = ask("logs", &all, &["--all", "-o", "jsonl"]).exits(0).objects();
    for (node, agent) in agents.iter().enumerate() {
        let url = agent.url();
        let records = text.stdout().lines().filter(|line| line.split(' ').nth(1) == Some(url.as_str()));
        let told = objects.iter().filter(|object| object["agent"] == url);
        assert_eq!((records.count(), told.count()), ([4, 3][node] * 200, [4, 3][node] * 200));
    }
    let local = weir(&["logs", "--dir", nodes.whole.arg(), "--all"]).exits(0);
    let columns = ["--all", "--columns", "time,source,message"];
    assert_eq!(ask("logs", &all, &columns).exits(0).stdout(), local.stdout(), "it can be left out");
    let one = ask("logs", &all[..2], &["--all"]).exits(0);
    assert!(!one.stdout().contains(&agents[0].url()), "of one agent it goes without saying");
}

#[test]
fn filters_and_figures_are_joined() {
    let nodes = Nodes::new(2);
    let agents = nodes.agents();
    let question = ["--filter", "json-match:where=level == \"error\"", "--all", "--stats", "-o", "jsonl"];
    let objects = ask("logs", &flags(&agents), &question).exits(0).objects();
    let of = |kind: &str| objects.iter().filter(|object| object["type"] == kind).collect::<Vec<_>>();
    let [filter] = of("filter")[..] else { panic!("one filter, told once: {objects:?}") };
    let [summary] = of("summary")[..] else { panic!("one summary") };
    let kept = filter["kept"].as_u64().expect("a number");
    assert_eq!((kept, filter["records_in"].as_u64()), (469, Some(1_400)));
    assert_eq!(summary["matched"], 469);
    assert_eq!(summary["trace_id"].as_str().map(str::len), Some(32));
    assert_eq!((summary["sources"].as_u64(), summary["complete"].as_bool()), (Some(7), Some(true)));
}

#[test]
fn what_agents_have_is_listed_with_who_has_it() {
    let nodes = Nodes::new(2);
    let agents = nodes.agents();
    let all = flags(&agents);
    let listed = ask("sources", &all, &["-o", "jsonl"]).exits(0).objects();
    let names: Vec<&str> = listed.iter().filter_map(|source| source["pod"].as_str()).collect();
    assert_eq!(names, ["pod-0", "pod-1", "pod-2", "pod-3", "pod-4", "pod-5", "pod-6"]);
    let on = |url: &str| listed.iter().filter(|source| source["agent"] == url).count();
    assert_eq!((on(&agents[0].url()), on(&agents[1].url())), (4, 3));
    let table = ask("sources", &all, &[]).exits(0);
    assert!(table.stdout().lines().next().is_some_and(|line| line.ends_with("AGENT")), "{}", table.stdout());
    // A selector need take something on one of them.
    let one = ask("sources", &all, &["shop:pod-1", "shop:pod-2"]).exits(0);
    assert_eq!(one.stdout().lines().count(), 3);
    ask("sources", &all, &["shop:pod-1", "nowhere:"]).exits(2).says(&["'nowhere:'"]);

    let filters = ask("filters", &all, &["-o", "jsonl"]).exits(0).objects();
    let local = weir(&["filters", "-o", "jsonl"]).exits(0).objects();
    assert_eq!(filters.len(), local.len());
    assert!(filters.iter().all(|filter| filter["agents"].as_array().is_some_and(|on| on.len() == 2)));
    let described = ask("filters", &all, &["redact"]).exits(0);
    assert!(described.stdout().contains(&agents[1].url()), "{}", described.stdout());

    let dead = [&all[..], &["--agent".to_owned(), NOBODY.to_owned()]].concat();
    assert_eq!(ask("sources", &dead, &["-o", "jsonl"]).exits(3).says(&[NOBODY]).objects().len(), 7);
    ask("filters", &dead, &[]).exits(3).says(&[NOBODY]);
}

#[test]
fn a_dead_agent_leaves_the_answer_of_the_others() {
    let nodes = Nodes::new(2);
    let agents = nodes.agents();
    let dead = [&flags(&agents)[..], &["--agent".to_owned(), NOBODY.to_owned()]].concat();
    let local = weir(&["logs", "--dir", nodes.whole.arg(), "--all"]).exits(0);
    let remote = ask("logs", &dead, &["--all"]).exits(3).says(&["incomplete", NOBODY]);
    assert_eq!(unnamed(&agents, &remote), local.stdout());
    let filter = ["--filter", "json-match:where=level == \"error\"", "--count"];
    assert_eq!(ask("logs", &dead, &filter).exits(3).stdout().trim(), "469");
    // Several in the environment.
    let urls = format!("{}, {NOBODY}", agents[0].url());
    Weir::new(["logs", "--count"]).env("WEIR_AGENT", &urls).run().exits(3).says(&[NOBODY]);
    let nobody =
        ["--agent".to_owned(), NOBODY.to_owned(), "--agent".to_owned(), "http://127.0.0.1:2".to_owned()];
    ask("logs", &nobody, &[]).exits(3).says(&[NOBODY, "127.0.0.1:2"]);
}

/// One that takes connections, as the system does for it, and says nothing.
#[test]
fn an_agent_that_hangs_leaves_the_answer_of_the_others() {
    let nodes = Nodes::new(2);
    let agents = nodes.agents();
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", silent.local_addr().expect("it has one"));
    let patience = ["--agent-timeout", "1", "--all"];
    let hangs = ["--agent".to_owned(), url.clone()];
    ask("logs", &hangs, &patience).exits(3).says(&["no sign of life"]);
    let all = [&flags(&agents)[..], &hangs].concat();
    let local = weir(&["logs", "--dir", nodes.whole.arg(), "--all"]).exits(0);
    let remote = ask("logs", &all, &patience).exits(3).says(&[&format!("{url}: "), "no sign of life"]);
    assert_eq!(unnamed(&agents, &remote), local.stdout());
    ask("logs", &hangs, &["--agent-timeout", "0"]).exits(2).says(&["--agent-timeout"]);
    weir(&["logs", "--dir", nodes.whole.arg(), "--agent-timeout", "5"]).exits(2).says(&["--agent-timeout"]);
}

#[test]
fn a_follow_tells_of_an_agent_that_hangs() {
    let nodes = Nodes::new(1);
    let agents = nodes.agents();
    let follow = Running::start(&flags(&agents), &["-f", "--tail", "1", "--agent-timeout", "1"]);
    follow.wait_for("\"n\":");
    agents[0].signal(Signal::STOP);
    follow.wait_for_word("hangs");
    append(&nodes.parts[0], 0, &["meanwhile"]);
    agents[0].signal(Signal::CONT);
    follow.wait_for("meanwhile");
}

#[test]
fn what_all_refuse_is_refused_once() {
    let nodes = Nodes::new(3);
    let agents = nodes.agents();
    let all = flags(&agents);
    for question in [
        &["-e", "(unclosed"][..],
        &["nowhere:"],
        &["shop:pod-0", "shop:pod-1", "nowhere:"],
        &["--filter", "no-such-filter"],
        &["--filter", "json-match:where=level =="],
        &["--resume", "abc"],
    ] {
        let local = weir(&[&["logs", "--dir", nodes.whole.arg()], question].concat()).exits(2);
        let remote = ask("logs", &all, question).exits(2);
        assert_eq!(remote.stderr(), local.stderr(), "{question:?}");
    }
    let twice = [&all[..], &all[..2]].concat();
    ask("logs", &twice, &[]).exits(2).says(&["--agent", "twice"]);
}

#[test]
fn a_damaged_log_says_on_which_agent() {
    let nodes = Nodes::new(2);
    nodes.parts[1].write("shop_bad-0_u/app/0.log.20261124-100000.gz", b"\x1f\x8b\x08\0 this is no gzip");
    let agents = nodes.agents();
    let outcome = ask("logs", &flags(&agents), &["--all"]).exits(3);
    let url = agents[1].url();
    outcome.says(&[
        "missing from shop:bad-0/app",
        &format!("(agent {url})"),
        &format!("incomplete: {url}: "),
    ]);
}

#[test]
fn pages_add_up_to_the_whole() {
    let nodes = Nodes::new(2);
    let agents = nodes.agents();
    let all = flags(&agents);
    let whole = ask("logs", &all, &["--all", "-o", "raw"]).exits(0);
    let (mut pages, mut token) = (String::new(), None::<String>);
    loop {
        let mut question = vec!["--head", "190", "--show-token", "-o", "raw"];
        question.extend(token.iter().flat_map(|token| ["--resume", token]));
        let page = ask("logs", &all, &question).exits(0);
        if page.stdout().is_empty() {
            break;
        }
        pages.push_str(page.stdout());
        let stderr = page.stderr();
        let told = stderr.split("--resume ").nth(1).expect("a token");
        token = told.split_whitespace().next().map(str::to_owned);
    }
    assert_eq!(pages, whole.stdout());
    // Of one agent alone it isn't the token.
    let token = token.expect("a token");
    ask("logs", &all[..2], &["--resume", &token]).exits(2).says(&[&agents[1].url()]);
}

/// `weir logs` at work, its output line by line.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    said: Receiver<String>,
}

impl Running {
    pub(crate) fn start(agents: &[String], question: &[&str]) -> Running {
        let args =
            ["logs"].into_iter().chain(agents.iter().map(String::as_str)).chain(question.iter().copied());
        let mut command = Weir::new(args).into_command();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("weir starts");
        let lines = by_line(child.stdout.take().expect("a pipe"));
        let said = by_line(child.stderr.take().expect("a pipe"));
        Running { child, lines, said }
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, what: &str) {
        wait(&self.lines, what);
    }

    #[track_caller]
    pub(crate) fn wait_for_word(&self, what: &str) {
        wait(&self.said, what);
    }
}

#[track_caller]
fn wait(lines: &Receiver<String>, what: &str) {
    loop {
        let line = lines.recv_timeout(DEADLINE).unwrap_or_else(|error| panic!("{what}: {error}"));
        if line.contains(what) {
            return;
        }
    }
}

fn by_line(from: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel();
    std::thread::spawn(move || {
        // Whoever listens may have heard enough.
        let lines = BufReader::new(from).lines().map_while(Result::ok);
        lines.map_while(|line| send.send(line).ok()).for_each(drop);
    });
    lines
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().expect("our child");
        self.child.wait().expect("our child");
    }
}

fn append(tree: &Tree, pod: usize, messages: &[&str]) {
    let path = tree.path().join(format!("shop_pod-{pod}_u{pod}/app/0.log"));
    let mut file = std::fs::File::options().append(true).open(path).expect("the live file");
    for message in messages {
        writeln!(file, "2026-11-24T11:00:00Z stdout F {message}").expect("written");
    }
}

#[test]
fn an_agent_that_dies_in_the_middle_leaves_the_answer_of_the_others() {
    let nodes = Nodes::new(2);
    // More than fits into what waits on the way, so that neither agent has sent all when one dies.
    for (tree, pod) in [(&nodes.parts[0], 0), (&nodes.parts[1], 1)] {
        let line = format!("2026-11-24T12:00:00Z stdout F {}\n", "x".repeat(1000));
        tree.write(&format!("shop_big-{pod}_u/app/0.log"), line.repeat(40_000));
    }
    let mut agents = nodes.agents();
    let flags = flags(&agents);
    let args = ["logs", "--all", "-o", "raw"].into_iter().chain(flags.iter().map(String::as_str));
    let mut command = Weir::new(args).into_command();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut weir = command.spawn().expect("weir starts");
    let said = by_line(weir.stderr.take().expect("a pipe"));
    let mut lines = BufReader::new(weir.stdout.take().expect("a pipe")).lines();
    // While nobody reads on, both agents are held back.
    lines.next().expect("a line").expect("text");
    drop(agents.remove(1));
    let of_first = lines.filter(|line| line.as_ref().is_ok_and(|line| line.starts_with('x'))).count();
    wait(&said, "incomplete");
    assert_eq!(weir.wait().expect("it ends").code(), Some(3));
    assert!(of_first >= 40_000, "{of_first}: all of the first agent's are there");
}

#[test]
fn a_follow_goes_on_when_one_agent_is_restarted() {
    let nodes = Nodes::new(2);
    // Positions are signed by each node's own key.
    let folders = [Tree::new(), Tree::new()];
    let path =
        |node: usize, name: &str| folders[node].path().join(name).to_str().expect("a plain path").to_owned();
    // A port could be another's by the time that it is listened to again.
    let start = |node: usize| {
        let listen = format!("unix:{}", path(node, "socket"));
        Agent::start(&nodes.parts[node], &["--listen", &listen, "--cache-dir", &path(node, "cache")])
    };
    let (first, second) = (start(0), start(1));
    let url = format!("unix://{}", path(1, "socket"));
    let agents =
        ["--agent".to_owned(), format!("unix://{}", path(0, "socket")), "--agent".to_owned(), url.clone()];
    let follow = Running::start(&agents, &["-f", "--tail", "3", "-o", "raw"]);
    for _ in 0..3 {
        follow.wait_for("\"n\":");
    }
    // pod-0 is on the first node, pod-1 on the second.
    append(&nodes.parts[0], 0, &["first before"]);
    follow.wait_for("first before");
    append(&nodes.parts[1], 1, &["second before"]);
    follow.wait_for("second before");
    drop(second);
    follow.wait_for_word(&url);
    append(&nodes.parts[1], 1, &["second meanwhile", "second meanwhile too"]);
    append(&nodes.parts[0], 0, &["first meanwhile"]);
    follow.wait_for("first meanwhile");
    let second = start(1);
    follow.wait_for("second meanwhile");
    follow.wait_for("second meanwhile too");
    append(&nodes.parts[1], 1, &["second after"]);
    follow.wait_for("second after");
    append(&nodes.parts[0], 0, &["first after"]);
    follow.wait_for("first after");
    drop((first, second));
}

#[test]
fn a_follow_with_a_limit_ends_over_the_sum() {
    let nodes = Nodes::new(2);
    let agents = nodes.agents();
    let mut follow = Running::start(&flags(&agents), &["-f", "-e", "wanted", "--head", "3", "-o", "raw"]);
    append(&nodes.parts[0], 0, &["wanted 1"]);
    follow.wait_for("wanted 1");
    append(&nodes.parts[1], 1, &["wanted 2"]);
    follow.wait_for("wanted 2");
    append(&nodes.parts[0], 0, &["wanted 3", "wanted 4"]);
    follow.wait_for("wanted 3");
    assert_eq!(follow.child.wait().expect("it ends").code(), Some(0));
    assert!(follow.lines.recv_timeout(DEADLINE).is_err(), "no more than three");
}

#[test]
fn a_follow_is_resumed_on_all_agents() {
    let nodes = Nodes::new(2);
    let agents = nodes.agents();
    let all = flags(&agents);
    let question = ["-f", "--all", "--show-token", "-o", "jsonl"];
    let token = {
        let follow = Running::start(&all, &question);
        append(&nodes.parts[0], 0, &["one"]);
        append(&nodes.parts[1], 1, &["two"]);
        let (mut token, mut seen) = (String::new(), 0);
        while seen < 2 || token.is_empty() {
            let line = follow.lines.recv_timeout(DEADLINE).expect("a line");
            let object: Value = serde_json::from_str(&line).expect("an object");
            if matches!(object["message"].as_str(), Some("one" | "two")) {
                (seen, token) = (seen + 1, String::new());
            } else if object["type"] == "resume" {
                token = object["token"].as_str().expect("a text").to_owned();
            }
        }
        token
    };
    append(&nodes.parts[0], 0, &["three"]);
    append(&nodes.parts[1], 1, &["four"]);
    let resumed = ask("logs", &all, &["--resume", &token, "--all", "-o", "raw"]).exits(0);
    let mut lines: Vec<String> = resumed.stdout().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["four", "three"]);
}
