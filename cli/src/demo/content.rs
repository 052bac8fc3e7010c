//! What the sample pods write: JSON, logfmt and plain text, with the secrets that real logs leak.
//! Mail addresses, card numbers and keys are the well-known ones for tests and examples.

use std::io::Write as _;

use jiff::Timestamp;
use jiff::tz::Offset;
use weir_query::Stream;

use super::random::Random;

/// What a container runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum App {
    /// A shop's checkout: JSON, sometimes with a whole cart of more than 16 KiB.
    Checkout,
    /// Payments: JSON with cards and tokens.
    Payments,
    /// A web server's access log, errors on stderr.
    Web,
    /// Logins: logfmt, with passwords in URLs and fields.
    Auth,
    /// A Java service: plain text with stack traces.
    Ingest,
    /// A DNS server.
    Dns,
    /// A batch job that colours its lines.
    Etl,
}

const USERS: [&str; 8] = ["ann", "bert", "chloe", "dario", "eva", "farid", "grace", "hugo"];
const HOSTS: [&str; 3] = ["example.com", "example.org", "mail.example.net"];
const CARDS: [&str; 5] = [
    "4111 1111 1111 1111",
    "5555-5555-5555-4444",
    "378282246310005",
    "4012888888881881",
    "6011 1111 1111 1117",
];
const PATHS: [&str; 6] = ["/", "/cart", "/api/v1/products", "/api/v1/orders", "/static/app.js", "/healthz"];
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Lines of a stack trace, after the line with the exception.
const TRACE: [&str; 6] = [
    "\tat com.example.ingest.Pipeline.store(Pipeline.java:214)",
    "\tat com.example.ingest.Pipeline.run(Pipeline.java:97)",
    "\tat java.base/java.util.concurrent.ThreadPoolExecutor.runWorker(ThreadPoolExecutor.java:1144)",
    "Caused by: java.net.SocketTimeoutException: Read timed out",
    "\tat java.base/sun.nio.ch.NioSocketImpl.timedRead(NioSocketImpl.java:288)",
    "\t... 12 more",
];

/// One container's writer. It has a state: a stack trace takes several lines.
#[derive(Debug)]
pub(crate) struct Writer {
    app: App,
    random: Random,
    /// Lines of [`TRACE`] still to write.
    trace: usize,
}

impl Writer {
    /// A writer whose lines depend on `random` alone.
    pub(crate) fn new(app: App, random: Random) -> Writer {
        Writer { app, random, trace: 0 }
    }

    /// Appends the next message, written at `time` (nanoseconds since the epoch), to `out`.
    pub(crate) fn next(&mut self, time: i64, out: &mut Vec<u8>) -> Stream {
        let (text, stream) = match self.app {
            App::Checkout => self.checkout(),
            App::Payments => self.payments(),
            App::Web => self.web(time),
            App::Auth => self.auth(),
            App::Ingest => self.ingest(time),
            App::Dns => self.dns(),
            App::Etl => return self.etl(out),
        };
        out.extend_from_slice(text.as_bytes());
        stream
    }

    /// Appends the last message of a container that dies.
    pub(crate) fn last_words(&mut self, out: &mut Vec<u8>) -> Stream {
        let text: &[u8] = match self.app {
            App::Ingest => b"Exception in thread \"worker-3\" java.lang.OutOfMemoryError: Java heap space",
            App::Checkout | App::Payments => {
                b"panic: runtime error: invalid memory address or nil pointer dereference [signal SIGSEGV]"
            }
            _ => b"received SIGTERM, shutting down",
        };
        out.extend_from_slice(text);
        Stream::Stderr
    }

    fn checkout(&mut self) -> (String, Stream) {
        let r = &mut self.random;
        let order = r.hex(8);
        let user = r.between(1000, 9999);
        let email = email(r);
        let trace = r.hex(16);
        if r.one_in(400) {
            let items: Vec<String> = (0..r.between(300, 900))
                .map(|_| {
                    format!(
                        "{{\"sku\":\"{}\",\"qty\":{},\"price\":{}.{:02}}}",
                        r.hex(12),
                        r.between(1, 4),
                        r.below(200),
                        r.below(100)
                    )
                })
                .collect();
            let text = format!(
                "{{\"level\":\"debug\",\"msg\":\"cart dump\",\"order_id\":\"{order}\",\"cart\":[{}]}}",
                items.join(",")
            );
            return (text, Stream::Stdout);
        }
        let (level, msg, status, ms, stream) = match r.below(100) {
            0..=1 => ("error", "payment gateway timeout", 504, r.between(3000, 9000), Stream::Stderr),
            2 => ("error", "inventory service unavailable", 503, r.between(900, 3000), Stream::Stderr),
            3..=7 => ("warn", "retrying reservation", 409, r.between(80, 900), Stream::Stdout),
            8..=40 => ("info", "item added", 200, r.between(2, 40), Stream::Stdout),
            _ => ("info", "order placed", 201, r.between(20, 400), Stream::Stdout),
        };
        let text = format!(
            "{{\"level\":\"{level}\",\"msg\":\"{msg}\",\"order_id\":\"{order}\",\"user\":{{\"id\":{user},\"email\":\"{email}\"}},\
             \"status\":{status},\"duration_ms\":{ms},\"trace_id\":\"{trace}\"}}"
        );
        (text, stream)
    }

    fn payments(&mut self) -> (String, Stream) {
        let r = &mut self.random;
        let (order, amount) = (r.hex(8), format!("{}.{:02}", r.between(5, 900), r.below(100)));
        let text = match r.below(10) {
            0..=5 => format!(
                "{{\"level\":\"info\",\"msg\":\"card charged\",\"order_id\":\"{order}\",\"card\":\"{}\",\"amount\":{amount},\"currency\":\"EUR\"}}",
                r.pick(&CARDS)
            ),
            6..=7 => format!(
                "{{\"level\":\"debug\",\"msg\":\"POST /v1/charges\",\"headers\":{{\"authorization\":\"Bearer {}\"}},\"status\":200}}",
                jwt(r)
            ),
            8 => format!(
                "{{\"level\":\"warn\",\"msg\":\"card declined\",\"order_id\":\"{order}\",\"card\":\"{}\",\"reason\":\"insufficient funds\",\"email\":\"{}\"}}",
                r.pick(&CARDS),
                email(r)
            ),
            _ => format!(
                "{{\"level\":\"error\",\"msg\":\"provider refused\",\"status\":502,\"url\":\"https://api:{}@pay.example.com/v1\"}}",
                r.text(BASE64, 14)
            ),
        };
        (text, Stream::Stdout)
    }

    fn web(&mut self, time: i64) -> (String, Stream) {
        let r = &mut self.random;
        let address = ipv4(r);
        let path = r.pick(&PATHS);
        if r.one_in(120) {
            let text = format!(
                "{} [error] 29#29: *{} upstream timed out (110: Operation timed out) while reading response header from \
                 upstream, client: {address}, request: \"GET {path} HTTP/1.1\", upstream: \"http://10.2.0.{}:8080{path}\"",
                civil(time, "%Y/%m/%d %H:%M:%S"),
                r.between(1000, 99_999),
                r.between(2, 250)
            );
            return (text, Stream::Stderr);
        }
        let status = r.pick(&[200, 200, 200, 200, 200, 200, 200, 304, 301, 404, 499, 502]);
        let query = if r.one_in(25) { format!("?token={}", r.hex(32)) } else { String::new() };
        let text = format!(
            "{address} - - [{}] \"GET {path}{query} HTTP/1.1\" {status} {} \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\" {:.3}",
            civil(time, "%d/%b/%Y:%H:%M:%S +0000"),
            r.between(120, 48_000),
            r.below(900) as f64 / 1000.0
        );
        (text, Stream::Stdout)
    }

    fn auth(&mut self) -> (String, Stream) {
        let r = &mut self.random;
        let (user, address) = (email(r), ipv4(r));
        match r.below(60) {
            0 => {
                let text = format!(
                    "level=error msg=\"cannot reach database\" dsn=postgres://auth:{}@db.platform:5432/auth attempt={} error=\"dial tcp: i/o timeout\"",
                    r.text(BASE64, 12),
                    r.between(1, 5)
                );
                (text, Stream::Stderr)
            }
            1..=2 => {
                let text = format!(
                    "level=warn msg=\"login failed\" user={user} ip={address} password={} reason=\"wrong password\"",
                    r.text(BASE64, 10)
                );
                (text, Stream::Stdout)
            }
            3 => (
                format!(
                    "level=debug msg=\"exported keys\" aws_access_key_id=AKIAIOSFODNN7EXAMPLE user={user}"
                ),
                Stream::Stdout,
            ),
            _ => {
                let text = format!(
                    "level=info msg=\"login ok\" user={user} ip={address} method={} duration={}ms",
                    r.pick(&["password", "oidc", "passkey"]),
                    r.between(3, 250)
                );
                (text, Stream::Stdout)
            }
        }
    }

    fn ingest(&mut self, time: i64) -> (String, Stream) {
        if self.trace > 0 {
            let line = TRACE[TRACE.len() - self.trace];
            self.trace -= 1;
            return (line.to_owned(), Stream::Stderr);
        }
        let r = &mut self.random;
        let at = civil(time, "%Y-%m-%d %H:%M:%S%.3f");
        let worker = r.between(1, 8);
        if r.one_in(90) {
            self.trace = TRACE.len();
            let text = format!(
                "{at} ERROR [worker-{worker}] c.e.ingest.Pipeline - batch {} failed: com.example.ingest.StoreException: timeout",
                r.between(1, 99_999)
            );
            return (text, Stream::Stderr);
        }
        let text = if r.one_in(12) {
            format!(
                "{at} WARN  [worker-{worker}] c.e.ingest.Queue - {} records wait",
                r.between(1000, 20_000)
            )
        } else {
            format!(
                "{at} INFO  [worker-{worker}] c.e.ingest.Pipeline - batch {} stored ({} records)",
                r.between(1, 99_999),
                r.between(1, 512)
            )
        };
        (text, Stream::Stdout)
    }

    fn dns(&mut self) -> (String, Stream) {
        let r = &mut self.random;
        let name = r.pick(&["checkout.shop", "payments.shop", "web.shop", "auth.platform", "kafka.data"]);
        let code = if r.one_in(30) { "NXDOMAIN" } else { "NOERROR" };
        let text = format!(
            "[INFO] 10.2.0.{}:{} - {} \"A IN {name}.svc.cluster.local. udp 54 false 512\" {code} qr,aa,rd 106 0.000{}s",
            r.between(2, 250),
            r.between(32_768, 60_999),
            r.below(65_536),
            r.between(100_000, 999_999)
        );
        (text, Stream::Stdout)
    }

    /// Bytes, not text: some of its rows aren't UTF-8.
    fn etl(&mut self, out: &mut Vec<u8>) -> Stream {
        let r = &mut self.random;
        let row = r.between(1, 1_000_000);
        match r.below(40) {
            0 => {
                out.extend_from_slice(b"\x1b[33mWARN\x1b[0m skipped a row in latin-1: caf\xe9 ");
                write!(out, "{row}").expect("writing to a Vec does not fail");
            }
            1 => write!(out, "\x1b[31mERROR\x1b[0m row {row}: \x1b]0;owned\x07cannot parse date")
                .expect("writing to a Vec does not fail"),
            2 => {}
            _ => write!(out, "\x1b[32mINFO\x1b[0m loaded {} rows up to {row}", r.between(100, 900))
                .expect("writing to a Vec does not fail"),
        }
        Stream::Stdout
    }
}

fn email(r: &mut Random) -> String {
    format!("{}{}@{}", r.pick(&USERS), r.below(90), r.pick(&HOSTS))
}

fn ipv4(r: &mut Random) -> String {
    // The blocks that are set aside for documentation.
    format!("{}.{}", r.pick(&["192.0.2", "198.51.100", "203.0.113"]), r.between(1, 254))
}

fn jwt(r: &mut Random) -> String {
    format!("eyJhbGciOiJIUzI1NiJ9.eyJ{}.{}", r.text(BASE64, 40), r.text(BASE64, 43))
}

fn civil(nanos: i64, format: &str) -> String {
    let timestamp = Timestamp::from_nanosecond(i128::from(nanos))
        .expect("64 bits of nanoseconds span the years 1677 to 2262");
    Offset::UTC.to_datetime(timestamp).strftime(format).to_string()
}
