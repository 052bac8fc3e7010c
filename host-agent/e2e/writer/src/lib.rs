//! What a writer and its checker agree on: [lines](Line) that prove themselves whole, and the [`Ledger`] in which a
//! writer tells how far it came. Neither knows how a runtime stores a log.

mod ledger;
mod line;

pub use ledger::{Account, Ledger, Progress, STOP};
pub use line::{Damage, Form, Line, Parsed, Stream};
