//! The named detectors: their names, their order, and the regular expression that each promises.

use weir_sdk::prelude::*;

/// What a detector looks for. Where two find the same bytes, the one listed first names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Params)]
#[repr(u8)]
pub(crate) enum Detector {
    /// Private keys in PEM armour, line by line too.
    PrivateKey,
    /// Access keys, secret keys and session tokens of AWS.
    AwsKey,
    /// API keys, access tokens and client secrets of Google.
    GcpKey,
    /// Storage keys, signatures and client secrets of Azure.
    AzureKey,
    /// Tokens of GitHub, GitLab, Slack, Stripe and others, and webhook addresses.
    ApiToken,
    /// JSON Web Tokens.
    Jwt,
    /// Credentials of HTTP: `Authorization` headers, `Bearer` and `Basic`.
    Bearer,
    /// Passwords in URLs: `scheme://user:password@host`.
    UrlPassword,
    /// Payment card numbers with a valid Luhn digit.
    Card,
    /// E-mail addresses.
    Email,
    /// IPv4 addresses.
    Ipv4,
    /// IPv6 addresses.
    Ipv6,
    /// Values of fields such as `password`, `token` and `api_key`.
    Password,
}

/// All detectors, in their order.
pub(crate) const ALL: [Detector; 13] = [
    Detector::PrivateKey,
    Detector::AwsKey,
    Detector::GcpKey,
    Detector::AzureKey,
    Detector::ApiToken,
    Detector::Jwt,
    Detector::Bearer,
    Detector::UrlPassword,
    Detector::Card,
    Detector::Email,
    Detector::Ipv4,
    Detector::Ipv6,
    Detector::Password,
];

impl Detector {
    /// The name in parameters and in labels.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PrivateKey => "private-key",
            Self::AwsKey => "aws-key",
            Self::GcpKey => "gcp-key",
            Self::AzureKey => "azure-key",
            Self::ApiToken => "api-token",
            Self::Jwt => "jwt",
            Self::Bearer => "bearer",
            Self::UrlPassword => "url-password",
            Self::Card => "card",
            Self::Email => "email",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Password => "password",
        }
    }
}

/// A set of detectors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Detectors(u16);

impl Detectors {
    pub(crate) fn has(self, detector: Detector) -> bool {
        self.0 & (1 << detector as u16) != 0
    }

    pub(crate) fn has_any(self, detectors: &[Detector]) -> bool {
        detectors.iter().any(|&detector| self.has(detector))
    }

    pub(crate) fn remove(&mut self, detector: Detector) {
        self.0 &= !(1 << detector as u16);
    }
}

impl FromIterator<Detector> for Detectors {
    fn from_iter<I: IntoIterator<Item = Detector>>(detectors: I) -> Self {
        Self(detectors.into_iter().fold(0, |set, detector| set | 1 << detector as u16))
    }
}
