//! Kinds of objects that lead to pods.

/// A kind of object that leads to pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The pod of that name.
    Pod,
    /// The pods that a Deployment's selector takes.
    Deployment,
    /// The pods that a StatefulSet's selector takes.
    StatefulSet,
    /// The pods that a DaemonSet's selector takes.
    DaemonSet,
    /// The pods that a ReplicaSet's selector takes.
    ReplicaSet,
    /// The pods of a Job.
    Job,
    /// The pods of the Jobs that a CronJob owns.
    CronJob,
    /// The pods that a Service's selector takes.
    Service,
}

/// The names of a kind, as kubectl has them: singular, plural, short.
type Names = &'static [&'static str];

/// Kinds that lead to no pods, or to more than these: typed by habit.
const OTHERS: Names = &[
    "node",
    "nodes",
    "no",
    "namespace",
    "namespaces",
    "ns",
    "configmap",
    "configmaps",
    "cm",
    "secret",
    "secrets",
    "ingress",
    "ingresses",
    "ing",
    "endpoints",
    "ep",
    "replicationcontroller",
    "replicationcontrollers",
    "rc",
    "persistentvolumeclaim",
    "persistentvolumeclaims",
    "pvc",
    "horizontalpodautoscaler",
    "hpa",
    "serviceaccount",
    "serviceaccounts",
    "sa",
    "rollout",
    "rollouts",
];

/// Most typing errors in what is taken for a kind.
const TYPOS: usize = 2;

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 8] = [
        Kind::Pod,
        Kind::Deployment,
        Kind::StatefulSet,
        Kind::DaemonSet,
        Kind::ReplicaSet,
        Kind::Job,
        Kind::CronJob,
        Kind::Service,
    ];

    /// What it is called in messages and by kubectl: the singular.
    pub fn name(self) -> &'static str {
        self.names()[0]
    }

    /// Its names: singular, plural, short.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Kind::Pod => &["pod", "pods", "po"],
            Kind::Deployment => &["deployment", "deployments", "deploy"],
            Kind::StatefulSet => &["statefulset", "statefulsets", "sts"],
            Kind::DaemonSet => &["daemonset", "daemonsets", "ds"],
            Kind::ReplicaSet => &["replicaset", "replicasets", "rs"],
            Kind::Job => &["job", "jobs"],
            Kind::CronJob => &["cronjob", "cronjobs", "cj"],
            Kind::Service => &["service", "services", "svc"],
        }
    }

    /// Reads one of the names, in any case, with the API group behind a dot (`deployment.apps`) or without.
    pub fn parse(text: &str) -> Option<Kind> {
        let lower = text.to_ascii_lowercase();
        let (name, group) = lower.split_once('.').unwrap_or((&lower, ""));
        if !["", "apps", "batch", "core", "v1.apps", "v1.batch"].contains(&group) {
            return None;
        }
        Kind::ALL.into_iter().find(|kind| kind.names().contains(&name))
    }

    /// Whether a word is meant as a kind, though it is none of these.
    pub(crate) fn is_meant(text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        let name = lower.split('.').next().unwrap_or_default();
        let is_near =
            |known: &str| known.len() > 2 * TYPOS && strsim::damerau_levenshtein(name, known) <= TYPOS;
        OTHERS.contains(&name) || Kind::ALL.iter().any(|kind| kind.names().iter().any(|known| is_near(known)))
    }

    /// All names, for messages.
    pub(crate) fn list() -> String {
        let names = |kind: &Kind| match kind.names() {
            [singular, plural, short] => format!("{singular} ({plural}, {short})"),
            other => other.join(", "),
        };
        Kind::ALL.iter().map(names).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kubectls() {
        for (text, kind) in [
            ("deployments", Kind::Deployment),
            ("deploy", Kind::Deployment),
            ("Deployment", Kind::Deployment),
            ("deployment.apps", Kind::Deployment),
            ("deployments.v1.apps", Kind::Deployment),
            ("sts", Kind::StatefulSet),
            ("ds", Kind::DaemonSet),
            ("rs", Kind::ReplicaSet),
            ("job.batch", Kind::Job),
            ("cj", Kind::CronJob),
            ("svc", Kind::Service),
            ("po", Kind::Pod),
        ] {
            assert_eq!(Kind::parse(text), Some(kind), "{text}");
        }
        for text in ["", "web", "deployment.example.org", "node"] {
            assert_eq!(Kind::parse(text), None, "{text}");
        }
    }

    #[test]
    fn words_that_are_meant_as_kinds() {
        for text in ["deploymnet", "statefullset", "configmap", "node", "Rollout", "servise"] {
            assert!(Kind::is_meant(text), "{text}");
        }
        for text in ["web-0", "nginx", "api", "po1", "dsx"] {
            assert!(!Kind::is_meant(text), "{text}");
        }
    }
}
