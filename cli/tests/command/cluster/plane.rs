//! A control plane on loopback: etcd, kube-apiserver, and what stands in for the kubelets of its nodes.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// How long it may take to start.
const START: Duration = Duration::from_secs(120);

/// Pause between two looks at whether it has.
const LOOK: Duration = Duration::from_millis(200);

/// Users with a token, which is the name with `-token` behind it.
const USERS: &str = "admin-token,admin,1,system:masters\ndev-token,dev,2\n";

/// A running control plane. It ends with the test.
pub(crate) struct Plane {
    children: Vec<Child>,
    dir: TempDir,
    runtime: Runtime,
    client: Client,
    issuer: CertifiedIssuer<'static, KeyPair>,
    url: String,
    /// Port of what stands in for all kubelets.
    pub(crate) kubelet_port: u16,
    /// The lines of the file that tells it where pods are.
    pods: Vec<String>,
}

/// The file that an environment variable names.
fn program(variable: &str) -> PathBuf {
    let hint = "run scripts/e2e-reach, which builds it";
    PathBuf::from(std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} isn't set: {hint}")))
}

impl Plane {
    pub(crate) fn start() -> Plane {
        let dir = tempfile::tempdir().expect("a folder for temporary files");
        let mut params = CertificateParams::new(Vec::new()).expect("valid parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a certificate");
        let path = |name: &str| dir.path().join(name).display().to_string();
        fs::write(path("ca.pem"), issuer.pem()).expect("a file");
        fs::write(path("users.csv"), USERS).expect("a file");
        fs::write(path("pods"), "").expect("a file");
        let accounts = KeyPair::generate().expect("a key");
        fs::write(path("accounts.key"), accounts.serialize_pem()).expect("a file");
        fs::write(path("accounts.pub"), accounts.public_key_pem()).expect("a file");
        let [etcd_port, peer_port, port, kubelet_port] = [(); 4].map(|()| free_port());
        let url = format!("https://127.0.0.1:{port}");
        let admin = kubeconfig(dir.path(), "admin", &url, &issuer.pem(), &json!({"token": "admin-token"}));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        let client = runtime.block_on(async {
            let kubeconfig = Kubeconfig::read_from(&admin).expect("a kubeconfig");
            let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
            Client::try_from(config.expect("a config")).expect("a client")
        });
        let mut plane =
            Plane { children: Vec::new(), dir, runtime, client, issuer, url, kubelet_port, pods: Vec::new() };
        plane.start_etcd(etcd_port, peer_port);
        plane.start_kubelet();
        plane.start_api_server(etcd_port, port);
        plane
    }

    fn start_etcd(&mut self, port: u16, peer_port: u16) {
        let (client, peer) = (format!("http://127.0.0.1:{port}"), format!("http://127.0.0.1:{peer_port}"));
        let mut command = Command::new("etcd");
        command.args(["--name", "one", "--data-dir", &self.path("etcd"), "--log-level", "warn"]);
        command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("one={peer}")]);
        self.spawn("etcd", command);
    }

    fn start_kubelet(&mut self) {
        let (cert, key) = self.sign("kubelet", "127.0.0.1");
        let mut command = Command::new(program("WEIR_KUBELET"));
        command.args(["-listen", &format!("127.0.0.1:{}", self.kubelet_port), "-pods", &self.path("pods")]);
        command.args(["-cert", &cert, "-key", &key]);
        self.spawn("kubelet", command);
    }

    fn start_api_server(&mut self, etcd_port: u16, port: u16) {
        let (cert, key) = self.sign("api", "127.0.0.1");
        let mut command = Command::new(program("WEIR_KUBE_APISERVER"));
        for (name, value) in [
            ("etcd-servers", format!("http://127.0.0.1:{etcd_port}")),
            ("bind-address", "127.0.0.1".to_owned()),
            // Nothing connects to it, but loopback is refused.
            ("advertise-address", "192.0.2.1".to_owned()),
            ("endpoint-reconciler-type", "none".to_owned()),
            ("secure-port", port.to_string()),
            ("tls-cert-file", cert),
            ("tls-private-key-file", key),
            ("client-ca-file", self.path("ca.pem")),
            ("token-auth-file", self.path("users.csv")),
            ("service-account-issuer", "https://kubernetes.default.svc".to_owned()),
            ("service-account-signing-key-file", self.path("accounts.key")),
            ("service-account-key-file", self.path("accounts.pub")),
            ("authorization-mode", "RBAC".to_owned()),
            // What it waits for is made by the controller manager, which isn't there.
            ("disable-admission-plugins", "ServiceAccount".to_owned()),
            ("service-cluster-ip-range", "10.0.0.0/24".to_owned()),
            ("kubelet-preferred-address-types", "InternalIP".to_owned()),
        ] {
            command.arg(format!("--{name}={value}"));
        }
        self.spawn("kube-apiserver", command);
        self.wait_for("kube-apiserver", || {
            let ready = Request::get("/readyz").body(Vec::new()).expect("a request");
            self.runtime.block_on(self.client.request_text(ready)).is_ok()
        });
    }

    /// Looks again and again until something is so.
    pub(crate) fn wait_for(&self, what: &str, is_so: impl Fn() -> bool) {
        let started = Instant::now();
        while !is_so() {
            assert!(started.elapsed() < START, "{what}: not in time\n{}", self.log());
            std::thread::sleep(LOOK);
        }
    }

    fn spawn(&mut self, name: &str, mut command: Command) {
        let log = File::create(self.path(&format!("{name}.log"))).expect("a file");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        self.children.push(child.unwrap_or_else(|error| panic!("{name}: {error}")));
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("kube-apiserver.log")).unwrap_or_default()
    }

    /// A file of the test.
    pub(crate) fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    /// The authority of everything here.
    pub(crate) fn ca(&self) -> String {
        self.issuer.pem()
    }

    /// A certificate and its key, for a host or of a user.
    pub(crate) fn sign(&self, name: &str, host: &str) -> (String, String) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("valid parameters");
        params.distinguished_name.push(DnType::CommonName, name);
        let signed = params.signed_by(&key, &self.issuer).expect("a certificate");
        let (cert, private) = (self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        fs::write(&cert, signed.pem()).expect("a file");
        fs::write(&private, key.serialize_pem()).expect("a file");
        (cert, private)
    }

    /// A kubeconfig of a user who proves by these fields who they are. The context's namespace is `shop`.
    pub(crate) fn kubeconfig(&self, name: &str, user: &Value) -> String {
        kubeconfig(self.dir.path(), name, &self.url, &self.ca(), user)
    }

    /// The administrator's.
    pub(crate) fn admin(&self) -> String {
        self.path("admin.kubeconfig")
    }

    /// Creates an object below a collection's path.
    pub(crate) fn create(&self, path: &str, object: &Value) -> Value {
        self.call(Request::post(path), object)
    }

    /// Changes an object, or its status.
    pub(crate) fn merge(&self, path: &str, change: &Value) -> Value {
        self.call(Request::patch(path).header("content-type", "application/merge-patch+json"), change)
    }

    /// Deletes an object at once.
    pub(crate) fn delete(&self, path: &str) {
        self.call(Request::delete(path), &json!({"gracePeriodSeconds": 0}));
    }

    fn call(&self, request: http::request::Builder, body: &Value) -> Value {
        let request = request.body(body.to_string().into_bytes()).expect("a request");
        let what = format!("{} {}", request.method(), request.uri());
        let answer = self.runtime.block_on(self.client.request::<Value>(request));
        answer.unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Says where a pod's port is.
    pub(crate) fn lead(&mut self, pod: &str, address: &str) {
        self.pods.retain(|line| !line.starts_with(&format!("{pod} ")));
        self.pods.push(format!("{pod} {address}"));
        fs::write(self.path("pods"), self.pods.join("\n")).expect("a file");
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            child.kill().expect("our child");
            child.wait().expect("our child");
        }
    }
}

fn kubeconfig(dir: &Path, name: &str, url: &str, ca: &str, user: &Value) -> String {
    use base64::Engine as _;
    let ca = base64::prelude::BASE64_STANDARD.encode(ca);
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": url, "certificate-authority-data": ca}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": name, "namespace": "shop"}}],
    });
    let path = dir.join(format!("{name}.kubeconfig"));
    fs::write(&path, config.to_string()).expect("a file");
    path.display().to_string()
}

/// A port of loopback that was free just now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}
