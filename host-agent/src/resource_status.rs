//! What an agent writes of the cluster's objects: whether each is loaded on its node, and why not.

use jiff::Timestamp;
use weir_cluster::{Condition, NodeStatus, Object};

/// The one condition.
const LOADED: &str = "Loaded";

/// Letters of a reason that are written.
const MESSAGE: usize = 1024;

/// What to write of an object, unless that is what it says already: the digest of its component, which a policy has none of,
/// or why it isn't loaded.
pub(crate) fn to_write(node: &str, object: &Object, loaded: Result<String, String>) -> Option<NodeStatus> {
    let known = object.status.nodes.iter().find(|known| known.node == node);
    let known_condition = known.and_then(|known| known.conditions.iter().find(|it| it.kind == LOADED));
    let (status, reason, message) = match &loaded {
        Ok(_) => ("True", "Loaded", "queries on this node use it".to_owned()),
        Err(why) => ("False", "NotLoaded", why.chars().take(MESSAGE).collect()),
    };
    let mut condition = Condition {
        kind: LOADED.to_owned(),
        status: status.to_owned(),
        observed_generation: object.metadata.generation,
        last_transition_time: String::new(),
        reason: reason.to_owned(),
        message,
    };
    condition.last_transition_time = match known_condition.filter(|known| known.status == condition.status) {
        Some(known) => known.last_transition_time.clone(),
        // In whole seconds, as Kubernetes has times.
        None => Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default().to_string(),
    };
    let wanted =
        NodeStatus { node: node.to_owned(), digest: loaded.unwrap_or_default(), conditions: vec![condition] };
    (known != Some(&wanted)).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_already_is_not_written_again() {
        let mut object = Object::default();
        object.metadata.generation = 3;
        let first = to_write("n1", &object, Ok("sha256:12".to_owned())).expect("news");
        assert_eq!((first.digest.as_str(), first.conditions[0].observed_generation), ("sha256:12", 3));
        object.status.nodes = vec![NodeStatus { node: "n2".to_owned(), ..first.clone() }];
        assert!(to_write("n1", &object, Ok("sha256:12".to_owned())).is_some(), "another node says so");
        object.status.nodes.push(first.clone());
        assert_eq!(to_write("n1", &object, Ok("sha256:12".to_owned())), None);
        object.metadata.generation = 4;
        let newer = to_write("n1", &object, Ok("sha256:12".to_owned())).expect("another generation");
        assert_eq!(newer.conditions[0].last_transition_time, first.conditions[0].last_transition_time);
        let refused = to_write("n1", &object, Err("é".repeat(5000))).expect("news");
        assert_eq!((refused.digest.as_str(), refused.conditions[0].status.as_str()), ("", "False"));
        assert_eq!(refused.conditions[0].message.chars().count(), MESSAGE);
    }
}
