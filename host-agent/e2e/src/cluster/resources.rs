//! `Filter` and `FilterPolicy` objects: what an agent makes of them and says of them, and that
//! nothing is given of what a policy may cover that isn't loaded. The agent has the rights that the chart gives it. Which objects
//! the API server refuses, and what these rights are, `scripts/chart` checks.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::certs::Authority;
use crate::cluster::Args;
use crate::cluster::acting::{Acting, CARD, DENIED, INCOMPLETE, MASKED, SHOWS, Said};
use crate::cluster::agents::replace;
use crate::cluster::control_plane::ControlPlane;
use crate::process::{Daemon, output};
use crate::report::Report;
use crate::{chart, wait};

const FILTERS: &str = "/apis/weir.dev/v1alpha1/filters";
const POLICIES: &str = "/apis/weir.dev/v1alpha1/filterpolicies";

/// Runs every check about objects, in an order that builds on itself.
pub(crate) fn run(
    args: &Args,
    cluster: &ControlPlane,
    authority: &Authority,
    report: &mut Report,
) -> Result<()> {
    let mut acting = Acting::start(args, cluster, authority)?;
    report.check("without definitions of objects, all is refused", acting.refuses_all());
    report.check("definitions", definitions(cluster));
    report.check("a policy of a cluster's filter", acting.policy());
    report.check("policies that can't be loaded", acting.fails_closed());
    report.check("a filter of a ConfigMap", acting.config_map(args));
    report.check("the order of filters", acting.order());
    report.check("policies by labels", acting.labels());
    report.check("a policy that changes under a follow", acting.change_under_follow());
    report.check("who may use, upload and bypass", acting.verbs());
    report.check("an agent that restarts", acting.restart());
    acting.daemon.alive()
}

/// The API server takes the chart's definitions.
fn definitions(cluster: &ControlPlane) -> Result<String> {
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    for definition in chart::objects("CustomResourceDefinition")? {
        cluster.create(path, &definition)?;
        let name = definition["metadata"]["name"].as_str().context("a definition without a name")?;
        wait::until(&format!("{name} is served"), SHOWS, || {
            let definition = cluster.get(&format!("{path}/{name}"))?;
            let conditions = definition["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let is_true =
                |kind: &str| conditions.iter().any(|it| it["type"] == kind && it["status"] == "True");
            Ok((is_true("Established") && is_true("NamesAccepted")).then_some(()))
        })?;
    }
    Ok("established".to_owned())
}

fn filter(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "weir.dev/v1alpha1", "kind": "Filter", "metadata": {"name": name}, "spec": spec})
}

fn policy(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "weir.dev/v1alpha1", "kind": "FilterPolicy", "metadata": {"name": name}, "spec": spec})
}

impl Acting<'_> {
    /// An agent that doesn't know which policies there are gives nothing.
    fn refuses_all(&self) -> Result<String> {
        let Said { code, out, err } = self.ask("auditor", &["shop:"])?;
        ensure!(code == INCOMPLETE && out.is_empty(), "ended with {code}: {out}{err}");
        ensure!(err.contains("isn't known yet"), "{err}");
        Ok("nothing is given".to_owned())
    }

    /// A policy names a filter of the cluster, which has parameters of its own.
    fn policy(&self) -> Result<String> {
        self.until(
            "all is given without policies",
            &["--all"],
            0,
            &[CARD, "shop_till-1", "bank_vault-9"],
            &[],
        )?;
        let spec = json!({"builtin": "redact", "params": {"detectors": ["card"]}});
        self.cluster.create(FILTERS, &filter("cards", spec))?;
        self.status(FILTERS, "cards", "True", "")?;
        let spec = json!({"filters": [{"name": "cards"}], "namespaces": {"names": ["ban*"]}});
        self.cluster.create(POLICIES, &policy("cards", spec))?;
        self.until("the policy holds", &["bank:", "--all"], 0, &[MASKED], &[CARD])?;
        let entry = self.status(POLICIES, "cards", "True", "")?;
        ensure!(entry["conditions"][0]["reason"] == "Loaded", "{entry}");
        self.until("others are given as they are", &["ops:", "--all"], 0, &[CARD], &[MASKED])?;
        for pattern in [CARD, "paid with 4"] {
            let said = self.ask("auditor", &["bank:", "-e", pattern, "--count"])?;
            ensure!(said.out.trim() == "0", "'{pattern}' is found {} times", said.out);
        }
        Ok("masked, and not to be found".to_owned())
    }

    /// At every point where a policy may fail, what it may cover is refused, until that is mended.
    fn fails_closed(&self) -> Result<String> {
        let spec = json!({"filters": [{"name": "late"}], "namespaces": {"names": ["ops"]}});
        self.cluster.create(POLICIES, &policy("failing", spec))?;
        let never = &["cron-9 paid"];
        let unlisted = format!("registry.example/errors@sha256:{}", "0".repeat(64));
        let steps = [
            // Which filter it names, and what is then wrong with it.
            (None, "no filter is named 'late'"),
            (Some(json!({"builtin": "nothing"})), "no filter is named 'nothing'"),
            (Some(json!({"builtin": "redact", "params": {"detectors": ["nose"]}})), "nose"),
            (Some(json!({"builtin": "redact", "limits": {"memory_bytes": 1}})), "memory"),
            (Some(json!({"builtin": "stats"})), "aggregate"),
            (
                Some(json!({"configMap": {"namespace": "ops", "name": "missing", "key": "f.wasm"}})),
                "can't be read",
            ),
            (
                Some(json!({"configMap": {"namespace": "ops", "name": "filters", "key": "f.wasm"}})),
                "no ConfigMap",
            ),
            (Some(json!({"oci": {"reference": unlisted}})), "don't ask the registry registry.example"),
        ];
        for (spec, why) in &steps {
            if let Some(spec) = spec {
                let late = filter("late", spec.clone());
                match self.cluster.get(&format!("{FILTERS}/late")) {
                    Err(_) => drop(self.cluster.create(FILTERS, &late)?),
                    Ok(_) => {
                        self.cluster.replace(&format!("{FILTERS}/late"), |it| it["spec"] = spec.clone())?
                    }
                }
            }
            self.until(&format!("refused: {why}"), &["ops:", "--all"], DENIED, &["'failing'", why], never)?;
            self.status(POLICIES, "failing", "False", why)?;
            self.until(
                "others are given, as incomplete",
                &["--all"],
                INCOMPLETE,
                &[MASKED, "failing"],
                never,
            )?;
        }
        self.cluster.replace(&format!("{FILTERS}/late"), |it| it["spec"] = json!({"builtin": "redact"}))?;
        self.until("it is mended", &["ops:", "--all"], 0, &[MASKED], &[CARD])?;
        self.status(POLICIES, "failing", "True", "")?;
        self.cluster.delete(&format!("{POLICIES}/failing"))?;
        self.cluster.delete(&format!("{FILTERS}/late"))?;
        self.until("it is gone", &["ops:", "--all"], 0, &[CARD], &[])?;
        Ok(format!("{} ways to fail", steps.len()))
    }

    /// A component that somebody wrote, from a ConfigMap, by a policy and by a query.
    fn config_map(&self, args: &Args) -> Result<String> {
        let dir = args.state.join("own");
        fs::create_dir(&dir)?;
        let made = |words: &[&str], dir: &Path| {
            let made = Command::new(&self.weir).arg("filter").args(words).current_dir(dir).output()?;
            ensure!(
                made.status.success(),
                "weir filter {words:?}: {}",
                String::from_utf8_lossy(&made.stderr)
            );
            Ok(())
        };
        made(&["new", "mine", "--kind", "redact"], &dir)?;
        made(&["build"], &dir.join("mine"))?;
        let component = fs::read(dir.join("mine/mine.wasm"))?;
        let digest = output(Path::new("sha256sum"), [dir.join("mine/mine.wasm")])?;
        let digest = String::from_utf8_lossy(&digest[..64]).into_owned();
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "filters"},
            "binaryData": {"mine.wasm": BASE64_STANDARD.encode(&component)}});
        self.cluster.create("/api/v1/namespaces/ops/configmaps", &map)?;
        let spec = json!({"configMap": {"namespace": "ops", "name": "filters", "key": "mine.wasm"}});
        self.cluster.create(FILTERS, &filter("mine", spec))?;
        let entry = self.status(FILTERS, "mine", "True", "")?;
        ensure!(entry["digest"] == format!("sha256:{digest}"), "{entry}");
        let garbage =
            |it: &mut Value| it["binaryData"]["mine.wasm"] = BASE64_STANDARD.encode(b"garbage").into();
        self.cluster.replace("/api/v1/namespaces/ops/configmaps/filters", garbage)?;
        self.status(FILTERS, "mine", "False", "component")?;
        self.cluster.delete(&format!("{FILTERS}/mine"))?;
        Ok("loaded by digest, and refused when it is garbage".to_owned())
    }

    /// What a filter of a policy sees is what those before it left.
    fn order(&self) -> Result<String> {
        let pattern = |text: &str| json!({"detectors": [], "patterns": [text]});
        // What one hides, the other doesn't find any more.
        for (name, params) in
            [("first", pattern("(?<one>paid with)")), ("second", pattern("(?<two>with [0-9]+)"))]
        {
            self.cluster.create(FILTERS, &filter(name, json!({"builtin": "redact", "params": params})))?;
        }
        let spec = |names: [&str; 2]| json!({"filters": names.map(|name| json!({"name": name})), "namespaces": {"names": ["ops"]}});
        self.cluster.create(POLICIES, &policy("order", spec(["first", "second"])))?;
        self.until("one after the other", &["ops:", "--all"], 0, &["REDACTED:one"], &["REDACTED:two"])?;
        self.cluster.replace(&format!("{POLICIES}/order"), |it| it["spec"] = spec(["second", "first"]))?;
        self.until("the other way round", &["ops:", "--all"], 0, &["REDACTED:two"], &["REDACTED:one"])?;
        for path in [format!("{POLICIES}/order"), format!("{FILTERS}/first"), format!("{FILTERS}/second")] {
            self.cluster.delete(&path)?;
        }
        Ok("both ways".to_owned())
    }

    /// Policies that select namespaces and pods by labels cover these and, of pods that the API server doesn't know, all.
    fn labels(&self) -> Result<String> {
        let selector = |key: &str, value: &str| json!({"selector": {"matchLabels": {key: value}}});
        let spec = json!({"filters": [{"name": "cards"}], "namespaces": {"names": ["shop"]}, "pods": selector("pci", "yes")});
        self.cluster.create(POLICIES, &policy("labelled", spec))?;
        self.until("a pod by its label", &["shop:till-1", "--all"], 0, &[MASKED], &[CARD])?;
        self.until("a pod that isn't known", &["shop:web-9", "--all"], 0, &[MASKED], &[CARD])?;
        self.cluster
            .replace(&format!("{POLICIES}/labelled"), |it| it["spec"]["pods"] = selector("pci", "no"))?;
        self.until("not one with another label", &["shop:till-1", "--all"], 0, &[CARD], &[MASKED])?;
        let spec = json!({"filters": [{"name": "cards"}], "namespaces": selector("tier", "secret")});
        self.cluster.replace(&format!("{POLICIES}/labelled"), |it| it["spec"] = spec)?;
        self.until("no namespace has the label", &["ops:", "--all"], 0, &[CARD], &[MASKED])?;
        let label = |it: &mut Value| it["metadata"]["labels"]["tier"] = "secret".into();
        self.cluster.replace("/api/v1/namespaces/ops", label)?;
        self.until("a namespace by its label", &["ops:", "--all"], 0, &[MASKED], &[CARD])?;
        self.cluster.delete(&format!("{POLICIES}/labelled"))?;
        self.until("it is gone", &["ops:", "--all"], 0, &[CARD], &[])?;
        Ok("of pods and of namespaces".to_owned())
    }

    /// A follow keeps the policies that it began with; a query that begins later has the new ones.
    fn change_under_follow(&self) -> Result<String> {
        let spec = json!({"filters": [{"name": "cards"}], "namespaces": {"names": ["ops"]}});
        self.cluster.create(POLICIES, &policy("kept", spec))?;
        self.until("it holds", &["ops:", "--all"], 0, &[MASKED], &[CARD])?;
        let mut command = self.command(&["-f", "ops:"]);
        command.arg("--token-file").arg(self.node.join("auditor.token"));
        let mut follow = Daemon::start("follow", &self.node, &mut command, false)?;
        let said = || -> Result<String> { Ok(fs::read_to_string(self.node.join("follow.log"))?) };
        let shows = |text: &str| {
            let seen = || -> Result<_> { Ok(said()?.contains(text).then_some(())) };
            wait::until(&format!("the follow shows '{text}'"), SHOWS, seen)
        };
        shows("cron-9 paid")?;
        self.cluster.delete(&format!("{POLICIES}/kept"))?;
        self.until("it is gone", &["ops:", "--all"], 0, &[CARD], &[])?;
        let log = self.node.join("logs/ops_cron-9_20000000-0000-0000-0000-000000000002/app/0.log");
        let mut log = fs::File::options().append(true).open(log)?;
        log.write_all(format!("2026-11-24T10:00:01Z stdout F later with {CARD}\n").as_bytes())?;
        shows("later with")?;
        ensure!(said()?.contains(&format!("later with {MASKED}")) && !said()?.contains(CARD), "{}", said()?);
        follow.alive()?;
        Ok("the follow goes on behind it".to_owned())
    }

    /// The verbs of the API group.
    fn verbs(&self) -> Result<String> {
        let component = self.node.with_file_name("own").join("mine/mine.wasm");
        let own = component.to_str().context("a path of ours")?;
        let cases: &[(&str, &[&str], i32, &str)] = &[
            ("auditor", &["bank:", "--all", "--bypass-policy", "cards"], 0, CARD),
            ("auditor", &["bank:", "--all", "--bypass-policy", "other"], DENIED, "'bypass'"),
            ("gina", &["bank:", "--all", "--bypass-policy", "cards"], DENIED, "'bypass'"),
            ("jane", &["shop:", "--all", "--filter", "cards"], 0, MASKED),
            ("gina", &["bank:", "--all", "--filter", "cards"], DENIED, "'use'"),
            // One that ships with Weir is for everybody.
            ("gina", &["bank:", "--all", "--filter", "redact"], 0, MASKED),
            ("auditor", &["ops:", "--all", "--filter", own], 0, "cron-9"),
            ("gina", &["bank:", "--all", "--filter", own], DENIED, "'upload'"),
        ];
        for (user, words, code, says) in cases {
            let Said { code: ended, out, err } = self.ask(user, words)?;
            ensure!(ended == *code, "{user} {words:?} ended with {ended}: {out}{err}");
            ensure!(format!("{out}{err}").contains(says), "{user} {words:?}: {out}{err}");
        }
        let audit = fs::read_to_string(self.node.join("audit.jsonl"))?;
        let records = audit.lines().map(serde_json::from_str).collect::<Result<Vec<Value>, _>>()?;
        let is_it = |record: &&Value| record["query"]["bypass"] == json!(["cards"]);
        let users: Vec<&str> =
            records.iter().filter(is_it).filter_map(|record| record["user"]["name"].as_str()).collect();
        ensure!(users == ["auditor", "gina"], "recorded of {users:?}");
        Ok(format!("{} queries", cases.len()))
    }

    /// An agent that starts serves nothing before it knows the policies, and then as before.
    fn restart(&mut self) -> Result<String> {
        self.start_anew()?;
        let mut refusals = 0;
        wait::until("it serves", SHOWS, || {
            let said = self.ask("auditor", &["bank:", "--all"])?;
            ensure!(!said.out.contains(CARD), "it serves without the policy: {}", said.out);
            refusals += usize::from(said.code != 0);
            Ok((said.code == 0 && said.out.contains(MASKED)).then_some(()))
        })?;
        let token = self.node.join("token");
        let good = fs::read(&token)?;
        replace(&token, "no token of anybody")?;
        self.start_anew()?;
        let said = self.ask("auditor", &["bank:", "--all"])?;
        ensure!(said.code == INCOMPLETE && said.out.is_empty(), "{}: {}{}", said.code, said.out, said.err);
        replace(&token, good)?;
        self.until("it serves again", &["bank:", "--all"], 0, &[MASKED], &[CARD])?;
        Ok(format!("{refusals} queries were refused before it knew them"))
    }
}
