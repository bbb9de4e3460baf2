//! The names of entries in archives and patches: relative, without `.` and `..`.

use super::tree::TreeError;

/// Real trees stay below 40; more would only serve to exhaust something.
pub(crate) const MAX_DEPTH: usize = 256;
/// What Linux's file systems allow for one component, in bytes.
pub(crate) const MAX_COMPONENT: usize = 255;

/// A name that stays within its tree; empty for the tree itself. Need not be UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EntryName(Vec<u8>);

impl EntryName {
    /// Take a name from outside.
    pub(crate) fn new(raw: &[u8]) -> Result<Self, TreeError> {
        let error = |make: fn(String) -> TreeError| Err(make(text(raw)));
        if raw.first() == Some(&b'/') {
            return error(|name| TreeError::Absolute { name });
        }
        if raw.contains(&0) {
            return error(|name| TreeError::Nul { name });
        }
        let mut clean = Vec::with_capacity(raw.len());
        let mut depth = 0;
        for part in raw.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => continue,
                b".." => return error(|name| TreeError::Parent { name }),
                _ if part.len() > MAX_COMPONENT => {
                    return error(|name| TreeError::NameTooLong { name });
                }
                _ => {}
            }
            depth += 1;
            if depth > MAX_DEPTH {
                return error(|name| TreeError::TooDeep { name });
            }
            if !clean.is_empty() {
                clean.push(b'/');
            }
            clean.extend_from_slice(part);
        }
        Ok(Self(clean))
    }

    /// The bytes, components separated by `/`.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it is the tree itself.
    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The components.
    pub(crate) fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/').filter(|part| !part.is_empty())
    }

    /// The name without its first `count` components; `None` if it has fewer.
    pub(crate) fn strip(&self, count: usize) -> Option<Self> {
        let mut rest = &self.0[..];
        for _ in 0..count {
            if rest.is_empty() {
                return None;
            }
            let end = rest.iter().position(|byte| *byte == b'/');
            rest = end.map_or(&[][..], |end| &rest[end + 1..]);
        }
        Some(Self(rest.to_vec()))
    }

    /// What stands below `folder`; `None` for what does not.
    pub(crate) fn below(&self, folder: &Self) -> Option<Self> {
        if folder.is_root() {
            return Some(self.clone());
        }
        match self.0.strip_prefix(&folder.0[..])? {
            [] => Some(Self::default()),
            [b'/', rest @ ..] => Some(Self(rest.to_vec())),
            _ => None,
        }
    }

    /// An entry of this folder.
    pub(crate) fn join(&self, entry: &[u8]) -> Self {
        let mut name = self.0.clone();
        if !name.is_empty() {
            name.push(b'/');
        }
        name.extend_from_slice(entry);
        Self(name)
    }

    /// The folder and the last component.
    pub(crate) fn split(&self) -> (&[u8], &[u8]) {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(at) => (&self.0[..at], &self.0[at + 1..]),
            None => (b"", &self.0),
        }
    }

    /// For messages.
    pub(crate) fn display(&self) -> String {
        text(&self.0)
    }
}

/// Bytes for messages.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Matches names and all below them: components separated by `/`, in each of which a
/// `*` stands for any run of bytes.
#[derive(Clone, Debug)]
pub(crate) struct Pattern(Vec<Vec<u8>>);

impl Pattern {
    /// Take a pattern from a recipe.
    pub(crate) fn new(pattern: &str) -> Result<Self, TreeError> {
        let name = EntryName::new(pattern.as_bytes())?;
        Ok(Self(name.components().map(<[u8]>::to_vec).collect()))
    }

    /// Whether the name, or a folder above it, matches.
    pub(crate) fn covers(&self, name: &EntryName) -> bool {
        let mut components = name.components();
        !self.0.is_empty()
            && self.0.iter().all(|pattern| components.next().is_some_and(|c| matches(pattern, c)))
    }
}

/// Whether `*` and literal bytes match the whole component.
fn matches(pattern: &[u8], component: &[u8]) -> bool {
    let mut parts = pattern.split(|byte| *byte == b'*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = component.strip_prefix(first) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        // The leftmost place leaves most room for the parts that follow.
        match (0..=rest.len()).find(|at| rest[*at..].starts_with(part)) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> EntryName {
        EntryName::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn names_lose_dots_and_doubled_slashes() {
        assert_eq!(name("./a//b/./c/").as_bytes(), b"a/b/c");
        assert!(name("./").is_root());
    }

    #[test]
    fn names_that_could_leave_or_exhaust_are_refused() {
        let long = "x".repeat(256);
        let deep = "d/".repeat(257);
        for bad in ["/etc", "a/../b", "..", "a\0b", &long, &deep] {
            assert!(EntryName::new(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(EntryName::new("x".repeat(255).as_bytes()).is_ok());
        assert!(EntryName::new("d/".repeat(256).as_bytes()).is_ok());
    }

    #[test]
    fn stripping_counts_components() {
        assert_eq!(name("a/b/c").strip(1), Some(name("b/c")));
        assert_eq!(name("a").strip(1), Some(name("")));
        assert_eq!(name("a").strip(2), None);
    }

    #[test]
    fn below_compares_whole_components() {
        assert_eq!(name("go/bin/go").below(&name("go")), Some(name("bin/go")));
        assert_eq!(name("gopher/x").below(&name("go")), None);
    }

    #[test]
    fn a_pattern_covers_what_is_below_it_and_a_star_stays_in_its_component() {
        let covers = |pattern: &str, text: &str| Pattern::new(pattern).unwrap().covers(&name(text));
        for (pattern, text) in [
            ("bin", "bin/go"),
            ("bin/", "bin"),
            ("src/*/z*.go", "src/time/zzip.go"),
            ("qemu-a*", "qemu-aarch64-static"),
            ("a*b*c", "a--b-b--c"),
            ("*", "anything"),
        ] {
            assert!(covers(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("bin", "binary"),
            ("src/*/z.go", "src/a/b/z.go"),
            ("a/b", "a"),
            ("a*a", "a"),
            ("", "a"),
        ] {
            assert!(!covers(pattern, text), "{pattern} {text}");
        }
    }
}
