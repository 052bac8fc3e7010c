//! Positions of several agents in one token.
//!
//! A position of an agent means nothing to the others, which would refuse it. So each is given away with the name of
//! the agent that made it, and when a search is resumed, each agent is handed back its own. An agent tells a position
//! behind each of its batches; where a search ends in the midst of one, as a page does, the position also has how
//! many matches were given behind that: they are left out when they come again.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use weir_query::{QueryError, ResumeToken, Source};

/// What a position of a fleet begins with. One of an agent begins with its format, a small number.
const MARK: u8 = 0xa7;

/// Where the search of one source stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stand {
    /// The agent's own position; `None` before it has told one.
    pub(crate) behind: Option<Vec<u8>>,
    /// Matches given behind that.
    pub(crate) given: u64,
}

#[derive(Serialize, Deserialize)]
struct Wrapped<'a> {
    mark: u8,
    agent: &'a str,
    stand: Stand,
}

/// Makes where an agent's search stands a position that can be given away.
pub(crate) fn wrap(agent: &str, stand: &Stand) -> Vec<u8> {
    let wrapped = Wrapped { mark: MARK, agent, stand: stand.clone() };
    postcard::to_allocvec(&wrapped).expect("texts and numbers can be written")
}

/// What one agent goes on with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub(crate) token: ResumeToken,
    /// Where it stands in each source, by [`instance`].
    pub(crate) stands: HashMap<Source, Stand>,
}

impl Part {
    /// Matches that it will give again.
    pub(crate) fn given(&self) -> u64 {
        self.stands.values().map(|stand| stand.given).sum()
    }
}

/// The parts of a token, one for each agent of `names`.
///
/// # Errors
/// A position that none of these agents has made. Of a single agent, positions are its own, and not looked into.
pub(crate) fn split(token: &ResumeToken, names: &[&str]) -> Result<Vec<Part>, QueryError> {
    let mut empty = ResumeToken::default();
    (empty.since, empty.live) = (token.since, token.live);
    let mut parts = vec![Part { token: empty, stands: HashMap::new() }; names.len()];
    for (source, position) in token.positions() {
        let unwrapped = position.first().filter(|mark| **mark == MARK);
        let unwrapped = unwrapped.and_then(|_| postcard::from_bytes::<Wrapped<'_>>(position).ok());
        let (agent, stand) = match (unwrapped, names) {
            (Some(Wrapped { agent, stand, .. }), _) => (agent, stand),
            (None, [alone]) => (*alone, Stand { behind: Some(position.to_vec()), given: 0 }),
            (None, _) => {
                return Err(refused(&source, "is of a search of one agent alone: ask only that one"));
            }
        };
        let Some(index) = names.iter().position(|name| *name == agent) else {
            return Err(refused(&source, &format!("is of agent {agent}, which isn't asked: name it too")));
        };
        if let Some(behind) = &stand.behind {
            parts[index].token.note(&source, behind.clone());
        }
        parts[index].stands.insert(instance(&source), stand);
    }
    Ok(parts)
}

/// The source without its container's id, which isn't always known.
pub(crate) fn instance(source: &Source) -> Source {
    Source { container_id: String::new(), ..source.clone() }
}

fn refused(source: &Source, what: &str) -> QueryError {
    let name = format!("{}:{}/{}", source.namespace, source.pod, source.container);
    QueryError::Invalid {
        field: "resume".to_owned(),
        message: format!("the token's position in {name} {what}, or search without the token"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(pod: &str) -> Source {
        Source { namespace: "shop".into(), pod: pod.into(), container: "app".into(), ..Source::default() }
    }

    fn token(positions: &[(&str, Vec<u8>)]) -> ResumeToken {
        let mut token = ResumeToken::default();
        (token.since, token.live) = (Some(7), true);
        positions.iter().for_each(|(pod, position)| token.note(&source(pod), position.clone()));
        token
    }

    #[test]
    fn each_agent_is_handed_back_its_own() {
        let stand = |behind: &[u8], given| Stand { behind: Some(behind.to_vec()), given };
        let token = token(&[
            ("a", wrap("one", &stand(&[1, 2], 0))),
            ("b", wrap("two", &stand(&[1, 3], 4))),
            ("c", wrap("two", &Stand { behind: None, given: 2 })),
        ]);
        let parts = split(&token, &["two", "one", "three"]).expect("all are asked");
        let positions = |part: &Part| -> Vec<(String, Vec<u8>)> {
            part.token.positions().map(|(source, position)| (source.pod, position.to_vec())).collect()
        };
        assert_eq!(positions(&parts[0]), [("b".to_owned(), vec![1, 3])]);
        assert_eq!(parts.iter().map(Part::given).collect::<Vec<_>>(), [6, 0, 0]);
        assert_eq!(positions(&parts[1]), [("a".to_owned(), vec![1, 2])]);
        assert!(positions(&parts[2]).is_empty());
        assert!(parts.iter().all(|part| part.token.live && part.token.since == Some(7)));
    }

    #[test]
    fn a_position_of_nobody_who_is_asked_is_refused() {
        let of_one = token(&[("a", vec![1, 2])]);
        assert_eq!(split(&of_one, &["alone"]).expect("its own").len(), 1);
        let error = split(&of_one, &["one", "two"]).expect_err("whose?").to_string();
        assert!(error.contains("shop:a/app") && error.contains("one agent alone"), "{error}");
        let of_two = token(&[("a", wrap("two", &Stand { behind: Some(vec![1]), given: 0 }))]);
        let error = split(&of_two, &["one"]).expect_err("of another").to_string();
        assert!(error.contains("agent two"), "{error}");
    }
}
