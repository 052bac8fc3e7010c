//! A registry of the test's own: Debian's docker-registry on a free port of the loopback address.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::sample::Tree;

/// `weir:swordfish` as `htpasswd -B` writes it.
const HTPASSWD: &str = "weir:$2y$05$abcdefghijklmnopqrstuupWDwJQeCHYIBQy8WvkVB6ImhZ476YYy\n";

/// How a registry is to be.
#[derive(Default)]
pub(crate) struct Options {
    /// Asks for the user `weir` and the password `swordfish`.
    pub(crate) has_password: bool,
    /// Certificate and key, PEM.
    pub(crate) tls: Option<(String, String)>,
}

/// A running registry. It ends with the test.
pub(crate) struct Registry {
    child: Child,
    tree: Tree,
    /// `127.0.0.1:PORT`
    pub(crate) address: String,
}

impl Registry {
    /// A registry that everybody may use; `None`, with a word on why, where its program isn't installed.
    pub(crate) fn start() -> Option<Registry> {
        Registry::start_with(Options::default())
    }

    /// A registry; `None`, with a word on why, where its program isn't installed.
    pub(crate) fn start_with(options: Options) -> Option<Registry> {
        let Some(program) = program() else {
            println!(
                "skipped: no docker-registry here; scripts/setup --tests installs it where there is a package of it"
            );
            return None;
        };
        let tree = Tree::new();
        let config = tree.write("config.yml", config(&tree, &options));
        let mut child = Command::new(program)
            .arg("serve")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the registry starts");
        let mut log = BufReader::new(child.stderr.take().expect("standard error is piped"));
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(log.read_line(&mut line).expect("the registry's log") > 0, "the registry ended");
            if let Some((_, rest)) = line.split_once("listening on ") {
                let end = rest.find([',', '"']).expect("the address ends");
                break rest[..end].to_owned();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Some(Registry { child, tree, address })
    }

    /// A name in it.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// The file with the blob of a digest.
    pub(crate) fn blob(&self, digest: &str) -> PathBuf {
        let hex = digest.strip_prefix("sha256:").expect("a digest");
        self.tree
            .path()
            .join("storage/docker/registry/v2/blobs/sha256")
            .join(&hex[..2])
            .join(hex)
            .join("data")
    }

    /// Writes a manifest past the tool under test.
    pub(crate) fn put_manifest(&self, name: &str, tag: &str, media_type: &str, manifest: &str) {
        let mut stream = TcpStream::connect(&self.address).expect("the registry listens");
        let length = manifest.len();
        write!(
            stream,
            "PUT /v2/{name}/manifests/{tag} HTTP/1.1\r\nHost: {}\r\nContent-Type: {media_type}\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n{manifest}",
            self.address
        )
        .expect("the registry listens");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the registry answers");
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.child.kill().expect("the registry can be ended");
        self.child.wait().expect("the registry ends");
    }
}

fn config(tree: &Tree, options: &Options) -> String {
    let storage = tree.path().join("storage");
    let mut config = format!(
        "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp:\n  addr: 127.0.0.1:0\n",
        storage.display()
    );
    if let Some((certificate, key)) = &options.tls {
        let (certificate, key) = (tree.write("tls.crt", certificate), tree.write("tls.key", key));
        config += &format!("  tls: {{certificate: {}, key: {}}}\n", certificate.display(), key.display());
    }
    if options.has_password {
        let path = tree.write("htpasswd", HTPASSWD);
        config += &format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", path.display());
    }
    config
}

/// The registry's program, by the names that distributions give it.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let dirs: Vec<PathBuf> =
        std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]).collect();
    let names = ["docker-registry", "registry"];
    names
        .iter()
        .flat_map(|name| dirs.iter().map(move |dir| dir.join(name)))
        .find(|path| fs::metadata(path).is_ok())
}
