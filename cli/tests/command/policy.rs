//! `--policy`: a search here as an agent with that policy does it.

use crate::program::weir;
use crate::sample::Tree;

#[test]
fn an_author_tries_a_policy_on_logs_and_on_a_file() {
    let tree = Tree::sample();
    let policy = tree.write("mail.yaml", "namespaces: [shop]\nfilters: [{name: redact}]\n");
    let policy = policy.to_str().expect("a plain path");
    let args = ["logs", "--dir", tree.arg(), "--all", "--policy", policy];
    let text = weir(&args).exits(0).says(&["policy mail: ", " lines redacted, 0 withheld"]);
    assert!(text.stdout().contains("[REDACTED:email]"), "{}", text.stdout());
    let is_shop = |line: &&str| line.contains("shop:");
    assert!(
        text.stdout().lines().filter(is_shop).all(|line| !line.contains("@example.com")),
        "{}",
        text.stdout()
    );
    assert!(text.stdout().contains("@example.com"), "the other namespace isn't covered: {}", text.stdout());
    let counted = weir(&[&args[..], &["-e", "@example.com", "--count", "shop:"]].concat()).exits(0);
    assert_eq!(counted.stdout().trim(), "0");
    let objects = weir(&[&args[..], &["-o", "jsonl", "--stats"]].concat()).exits(0).objects();
    let told = objects.iter().find(|object| object["type"] == "policy").expect("what the policy did");
    assert_eq!((&told["name"], &told["withheld"]), (&"mail".into(), &0.into()));
    assert_eq!(
        (&told["filters"][0]["name"], &told["filters"][0]["replaced"]),
        (&"redact".into(), &told["redacted"])
    );

    // A file has no namespace: the policy covers it.
    let file = tree.write("sample.txt", "to bob@example.com\n");
    let file = file.to_str().expect("a plain path");
    let text = weir(&["logs", "--file", file, "--policy", policy]).exits(0).says(&["1 line redacted"]);
    assert_eq!(text.stdout().trim(), "to [REDACTED:email]");
}

#[test]
fn lines_that_are_withheld_make_the_answer_incomplete() {
    let tree = Tree::new();
    tree.write(
        "shop_web-1_11111111-1111-1111-1111-111111111111/app/0.log",
        "2026-11-24T10:00:00Z stdout P half\n",
    );
    let policy = tree.write("all.yaml", "filters: [{name: redact}]\n");
    let policy = policy.to_str().expect("a plain path");
    weir(&["logs", "--dir", tree.arg(), "--policy", policy])
        .exits(3)
        .says(&["policy all: 0 lines redacted, 1 withheld", "no end yet"]);
}

#[test]
fn a_policy_that_is_wrong_is_refused_with_its_line() {
    let tree = Tree::sample();
    for (text, says) in [
        (
            "filters:\n- nme: redact\n",
            "bad.yaml:2: filters.0.nme: there is no such key; did you mean 'name'?",
        ),
        ("filters: [{name: redakt}]\n", "no filter is named 'redakt'"),
        ("filters: [{name: stats}]\n", "kind aggregate"),
    ] {
        let policy = tree.write("bad.yaml", text);
        let policy = policy.to_str().expect("a plain path");
        weir(&["logs", "--dir", tree.arg(), "--policy", policy]).exits(2).says(&["--policy", says]);
    }
    weir(&["logs", "--policy", "x.yaml", "--agent", "http://127.0.0.1:1"])
        .exits(2)
        .says(&["--policy", "--agent"]);
}
