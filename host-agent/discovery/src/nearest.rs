//! Names that are near to one that doesn't exist.

/// How many are offered.
const MOST: usize = 3;

/// Least likeness, from 0 to 1, of a name that is offered.
const LEAST: f64 = 0.6;

/// The names that are most like `name`, best first.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let likeness = |other: &str| {
        // One letter too many, missing, wrong, or in its neighbour's place. In short names too, where Jaro sees no likeness.
        if strsim::osa_distance(name, other) <= 1 {
            return 1.0;
        }
        let is_part = other.starts_with(name) || name.starts_with(other);
        strsim::jaro_winkler(name, other).max(if is_part { LEAST } else { 0.0 })
    };
    let mut near: Vec<(f64, &str)> =
        names.into_iter().map(|other| (likeness(other), other)).filter(|(like, _)| *like >= LEAST).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.truncate(MOST);
    near.into_iter().map(|(_, name)| name).collect()
}

/// What to say behind "there is no such thing": the nearest names, or all when there are few, or that there is none.
pub(crate) fn hint<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let near = nearest(name, names.iter().copied());
    match (near.is_empty(), names.len()) {
        (false, _) => format!("; did you mean {}?", near.join(", ")),
        (true, 0) => "; there is none at all".to_owned(),
        (true, 1..=MOST) => format!("; there is {}", names.join(", ")),
        (true, count) => format!("; there are {count} others"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_alike_come_first() {
        let names = ["web", "web-admin", "worker", "payments", "wbe"];
        assert_eq!(nearest("wep", names)[0], "web");
        assert_eq!(nearest("wbe", ["web-admin", "web"]), ["web", "web-admin"]);
        assert_eq!(nearest("oen", ["one", "two"]), ["one"]);
        assert_eq!(nearest("payment", names)[0], "payments");
        assert!(nearest("zzz", names).is_empty());
        assert_eq!(hint("zzz", ["a", "b"]), "; there is a, b");
        assert_eq!(hint("zzz", []), "; there is none at all");
    }
}
