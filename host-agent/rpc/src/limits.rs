//! The server's named limits.

use std::time::Duration;

use weir_query::Budget;

/// Named bounds of the server. Each has a default that [`ServerLimits::default`] gives.
///
/// A *caller* is who limits are counted for: the client's certificate where it has one, else its address (of an
/// IPv6 address the first 64 bits), or the user at the other end of a Unix socket.
///
/// Queries and lookups run on tokio's blocking threads: see [`ServerLimits::blocking_threads`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Searches that run at once (default 8); more wait for their turn. Doesn't bound what one of them reads, nor
    /// queries that follow.
    pub max_queries: usize,
    /// Searches of one caller that run at once (default 4); more wait, and let others pass.
    pub max_queries_per_caller: usize,
    /// Queries that follow at once (default 32); more are refused, since it may be long until one ends. The part of
    /// a follow that reads the past counts too.
    pub max_follows: usize,
    /// Queries of one caller that follow at once (default 16); more are refused.
    pub max_follows_per_caller: usize,
    /// Searches that wait for their turn (default 64); more are refused.
    pub max_queued: usize,
    /// Searches of one caller that wait for their turn (default 16); more are refused.
    pub max_queued_per_caller: usize,
    /// Bytes of the requests that wait for their turn, and of uploaded components that they use (default 16 MiB); what
    /// would pass it is refused.
    pub max_queued_bytes: usize,
    /// How long a search may wait for its turn (default 10 s) before it is refused.
    pub queue: Duration,
    /// What one query may use up before it is ended, with what it has found (default: 10 minutes, 64 GiB read,
    /// 8 GiB given). Of a query that follows, only the past counts.
    pub budget: Budget,
    /// Listings that run at once (default 4); more wait.
    pub max_lookups: usize,
    /// Watches that run at once (default 16); more are refused.
    pub max_watches: usize,
    /// Connections open at once (default 128); more wait to be accepted.
    pub max_connections: usize,
    /// Calls open at once on one connection (default 64).
    pub max_streams: u32,
    /// Largest request in bytes (default 8 MiB); an upload is many.
    pub max_request_bytes: usize,
    /// Bytes of all requests that are being received (default 32 MiB); what would pass it is refused. Doesn't bound
    /// what is made of a request once it has arrived.
    pub max_requests_bytes: usize,
    /// Bytes of the components that all callers have uploaded or are uploading (default 16 MiB); what would pass it is
    /// refused. One component is bounded by [`SandboxLimits::component_bytes`](weir_query::SandboxLimits).
    pub max_uploads_bytes: usize,
    /// The same of one caller (default 8 MiB): its own that were not used for longest make way.
    pub max_uploads_bytes_per_caller: usize,
    /// How long an uploaded component is kept that isn't used (default 15 minutes). Doesn't bound how long a query goes
    /// on that uses it, nor how long what was compiled of it is kept for its owner.
    pub upload_keep: Duration,
    /// Bytes of one call's headers (default 16 KiB), each name and value with 32 bytes added.
    pub max_header_bytes: u32,
    /// How long a request may take to arrive (default 30 s).
    pub request: Duration,
    /// How long a connection may take to shake hands, and then to make its first call (default 10 s).
    pub handshake: Duration,
    /// How long a connection may be without a call before it is closed (default 5 minutes).
    pub idle: Duration,
    /// After how long a silence the system asks whether a client is still there (default 30 s). One that doesn't
    /// answer for as long again is gone.
    pub keepalive: Duration,
    /// How long a client may take nothing of a search's answer before the search is given up (default 1 minute), and
    /// from then on its word of that before its connection is closed. Doesn't bound how slowly it may read.
    pub stall: Duration,
    /// The same for a query that follows (default 15 minutes).
    pub follow_stall: Duration,
    /// How often a watch looks for changes (default 2 s).
    pub watch_interval: Duration,
}

impl Default for ServerLimits {
    fn default() -> ServerLimits {
        ServerLimits {
            max_queries: 8,
            max_queries_per_caller: 4,
            max_follows: 32,
            max_follows_per_caller: 16,
            max_queued: 64,
            max_queued_per_caller: 16,
            max_queued_bytes: 16 << 20,
            queue: Duration::from_secs(10),
            budget: Budget { time: Duration::from_secs(10 * 60), read_bytes: 64 << 30, sent_bytes: 8 << 30 },
            max_lookups: 4,
            max_watches: 16,
            max_connections: 128,
            max_streams: 64,
            max_request_bytes: 8 << 20,
            max_requests_bytes: 32 << 20,
            max_uploads_bytes: 16 << 20,
            max_uploads_bytes_per_caller: 8 << 20,
            upload_keep: Duration::from_secs(15 * 60),
            max_header_bytes: 16 << 10,
            request: Duration::from_secs(30),
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(5 * 60),
            keepalive: Duration::from_secs(30),
            stall: Duration::from_secs(60),
            follow_stall: Duration::from_secs(15 * 60),
            watch_interval: Duration::from_secs(2),
        }
    }
}

impl ServerLimits {
    /// Blocking threads that the runtime must allow, so that nothing waits for a thread that has its permit.
    pub fn blocking_threads(&self) -> usize {
        // And one that starts the threads of queries.
        self.max_lookups + 1
    }
}
