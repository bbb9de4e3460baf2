//! The machine's package sources, and what they say about a suite.
//!
//! Reads both forms that apt knows. A suite that the machine does not use itself is
//! looked for where the machine gets its own release from: an archive of Debian's has
//! all of them.

/// A stanza of sources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    /// Everything else that matters, as lines of a stanza: keys, trust.
    rest: Vec<String>,
}

/// Fields that the stanza we write sets itself, or that would narrow it.
const REPLACED: [&str; 9] = [
    "types",
    "uris",
    "suites",
    "components",
    "enabled",
    "architectures",
    "arch",
    "languages",
    "lang",
];

/// Names of releases that move on.
const MOVING: [&str; 5] = ["stable", "oldstable", "testing", "unstable", "sid"];

/// Read the form of one line per source.
pub(super) fn parse_lines(text: &str) -> Vec<Entry> {
    let entry = |line: &str| {
        let line = line.split('#').next().unwrap_or_default().trim();
        let rest = line.strip_prefix("deb-src").or_else(|| line.strip_prefix("deb"))?;
        let rest = rest.strip_prefix(char::is_whitespace)?.trim_start();
        let (options, rest) = match rest.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => ("", rest),
        };
        let mut words = rest.split_whitespace().map(str::to_owned);
        let rest = options
            .split_whitespace()
            .filter_map(|option| option.split_once('='))
            .filter(|(key, _)| !REPLACED.contains(&key.to_ascii_lowercase().as_str()))
            .map(|(key, value)| format!("{key}: {}", value.replace(',', " ")))
            .collect();
        Some(Entry {
            uris: vec![words.next()?],
            suites: vec![words.next()?],
            components: words.collect(),
            rest,
        })
    };
    text.lines().filter_map(entry).collect()
}

/// Read the form of stanzas.
pub(super) fn parse_stanzas(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
    for stanza in lines.split(|line| line.trim().is_empty()) {
        let mut entry = Entry::default();
        let mut enabled = true;
        // Fields with the lines that continue them.
        let mut fields: Vec<(String, Vec<&str>)> = Vec::new();
        for line in stanza {
            match line.split_once(':') {
                _ if line.starts_with([' ', '\t']) => {
                    if let Some((_, lines)) = fields.last_mut() {
                        lines.push(line);
                    }
                }
                Some((key, value)) => fields.push((key.to_owned(), vec![value])),
                None => {}
            }
        }
        for (key, lines) in fields {
            let words = || lines.join(" ").split_whitespace().map(str::to_owned).collect();
            match key.to_ascii_lowercase().as_str() {
                "uris" => entry.uris = words(),
                "suites" => entry.suites = words(),
                "components" => entry.components = words(),
                "enabled" => enabled = !lines.join(" ").trim().eq_ignore_ascii_case("no"),
                key if REPLACED.contains(&key) => {}
                _ => entry.rest.push(format!("{key}:{}", lines.join("\n"))),
            }
        }
        if enabled && !entry.uris.is_empty() && !entry.suites.is_empty() {
            entries.push(entry);
        }
    }
    entries
}

/// The sources of a suite, on a machine that runs the release `codename`.
pub(super) fn of_suite(entries: &[Entry], suite: &str, codename: &str) -> Vec<Entry> {
    let own = |entry: &Entry| entry.suites.iter().any(|own| own == suite);
    let like = |entry: &Entry| {
        entry.suites.iter().any(|other| {
            let (release, part) = split(other);
            (release == codename || MOVING.contains(&release)) && part == archive_of(suite)
        })
    };
    let exact: Vec<&Entry> = entries.iter().filter(|entry| own(entry)).collect();
    let chosen = match exact.is_empty() {
        true => entries.iter().filter(|entry| like(entry)).collect(),
        false => exact,
    };
    let mut found: Vec<Entry> = Vec::new();
    for entry in chosen {
        let entry = Entry { suites: vec![suite.to_owned()], ..entry.clone() };
        if !found.contains(&entry) {
            found.push(entry);
        }
    }
    found
}

/// Which part of which release: `bookworm-security` is `security` of `bookworm`.
fn split(suite: &str) -> (&str, &str) {
    suite.split_once(['-', '/']).unwrap_or((suite, ""))
}

/// The part in whose archive a suite lies: security has its own, all others share one.
fn archive_of(suite: &str) -> &str {
    match split(suite).1 {
        "security" | "updates" if suite.contains('/') => "security",
        "security" => "security",
        _ => "",
    }
}

/// Write sources as stanzas.
pub(super) fn write(entries: &[Entry], kind: &str) -> String {
    let stanza = |entry: &Entry| {
        let mut text = format!(
            "Types: {kind}\nURIs: {}\nSuites: {}\n",
            entry.uris.join(" "),
            entry.suites.join(" ")
        );
        if !entry.components.is_empty() {
            text += &format!("Components: {}\n", entry.components.join(" "));
        }
        entry.rest.iter().for_each(|line| text += &format!("{line}\n"));
        text
    };
    entries.iter().map(stanza).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STANZAS: &str = "\
# a comment
Types: deb
URIs: http://mirror/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/k.gpg

Types: deb deb-src
URIs: http://mirror/security
Suites: bookworm-security
Components: main
Signed-By:
 -----BEGIN-----
 .
 abc

Enabled: no
Types: deb
URIs: http://off/
Suites: trixie
";

    fn stanzas_of(suite: &str) -> String {
        write(&of_suite(&parse_stanzas(STANZAS), suite, "bookworm"), "deb")
    }

    #[test]
    fn a_suite_of_another_release_is_looked_for_in_the_same_archive() {
        assert_eq!(
            stanzas_of("trixie"),
            "Types: deb\nURIs: http://mirror/debian\nSuites: trixie\nComponents: main contrib\n\
             Signed-By: /usr/share/keyrings/k.gpg\n"
        );
        for suite in ["sid", "trixie-updates", "bookworm-backports"] {
            assert!(stanzas_of(suite).contains("URIs: http://mirror/debian\n"), "{suite}");
        }
    }

    #[test]
    fn security_has_an_archive_of_its_own_and_its_key_is_kept() {
        for suite in ["bookworm-security", "trixie-security", "buster/updates"] {
            let text = stanzas_of(suite);
            assert!(text.contains("URIs: http://mirror/security\n"), "{suite}");
            assert!(!text.contains("URIs: http://mirror/debian\n"), "{suite}");
            assert!(text.contains("Signed-By:\n -----BEGIN-----\n .\n abc\n"), "{suite}");
        }
    }

    #[test]
    fn lines_are_read_with_their_options() {
        let text = "# no\ndeb [arch=amd64 signed-by=/k.gpg trusted=yes] http://m/ bookworm main # x\n\
                    deb-src http://s/ sid main contrib\ndeb\nrpm http://r/ x\n";
        let entries = parse_lines(text);
        assert_eq!(entries.len(), 2);
        assert_eq!(
            write(&of_suite(&entries, "bookworm", "bookworm"), "deb-src"),
            "Types: deb-src\nURIs: http://m/\nSuites: bookworm\nComponents: main\n\
             signed-by: /k.gpg\ntrusted: yes\n"
        );
    }

    #[test]
    fn other_peoples_archives_are_not_asked_for_debians_suites() {
        let entries = parse_lines("deb http://vendor/ nodistro main\n");
        assert_eq!(of_suite(&entries, "trixie", "bookworm"), []);
    }
}
