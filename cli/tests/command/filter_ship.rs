//! Filters into a real registry and out of it, signed and checked.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::guests::Puppet;
use crate::program::{Outcome, Weir};
use crate::registry::{Options, Registry};
use crate::sample::Tree;

/// A folder with filters and keys.
struct Desk {
    tree: Tree,
}

impl Desk {
    fn new() -> Desk {
        let tree = Tree::new();
        tree.write("puppet.wasm", Puppet::default().build());
        Desk { tree }
    }

    /// `weir filter` here, as somebody without credentials.
    fn prepared(&self, args: &[&str]) -> Weir {
        Weir::new([&["filter"], args].concat())
            .in_dir(self.tree.path())
            .env("DOCKER_CONFIG", self.tree.path().join("docker"))
            .env("XDG_RUNTIME_DIR", self.tree.path())
            .env("COSIGN_PASSWORD", "swordfish")
    }

    fn run(&self, args: &[&str]) -> Outcome {
        self.prepared(args).run()
    }

    /// Pushes the puppet; gives its name by digest.
    fn push(&self, name: &str, more: &[&str]) -> String {
        let pushed = self.run(&[&["push", name, "puppet.wasm"], more].concat()).exits(0);
        pushed.stdout().trim_end().to_owned()
    }

    fn read(&self, path: &str) -> Vec<u8> {
        fs::read(self.tree.path().join(path)).expect(path)
    }

    /// The digest of the puppet.
    fn component(&self) -> String {
        let inspected = self.run(&["inspect", "puppet.wasm", "-o", "jsonl"]).exits(0);
        inspected.objects()[0]["digest"].as_str().expect("a digest").to_owned()
    }
}

fn manifest(registry: &Registry, name: &str) -> Value {
    let digest = name.split_once('@').expect("a name by digest").1;
    serde_json::from_slice(&fs::read(registry.blob(digest)).expect("a manifest")).expect("JSON")
}

#[test]
fn a_filter_is_pushed_and_pulled_by_tag_and_by_digest() {
    let Some(registry) = Registry::start() else { return };
    let desk = Desk::new();
    let tag = registry.name("team/puppet:1.0");
    let by_digest = desk.push(&tag, &[]);
    assert!(by_digest.starts_with(&registry.name("team/puppet@sha256:")), "{by_digest}");
    for name in [&tag, &by_digest] {
        let pulled = desk.run(&["pull", name, "--out", "other.wasm", "--force"]).exits(0);
        assert_eq!(pulled.stdout().trim_end(), by_digest);
        assert_eq!(desk.read("other.wasm"), desk.read("puppet.wasm"));
    }
    let by_default = desk.prepared(&["pull", &tag]).in_dir(&desk.tree.write("in/x", "").with_file_name(""));
    by_default.run().exits(0).says(&["pulled puppet.wasm", "not signed"]);
    assert_eq!(desk.read("in/puppet.wasm"), desk.read("puppet.wasm"));

    // The artifact is as the CNCF's format has it.
    let (manifest, component) = (manifest(&registry, &by_digest), desk.component());
    assert_eq!(manifest["config"]["mediaType"], "application/vnd.wasm.config.v0+json");
    assert_eq!(manifest["layers"].as_array().map(Vec::len), Some(1));
    assert_eq!(manifest["layers"][0]["mediaType"], "application/wasm");
    assert_eq!(manifest["layers"][0]["digest"], component.as_str());
    let config = registry.blob(manifest["config"]["digest"].as_str().expect("a digest"));
    let config: Value = serde_json::from_slice(&fs::read(config).expect("a config")).expect("JSON");
    assert_eq!((&config["architecture"], &config["os"]), (&"wasm".into(), &"wasip2".into()));
    assert_eq!(config["layerDigests"], Value::from(vec![component]));
    assert!(
        config["component"]["exports"][0].as_str().is_some_and(|export| export.starts_with("weir:filter/"))
    );
    assert!(config["created"].as_str().is_some_and(|created| created.ends_with('Z')), "{config}");

    // With a time that is given, the same bytes have the same digest.
    let at = |tag: &str| {
        let pushed = desk
            .prepared(&["push", &registry.name(tag), "puppet.wasm"])
            .env("SOURCE_DATE_EPOCH", "1798761600");
        pushed.run().exits(0).stdout().rsplit_once('@').expect("a digest").1.to_owned()
    };
    assert_eq!(at("a:1"), at("b:2"));
}

#[test]
fn a_filter_in_a_registry_is_inspected_like_a_file() {
    let Some(registry) = Registry::start() else { return };
    let desk = Desk::new();
    desk.run(&["keygen", "team"]).exits(0);
    let name = registry.name("puppet:1");
    let by_digest = desk.push(&name, &["--sign", "team.key"]);
    let file = desk.run(&["inspect", "puppet.wasm"]).exits(0);
    let there = desk.run(&["inspect", &name, "--key", "team.pub"]).exits(0);
    for line in file.lines().iter().filter(|line| !line.starts_with("signed")) {
        assert!(there.lines().contains(line), "{line}: {}", there.stdout());
    }
    assert!(
        there.stdout().contains(&format!("artifact {by_digest}\nsigned   by team.pub\n")),
        "{}",
        there.stdout()
    );
    let object = desk.run(&["inspect", &name, "-o", "jsonl"]).exits(0).objects().remove(0);
    assert_eq!(object["artifact"], by_digest.as_str());
    assert_eq!((&object["signatures"], &object["signed_by"]), (&1.into(), &Value::Array(vec![])));
}

#[test]
fn what_was_tampered_with_is_refused() {
    let Some(registry) = Registry::start() else { return };
    let desk = Desk::new();
    let name = registry.name("puppet:1");
    let by_digest = desk.push(&name, &[]);
    let flip = |digest: &str| {
        let path = registry.blob(digest);
        let mut bytes = fs::read(&path).expect("a blob");
        *bytes.last_mut().expect("some bytes") ^= 1;
        fs::write(&path, bytes).expect("it can be written");
    };
    flip(&desk.component());
    for name in [&name, &by_digest] {
        let refused = desk.run(&["pull", name, "--out", "other.wasm"]).exits(3);
        refused.says(&["other bytes", &desk.component(), "tampered with"]);
    }
    flip(&desk.component());
    desk.run(&["pull", &by_digest, "--out", "other.wasm"]).exits(0);
    // Another manifest in its place.
    let manifest = registry.blob(by_digest.split_once('@').expect("a digest").1);
    let other = fs::read_to_string(&manifest).expect("a manifest").replace("1.2.3", "1.2.4");
    fs::write(&manifest, other).expect("it can be written");
    desk.run(&["pull", &by_digest, "--out", "third.wasm"]).exits(3).says(&["other bytes"]);
    assert!(!desk.tree.path().join("third.wasm").exists());
}

#[test]
fn a_signature_in_a_registry_counts_by_its_key_there_and_in_a_folder() {
    let Some(registry) = Registry::start() else { return };
    let desk = Desk::new();
    desk.run(&["keygen", "team"]).exits(0);
    desk.run(&["keygen", "other"]).exits(0);
    let name = registry.name("puppet:1");
    desk.push(&name, &[]);
    let verify = |what: &str, key: &str| desk.run(&["verify", what, "--key", key]);
    verify(&name, "team.pub").exits(1).says(&["has no signature", "team.pub"]);
    desk.run(&["sign", &name, "--key", "team.key"]).exits(0).says(&["signed sha256:"]);
    desk.run(&["sign", &name, "--key", "team.key"]).exits(0).says(&["already"]);
    assert!(verify(&name, "team.pub").exits(0).stdout().contains("signed by team.pub"));
    verify(&name, "other.pub").exits(1).says(&["by another key", "other.pub"]);
    // A second signer takes nothing from the first.
    desk.run(&["sign", &name, "--key", "other.key"]).exits(0);
    verify(&name, "team.pub").exits(0);
    verify(&name, "other.pub").exits(0);

    // Pulled, the signatures come along, and count without the registry.
    desk.run(&["pull", &name, "--out", "there.wasm", "--key", "team.pub"])
        .exits(0)
        .says(&["signed by team.pub"]);
    drop(registry);
    verify("there.wasm", "team.pub").exits(0);
    desk.run(&["keygen", "third"]).exits(0);
    verify("there.wasm", "third.pub").exits(1);
    fs::copy(desk.tree.path().join("there.wasm.sig"), desk.tree.path().join("changed.wasm.sig"))
        .expect("a copy");
    desk.tree.write("changed.wasm", Puppet { version: "9.9.9", ..Puppet::default() }.build());
    verify("changed.wasm", "team.pub").exits(1).says(&["is of other content"]);
}

#[test]
fn pull_refuses_what_the_key_has_not_signed_and_keeps_what_is_there() {
    let Some(registry) = Registry::start() else { return };
    let desk = Desk::new();
    desk.run(&["keygen", "team"]).exits(0);
    let name = registry.name("puppet:1");
    desk.push(&name, &[]);
    let out = desk.tree.path().join("other.wasm");
    desk.run(&["pull", &name, "--out", "other.wasm", "--key", "team.pub"])
        .exits(1)
        .says(&["nothing was written"]);
    assert!(!out.exists());
    desk.tree.write("other.wasm", "mine");
    desk.run(&["pull", &name, "--out", "other.wasm"])
        .exits(2)
        .says(&["other.wasm is there already", "--force"]);
    assert_eq!(desk.read("other.wasm"), b"mine");
    // Signatures of what was there before don't stay.
    desk.tree.write("other.wasm.sig", "old");
    desk.run(&["pull", &name, "--out", "other.wasm", "--force"]).exits(0);
    assert!(!desk.tree.path().join("other.wasm.sig").exists());
}

#[test]
fn a_file_is_signed_and_verified_without_a_registry() {
    let desk = Desk::new();
    desk.run(&["keygen", "team"]).exits(0).stdout().contains("team.pub");
    desk.run(&["keygen", "team"]).exits(2).says(&["team.key is there already"]);
    desk.run(&["keygen", "other"]).exits(0);
    desk.run(&["verify", "puppet.wasm", "--key", "team.pub"]).exits(1).says(&["has no signature"]);
    let signed = desk.run(&["sign", "puppet.wasm", "--key", "team.key"]).exits(0);
    assert_eq!(signed.stdout(), "puppet.wasm.sig\n");
    let verified = desk.run(&["verify", "puppet.wasm", "--key", "other.pub", "--key", "team.pub"]).exits(0);
    assert!(verified.stdout().contains("signed by team.pub"), "{}", verified.stdout());
    desk.run(&["verify", "puppet.wasm", "--key", "other.pub"]).exits(1).says(&["by another key"]);
    let digest = desk.component();
    desk.run(&["verify", "puppet.wasm", "--digest", &digest]).exits(0);
    desk.run(&["verify", "puppet.wasm", "--digest", &format!("sha256:{}", "0".repeat(64))])
        .exits(1)
        .says(&[&digest]);
    desk.run(&["verify", "puppet.wasm"]).exits(2).says(&["--key"]);
    desk.run(&["verify", "puppet.wasm", "--key", "team.key"]).exits(2).says(&["private key"]);
    let wrong = desk.prepared(&["sign", "puppet.wasm", "--key", "team.key"]).env("COSIGN_PASSWORD", "x");
    wrong.run().exits(2).says(&["the password is wrong", "COSIGN_PASSWORD"]);
    // What is signed need not be a filter.
    desk.tree.write("junk.wasm", "junk");
    desk.run(&["sign", "junk.wasm", "--key", "team.key"]).exits(0);
    desk.run(&["verify", "junk.wasm", "--key", "team.pub"]).exits(2);
}

/// A signature made the component stale, so that it was built anew, in JavaScript with other bytes than were signed.
#[test]
fn what_was_signed_in_a_folder_is_not_built_again() {
    let desk = Desk::new();
    desk.run(&["keygen", "team"]).exits(0);
    desk.tree.write("mine/go.mod", "module mine\n");
    desk.tree.write("mine/mine.wasm", Puppet::default().build());
    // Nothing can be built here.
    let run = |args: &[&str]| desk.prepared(args).env("PATH", "/nowhere").run();
    run(&["sign", "mine", "--key", "team.key"]).exits(0);
    desk.tree.write("mine/README.md", "About it.\n");
    desk.tree.write("mine/tests/cases.yaml", "- {lines: [k], expect: [keep]}\n");
    run(&["verify", "mine", "--key", "team.pub"]).exits(0);
    desk.tree.write("mine/main.go", "package main\n");
    run(&["verify", "mine", "--key", "team.pub"]).exits(3).says(&["go can't be run"]);
}

#[test]
fn credentials_come_from_docker_s_config() {
    let Some(registry) = Registry::start_with(Options { has_password: true, ..Options::default() }) else {
        return;
    };
    let desk = Desk::new();
    let name = registry.name("puppet:1");
    desk.run(&["push", &name, "puppet.wasm"]).exits(2).says(&["no credentials", "docker login"]);
    let log_in = |auth: &str| {
        let config = format!(r#"{{"auths": {{"{}": {{"auth": "{auth}"}}}}}}"#, registry.address);
        desk.tree.write("docker/config.json", config);
    };
    // weir:wrong, weir:swordfish
    log_in("d2Vpcjp3cm9uZw==");
    desk.run(&["push", &name, "puppet.wasm"]).exits(2).says(&["credentials", "wrong"]);
    log_in("d2Vpcjpzd29yZGZpc2g=");
    desk.push(&name, &[]);
    desk.run(&["pull", &name, "--out", "other.wasm"]).exits(0);
    assert_eq!(desk.read("other.wasm"), desk.read("puppet.wasm"));
    log_in("not base64");
    desk.run(&["pull", &name]).exits(2).says(&["can't be read", "config.json"]);
}

#[test]
fn tls_is_spoken_and_checked() {
    let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let (pem, key) = (certificate.cert.pem(), certificate.signing_key.serialize_pem());
    let options = Options { tls: Some((pem.clone(), key)), ..Options::default() };
    let Some(registry) = Registry::start_with(options) else { return };
    let desk = Desk::new();
    let root = desk.tree.write("root.pem", pem);
    let name = registry.name("puppet:1");
    let push = ["push", &name, "puppet.wasm", "--plain-http=false"];
    desk.prepared(&push).env("SSL_CERT_FILE", &root).run().exits(0);
    let other =
        desk.tree.write("none.pem", rcgen::generate_simple_self_signed(vec![]).expect("one").cert.pem());
    desk.prepared(&push)
        .env("SSL_CERT_FILE", &other)
        .run()
        .exits(3)
        .says(&["can't be reached", "certificate"]);
    desk.run(&["pull", &name, "--plain-http"]).exits(2);
}

#[test]
fn each_way_in_which_a_registry_can_fail_is_told() {
    let Some(registry) = Registry::start() else { return };
    let desk = Desk::new();
    desk.run(&["keygen", "team"]).exits(0);
    let by_digest = desk.push(&registry.name("puppet:1"), &["--sign", "team.key"]);
    let digest = by_digest.split_once("@sha256:").expect("a digest").1;
    let pull = |name: &str| desk.run(&["pull", name]);
    pull("puppet:1").exits(2).says(&["'puppet:1'", "HOST/NAME:TAG"]);
    pull("ghcr.io/UPPER").exits(2).says(&["'ghcr.io/UPPER'"]);
    pull("127.0.0.1:1/puppet:1").exits(3).says(&[
        "127.0.0.1:1 can't be reached",
        "refused",
        "--plain-http=false",
    ]);
    pull("registry.invalid/puppet:1").exits(3).says(&["registry.invalid can't be reached", "check its name"]);
    pull(&registry.name("puppet:2")).exits(2).says(&["puppet:2 is not in the registry"]);
    pull(&registry.name("nobody:1")).exits(2).says(&["nobody:1 is not in the registry"]);
    desk.run(&["push", &by_digest, "puppet.wasm"]).exits(2).says(&["only the bytes decide", "puppet:1.0"]);
    desk.run(&["push", &registry.name("redact:1"), "redact"]).exits(2).says(&["ships with Weir"]);
    desk.tree.write("junk.wasm", "junk");
    desk.run(&["push", &registry.name("junk:1"), "junk.wasm"]).exits(2).says(&["junk.wasm"]);
    pull(&registry.name("junk:1")).exits(2).says(&["is not in the registry"]);

    // What isn't a filter: signatures, an index, a component that is larger than what is taken.
    let signatures = registry.name(&format!("puppet:sha256-{digest}.sig"));
    pull(&signatures).exits(2).says(&["is no filter", "application/vnd.oci.image.config.v1+json"]);
    let index = "application/vnd.oci.image.index.v1+json";
    let of = format!(
        r#"{{"schemaVersion":2,"mediaType":"{index}","manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{digest}","size":1}}]}}"#
    );
    registry.put_manifest("puppet", "index", index, &of);
    pull(&registry.name("puppet:index")).exits(2).says(&["is no filter", "index"]);
    let mut large = manifest(&registry, &by_digest);
    large["layers"][0]["size"] = 1_000_000_000.into();
    registry.put_manifest(
        "puppet",
        "large",
        "application/vnd.oci.image.manifest.v1+json",
        &large.to_string(),
    );
    pull(&registry.name("puppet:large")).exits(2).says(&["too large", "1000000000", "67108864"]);
}

#[test]
fn cosign_and_weir_take_each_other_s_keys_and_signatures() {
    let Some(cosign) = std::env::var_os("WEIR_COSIGN") else {
        println!(
            "skipped: WEIR_COSIGN doesn't name a cosign; scripts/cosign builds one with Go and runs this"
        );
        return;
    };
    let registry = Registry::start().expect("with a cosign, docker-registry is wanted as well");
    let desk = Desk::new();
    let cosign = |args: &[&str]| {
        let output = Command::new(&cosign)
            .args(args)
            .current_dir(desk.tree.path())
            .env("COSIGN_PASSWORD", "swordfish")
            .env("HOME", desk.tree.path())
            .env("DOCKER_CONFIG", Path::new("/nowhere"))
            .output()
            .expect("cosign runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), format!("{args:?}: {told}"))
    };
    let good = |args: &[&str]| {
        let (is_good, told) = cosign(args);
        assert!(is_good, "{told}");
    };
    let offline = ["--insecure-ignore-tlog=true", "--key"];
    good(&["generate-key-pair", "--output-key-prefix", "theirs"]);
    desk.run(&["keygen", "ours"]).exits(0);

    // Signed by us, with either key; taken by cosign.
    let name = registry.name("puppet:1");
    let by_digest = desk.push(&name, &["--sign", "ours.key"]);
    good(&[&["verify"][..], &offline, &["ours.pub", &by_digest]].concat());
    let (is_good, told) = cosign(&[&["verify"][..], &offline, &["theirs.pub", &by_digest]].concat());
    assert!(!is_good, "{told}");
    desk.run(&["sign", &by_digest, "--key", "theirs.key"]).exits(0);
    good(&[&["verify"][..], &offline, &["theirs.pub", &by_digest]].concat());
    desk.run(&["sign", "puppet.wasm", "--key", "ours.key"]).exits(0);
    good(
        &[&["verify-blob"][..], &offline, &["ours.pub", "--signature", "puppet.wasm.sig", "puppet.wasm"]]
            .concat(),
    );

    // Signed by cosign, with either key; taken by us.
    let other = registry.name("puppet:2");
    let pushed = desk.prepared(&["push", &other, "puppet.wasm"]).env("SOURCE_DATE_EPOCH", "0").run().exits(0);
    let by_digest = pushed.stdout().trim_end();
    for key in ["ours", "theirs"] {
        let private = format!("{key}.key");
        good(&["sign", "--yes", "--tlog-upload=false", "--key", &private, by_digest]);
        desk.run(&["verify", by_digest, "--key", &format!("{key}.pub")]).exits(0);
        good(&[
            "sign-blob",
            "--yes",
            "--tlog-upload=false",
            "--key",
            &private,
            "--output-signature",
            "puppet.wasm.sig",
            "puppet.wasm",
        ]);
        desk.run(&["verify", "puppet.wasm", "--key", &format!("{key}.pub")]).exits(0);
    }
    desk.run(&["pull", by_digest, "--out", "there.wasm"]).exits(0);
    desk.run(&["verify", "there.wasm", "--key", "theirs.pub"]).exits(0);
}
