//! An etcd and a kube-apiserver on loopback, and what is asked of the latter as an administrator.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rcgen::KeyPair;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::certs::{Authority, Signed};
use crate::process::{Daemon, free_port, output};
use crate::wait;

/// Whom tokens are made for that are not for the API server itself.
pub(crate) const AUDIENCE: &str = "weir";

/// Issuer of the tokens of service accounts.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";

/// How long a part may take to answer after its start.
const START: Duration = Duration::from_secs(60);

/// Users with a token that doesn't change: name, uid, groups. The token is the name with `-token` behind it.
const USERS: &str = "jane-token,jane,uid-jane,\"dev,staff\"\npetra-token,petra,uid-petra\nauditor-token,auditor,uid-auditor\n\
                     gina-token,gina,uid-gina,\"readers\"\nnobody-token,nobody,uid-nobody\n";

/// What the API server records: the reviews that agents ask for, as they ask.
const AUDIT: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [
    {"level": "Request", "resources": [{"group": "authorization.k8s.io", "resources": ["subjectaccessreviews"]}]},
    {"level": "None"}]}"#;

/// A running control plane.
pub(crate) struct ControlPlane {
    etcd: Daemon,
    api_server: Daemon,
    command: ApiServerCommand,
    admin: Signed,
    /// Roots of the API server's certificate.
    pub(crate) ca: PathBuf,
    /// Where it is: `https://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// Signs the tokens of service accounts.
    pub(crate) token_key: KeyPair,
}

/// How the API server is started, again and again.
struct ApiServerCommand {
    binary: PathBuf,
    dir: PathBuf,
    args: Vec<String>,
}

impl ApiServerCommand {
    fn start(&self) -> Result<Daemon> {
        Daemon::start("kube-apiserver", &self.dir, Command::new(&self.binary).args(&self.args), false)
    }
}

impl ControlPlane {
    /// Starts both, and waits until they answer.
    pub(crate) fn start(binary: &Path, dir: &Path, authority: &Authority) -> Result<ControlPlane> {
        let (etcd_port, peer_port, port) = (free_port()?, free_port()?, free_port()?);
        let server = authority.sign("kube-apiserver", "kubernetes")?;
        let admin = authority.sign("admin", "system:masters")?;
        let token_key = KeyPair::generate()?;
        let path = |name: &str| dir.join(name).display().to_string();
        fs::write(dir.join("tokens.key"), token_key.serialize_pem())?;
        fs::write(dir.join("tokens.pub"), token_key.public_key_pem())?;
        fs::write(dir.join("users.csv"), USERS)?;
        fs::write(dir.join("audit-policy.json"), AUDIT)?;

        let (client, peer) =
            (format!("http://127.0.0.1:{etcd_port}"), format!("http://127.0.0.1:{peer_port}"));
        let mut command = Command::new("etcd");
        command.args(["--name", "one", "--data-dir", &path("etcd"), "--log-level", "warn"]);
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("one={peer}")]);
        let etcd = Daemon::start("etcd", dir, &mut command, false)?;

        let args = [
            ("etcd-servers", client),
            ("bind-address", "127.0.0.1".to_owned()),
            // Nothing connects to it, but loopback is refused.
            ("advertise-address", "192.0.2.1".to_owned()),
            ("endpoint-reconciler-type", "none".to_owned()),
            ("secure-port", port.to_string()),
            ("tls-cert-file", server.cert.display().to_string()),
            ("tls-private-key-file", server.key.display().to_string()),
            ("client-ca-file", path("ca.pem")),
            ("token-auth-file", path("users.csv")),
            ("service-account-issuer", ISSUER.to_owned()),
            ("service-account-signing-key-file", path("tokens.key")),
            ("service-account-key-file", path("tokens.pub")),
            ("api-audiences", format!("{ISSUER},{AUDIENCE}")),
            ("authorization-mode", "RBAC".to_owned()),
            // What it waits for is made by the controller manager, which isn't there.
            ("disable-admission-plugins", "ServiceAccount".to_owned()),
            ("service-cluster-ip-range", "10.0.0.0/24".to_owned()),
            ("audit-policy-file", path("audit-policy.json")),
            ("audit-log-path", path("api-audit.jsonl")),
        ];
        let args = args.iter().map(|(name, value)| format!("--{name}={value}")).collect();
        let command = ApiServerCommand { binary: binary.to_owned(), dir: dir.to_owned(), args };
        let api_server = command.start()?;
        let url = format!("https://127.0.0.1:{port}");
        let ca = dir.join("ca.pem");
        let mut control_plane = ControlPlane { etcd, api_server, command, admin, ca, url, token_key };
        control_plane.ready()?;
        Ok(control_plane)
    }

    /// Waits until the API server takes requests.
    fn ready(&mut self) -> Result<()> {
        wait::until("the API server is ready", START, || {
            self.etcd.alive()?;
            self.api_server.alive()?;
            Ok(self.request("GET", "/readyz", None).ok())
        })?;
        Ok(())
    }

    /// Takes the API server away.
    pub(crate) fn stop_api_server(&mut self) -> Result<()> {
        self.api_server.end(Signal::KILL).map(drop)
    }

    /// Brings it back, with all that it knew.
    pub(crate) fn start_api_server(&mut self) -> Result<()> {
        self.api_server = self.command.start()?;
        self.ready()
    }

    /// Creates an object below a collection's path, and gives what became of it.
    pub(crate) fn create(&self, path: &str, object: &Value) -> Result<Value> {
        let answer = self.request("POST", path, Some(object))?;
        serde_json::from_slice(&answer).with_context(|| format!("the answer to POST {path}"))
    }

    /// What is at a path.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        let answer = self.request("GET", path, None)?;
        serde_json::from_slice(&answer).with_context(|| format!("the answer to GET {path}"))
    }

    /// Puts another version of an object in its place.
    pub(crate) fn replace(&self, path: &str, change: impl FnOnce(&mut Value)) -> Result<()> {
        let mut object = self.get(path)?;
        change(&mut object);
        self.request("PUT", path, Some(&object)).map(drop)
    }

    /// Deletes an object.
    pub(crate) fn delete(&self, path: &str) -> Result<()> {
        self.request("DELETE", path, None).map(drop)
    }

    /// A token of a service account, made for `audience`.
    pub(crate) fn token(&self, namespace: &str, account: &str, audience: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": 3600}});
        let made = self.create(&path, &request)?;
        let token = made["status"]["token"].as_str().context("an answer without a token")?;
        Ok(token.to_owned())
    }

    /// The access reviews that it was asked for, as it recorded them.
    pub(crate) fn reviews(&self) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.command.dir.join("api-audit.jsonl"))?;
        let events = text.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
        let specs = events.into_iter().map(|mut event| event["requestObject"]["spec"].take());
        // Of a request that it refused, it records nothing more.
        Ok(specs.filter(|spec| !spec.is_null()).collect())
    }

    fn request(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Vec<u8>> {
        let mut args = vec!["--silent".to_owned(), "--show-error".to_owned(), "--fail-with-body".to_owned()];
        let file = |path: &Path| path.display().to_string();
        args.extend(["--max-time".to_owned(), "20".to_owned(), "--cacert".to_owned(), file(&self.ca)]);
        args.extend(["--cert".to_owned(), file(&self.admin.cert), "--key".to_owned(), file(&self.admin.key)]);
        args.extend(["--request".to_owned(), method.to_owned()]);
        if let Some(body) = body {
            args.extend(["--header".to_owned(), "content-type: application/json".to_owned()]);
            args.extend(["--data-raw".to_owned(), body.to_string()]);
        }
        args.push(format!("{}{path}", self.url));
        output(Path::new("curl"), args)
    }
}
