//! The access matrix: who may read what, by each call.

use std::fs;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, ensure};

use crate::cluster::Args;
use crate::cluster::agents::Agents;
use crate::cluster::call::{Call, NOT_FOUND, OK, PERMISSION_DENIED, Who};
use crate::cluster::control_plane::{AUDIENCE, ControlPlane};
use crate::cluster::objects::PODS;

/// A user of the API server's list, by name.
pub(crate) fn user(name: &str) -> Who {
    Who::token(&format!("{name}-token"))
}

/// A name for reports, who that is, and the namespaces that may be read.
type Subject = (&'static str, Who, &'static [&'static str]);

/// Each subject, with the namespaces that it may read.
fn subjects(cluster: &ControlPlane) -> Result<[Subject; 6]> {
    Ok([
        ("user jane", user("jane"), &["shop"]),
        ("user petra", user("petra"), &[]),
        ("user auditor", user("auditor"), &["shop", "bank", "ops"]),
        ("group readers", user("gina"), &["bank"]),
        ("service account reader", Who::token(&cluster.token("ops", "reader", AUDIENCE)?), &["ops"]),
        ("user nobody", user("nobody"), &[]),
    ])
}

/// Every subject, each call, on each node: what is answered is what may be read, and nothing else is told.
pub(crate) fn matrix(cluster: &ControlPlane, agents: &Agents) -> Result<String> {
    let mut calls = 0;
    for (name, who, namespaces) in subjects(cluster)? {
        for (node, agent) in agents.callees.iter().enumerate() {
            for (call, code) in Call::all() {
                let reply = agent.call(&who, &call)?;
                let what = format!("{} by {name} on node {node}", call.name());
                ensure!(reply.code == code, "{what} ended with {}", reply.code);
                let sees = ["Query", "ListSources", "WatchSources"].contains(&call.name());
                let mine =
                    PODS.iter().filter(|pod| sees && pod.node == node && namespaces.contains(&pod.namespace));
                let expected: Vec<&str> = mine.map(|pod| pod.name).collect();
                ensure!(reply.pods() == expected, "{what} tells of {:?}, not {expected:?}", reply.pods());
                calls += 1;
            }
        }
    }
    Ok(format!("{calls} calls"))
}

/// Namespaces and pods that selectors name: allowed or denied, whether they are there or not.
pub(crate) fn named(agents: &Agents) -> Result<String> {
    let cases: &[(&str, &str, u32, &[&str])] = &[
        ("jane", "shop:", OK, &["web-1", "cart-1"]),
        ("jane", "shop:web-1", OK, &["web-1"]),
        ("jane", "shop:nothing-*", NOT_FOUND, &[]),
        ("jane", "bank:", PERMISSION_DENIED, &[]),
        ("jane", "nowhere:", PERMISSION_DENIED, &[]),
        ("jane", "bank:ledger-*", PERMISSION_DENIED, &[]),
        ("jane", "{shop,bank}:", OK, &["web-1", "cart-1"]),
        ("jane", "b*:", NOT_FOUND, &[]),
        ("petra", "shop:web-1", OK, &["web-1"]),
        ("petra", "web-1", OK, &["web-1"]),
        ("petra", "*:web-1/app", OK, &["web-1"]),
        ("petra", "shop:", PERMISSION_DENIED, &[]),
        ("petra", "shop:w*-1", PERMISSION_DENIED, &[]),
        ("petra", "w*-1", NOT_FOUND, &[]),
        ("petra", "*", NOT_FOUND, &[]),
        ("gina", "bank:", OK, &["ledger-1"]),
        ("gina", "ledger-1", OK, &["ledger-1"]),
        ("gina", "cart-1", NOT_FOUND, &[]),
        ("auditor", "nowhere:", NOT_FOUND, &[]),
        ("auditor", "*:*-1", OK, &["web-1", "cart-1", "ledger-1", "cron-1"]),
        ("nobody", "shop:web-1", PERMISSION_DENIED, &[]),
        ("nobody", "web-1", NOT_FOUND, &[]),
    ];
    for (name, selector, code, pods) in cases {
        for call in [Call::query(&[selector]), Call::list_sources(&[selector])] {
            let reply = agents.first().call(&user(name), &call)?;
            let what = format!("{} of '{selector}' by {name}", call.name());
            ensure!(reply.code == *code, "{what} ended with {}, not {code}", reply.code);
            if *code == OK {
                ensure!(reply.pods() == *pods, "{what} tells of {:?}, not {pods:?}", reply.pods());
            }
        }
    }
    Ok(format!("{} selectors", cases.len()))
}

/// Answers about what is there and may not be read, and about what isn't there, are the same but for the name.
pub(crate) fn indistinguishable(agents: &Agents) -> Result<String> {
    let pairs =
        [("bank:", "boat:"), ("bank:ledger-1", "bank:lodger-1"), ("ledger-1", "lodger-1"), ("b*k:", "b*t:")];
    for (there, not_there) in pairs {
        for call in [Call::query as fn(&[&str]) -> Call, Call::list_sources] {
            let [one, other] =
                [there, not_there].map(|selector| agents.first().call(&user("jane"), &call(&[selector])));
            let (one, other) = (one?, other?);
            ensure!(one.code == other.code, "'{there}': {}, '{not_there}': {}", one.code, other.code);
            let (one, other) = (one.message()?, other.message()?);
            let told = other.replace("boat", "bank").replace("lodger", "ledger").replace("b*t", "b*k");
            ensure!(one == told, "'{there}': {one}; '{not_there}': {other}");
        }
    }
    Ok(format!("{} pairs", pairs.len()))
}

/// `weir` with a token, on both agents at once.
pub(crate) fn command_line(args: &Args, agents: &Agents) -> Result<String> {
    let ask = |name: &str, words: &[&str]| -> Result<Output> {
        let token = args.state.join(format!("{name}.token"));
        fs::write(&token, format!("{name}-token\n"))?;
        let mut command = Command::new(&args.weir);
        command.args(words).arg("--token-file").arg(token).arg("--tls-ca").arg(&agents.first().ca);
        for agent in &agents.callees {
            command.args(["--agent", &agent.url]);
        }
        command.env("XDG_CACHE_HOME", args.state.join("cache")).output().context("weir could not be started")
    };
    for (name, words, exit, says) in [
        ("jane", &["logs", "shop:"][..], 0, &["canary-of-web-1", "canary-of-cart-1", "canary-of-web-2"][..]),
        ("jane", &["logs"], 0, &["canary-of-web-1", "canary-of-cart-1", "canary-of-web-2"]),
        ("jane", &["sources"], 0, &["shop:web-1/app", "shop:cart-1/app", "shop:web-2/app"]),
        ("gina", &["logs", "--count"], 0, &["2"]),
        ("jane", &["logs", "bank:"], 2, &[]),
        ("stranger", &["logs"], 2, &[]),
    ] {
        let output = ask(name, words)?;
        let (told, said) = (String::from_utf8(output.stdout)?, String::from_utf8(output.stderr)?);
        let what = format!("weir {words:?} by {name}");
        ensure!(output.status.code() == Some(exit), "{what} ended with {}: {said}", output.status);
        ensure!(says.iter().all(|word| told.contains(word)), "{what}: {told}{said}");
        let foreign = ["ledger", "cron"].iter().any(|word| told.contains(word) || said.contains(word));
        ensure!(!foreign, "{what} tells of others' pods: {told}{said}");
    }
    Ok("6 commands".to_owned())
}
