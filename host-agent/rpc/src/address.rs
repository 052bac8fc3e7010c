//! Which hosts are this machine, the one rule that decides where plain text may travel.

use std::net::IpAddr;

/// Whether `host`, as it stands in a URL, can only be this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_loopback() {
        for host in ["localhost", "LOCALHOST", "127.0.0.1", "127.9.8.7", "::1", "[::1]"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in
            ["", "0.0.0.0", "10.0.0.1", "localhost.example.org", "127.0.0.1.example.org", "[::]", "::2"]
        {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
