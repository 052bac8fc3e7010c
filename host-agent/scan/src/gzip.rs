//! Gzip data as files hold it: members one behind the other, and zeros as padding behind the last.

use std::io::{self, BufRead, Read};
use std::mem;

use flate2::bufread::GzDecoder;

/// Decompresses members (RFC 1952, section 2.2) until the data ends.
///
/// As with `gzip`, zeros behind a member are padding, as tapes and block devices leave it. Anything else
/// that isn't a member is an error, and so is damage; what stands before it was given.
pub(crate) struct Members<R>(State<R>);

enum State<R> {
    Member(Box<GzDecoder<R>>),
    /// Behind a member, in front of padding or the next one.
    Between(R),
    Ended,
}

impl<R: BufRead> Members<R> {
    pub(crate) fn new(compressed: R) -> Members<R> {
        Members(State::Member(Box::new(GzDecoder::new(compressed))))
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        loop {
            match &mut self.0 {
                State::Member(member) => {
                    let count = member.read(buf)?;
                    if count > 0 || buf.is_empty() {
                        return Ok(count);
                    }
                }
                State::Between(rest) => {
                    let next = rest.fill_buf()?;
                    let zeros = next.iter().take_while(|byte| **byte == 0).count();
                    if next.is_empty() {
                        self.0 = State::Ended;
                    } else if zeros > 0 {
                        rest.consume(zeros);
                        continue;
                    }
                }
                State::Ended => return Ok(0),
            }
            self.0 = match mem::replace(&mut self.0, State::Ended) {
                State::Member(member) => State::Between(member.into_inner()),
                State::Between(rest) => State::Member(Box::new(GzDecoder::new(rest))),
                State::Ended => State::Ended,
            };
        }
    }
}
