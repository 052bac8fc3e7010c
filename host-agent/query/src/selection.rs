//! What a query is about, of what whoever asks may read.
//!
//! A [`Selection`] is made once for a query, which is when the names in its selectors are checked, before anything is
//! looked up. A [`Look`] is one pass over sources: it asks about each place once.

use std::collections::HashMap;

use weir_scan::Source;

use crate::scope::{Place, Scope};
use crate::selector::Selector;
use crate::{QueryError, QueryLimits};

/// The selectors of a query, and what may be read.
#[derive(Debug)]
pub(crate) struct Selection {
    /// In the order in which they were typed; none takes everything.
    selectors: Vec<Selector>,
    scope: Scope,
}

impl Selection {
    /// Reads selectors, and asks whether the namespaces and pods that they name may be read.
    ///
    /// # Errors
    /// A selector that can't be read or passes a limit; a namespace that may not be read.
    pub(crate) fn new(
        typed: &[String],
        limits: &QueryLimits,
        scope: &Scope,
    ) -> Result<Selection, QueryError> {
        let selection = Selection { selectors: parse(typed, limits)?, scope: scope.clone() };
        for (index, selector) in selection.selectors.iter().enumerate() {
            let Some(namespace) = selector.namespace() else { continue };
            let named = Source {
                namespace: namespace.to_owned(),
                pod: selector.pod().unwrap_or_default().to_owned(),
                ..Source::default()
            };
            let mut look = selection.look();
            let may = look.may_read(selector, &named);
            look.finish()?;
            if !may {
                return Err(refused(index, &named));
            }
        }
        if selection.is_open() {
            // Before it is known whether there is anything that is taken.
            let mut look = selection.look();
            look.may(Place::Everywhere);
            look.finish()?;
        }
        Ok(selection)
    }

    /// Whether it isn't about namespaces that it names.
    fn is_open(&self) -> bool {
        self.selectors.is_empty() || self.selectors.iter().any(|selector| selector.namespace().is_none())
    }

    /// Begins a pass over sources.
    pub(crate) fn look(&self) -> Look<'_> {
        Look { selection: self, known: HashMap::new(), error: None }
    }
}

/// That what a selector names may not be read: the same whether it is there or not.
fn refused(index: usize, named: &Source) -> QueryError {
    let Source { namespace, pod, .. } = named;
    let message = match pod.is_empty() {
        true => format!(
            "logs in namespace '{namespace}' may not be read by this caller; ask for get on pods/log there, or name a \
             pod that may be"
        ),
        false => format!(
            "logs of pod '{pod}' in namespace '{namespace}' may not be read by this caller; ask for get on pods/log there"
        ),
    };
    QueryError::Refused { field: format!("sources[{index}]"), message }
}

fn parse(typed: &[String], limits: &QueryLimits) -> Result<Vec<Selector>, QueryError> {
    if typed.len() > limits.selectors {
        return Err(QueryError::limit(
            "sources",
            "selectors",
            limits.selectors,
            format!("{} selectors", typed.len()),
        ));
    }
    let parse = |(index, text): (usize, &String)| {
        let field = format!("sources[{index}]");
        if text.len() > limits.selector_bytes {
            let message = format!("a selector of {} bytes", text.len());
            return Err(QueryError::limit(field, "selector_bytes", limits.selector_bytes, message));
        }
        Selector::parse(text, &field)
    };
    typed.iter().enumerate().map(parse).collect()
}

/// One pass over sources. What can't be told whether it may be read counts as not to be read; [`Look::finish`] tells.
pub(crate) struct Look<'a> {
    selection: &'a Selection,
    known: HashMap<Place, bool>,
    error: Option<QueryError>,
}

impl Look<'_> {
    /// Whether there may be something to take below what a directory tells of its sources, of which only the parts that
    /// aren't empty are known.
    pub(crate) fn may_take(&mut self, known: &Source) -> bool {
        // The root: whose logs are below it, it doesn't tell.
        if *known == Source::default() {
            return true;
        }
        self.ask_alike(&known.namespace);
        let selection = self.selection;
        if selection.selectors.is_empty() {
            return self.may_read(&Selector::default(), known);
        }
        let selectors = selection.selectors.iter();
        selectors.filter(|selector| selector.may_take(known)).any(|selector| self.may_read(selector, known))
    }

    /// Whether the query takes a source.
    pub(crate) fn takes(&mut self, source: &Source) -> bool {
        self.ask_alike(&source.namespace);
        let selection = self.selection;
        if selection.selectors.is_empty() {
            return self.may_read(&Selector::default(), source);
        }
        selection.selectors.iter().any(|selector| self.takes_by(selector, source))
    }

    /// The number of the first selector that takes none of `sources`.
    pub(crate) fn idle<'s>(&mut self, sources: impl Iterator<Item = &'s Source> + Clone) -> Option<usize> {
        let selection = self.selection;
        selection
            .selectors
            .iter()
            .position(|selector| !sources.clone().any(|source| self.takes_by(selector, source)))
    }

    /// Ends the pass.
    ///
    /// # Errors
    /// Of something that was looked at, it could not be told whether it may be read.
    pub(crate) fn finish(self) -> Result<(), QueryError> {
        self.error.map_or(Ok(()), Err)
    }

    /// Asks about a namespace that is met, whether or not any selector's glob takes it, and whether or not the pods that
    /// selectors name are in it: what is asked, and how long that takes, doesn't tell what there is.
    fn ask_alike(&mut self, namespace: &str) {
        if namespace.is_empty() || !self.selection.is_open() || self.may(Place::Everywhere) {
            return;
        }
        if self.may(Place::Namespace(namespace.to_owned())) {
            return;
        }
        let open = self.selection.selectors.iter().filter(|selector| selector.namespace().is_none());
        for pod in open.filter_map(Selector::pod) {
            self.may(Place::Pod { namespace: namespace.to_owned(), pod: pod.to_owned() });
        }
    }

    fn takes_by(&mut self, selector: &Selector, source: &Source) -> bool {
        selector.takes(source) && self.may_read(selector, source)
    }

    /// Whether a source may be read that `selector` takes. A pod on its own counts only where its name was typed: who may
    /// read single pods of a namespace can't ask which there are.
    fn may_read(&mut self, selector: &Selector, source: &Source) -> bool {
        let Source { namespace, pod, .. } = source;
        if namespace.is_empty() {
            return self.may(Place::Everywhere);
        }
        // Whoever names namespaces isn't asked about all.
        (selector.namespace().is_none() && self.may(Place::Everywhere))
            || self.may(Place::Namespace(namespace.clone()))
            || (selector.pod().is_some_and(|named| named == pod)
                && self.may(Place::Pod { namespace: namespace.clone(), pod: pod.clone() }))
    }

    fn may(&mut self, place: Place) -> bool {
        if let Some(may) = self.known.get(&place) {
            return *may;
        }
        let may = self.selection.scope.may_read(&place).unwrap_or_else(|error| {
            self.error.get_or_insert(error);
            false
        });
        self.known.insert(place, may);
        may
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::Right;

    fn source(namespace: &str, pod: &str) -> Source {
        Source { namespace: namespace.into(), pod: pod.into(), container: "app".into(), ..Source::default() }
    }

    fn namespace(name: &str) -> Place {
        Place::Namespace(name.to_owned())
    }

    fn pod(namespace: &str, pod: &str) -> Place {
        Place::Pod { namespace: namespace.to_owned(), pod: pod.to_owned() }
    }

    /// A scope of these places, and what it was asked.
    fn scope(allowed: &[Place]) -> (Scope, Arc<Mutex<Vec<Place>>>) {
        let (allowed, asked) = (allowed.to_vec(), Arc::new(Mutex::new(Vec::new())));
        let noted = Arc::clone(&asked);
        let scope = Scope::new(move |right| {
            let Right::Read(place) = right else { return Ok(false) };
            noted.lock().expect("one thread").push(place.clone());
            Ok(allowed.contains(place))
        });
        (scope, asked)
    }

    fn select(typed: &[&str], scope: &Scope) -> Result<Selection, QueryError> {
        let typed: Vec<String> = typed.iter().map(|text| (*text).to_owned()).collect();
        Selection::new(&typed, &QueryLimits::default(), scope)
    }

    /// Of four pods in two namespaces, those that are taken.
    fn taken(typed: &[&str], allowed: &[Place]) -> Vec<String> {
        let (scope, _) = scope(allowed);
        let selection = select(typed, &scope).expect("it may be asked");
        let mut look = selection.look();
        let all = [("prod", "web"), ("prod", "db"), ("dev", "web"), ("dev", "db")];
        let taken: Vec<String> = all
            .iter()
            .filter(|(namespace, pod)| {
                let source = source(namespace, pod);
                let below = Source { container: String::new(), ..source.clone() };
                let takes = look.takes(&source);
                assert!(!takes || look.may_take(&below), "what is taken is found");
                takes
            })
            .map(|(namespace, pod)| format!("{namespace}:{pod}"))
            .collect();
        look.finish().expect("all could be told");
        taken
    }

    #[test]
    fn an_open_selection_takes_what_may_be_read() {
        let all = ["prod:web", "prod:db", "dev:web", "dev:db"];
        for typed in [&[][..], &[""], &["*:"], &["{prod,dev}:*"], &["[pd]*:"]] {
            assert_eq!(taken(typed, &[Place::Everywhere]), all, "{typed:?}");
            assert_eq!(taken(typed, &[namespace("dev")]), ["dev:web", "dev:db"], "{typed:?}");
            assert!(taken(typed, &[pod("dev", "web")]).is_empty(), "single pods must be named: {typed:?}");
            assert!(taken(typed, &[]).is_empty(), "{typed:?}");
        }
        assert_eq!(taken(&["web"], &[pod("dev", "web"), namespace("prod")]), ["prod:web", "dev:web"]);
        assert!(taken(&["we*"], &[pod("dev", "web")]).is_empty());
    }

    #[test]
    fn each_selector_takes_what_may_be_read_by_it() {
        // By the second one, the pod may be read; the first doesn't take it along.
        assert_eq!(taken(&["*:", "dev:web"], &[pod("dev", "web")]), ["dev:web"]);
        assert_eq!(taken(&["prod:", "web"], &[namespace("prod")]), ["prod:web", "prod:db"]);
        let (scope, _) = scope(&[pod("dev", "web")]);
        let selection = select(&["dev:web", "*:"], &scope).expect("it may be asked");
        let web = source("dev", "web");
        assert_eq!(selection.look().idle([&web].into_iter()), Some(1), "there is nothing for the other one");
    }

    #[test]
    fn what_is_named_is_checked_before_anything_is_looked_at() {
        for (typed, allowed, asked) in [
            ("prod:", vec![namespace("prod")], vec![namespace("prod")]),
            ("prod:web/app", vec![namespace("prod")], vec![namespace("prod")]),
            ("prod:web", vec![pod("prod", "web")], vec![namespace("prod"), pod("prod", "web")]),
            ("web", vec![], vec![Place::Everywhere]),
            ("p*:web", vec![], vec![Place::Everywhere]),
        ] {
            let (scope, told) = scope(&allowed);
            select(&[typed], &scope).expect(typed);
            assert_eq!(*told.lock().expect("one thread"), asked, "{typed}");
        }
        for (typed, allowed, says) in [
            ("prod:", vec![], "namespace 'prod'"),
            ("prod:we*", vec![pod("prod", "web")], "namespace 'prod'"),
            ("prod:web", vec![pod("prod", "db"), namespace("dev")], "pod 'web' in namespace 'prod'"),
        ] {
            match select(&["dev*:", typed], &scope(&allowed).0) {
                Err(QueryError::Refused { field, message }) => {
                    assert!(field == "sources[1]" && message.contains(says), "{field}: {message}");
                }
                other => panic!("{typed}: {other:?}"),
            }
        }
    }

    #[test]
    fn logs_of_no_namespace_need_all_of_them() {
        let docker = Source { container: "id".into(), ..Source::default() };
        for (allowed, taken) in [(vec![Place::Everywhere], true), (vec![namespace("")], false)] {
            let selection = select(&[], &scope(&allowed).0).expect("it may be asked");
            assert_eq!((selection.look().may_take(&docker), selection.look().takes(&docker)), (taken, taken));
        }
    }

    #[test]
    fn what_can_not_be_told_is_an_error_and_not_read() {
        let down = || QueryError::Unavailable { message: "it is down".to_owned() };
        let scope = Scope::new(move |_| Err(down()));
        assert!(matches!(select(&["prod:"], &scope), Err(QueryError::Unavailable { .. })));
        assert!(matches!(select(&[], &scope), Err(QueryError::Unavailable { .. })));
        let down = || QueryError::Unavailable { message: "it is down".to_owned() };
        let scope =
            Scope::new(
                move |right| if *right == Right::Read(Place::Everywhere) { Ok(false) } else { Err(down()) },
            );
        let selection = select(&[], &scope).expect("nothing is named");
        let mut look = selection.look();
        assert!(!look.takes(&source("prod", "web")));
        assert!(matches!(look.finish(), Err(QueryError::Unavailable { .. })));
    }

    /// Whoever may read nothing can't tell by what is asked which namespaces and pods there are.
    #[test]
    fn what_is_asked_does_not_tell_what_there_is() {
        for (typed, of_each) in
            [("web", 2), ("w*", 1), ("zzz", 2), ("p*:", 1), ("z*:web", 2), ("*:zzz/app", 2)]
        {
            let (scope, asked) = scope(&[]);
            let selection = select(&[typed], &scope).expect("it may be asked");
            let mut look = selection.look();
            for (namespace, pod) in [("prod", "web"), ("prod", "db"), ("dev", "api")] {
                assert!(
                    !look.may_take(&Source { container: String::new(), ..source(namespace, pod) }),
                    "{typed}"
                );
            }
            assert_eq!(asked.lock().expect("one thread").len(), 2 + 2 * of_each, "{typed}");
        }
    }

    #[test]
    fn each_place_is_asked_about_once_in_a_pass() {
        let (scope, asked) = scope(&[namespace("prod")]);
        let selection = select(&[], &scope).expect("nothing is named");
        let mut look = selection.look();
        for _ in 0..3 {
            assert!(look.takes(&source("prod", "web")) && look.takes(&source("prod", "db")));
            assert!(!look.takes(&source("dev", "web")));
        }
        // Once for the selection, then for the pass.
        let expected = [Place::Everywhere, Place::Everywhere, namespace("prod"), namespace("dev")];
        assert_eq!(*asked.lock().expect("one thread"), expected);
    }
}
