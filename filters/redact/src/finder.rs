//! Runs the chosen detectors over one line.

use crate::detector::{ALL, Detector, Detectors};
use crate::fields::{FieldName, Fields};
use crate::masks::{self, Next, Trigger, Wanted};
use crate::pattern::Patterns;
use crate::span::Span;
use crate::{card, email, ip, pem, tokens, url, value, view};
use std::ops::Range;

/// What to look for.
pub(crate) struct Finder {
    detectors: Detectors,
    fields: Fields,
    patterns: Option<Patterns>,
    wanted: Wanted,
}

/// What a look at a line's bytes ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// The spans are all there is.
    Done,
    /// The line has escapes that may hide something: look at its view instead.
    NeedsView,
}

impl Finder {
    pub(crate) fn new(detectors: Detectors, fields: Fields, patterns: Option<Patterns>) -> Self {
        let has = |wanted: &[Detector]| detectors.has_any(wanted);
        let wanted = Wanted {
            escape: true,
            at: has(&[Detector::Email]),
            separator: !fields.is_empty()
                || has(&[Detector::Ipv6, Detector::UrlPassword, Detector::ApiToken]),
            flag: !fields.is_empty(),
            dotted_digits: has(&[Detector::Ipv4]),
            scheme: has(&[Detector::Bearer]),
            number_run: has(&[Detector::Card]),
            token_run: has(&[
                Detector::AwsKey,
                Detector::GcpKey,
                Detector::AzureKey,
                Detector::ApiToken,
                Detector::Jwt,
            ]),
            base64_run: has(&[Detector::PrivateKey]),
            dashes: has(&[Detector::PrivateKey]),
        };
        Self { detectors, fields, patterns, wanted }
    }

    /// The names of labels: the detectors', then the patterns'.
    pub(crate) fn labels(&self) -> Vec<String> {
        let own = self.patterns.iter().flat_map(Patterns::labels);
        ALL.iter().map(|detector| detector.name()).chain(own).map(str::to_owned).collect()
    }

    /// Looks at a line as it is.
    pub(crate) fn look(&mut self, line: &[u8], spans: &mut Vec<Span>) -> Look {
        let mut pass = Pass::new(self.detectors, &self.fields, spans);
        let whole = masks::walk(line, self.wanted, |trigger, at| match trigger {
            Trigger::Escape if view::escape_at(line, at).is_some() => Next::Stop,
            Trigger::Escape => Next::Continue,
            trigger => {
                pass.trigger(line, trigger, at);
                Next::Continue
            }
        });
        if !whole {
            return Look::NeedsView;
        }
        pass.end(line);
        self.own(line, spans);
        Look::Done
    }

    /// Looks at the view of a line.
    pub(crate) fn look_at_view(&mut self, text: &[u8], spans: &mut Vec<Span>) {
        let mut pass = Pass::new(self.detectors, &self.fields, spans);
        let wanted = Wanted { escape: false, ..self.wanted };
        masks::walk(text, wanted, |trigger, at| {
            pass.trigger(text, trigger, at);
            Next::Continue
        });
        pass.end(text);
        self.own(text, spans);
    }

    fn own(&mut self, text: &[u8], spans: &mut Vec<Span>) {
        if let Some(patterns) = &mut self.patterns {
            patterns.find(text, |index, range| {
                // At most 32 patterns behind 13 detectors.
                let label = (ALL.len() + index) as u16;
                spans.push(Span { start: range.start, end: range.end, label });
            });
        }
    }

    /// A regular expression that matches every line in which anything is found: in the bytes, or in the
    /// view.
    pub(crate) fn prefilter(&self) -> String {
        let mut all = String::from("(?-u:");
        all.push_str(view::PATTERN);
        let mut add = |pattern: &str| {
            all.push('|');
            all.push_str(pattern);
        };
        for detector in ALL.into_iter().filter(|&detector| self.detectors.has(detector)) {
            match detector {
                Detector::PrivateKey => add(pem::PATTERN),
                Detector::Jwt => add(tokens::JWT_PATTERN),
                Detector::AzureKey => add(tokens::AZURE_PATTERN),
                Detector::Bearer => add(tokens::CREDENTIAL_PATTERN),
                Detector::UrlPassword => add(url::PASSWORD_PATTERN),
                Detector::Card => add(card::PATTERN),
                Detector::Email => add(email::PATTERN),
                Detector::Ipv4 => add(ip::V4_PATTERN),
                Detector::Ipv6 => add(ip::V6_PATTERN),
                Detector::ApiToken => add(url::WEBHOOK_PATTERN),
                Detector::AwsKey | Detector::GcpKey | Detector::Password => {}
            }
            tokens::shape_patterns(detector, |pattern| add(&pattern));
        }
        if !self.fields.is_empty() {
            add(&self.fields.pattern());
        }
        if let Some(patterns) = &self.patterns {
            add(patterns.pattern());
        }
        all.push(')');
        all
    }
}

/// One pass over one text, and how far each detector has got in it.
struct Pass<'p> {
    detectors: Detectors,
    fields: &'p Fields,
    spans: &'p mut Vec<Span>,
    ipv4_done: usize,
    ipv6_done: usize,
    key_done: usize,
    value_done: usize,
    aws_id: bool,
}

impl<'p> Pass<'p> {
    fn new(detectors: Detectors, fields: &'p Fields, spans: &'p mut Vec<Span>) -> Self {
        let (ipv4_done, ipv6_done, key_done, value_done) = (0, 0, 0, 0);
        Self { detectors, fields, spans, ipv4_done, ipv6_done, key_done, value_done, aws_id: false }
    }

    fn add(&mut self, detector: Detector, range: Range<usize>) {
        self.spans.push(Span { start: range.start, end: range.end, label: detector as u16 });
    }

    fn add_all(&mut self, detector: Detector, range: Option<Range<usize>>) {
        if let Some(range) = range {
            self.add(detector, range);
        }
    }

    fn trigger(&mut self, text: &[u8], trigger: Trigger, at: usize) {
        match trigger {
            Trigger::Escape => {}
            Trigger::At => self.add_all(Detector::Email, email::at_sign(text, at)),
            Trigger::Separator => self.separator(text, at),
            Trigger::Flag => {
                let fields = self.fields;
                fields.flag(text, at, |field, value| self.value(field, value));
            }
            Trigger::DottedDigits if at >= self.ipv4_done => {
                if let Some(range) = ip::v4(text, at) {
                    self.ipv4_done = range.end;
                    self.add(Detector::Ipv4, range);
                }
            }
            Trigger::DottedDigits => {}
            Trigger::Scheme => self.add_all(Detector::Bearer, tokens::credential(text, at)),
            Trigger::NumberRun => card::in_run(text, at, |range| self.add(Detector::Card, range)),
            Trigger::TokenRun => {
                let detectors = self.detectors;
                self.aws_id |=
                    tokens::in_run(text, at, detectors, |detector, range| self.add(detector, range));
            }
            Trigger::Base64Run => self.add_all(Detector::PrivateKey, pem::body(text, at)),
            Trigger::Dashes if at >= self.key_done => {
                if let Some(range) = pem::armour(text, at) {
                    self.key_done = range.end;
                    self.add(Detector::PrivateKey, range);
                }
            }
            Trigger::Dashes => {}
        }
    }

    fn separator(&mut self, text: &[u8], at: usize) {
        if text[at] == b':' {
            let behind = text.get(at + 1).copied().unwrap_or(0);
            if matches!(behind, b'/' | b'\\') {
                if self.detectors.has(Detector::UrlPassword) {
                    self.add_all(Detector::UrlPassword, url::password(text, at));
                }
                if self.detectors.has(Detector::ApiToken) {
                    self.add_all(Detector::ApiToken, url::webhook(text, at));
                }
            } else if at >= self.ipv6_done
                && (behind.is_ascii_hexdigit() || behind == b':')
                && self.detectors.has(Detector::Ipv6)
            {
                let (address, end) = ip::v6(text, at);
                self.ipv6_done = end;
                self.add_all(Detector::Ipv6, address);
            }
        }
        // A value is looked at once: what looks like a name within one is a part of it.
        if at < self.value_done {
            return;
        }
        let fields = self.fields;
        if text[at] == b'>' {
            fields.element(text, at, |field, value| self.value(field, value));
            return;
        }
        fields.before(text, at, |field| {
            value::behind(text, at, field.extent, |value| self.value(field, value));
        });
    }

    fn value(&mut self, field: &FieldName, value: Range<usize>) {
        if value.len() >= field.least {
            self.value_done = self.value_done.max(value.end);
            self.add(field.detector, value);
        }
    }

    fn end(&mut self, text: &[u8]) {
        if self.aws_id {
            tokens::aws_secrets(text, |range| self.add(Detector::AwsKey, range));
        }
    }
}
