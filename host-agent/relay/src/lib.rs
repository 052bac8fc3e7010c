//! One query over several agents, answered as if they were one.
//!
//! A [`Fleet`] takes a list of [`Member`]s, each a name and a way to reach an agent, and gives the
//! [`Event`](weir_query::Event)s that one agent gives: records merged by time, limits over the sum, numbers added up,
//! one [`Summary`](weir_query::Summary). What an agent gives is taken as it is wanted: one whose records aren't due
//! yet waits. An agent that can't be reached, refuses or breaks off is told in the summary, and the others go on.
//!
//! How members are found, and who may ask them, is no part of this crate.
#![forbid(unsafe_code)]

mod asking;
mod ending;
mod error;
mod fleet;
mod joined;
mod lane;
mod listing;
mod merge;
mod opening;
mod place;
mod resume;
mod rules;
mod seat;

pub use error::NoAnswer;
pub use fleet::Fleet;
pub use listing::Listing;
pub use place::Place;
pub use seat::{Member, Reach};
