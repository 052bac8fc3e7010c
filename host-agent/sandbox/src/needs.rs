//! What a component is made of, counted without compiling or validating it: which limits it is over before any of it runs.

use std::collections::BTreeMap;

use wasmparser::{Instance, Parser, Payload};

use crate::limits::FilterLimits;

/// How many parts one instance of a component is made of. Each module and each component in it counts once, however often
/// it is made an instance of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Core instances.
    pub core_instances: u64,
    /// Linear memories.
    pub memories: u64,
    /// Tables.
    pub tables: u64,
    /// Elements of all tables together, to begin with.
    pub table_elements: u64,
}

impl Needs {
    /// Counts what a component is made of.
    ///
    /// # Errors
    /// It can't be parsed; the text says where.
    pub fn of(component: &[u8]) -> Result<Needs, String> {
        let mut needs = Needs::default();
        for payload in Parser::new(0).parse_all(component) {
            needs.count(payload).map_err(|error| error.to_string())?;
        }
        Ok(needs)
    }

    fn count(&mut self, payload: wasmparser::Result<Payload<'_>>) -> wasmparser::Result<()> {
        match payload? {
            Payload::InstanceSection(section) => {
                for instance in section {
                    self.core_instances += u64::from(matches!(instance?, Instance::Instantiate { .. }));
                }
            }
            Payload::MemorySection(section) => self.memories += u64::from(section.count()),
            Payload::TableSection(section) => {
                for table in section {
                    self.tables += 1;
                    self.table_elements = self.table_elements.saturating_add(table?.ty.initial);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The limits that are too low for it, by their names among [`FilterLimits::NAMED`], each with what it needs.
    pub fn over(&self, limits: &FilterLimits) -> BTreeMap<&'static str, u64> {
        let needed = |name: &str| match name {
            "core_instances" => self.core_instances,
            "memories" => self.memories,
            "tables" => self.tables,
            "table_elements" => self.table_elements,
            _ => 0,
        };
        let over = FilterLimits::NAMED.iter().filter(|limit| needed(limit.name) > limit.get(limits));
        over.map(|limit| (limit.name, needed(limit.name))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_wherever_they_are() {
        let component = wat::parse_str(
            "(component
                (core module $a (memory 3) (table 5 funcref))
                (core module $b (memory 2) (table 1 funcref) (table 2 funcref))
                (core instance (instantiate $a))
                (component $inner (core module $c (memory 1)) (core instance (instantiate $c)))
                (core instance (instantiate $b)))",
        )
        .expect("valid text");
        let needs = Needs::of(&component).expect("it is read");
        assert_eq!(needs, Needs { core_instances: 3, memories: 3, tables: 3, table_elements: 8 });
        let limits = FilterLimits { memories: 2, table_elements: 7, ..FilterLimits::default() };
        assert_eq!(needs.over(&limits), [("memories", 3), ("table_elements", 8)].into());
        assert!(needs.over(&FilterLimits::default()).is_empty());
        assert!(Needs::of(b"\0asm").is_err());
    }
}
