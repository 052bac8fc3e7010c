//! Names of registries.

use std::net::Ipv6Addr;

/// Whether it is a registry's name: a host in lower case, with a dot or `localhost`, or an address, and perhaps a port.
/// Nothing in it means something else in a URL.
pub fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    if let Some(port) = port
        && (!port.bytes().all(|byte| byte.is_ascii_digit()) || port.parse::<u16>().is_err())
    {
        return false;
    }
    if let Some(address) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let is_label = |label: &str| {
        let is_good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (1..=63).contains(&label.len()) && label.bytes().all(is_good) && !label.starts_with('-')
    };
    // A name alone isn't taken to be one on Docker Hub.
    let is_registry = host == "localhost" || host.contains('.') || port.is_some();
    is_registry && host.len() <= 253 && host.split('.').all(is_label)
}

/// Where the registry of a name answers: Docker Hub does so under another one.
pub(crate) fn endpoint(host: &str) -> &str {
    match host {
        "docker.io" | "index.docker.io" => "registry-1.docker.io",
        host => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_registries_are_told_from_all_else() {
        for host in
            ["ghcr.io", "localhost", "localhost:5000", "registry:5000", "10.0.0.1:80", "[::1]:5000", "[::1]"]
        {
            assert!(is_host(host), "{host}");
        }
        for text in [
            "",
            "team",
            "GHCR.io",
            "a..b",
            ".io",
            "ghcr.io:",
            "ghcr.io:x",
            "ghcr.io:+1",
            "ghcr.io:99999",
            "a.b/c",
            "u@a.b",
            "[::1",
            "[x]:1",
            "a.b?c",
            "a.b#c",
            "a b.c",
            "-a.b",
        ] {
            assert!(!is_host(text), "{text}");
        }
    }
}
