//! Groups of lines by their keys, in bounded memory.

use std::collections::HashMap;

use weir_sdk::table::Distinct;

/// How many groups are kept. Of more, the smaller half is forgotten, and it is known how much that was at most.
const GROUPS: usize = 20_000;
/// How many where each counts distinct values too: these take up to 12 KiB each.
const GROUPS_DISTINCT: usize = 1_000;

/// One group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) lines: u64,
    pub(crate) distinct: Option<Distinct>,
}

/// All groups.
#[derive(Debug)]
pub(crate) struct Groups {
    groups: HashMap<Vec<u8>, Group>,
    sketch: Option<usize>,
    /// How many lines a group may have had that was forgotten, at most.
    missed: u64,
}

impl Groups {
    /// No groups yet; with a size, each counts distinct values by that many hashes.
    pub(crate) fn new(sketch: Option<usize>) -> Groups {
        Groups { groups: HashMap::new(), sketch, missed: 0 }
    }

    /// The group of that key, a new one if there is none.
    pub(crate) fn get(&mut self, key: &[u8]) -> &mut Group {
        // Not by `entry`: that would take a copy of the key for each line.
        if !self.groups.contains_key(key) {
            let most = if self.sketch.is_some() { GROUPS_DISTINCT } else { GROUPS };
            if self.groups.len() == most {
                self.forget();
            }
            let group = Group { lines: 0, distinct: self.sketch.map(Distinct::new) };
            self.groups.insert(key.to_vec(), group);
        }
        self.groups.get_mut(key).expect("it is there, or was put there")
    }

    /// Every group, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Group)> {
        self.groups.iter().map(|(key, group)| (&key[..], group))
    }

    /// By how many lines a group may be too low, at most.
    pub(crate) fn missed(&self) -> u64 {
        self.missed
    }

    /// Forgets the smaller half, and all that are as large as the largest of it. Whichever comes again begins at
    /// nought, so it is too low by what it had, which was no more than that.
    fn forget(&mut self) {
        let mut sizes: Vec<u64> = self.groups.values().map(|group| group.lines).collect();
        let middle = sizes.len() / 2;
        let (_, &mut largest, _) = sizes.select_nth_unstable(middle);
        self.groups.retain(|_, group| group.lines > largest);
        self.missed += largest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frequent_keys_outlast_a_flood_of_rare_ones_within_the_bound() {
        let mut groups = Groups::new(None);
        let flood = 5 * GROUPS as u64;
        for n in 0..flood {
            groups.get(&n.to_le_bytes()).lines += 1;
            if n % 10 == 0 {
                groups.get(b"frequent").lines += 1;
            }
        }
        assert!(groups.groups.len() <= GROUPS);
        assert!(groups.missed() > 0);
        let told = groups.get(b"frequent").lines;
        assert!(told <= flood / 10 && told + groups.missed() >= flood / 10, "{told} and {}", groups.missed());
    }
}
