//! "Did you mean": the nearest of several names.

/// How alike two names must be, from 0 to 1, for one to be a likely slip of the other.
const LIKENESS: f64 = 0.7;

/// The candidate that is most like a name, if any is enough so. Among equals the
/// first one wins.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut best = None;
    for candidate in candidates {
        let likeness = likeness(name, candidate);
        if likeness >= LIKENESS && best.is_none_or(|(_, most)| likeness > most) {
            best = Some((candidate, likeness));
        }
    }
    best.map(|(candidate, _)| candidate)
}

/// Edits count by the length of the names; a difference in case only hardly counts.
fn likeness(name: &str, candidate: &str) -> f64 {
    if name == candidate {
        return 0.0;
    }
    if name.eq_ignore_ascii_case(candidate) {
        return 1.0;
    }
    let edits = strsim::damerau_levenshtein(name, candidate);
    // One slip in a short name is still one slip.
    let allowed = if edits == 1 && name.chars().count() >= 3 { LIKENESS } else { 0.0 };
    strsim::normalized_damerau_levenshtein(name, candidate).max(allowed)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_the_name() {
        assert_eq!(nearest("mpa", ["filter", "map", "max"]), Some("map"));
        assert_eq!(nearest("fetchurl", ["fetchUrl", "fetchTarball"]), Some("fetchUrl"));
        assert_eq!(nearest("inputss", ["input", "inputs"]), Some("inputs"));
    }

    #[test]
    fn what_is_unlike_is_not_suggested() {
        assert_eq!(nearest("foo", ["concatMap", "derivation"]), None);
        assert_eq!(nearest("x", ["y", "z"]), None);
        assert_eq!(nearest("same", ["same"]), None);
    }
}
