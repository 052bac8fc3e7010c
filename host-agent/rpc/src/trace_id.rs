//! The id that one query has in logs, metrics and answers: the one that its client brings, or a new one.

use std::fmt;

use tonic::metadata::MetadataMap;

/// Name of the W3C Trace Context header.
pub(crate) const HEADER: &str = "traceparent";

/// Name of the header that tells a client the id of its query, with answers and refusals alike.
const TOLD: &str = "weir-trace-id";

/// 16 bytes, never all zero; shown as 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TraceId(u128);

impl TraceId {
    /// The one that a call's `traceparent` names, or else a new one.
    pub(crate) fn of(metadata: &MetadataMap) -> TraceId {
        let brought = metadata.get(HEADER).and_then(|value| value.to_str().ok());
        brought.and_then(TraceId::parse).unwrap_or_else(TraceId::new)
    }

    /// Adds it to an answer's headers.
    pub(crate) fn tell(self, metadata: &mut MetadataMap) {
        let value = self.to_string().parse().expect("hex digits are a header's value");
        metadata.insert(TOLD, value);
    }

    pub(crate) fn new() -> TraceId {
        let mut bytes = [0; 16];
        if let Err(error) = getrandom::fill(&mut bytes) {
            // An id that isn't unique is better than no answer.
            tracing::warn!(%error, "the system gives no random numbers");
        }
        TraceId(u128::from_ne_bytes(bytes).max(1))
    }

    /// The header of calls that are to be of this trace. Nobody records it, so its parent has no meaning.
    pub(crate) fn traceparent(self) -> String {
        let parent = (self.0 >> 64) as u64;
        format!("00-{self}-{:016x}-00", parent.max(1))
    }

    /// Reads `VERSION-TRACE-PARENT-FLAGS`. What comes behind these in later versions is passed over.
    fn parse(text: &str) -> Option<TraceId> {
        let mut parts = text.trim().split('-');
        let mut hex = |digits: usize| {
            let part = parts.next()?;
            let is_hex = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            (part.len() == digits && is_hex).then_some(part)
        };
        let (version, trace, parent, _flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        let is_whole = version != "ff" && (version != "00" || parts.next().is_none());
        let id = u128::from_str_radix(trace, 16).ok()?;
        (is_whole && id != 0 && parent.bytes().any(|byte| byte != b'0')).then_some(TraceId(id))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_taken_as_the_standard_says() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (text, taken) in [
            (format!("00-{id}-00f067aa0ba902b7-01"), true),
            (format!("01-{id}-00f067aa0ba902b7-01-more"), true),
            (format!("00-{id}-00f067aa0ba902b7-01-more"), false),
            (format!("ff-{id}-00f067aa0ba902b7-01"), false),
            (format!("00-{id}-0000000000000000-01"), false),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01".to_owned(), false),
            (format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()), false),
            (format!("00-{}-00f067aa0ba902b7-01", &id[1..]), false),
            (String::new(), false),
        ] {
            let mut metadata = MetadataMap::new();
            metadata.insert(HEADER, text.parse().expect("a header"));
            let found = TraceId::of(&metadata).to_string();
            assert_eq!((found == id, found.len()), (taken, 32), "{text}");
        }
    }

    #[test]
    fn new_ones_differ() {
        assert_ne!(TraceId::of(&MetadataMap::new()), TraceId::of(&MetadataMap::new()));
    }

    #[test]
    fn a_call_can_be_given_one() {
        let id = TraceId::new();
        assert_eq!(TraceId::parse(&id.traceparent()), Some(id));
        assert_eq!(TraceId::parse(&TraceId(7).traceparent()), Some(TraceId(7)));
    }
}
