//! What happens to which field: the paths of `keep`, `drop` and `rename`, joined into one tree.

use weir_fields::{Path, Step};
use weir_sdk::{bytes, json};

/// A place in the tree: what happens to the field there, and below it.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// It is kept with all below it.
    pub(crate) keep: bool,
    /// It is left out.
    pub(crate) drop: bool,
    /// It gets another name.
    pub(crate) rename: Option<Name>,
    /// Something below it is kept.
    keeps_below: bool,
    fields: Vec<(String, Node)>,
    items: Option<Box<Node>>,
}

/// A field's new name.
#[derive(Debug)]
pub(crate) struct Name {
    pub(crate) plain: String,
    /// As a JSON string.
    pub(crate) quoted: Vec<u8>,
}

/// All rules.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) root: Node,
    /// Whether only what is kept stays.
    pub(crate) restrict: bool,
    keys: Vec<String>,
}

impl Rules {
    pub(crate) fn keep(&mut self, path: &Path) {
        self.restrict = true;
        let mut node = &mut self.root;
        for step in path.steps() {
            node.keeps_below = true;
            node = node.step(step);
        }
        node.keep = true;
    }

    pub(crate) fn drop(&mut self, path: &Path) {
        self.root.at(path).drop = true;
        self.keys.push(path.last_key().to_owned());
    }

    /// Renames the field at `path`. An error tells that another field beside it gets that name, or that the path
    /// names no field.
    pub(crate) fn rename(&mut self, path: &Path, name: &str) -> Result<(), &'static str> {
        let (last, parents) = path.steps().split_last().expect("a path is never empty");
        if *last == Step::Items {
            return Err("ends in `[*]`; items of an array have no name, so end the path in a key");
        }
        let parent = parents.iter().fold(&mut self.root, |node, step| node.step(step));
        let taken =
            |(_, field): &(String, Node)| field.rename.as_ref().is_some_and(|given| given.plain == name);
        if parent.fields.iter().any(taken) {
            return Err("gets the name that another field beside it gets; choose another name");
        }
        let mut quoted = Vec::new();
        json::write_str(&mut quoted, name);
        parent.step(last).rename = Some(Name { plain: name.to_owned(), quoted });
        self.keys.push(path.last_key().to_owned());
        Ok(())
    }

    /// The keys one of which a changed line must have; `None` when any line may change.
    pub(crate) fn keys(&self) -> Option<&[String]> {
        (!self.restrict).then_some(&self.keys)
    }

    /// The rules for a record without nesting: a key is a path's keys, joined by dots.
    pub(crate) fn flat(&self, key: &[u8]) -> Option<&Node> {
        self.root.flat(key)
    }
}

impl Node {
    /// The rules for the field `key` below.
    pub(crate) fn field(&self, key: &[u8]) -> Option<&Node> {
        self.fields.iter().find(|(name, _)| bytes::same(name.as_bytes(), key)).map(|(_, node)| node)
    }

    /// The rules for the items of the array that stands here.
    pub(crate) fn items(&self) -> Option<&Node> {
        self.items.as_deref()
    }

    /// Whether anything is to be done below.
    pub(crate) fn reaches_below(&self) -> bool {
        !self.fields.is_empty() || self.items.is_some()
    }

    /// Whether any field below gets another name.
    pub(crate) fn renames(&self) -> bool {
        self.fields.iter().any(|(_, field)| field.rename.is_some())
    }

    /// Whether the field stays, or something of it does, where only what is kept stays.
    pub(crate) fn keeps(&self) -> bool {
        self.keep || self.keeps_below
    }

    fn at(&mut self, path: &Path) -> &mut Node {
        path.steps().iter().fold(self, |node, step| node.step(step))
    }

    fn step(&mut self, step: &Step) -> &mut Node {
        match step {
            Step::Items => self.items.get_or_insert_default(),
            Step::Key(key) => {
                let index = match self.fields.iter().position(|(name, _)| name == key) {
                    Some(index) => index,
                    None => {
                        self.fields.push((key.clone(), Node::default()));
                        self.fields.len() - 1
                    }
                };
                &mut self.fields[index].1
            }
        }
    }

    fn flat(&self, key: &[u8]) -> Option<&Node> {
        self.fields.iter().find_map(|(name, node)| match key.strip_prefix(name.as_bytes())? {
            b"" => Some(node),
            rest => node.flat(rest.strip_prefix(b".")?),
        })
    }
}
