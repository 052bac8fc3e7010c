//! What can be said of a cluster before it is asked: flags, kinds, kubeconfigs. No API server answers here.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::program::{Outcome, Weir, weir};
use crate::sample::Tree;

/// A kubeconfig with contexts `prod`, whose user is given, and `test`; the former is the current one.
fn kubeconfig(user: &Value) -> (TempDir, String) {
    let dir = tempfile::tempdir().expect("a folder for temporary files");
    let path = dir.path().join("config");
    let context = |name: &str| json!({"name": name, "context": {"cluster": "far", "user": "jane"}});
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "prod",
        "clusters": [{"name": "far", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "jane", "user": user}],
        "contexts": [context("prod"), context("test")],
    });
    fs::write(&path, config.to_string()).expect("a file");
    let path = path.display().to_string();
    (dir, path)
}

fn ask(kubeconfig: &str, question: &[&str]) -> Outcome {
    Weir::new([&["logs", "--kubeconfig", kubeconfig], question].concat()).run()
}

#[test]
fn a_kubeconfig_that_cannot_be_used_says_why() {
    let (_dir, path) = kubeconfig(&json!({"token": "secret"}));
    ask("/nowhere/config", &[]).exits(2).says(&["/nowhere/config", "No such file"]);
    ask(&path, &["--kube-context", "pord"]).exits(2).says(&["no context 'pord'", "did you mean prod"]);
    ask(&path, &["--context", "tset"]).exits(2).says(&["no context 'tset'", "did you mean test"]);
    ask(&path, &["--context", "test", "--kube-context", "prod"]).exits(2).says(&["--context test"]);
    // It is asked, and nobody answers.
    ask(&path, &["deploy/web", "--context", "test", "-C", "2"])
        .exits(3)
        .says(&["deployment default/web", "Connection refused"]);
    Weir::new(["nodes"]).env("KUBECONFIG", &path).run().exits(3).says(&["Connection refused"]);
    let (_dir, path) = kubeconfig(&json!({"username": "jane", "password": "secret"}));
    ask(&path, &["deploy/web"]).exits(2).says(&["user 'jane'", "no bearer token", "kubectl create token"]);
}

#[test]
fn kinds_are_kubectls() {
    let (_dir, path) = kubeconfig(&json!({"token": "secret"}));
    ask(&path, &["deploymnet/web"]).exits(2).says(&["'deploymnet'", "statefulset (statefulsets, sts)"]);
    ask(&path, &["node/one"]).exits(2).says(&["'node'", "cronjob"]);
    ask(&path, &["sts/db-*"]).exits(2).says(&["'db-*'"]);
    ask(&path, &["sts/db", "-A"]).exits(2).says(&["statefulset/db is in one namespace"]);
    ask(&path, &["-n", "shop", "-A"]).exits(2).says(&["--namespace", "--all-namespaces"]);
    ask(&path, &["-A", "deploy/web"]).exits(2).says(&["for all namespaces"]);
    ask(&path, &["-l", "app=web", "web-*"]).exits(2).says(&["-l"]);
}

#[test]
fn places_are_not_mixed() {
    let (_dir, path) = kubeconfig(&json!({"token": "secret"}));
    let tree = Tree::sample();
    for flags in [&["-n", "shop"][..], &["-A"], &["-l", "app=web"], &["-c", "app"], &["--node", "one"]] {
        weir(&[&["logs", "--dir", tree.arg()], flags].concat()).exits(2).says(&["is for a cluster"]);
        weir(&[&["logs", "--agent", "http://127.0.0.1:1"], flags].concat())
            .exits(2)
            .says(&["is for a cluster"]);
    }
    ask(&path, &["--token-from-kubeconfig"]).exits(2).says(&["--agent URL"]);
    // Of a folder, the same words are a pod and its container.
    let pod = Tree::new();
    pod.write("shop_pod_uid/web-0/0.log", "2026-11-24T10:00:00Z stdout F here\n");
    assert!(weir(&["logs", "--dir", pod.arg(), "pod/web-0"]).exits(0).stdout().contains("here"));
    // And records after a match are still that.
    let after = weir(&["logs", "--dir", tree.arg(), "-A", "1", "-e", "\"n\":2,"]).exits(0);
    assert_eq!(after.lines().len(), 2);
}

#[test]
fn the_kubeconfigs_token_is_for_given_addresses_when_that_is_said() {
    let (_dir, path) = kubeconfig(&json!({"token": "secret"}));
    let question = ["logs", "--agent", "http://127.0.0.1:1", "--kubeconfig", &path];
    Weir::new(question).run().exits(2).says(&["--token-from-kubeconfig"]);
    Weir::new(question.iter().chain(&["--token-from-kubeconfig"]))
        .run()
        .exits(3)
        .says(&["http://127.0.0.1:1"]);
    let (_dir, path) = kubeconfig(&json!({}));
    let question =
        ["logs", "--agent", "http://127.0.0.1:1", "--kubeconfig", &path, "--token-from-kubeconfig"];
    Weir::new(question).run().exits(2).says(&["no bearer token"]);
}

#[test]
fn a_file_with_the_kubeconfigs_token_may_end_in_a_newline() {
    let (dir, path) = kubeconfig(&json!({"tokenFile": "token"}));
    let token = dir.path().join("token");
    let question =
        ["logs", "--agent", "http://127.0.0.1:1", "--kubeconfig", &path, "--token-from-kubeconfig"];
    Weir::new(question).run().exits(3).says(&["user 'jane'", "No such file", &token.display().to_string()]);
    fs::write(&token, "secret\n").expect("a file");
    Weir::new(question).run().exits(3).says(&["http://127.0.0.1:1", "Connection refused"]);
    fs::write(&token, "\n").expect("a file");
    Weir::new(question).run().exits(3).says(&["it is empty", &token.display().to_string()]);
}
