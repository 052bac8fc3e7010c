//! What a filter beside another one would have done, as wire types and back: a part of [`convert_filters`](crate::convert_filters).

use weir_query::{Difference, Outcome, SampleSide, ShadowSample, ShadowStatus};

use crate::convert_filters::{filter_status, wire_filter_status};
use crate::wire::v1;
use v1::shadow_sample as sample;

/// What a shadow did.
pub(crate) fn wire(shadow: ShadowStatus) -> v1::ShadowStatus {
    v1::ShadowStatus {
        status: Some(Box::new(wire_filter_status(shadow.status))),
        compared: shadow.compared,
        failed: shadow.failed,
        dropped: shadow.dropped,
        messages: shadow.messages,
        fields: shadow.fields,
        summaries: shadow.summaries,
        left_out: shadow.left_out,
        spent: shadow.spent,
        samples: shadow.samples.into_iter().map(wire_sample).collect(),
    }
}

/// What a shadow did.
///
/// # Errors
/// A part that must be there and isn't, an enum's value that isn't known.
pub(crate) fn status(wire: v1::ShadowStatus) -> Result<ShadowStatus, String> {
    // A shadow has none of its own: what a server says of one isn't read, however deep.
    let status = v1::FilterStatus { shadow: None, ..*wire.status.ok_or("a shadow without its status")? };
    Ok(ShadowStatus {
        status: filter_status(status)?,
        compared: wire.compared,
        failed: wire.failed,
        dropped: wire.dropped,
        messages: wire.messages,
        fields: wire.fields,
        summaries: wire.summaries,
        left_out: wire.left_out,
        spent: wire.spent,
        samples: wire.samples.into_iter().map(read_sample).collect::<Result<_, _>>()?,
    })
}

fn wire_sample(told: ShadowSample) -> v1::ShadowSample {
    let ShadowSample { source, file, offset, difference, filter, shadow } = told;
    let difference = match difference {
        Difference::Failed => sample::Difference::Failed,
        Difference::Dropped => sample::Difference::Dropped,
        Difference::Message => sample::Difference::Message,
        Difference::Fields => sample::Difference::Fields,
    };
    v1::ShadowSample {
        source,
        place: Some(v1::filter_failure::Place { file, offset }),
        difference: difference.into(),
        filter: Some(wire_side(filter)),
        shadow: Some(wire_side(shadow)),
    }
}

fn read_sample(wire: v1::ShadowSample) -> Result<ShadowSample, String> {
    let difference = match sample::Difference::try_from(wire.difference) {
        Ok(sample::Difference::Failed) => Difference::Failed,
        Ok(sample::Difference::Dropped) => Difference::Dropped,
        Ok(sample::Difference::Message) => Difference::Message,
        Ok(sample::Difference::Fields) => Difference::Fields,
        Ok(sample::Difference::Unspecified) | Err(_) => {
            return Err(format!("a sample of unknown difference {}", wire.difference));
        }
    };
    let place = wire.place.ok_or("a sample without a place")?;
    Ok(ShadowSample {
        source: wire.source,
        file: place.file,
        offset: place.offset,
        difference,
        filter: side(wire.filter)?,
        shadow: side(wire.shadow)?,
    })
}

fn wire_side(side: SampleSide) -> sample::Side {
    let outcome = match side.outcome {
        Outcome::Kept => sample::Outcome::Kept,
        Outcome::Dropped => sample::Outcome::Dropped,
        Outcome::Replaced => sample::Outcome::Replaced,
        Outcome::Failed => sample::Outcome::Failed,
    };
    sample::Side { outcome: outcome.into(), message: side.message, fields: side.fields }
}

fn side(wire: Option<sample::Side>) -> Result<SampleSide, String> {
    let wire = wire.ok_or("a sample without one of its sides")?;
    let outcome = match sample::Outcome::try_from(wire.outcome) {
        Ok(sample::Outcome::Kept) => Outcome::Kept,
        Ok(sample::Outcome::Dropped) => Outcome::Dropped,
        Ok(sample::Outcome::Replaced) => Outcome::Replaced,
        Ok(sample::Outcome::Failed) => Outcome::Failed,
        Ok(sample::Outcome::Unspecified) | Err(_) => {
            return Err(format!("a sample of unknown outcome {}", wire.outcome));
        }
    };
    Ok(SampleSide { outcome, message: wire.message, fields: wire.fields })
}
