//! Where `<…>` looks: `-I` on the command line, and `NIX_PATH`.

use std::path::{Path, PathBuf};

use crate::error::CliError;

/// Prefix (perhaps empty) and folder, in the order of search.
pub(crate) type SearchPath = Vec<(String, PathBuf)>;

/// The entries of `-I`, `PREFIX=PATH` or `PATH`, from a folder on.
pub(crate) fn given(entries: &[String], folder: &Path) -> Result<SearchPath, CliError> {
    let entry = |text: &String| match is_address(text) {
        true => Err(CliError::usage(format!("'{text}' is no folder"))
            .with_help("evaluation fetches nothing: name a folder that holds it")),
        false => Ok(entry(text, folder)),
    };
    entries.iter().map(entry).collect()
}

/// The entries of `NIX_PATH`. Those that would have to be fetched are left out.
pub(crate) fn from_environment(text: &str, folder: &Path) -> SearchPath {
    let mut entries = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        // The colon of an address separates nothing.
        let is_end = |&(at, _): &(usize, &str)| !rest[at..].starts_with("://");
        let end = rest.match_indices(':').find(is_end).map_or(rest.len(), |found| found.0);
        entries.push(&rest[..end]);
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    let is_folder = |text: &&&str| !text.is_empty() && !is_address(text);
    entries.iter().filter(is_folder).map(|text| entry(text, folder)).collect()
}

fn is_address(text: &str) -> bool {
    let place = text.split_once('=').map_or(text, |(_, place)| place);
    place.contains("://") || place.starts_with("channel:") || place.starts_with("flake:")
}

fn entry(text: &str, folder: &Path) -> (String, PathBuf) {
    let (prefix, place) = text.split_once('=').unwrap_or(("", text));
    (prefix.to_owned(), folder.join(place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(entries: SearchPath) -> Vec<(String, String)> {
        entries.into_iter().map(|(prefix, path)| (prefix, path.display().to_string())).collect()
    }

    fn pair(prefix: &str, path: &str) -> (String, String) {
        (prefix.to_owned(), path.to_owned())
    }

    #[test]
    fn entries_have_a_prefix_and_a_folder() {
        let entries = ["lib".to_owned(), "n=/n".to_owned()];
        let found = given(&entries, Path::new("/here")).expect("folders");
        assert_eq!(pairs(found), [pair("", "/here/lib"), pair("n", "/n")]);
        assert!(given(&["n=https://x/y".to_owned()], Path::new("/")).is_err());
    }

    #[test]
    fn the_environments_entries_are_split_at_colons_but_not_in_addresses() {
        let found = from_environment("a=https://x/y:b=/b::/c", Path::new("/here"));
        assert_eq!(pairs(found), [pair("b", "/b"), pair("", "/c")]);
    }
}
