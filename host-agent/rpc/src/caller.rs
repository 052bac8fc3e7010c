//! Who is at the other end of a connection, and whom limits are counted for.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use sha2::{Digest, Sha256};
use tonic::Request;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer {
    place: Place,
    /// Fingerprint of the client's certificate, which was verified.
    certificate: Option<[u8; 32]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Address(SocketAddr),
    /// A process of this machine, by the user that it runs as.
    User(u32),
    Unknown,
}

/// Whom limits are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Caller {
    /// SHA-256 of a certificate.
    Certificate([u8; 32]),
    /// An address; of IPv6 only the network, since a machine has all addresses of its network.
    Address(IpAddr),
    /// A user of this machine.
    User(u32),
    /// SHA-256 of the name of somebody who has proved it.
    Named([u8; 32]),
    /// Everybody of whom nothing is known.
    Unknown,
}

impl Peer {
    /// At an address.
    pub(crate) fn at(address: SocketAddr) -> Peer {
        Peer { place: Place::Address(address), certificate: None }
    }

    /// A user of this machine.
    pub(crate) fn user(uid: u32) -> Peer {
        Peer { place: Place::User(uid), certificate: None }
    }

    /// The same, known by a certificate (DER) that was verified.
    pub(crate) fn with_certificate(self, certificate: &[u8]) -> Peer {
        Peer { certificate: Some(Sha256::digest(certificate).into()), ..self }
    }

    /// Who sent `request`.
    pub(crate) fn of<T>(request: &Request<T>) -> Peer {
        let unknown = Peer { place: Place::Unknown, certificate: None };
        request.extensions().get::<Peer>().copied().unwrap_or(unknown)
    }

    /// Whom its calls count for.
    pub(crate) fn caller(&self) -> Caller {
        match (self.certificate, self.place) {
            (Some(certificate), _) => Caller::Certificate(certificate),
            (None, Place::Address(address)) => Caller::Address(network(address.ip())),
            (None, Place::User(uid)) => Caller::User(uid),
            (None, Place::Unknown) => Caller::Unknown,
        }
    }
}

fn hex(f: &mut fmt::Formatter<'_>, what: &str, digest: &[u8]) -> fmt::Result {
    write!(f, "{what}:")?;
    digest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
        }
        address => address,
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caller::Certificate(digest) => hex(f, "certificate", digest),
            Caller::Named(digest) => hex(f, "name", digest),
            Caller::Address(address) => write!(f, "address:{address}"),
            Caller::User(uid) => write!(f, "uid:{uid}"),
            Caller::Unknown => f.write_str("unknown"),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Place::Address(address) => address.fmt(f)?,
            Place::User(uid) => write!(f, "uid:{uid}")?,
            Place::Unknown => f.write_str("unknown")?,
        }
        // Enough of the fingerprint to tell two certificates apart.
        let Some(certificate) = &self.certificate else { return Ok(()) };
        f.write_str("/sha256:")?;
        certificate[..8].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Peer {
        Peer::at(text.parse().expect("an address"))
    }

    #[test]
    fn a_caller_is_a_certificate_before_an_address() {
        assert_eq!(at("10.0.0.1:1").caller(), at("10.0.0.1:2").caller());
        assert_ne!(at("10.0.0.1:1").caller(), at("10.0.0.2:1").caller());
        let (one, two) = (at("10.0.0.1:1").with_certificate(b"x"), at("10.0.0.2:1").with_certificate(b"x"));
        assert_eq!(one.caller(), two.caller());
        assert_ne!(one.caller(), at("10.0.0.1:1").with_certificate(b"y").caller());
        assert_ne!(Peer::user(0).caller(), Peer::user(1).caller());
        assert!(one.to_string().starts_with("10.0.0.1:1/sha256:"), "{one}");
    }

    #[test]
    fn all_addresses_of_an_ipv6_network_are_one_caller() {
        assert_eq!(at("[2001:db8::1]:1").caller(), at("[2001:db8::2:1]:1").caller());
        assert_ne!(at("[2001:db8::1]:1").caller(), at("[2001:db8:0:1::1]:1").caller());
        assert_eq!(at("[::ffff:10.0.0.1]:1").caller(), at("10.0.0.1:1").caller());
    }
}
