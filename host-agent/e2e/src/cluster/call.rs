//! Calls of an agent's gRPC services, made by curl: nothing of Weir's own is between the test and the wire.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::certs::Signed;
use crate::cluster::objects::PODS;
use crate::process::Daemon;

/// gRPC's code for an answer that ended well.
pub(crate) const OK: u32 = 0;
pub(crate) const NOT_FOUND: u32 = 5;
pub(crate) const PERMISSION_DENIED: u32 = 7;
pub(crate) const UNAVAILABLE: u32 = 14;
pub(crate) const UNAUTHENTICATED: u32 = 16;

/// How long a call may take that ends by itself.
const PATIENCE: &str = "60";

/// How long a call is listened to that doesn't.
const LISTEN: &str = "2";

/// Who calls, and how that is proved.
#[derive(Clone, Default)]
pub(crate) struct Who {
    /// Headers of each call.
    pub(crate) headers: Vec<String>,
    /// The client's certificate.
    pub(crate) signed: Option<Signed>,
}

impl Who {
    /// Whoever has this token.
    pub(crate) fn token(token: &str) -> Who {
        Who { headers: vec![format!("authorization: Bearer {token}")], signed: None }
    }
}

/// A call: its path below the agent's address, and the bytes of its message.
pub(crate) struct Call {
    method: &'static str,
    /// `None` ends the call's request without one.
    message: Option<Vec<u8>>,
    /// It doesn't end by itself.
    lasts: bool,
}

impl Call {
    /// Every record that these selectors take.
    pub(crate) fn query(selectors: &[&str]) -> Call {
        Call { method: "weir.v1.QueryService/Query", message: Some(texts(selectors)), lasts: false }
    }

    /// The same, and what is written from now on.
    pub(crate) fn follow(selectors: &[&str]) -> Call {
        let mut message = texts(selectors);
        // Field 13, a boolean.
        message.extend([13 << 3, 1]);
        Call { method: "weir.v1.QueryService/Query", message: Some(message), lasts: true }
    }

    pub(crate) fn list_sources(selectors: &[&str]) -> Call {
        Call { method: "weir.v1.SourceService/ListSources", message: Some(texts(selectors)), lasts: false }
    }

    pub(crate) fn watch_sources(selectors: &[&str]) -> Call {
        Call { method: "weir.v1.SourceService/WatchSources", message: Some(texts(selectors)), lasts: true }
    }

    pub(crate) fn list_filters() -> Call {
        Call { method: "weir.v1.FilterService/ListFilters", message: Some(Vec::new()), lasts: false }
    }

    pub(crate) fn describe_filter() -> Call {
        Call {
            method: "weir.v1.FilterService/DescribeFilter",
            message: Some(field(1, b"redact")),
            lasts: false,
        }
    }

    /// An upload of nothing, which nobody here may make.
    pub(crate) fn upload() -> Call {
        Call { method: "weir.v1.FilterService/UploadFilter", message: None, lasts: false }
    }

    /// Every kind of call, with the code that whoever may make it gets.
    pub(crate) fn all() -> [(Call, u32); 6] {
        [
            (Call::query(&[]), OK),
            (Call::list_sources(&[]), OK),
            (Call::watch_sources(&[]), OK),
            (Call::list_filters(), OK),
            (Call::describe_filter(), OK),
            (Call::upload(), PERMISSION_DENIED),
        ]
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.method.rsplit('/').next().unwrap_or(self.method)
    }
}

/// A message as gRPC sends it: not compressed, and its length in four bytes before it.
fn framed(message: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(message.len())?.to_be_bytes();
    Ok([&[0][..], &length[..], message].concat())
}

/// A field of a message that is text, bytes or a message, of fewer than 128 bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length =
        u8::try_from(content.len()).ok().filter(|length| *length < 128).expect("the test's are short");
    [&[number << 3 | 2, length][..], content].concat()
}

/// Texts in field 1.
fn texts(texts: &[&str]) -> Vec<u8> {
    texts.iter().flat_map(|text| field(1, text.as_bytes())).collect()
}

/// An agent as it is called.
#[derive(Clone)]
pub(crate) struct Callee {
    /// `https://127.0.0.1:PORT`.
    pub(crate) url: String,
    /// Roots of its certificate.
    pub(crate) ca: PathBuf,
    /// Folder for what goes to curl and comes from it.
    pub(crate) dir: PathBuf,
}

/// What came of a call.
pub(crate) struct Reply {
    /// gRPC's code; of a call that was left while it went on, [`OK`].
    pub(crate) code: u32,
    /// gRPC's message and details, and the answer, as they came.
    text: Vec<u8>,
}

impl Reply {
    /// The pods that the answer names or holds records of, in the order of [`PODS`].
    pub(crate) fn pods(&self) -> Vec<&'static str> {
        PODS.iter().map(|pod| pod.name).filter(|name| self.holds(name)).collect()
    }

    /// gRPC's message.
    pub(crate) fn message(&self) -> Result<String> {
        let text = String::from_utf8_lossy(&self.text);
        let message = text.lines().find_map(|line| line.strip_prefix("grpc-message:"));
        Ok(message.context("an answer without a message")?.trim().to_owned())
    }

    /// Whether anything in it holds this text.
    pub(crate) fn holds(&self, text: &str) -> bool {
        self.text.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

/// A call that goes on.
pub(crate) struct Lasting {
    daemon: Daemon,
    answer: PathBuf,
    headers: PathBuf,
}

impl Callee {
    /// Makes a call, to its end or for a moment.
    pub(crate) fn call(&self, who: &Who, call: &Call) -> Result<Reply> {
        let mut lasting = self.begin(who, call, if call.lasts { LISTEN } else { PATIENCE })?;
        lasting.daemon.exit(Duration::from_secs(90))?;
        lasting.reply()
    }

    /// Begins a call that lasts.
    pub(crate) fn last(&self, who: &Who, call: &Call) -> Result<Lasting> {
        self.begin(who, call, "120")
    }

    fn begin(&self, who: &Who, call: &Call, seconds: &str) -> Result<Lasting> {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let number = CALLS.fetch_add(1, Ordering::Relaxed);
        let file = |what: &str| self.dir.join(format!("call-{number}.{what}"));
        let (request, answer, headers) = (file("request"), file("answer"), file("headers"));
        fs::write(&request, call.message.as_deref().map(framed).transpose()?.unwrap_or_default())?;
        let mut command = Command::new("curl");
        command.args(["--silent", "--http2", "--no-buffer", "--max-time", seconds, "--request", "POST"]);
        command.arg("--cacert").arg(&self.ca);
        if let Some(Signed { cert, key }) = &who.signed {
            command.arg("--cert").arg(cert).arg("--key").arg(key);
        }
        for header in ["content-type: application/grpc", "te: trailers"].into_iter().map(str::to_owned) {
            command.args(["--header", &header]);
        }
        for header in &who.headers {
            command.args(["--header", header]);
        }
        command.arg("--data-binary").arg(format!("@{}", request.display()));
        command.arg("--dump-header").arg(&headers).arg("--output").arg(&answer);
        command.arg(format!("{}/{}", self.url, call.method));
        let daemon = Daemon::start("curl", &self.dir, &mut command, false)?;
        Ok(Lasting { daemon, answer, headers })
    }
}

impl Lasting {
    /// Whether the answer so far holds this text.
    pub(crate) fn holds(&self, text: &str) -> Result<bool> {
        let answer = if self.answer.exists() { fs::read(&self.answer)? } else { Vec::new() };
        Ok(answer.windows(text.len()).any(|window| window == text.as_bytes()))
    }

    /// Fails when it has ended.
    pub(crate) fn alive(&mut self) -> Result<()> {
        self.daemon.alive()
    }

    /// Waits for its end.
    pub(crate) fn end(mut self, limit: Duration) -> Result<Reply> {
        self.daemon.exit(limit)?;
        self.reply()
    }

    fn reply(&self) -> Result<Reply> {
        let headers = read(&self.headers)?;
        let text = String::from_utf8_lossy(&headers).to_lowercase();
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let code = match value("grpc-status:") {
            Some(code) => code.parse().context("gRPC's code")?,
            None if text.contains("content-type: application/grpc") => OK,
            None => anyhow::bail!("there was no answer: {}", self.daemon.last_words()?),
        };
        Ok(Reply { code, text: [headers, read(&self.answer)?].concat() })
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    if path.exists() { Ok(fs::read(path)?) } else { Ok(Vec::new()) }
}
