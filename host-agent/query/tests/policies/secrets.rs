//! Secrets that `redact` finds, of which no part turns up by chance in what is around them.

use fastrand::Rng;

/// What kind of secret, and so what stands in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Card,
    Password,
    Bearer,
    Email,
}

impl Kind {
    pub(crate) fn any(rng: &mut Rng) -> Kind {
        [Kind::Card, Kind::Password, Kind::Bearer, Kind::Email][rng.usize(0..4)]
    }

    /// A secret of the kind, of the usual length or of any.
    pub(crate) fn secret(self, rng: &mut Rng, any_length: bool) -> String {
        match self {
            Kind::Card => {
                let length = if any_length { [13, 16, 19][rng.usize(0..3)] } else { 16 };
                card(rng, length)
            }
            Kind::Password => {
                let length = if any_length { rng.usize(8..30) } else { 12 };
                word(rng, "QXZJKVW", length)
            }
            Kind::Bearer => {
                let length = if any_length { rng.usize(24..60) } else { 32 };
                format!("Q7{}", word(rng, "QXZJKVWqxzjkvw579", length))
            }
            Kind::Email => {
                let length = if any_length { rng.usize(8..20) } else { 10 };
                format!("{}@{}.com", word(rng, "qxzjkvw", length), word(rng, "qxzjkvw", length))
            }
        }
    }

    /// Parts of a secret, none of which may turn up.
    pub(crate) fn parts(self, secret: &str) -> Vec<String> {
        let length = match self {
            Kind::Card => 9,
            _ => 6,
        };
        let (end, middle) = (secret.len() - length, (secret.len() - length) / 2);
        [0, middle, end].map(|at| secret[at..at + length].to_owned()).to_vec()
    }
}

fn word(rng: &mut Rng, letters: &str, length: usize) -> String {
    let letters: Vec<char> = letters.chars().collect();
    (0..length).map(|_| letters[rng.usize(0..letters.len())]).collect()
}

/// A number with a valid Luhn digit that begins as a card's does.
fn card(rng: &mut Rng, length: usize) -> String {
    let mut digits: Vec<u32> = vec![4];
    digits.extend((0..length - 2).map(|_| rng.u32(1..10)));
    let sum: u32 = digits.iter().rev().enumerate().map(|(place, digit)| luhn(*digit, place % 2 == 0)).sum();
    digits.push((10 - sum % 10) % 10);
    digits.into_iter().filter_map(|digit| char::from_digit(digit, 10)).collect()
}

fn luhn(digit: u32, is_doubled: bool) -> u32 {
    match digit * if is_doubled { 2 } else { 1 } {
        small @ 0..10 => small,
        large => large - 9,
    }
}
