//! Labels of namespaces and pods, as far as somebody has told them: logs on a node don't say. Policies that select by labels
//! cover whatever labels aren't known of, so that nothing is given which they might hide.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Labels by their keys.
pub type Labels = BTreeMap<String, String>;

/// What labels must be like: all requirements must hold, as in a label selector of Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    /// The requirements.
    pub requirements: Vec<LabelRequirement>,
}

/// A requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRequirement {
    /// The label's key.
    pub key: String,
    /// What its value must be like.
    pub value: LabelValue,
}

/// What the value of a label must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelValue {
    /// One of these.
    In(Vec<String>),
    /// None of these; also where there is no such label.
    NotIn(Vec<String>),
    /// Any; the label must be there.
    Exists,
    /// The label must not be there.
    DoesNotExist,
}

impl LabelSelector {
    /// Whether these labels are as they must be.
    pub fn takes(&self, labels: &Labels) -> bool {
        self.requirements.iter().all(|LabelRequirement { key, value: wanted }| {
            let value = labels.get(key);
            match wanted {
                LabelValue::In(values) => value.is_some_and(|value| values.contains(value)),
                LabelValue::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
                LabelValue::Exists => value.is_some(),
                LabelValue::DoesNotExist => value.is_none(),
            }
        })
    }
}

/// The labels that are known in an engine.
#[derive(Debug, Default)]
pub struct KnownLabels(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    namespaces: BTreeMap<String, Labels>,
    /// By the pod's uid, as its logs have it.
    pods: BTreeMap<String, Labels>,
}

impl KnownLabels {
    /// Takes note of the labels of all namespaces.
    pub fn set_namespaces(&self, namespaces: BTreeMap<String, Labels>) {
        self.write().namespaces = namespaces;
    }

    /// Takes note of the labels of a pod, by its uid as its logs have it.
    pub fn set_pod(&self, uid: String, labels: Labels) {
        self.write().pods.insert(uid, labels);
    }

    /// Forgets all pods but these.
    pub fn keep_pods(&self, uids: &BTreeSet<String>) {
        self.write().pods.retain(|uid, _| uids.contains(uid));
    }

    /// Whether a namespace is one that `selector` takes, or may be.
    pub(crate) fn may_take_namespace(&self, selector: &LabelSelector, namespace: &str) -> bool {
        self.read().namespaces.get(namespace).is_none_or(|labels| selector.takes(labels))
    }

    /// Whether a pod is one that `selector` takes, or may be.
    pub(crate) fn may_take_pod(&self, selector: &LabelSelector, uid: &str) -> bool {
        self.read().pods.get(uid).is_none_or(|labels| selector.takes(labels))
    }

    /// The maps are whole between any two statements, so that a panic elsewhere can't have torn them.
    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Known> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_those_of_kubernetes() {
        let labels: Labels = [("tier".to_owned(), "web".to_owned())].into();
        let values = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        for (key, value, takes) in [
            ("tier", LabelValue::In(values(&["db", "web"])), true),
            ("tier", LabelValue::In(values(&["db"])), false),
            ("zone", LabelValue::In(values(&["a"])), false),
            ("tier", LabelValue::NotIn(values(&["web"])), false),
            ("tier", LabelValue::NotIn(values(&["db"])), true),
            ("zone", LabelValue::NotIn(values(&["a"])), true),
            ("tier", LabelValue::Exists, true),
            ("zone", LabelValue::Exists, false),
            ("tier", LabelValue::DoesNotExist, false),
            ("zone", LabelValue::DoesNotExist, true),
        ] {
            let requirement = LabelRequirement { key: key.to_owned(), value };
            let selector = LabelSelector { requirements: vec![requirement.clone()] };
            assert_eq!(selector.takes(&labels), takes, "{requirement:?}");
            let known = KnownLabels::default();
            assert!(known.may_take_pod(&selector, "u") && known.may_take_namespace(&selector, "n"));
            known.set_pod("u".to_owned(), labels.clone());
            known.set_namespaces([("n".to_owned(), labels.clone())].into());
            assert_eq!(known.may_take_pod(&selector, "u"), takes);
            assert_eq!(known.may_take_namespace(&selector, "n"), takes);
            known.keep_pods(&BTreeSet::new());
            assert!(known.may_take_pod(&selector, "u"), "forgotten");
        }
        assert!(LabelSelector::default().takes(&Labels::new()));
    }
}
