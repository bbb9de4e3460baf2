//! What references to flakes say: a set of fields for each kind of source.

use std::collections::BTreeMap;

use hb_model::nix::{Algorithm, Hash};

use super::url::{Authority, Rules, Url, parse_query};

/// The value of one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Field {
    Text(String),
    Number(u64),
    Flag(bool),
}

pub(super) type Fields = BTreeMap<String, Field>;

/// Where sources come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A folder of this machine.
    Path,
    Git,
    Mercurial,
    /// A repository of a site for repositories, by owner and name.
    Forge(&'static str),
    /// A name of a registry.
    Indirect,
    /// A file, or an archive, at an address.
    Download(&'static str),
}

const KINDS: [Kind; 9] = [
    Kind::Path,
    Kind::Git,
    Kind::Mercurial,
    Kind::Forge("github"),
    Kind::Forge("gitlab"),
    Kind::Forge("sourcehut"),
    Kind::Indirect,
    Kind::Download("file"),
    Kind::Download("tarball"),
];

/// The fields of Git that are in the query if they are true.
const GIT_FLAGS: [&str; 4] = ["shallow", "lfs", "submodules", "exportIgnore"];
/// Those that Nix refuses without a feature of their own.
const GIT_SIGNED: [&str; 4] = ["verifyCommit", "keytype", "publicKey", "publicKeys"];

impl Kind {
    /// The `type` of a reference.
    fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Git => "git",
            Self::Mercurial => "hg",
            Self::Indirect => "indirect",
            Self::Forge(name) | Self::Download(name) => name,
        }
    }

    fn called(name: &str) -> Option<Self> {
        KINDS.into_iter().find(|kind| kind.name() == name)
    }

    /// The fields that it may have beside `type` and `dir`.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Path => &["path", "rev", "revCount", "lastModified", "narHash"],
            Self::Git => &[
                "url",
                "ref",
                "rev",
                "shallow",
                "submodules",
                "lfs",
                "exportIgnore",
                "lastModified",
                "revCount",
                "narHash",
                "allRefs",
                "name",
                "dirtyRev",
                "dirtyShortRev",
            ],
            Self::Mercurial => &["url", "ref", "rev", "revCount", "narHash", "name"],
            Self::Forge(_) => {
                &["owner", "repo", "ref", "rev", "narHash", "lastModified", "host", "treeHash"]
            }
            Self::Indirect => &["id", "ref", "rev", "narHash"],
            Self::Download(_) => {
                &["url", "narHash", "name", "unpack", "rev", "revCount", "lastModified"]
            }
        }
    }

    /// Of the address that a reference is.
    fn of(url: &Url) -> Option<Self> {
        let downloads = ["file", "http", "https"];
        match (url.application(), url.scheme.as_str()) {
            (_, "path") => Some(Self::Path),
            (_, "flake") => Some(Self::Indirect),
            (Some("git"), _) | (_, "git") => Some(Self::Git),
            (_, "hg+http" | "hg+https" | "hg+ssh" | "hg+file") => Some(Self::Mercurial),
            (_, name @ ("github" | "gitlab" | "sourcehut")) => Self::called(name),
            (None, scheme) if downloads.contains(&scheme) => Some(Self::Download("tarball")),
            (Some(name @ ("file" | "tarball")), _) if downloads.contains(&url.transport()) => {
                Self::called(name)
            }
            _ => None,
        }
    }
}

/// The fields of a reference that is written as a text: an address, a name of a registry
/// (`name/branch/commit`), or an absolute path with a query.
pub(super) fn parse(text: &str) -> Result<Fields, String> {
    let text = match text.split_once('#') {
        Some((text, "")) => text,
        Some((_, part)) => return Err(format!("'{text}' names '{part}', a part of a flake")),
        None => text,
    };
    let mut url = match as_name(text).map(Ok).unwrap_or_else(|| Url::parse(text, Rules::Lenient)) {
        Ok(url) => url,
        Err(_) if text.starts_with('/') => as_path(text)?,
        Err(why) => return Err(why),
    };
    let dir = url.query.remove("dir").filter(|dir| !dir.is_empty());
    let kind = Kind::of(&url).ok_or_else(|| format!("'{text}' is of no known kind"))?;
    let mut fields = fields_of(kind, url)?;
    fields.insert("type".to_owned(), Field::Text(kind.name().to_owned()));
    fields.extend(dir.map(|dir| ("dir".to_owned(), Field::Text(dir))));
    Ok(fields)
}

/// The address of what is written as a name of a registry.
fn as_name(text: &str) -> Option<Url> {
    let (id, rest) = match text.split_once('/') {
        Some((id, rest)) => (id, Some(rest)),
        None => (text, None),
    };
    let is_one = is_name(id) && rest.is_none_or(is_plain_ref);
    is_one.then(|| named_url("flake", text.split('/').map(str::to_owned)))
}

/// The address of what is written as an absolute path, in which nothing is escaped.
fn as_path(text: &str) -> Result<Url, String> {
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let query = parse_query(query, Rules::Lenient)?;
    Ok(Url { query, ..named_url("path", path.split('/').map(str::to_owned)) })
}

fn fields_of(kind: Kind, url: Url) -> Result<Fields, String> {
    let mut fields = Fields::new();
    match kind {
        Kind::Path => {
            if url.authority.as_ref().is_some_and(|authority| !authority.host.is_empty()) {
                return Err(format!("the path '{url}' is on a host"));
            }
            set(&mut fields, "path", &file_name(&url.path)?);
            for (name, value) in &url.query {
                match name.as_str() {
                    "rev" | "narHash" => set(&mut fields, name, value),
                    "revCount" | "lastModified" => {}
                    _ => return Err(format!("the path '{url}' has no parameter '{name}'")),
                }
            }
            numbers(&url, &mut fields)?;
        }
        Kind::Git => {
            let mut at = Url { query: BTreeMap::new(), ..url };
            for (name, value) in url.query {
                match name.as_str() {
                    "rev" | "ref" => set(&mut fields, &name, &value),
                    flag if flag == "allRefs" || GIT_FLAGS.contains(&flag) => {
                        fields.insert(flag.to_owned(), Field::Flag(value == "1"));
                    }
                    name if GIT_SIGNED.contains(&name) => return Err(signed(name)),
                    _ => {
                        at.query.insert(name, value);
                    }
                }
            }
            set(&mut fields, "url", &git_address(&at.to_string())?.to_string());
        }
        Kind::Mercurial => {
            let mut at = Url { scheme: url.transport().to_owned(), ..url.clone() };
            at.query.retain(|name, _| name != "rev" && name != "ref");
            set(&mut fields, "url", &at.to_string());
            for name in ["rev", "ref"] {
                url.query.get(name).into_iter().for_each(|value| set(&mut fields, name, value));
            }
        }
        Kind::Forge(_) => forge(&url, &mut fields)?,
        Kind::Indirect => indirect(&url, &mut fields)?,
        Kind::Download(_) => {
            let mut at = Url { scheme: url.transport().to_owned(), ..url.clone() };
            at.query.retain(|name, _| !kind.fields().contains(&name.as_str()));
            set(&mut fields, "url", &at.to_string());
            for name in ["rev", "narHash"] {
                url.query.get(name).into_iter().for_each(|value| set(&mut fields, name, value));
            }
            // One that is no number is no part of it, nor of the address.
            let _ = numbers(&url, &mut fields);
        }
    }
    check(kind, &fields)?;
    Ok(fields)
}

fn set(fields: &mut Fields, name: &str, value: &str) {
    fields.insert(name.to_owned(), Field::Text(value.to_owned()));
}

fn signed(name: &str) -> String {
    format!("'{name}' is not supported: no signature of a commit is checked")
}

/// The numbers of a query. All that are some are set, even if one is none.
fn numbers(url: &Url, fields: &mut Fields) -> Result<(), String> {
    let mut outcome = Ok(());
    for name in ["revCount", "lastModified"] {
        let Some(value) = url.query.get(name) else { continue };
        match value.parse() {
            Ok(number) => {
                fields.insert(name.to_owned(), Field::Number(number));
            }
            Err(_) => outcome = Err(format!("'{name}' of '{url}' is no number")),
        }
    }
    outcome
}

fn forge(url: &Url, fields: &mut Fields) -> Result<(), String> {
    let names = url.names();
    let [owner, repo, rest @ ..] = &names[..] else {
        return Err(format!("'{url}' names no owner and repository"));
    };
    let version = match rest {
        [] => None,
        [commit] if is_commit(commit) => Some("rev"),
        _ => Some("ref"),
    };
    if let Some(name) = version {
        set(fields, name, &rest.join("/"));
    }
    for (name, value) in &url.query {
        match name.as_str() {
            "rev" | "ref" if version == Some(name) => {
                return Err(format!("'{url}' says '{name}' twice"));
            }
            "rev" | "ref" | "host" | "narHash" => set(fields, name, value),
            _ => {}
        }
    }
    set(fields, "owner", owner);
    set(fields, "repo", repo);
    Ok(())
}

fn indirect(url: &Url, fields: &mut Fields) -> Result<(), String> {
    let names = url.names();
    let bad = |part: &str| format!("'{part}' in '{url}' is neither a commit nor a branch or tag");
    let (id, branch, commit) = match &names[..] {
        [id] => (id, None, None),
        [id, commit] if is_commit(commit) => (id, None, Some(commit)),
        [id, branch] => (id, Some(branch), None),
        [id, branch, commit] => (id, Some(branch), Some(commit)),
        _ => return Err(format!("'{url}' is no name of a registry")),
    };
    if let Some(branch) = branch {
        is_ref(branch).then(|| set(fields, "ref", branch)).ok_or_else(|| bad(branch))?;
    }
    if let Some(commit) = commit {
        is_commit(commit)
            .then(|| set(fields, "rev", &commit.to_lowercase()))
            .ok_or_else(|| bad(commit))?;
    }
    set(fields, "id", id);
    Ok(())
}

/// What must hold for the fields of a kind, wherever they come from.
fn check(kind: Kind, fields: &Fields) -> Result<(), String> {
    let legal = |is_legal: fn(&str) -> bool| match text(fields, "ref")? {
        Some(name) if !is_legal(name) => Err(format!("'{name}' is no branch or tag")),
        name => Ok(name),
    };
    for name in ["revCount", "lastModified"] {
        if !matches!(fields.get(name), None | Some(Field::Number(_))) {
            return Err(format!("'{name}' is no number"));
        }
    }
    match kind {
        Kind::Path => required(fields, "path").map(drop),
        Kind::Git => {
            legal(is_ref)?;
            for name in GIT_FLAGS.into_iter().chain(["allRefs"]) {
                flag(fields, name)?;
            }
            required(fields, "url").map(drop)
        }
        Kind::Mercurial => {
            legal(is_plain_ref)?;
            required(fields, "url").map(drop)
        }
        Kind::Forge(_) => {
            required(fields, "owner")?;
            required(fields, "repo")?;
            let commit = text(fields, "rev")?;
            if let (Some(branch), Some(commit)) = (legal(is_ref)?, commit) {
                return Err(format!("both the commit '{commit}' and '{branch}' are asked for"));
            }
            commit.map(sha1_commit).transpose()?;
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
            match text(fields, "host")? {
                Some(host) if !host.bytes().all(is_part) => Err(format!("'{host}' is no host")),
                _ => Ok(()),
            }
        }
        Kind::Indirect => {
            let id = required(fields, "id")?;
            is_name(id).then_some(()).ok_or_else(|| format!("'{id}' is no name of a registry"))
        }
        Kind::Download(_) => Ok(()),
    }
}

/// The reference that has these fields, as a text.
pub(super) fn print(mut fields: Fields) -> Result<String, String> {
    let dir = match fields.remove("dir") {
        Some(Field::Text(dir)) => Some(dir).filter(|dir| !dir.is_empty()),
        Some(_) => return Err("'dir' is no text".to_owned()),
        None => None,
    };
    let name = required(&fields, "type")?.to_owned();
    let kind = Kind::called(&name).ok_or_else(|| format!("'{name}' is no known type"))?;
    if let Some(signing) = fields.keys().find(|name| GIT_SIGNED.contains(&name.as_str()))
        && kind == Kind::Git
    {
        return Err(signed(signing));
    }
    let known = |field: &str| matches!(field, "type" | "__final") || kind.fields().contains(&field);
    if let Some(strange) = fields.keys().find(|field| !known(field)) {
        return Err(format!("'{strange}' is no part of a reference of type '{name}'"));
    }
    check(kind, &fields)?;
    let mut url = url_of(kind, &fields)?;
    if let Some(dir) = dir {
        url.query.entry("dir".to_owned()).or_insert(dir);
    }
    Ok(url.to_string())
}

fn url_of(kind: Kind, fields: &Fields) -> Result<Url, String> {
    let branch = text(fields, "ref")?;
    // Paths have it as it stands.
    let commit = || text(fields, "rev")?.map(any_commit).transpose();
    let mut query = BTreeMap::new();
    let mut ask = |name: &str, value: &str| {
        query.insert(name.to_owned(), value.to_owned());
    };
    let mut url = match kind {
        Kind::Path => {
            for (name, field) in fields {
                match (name.as_str(), field) {
                    ("path" | "type" | "__final", _) => {}
                    (name, Field::Text(text)) => ask(name, text),
                    (name, Field::Number(number)) => ask(name, &number.to_string()),
                    (name, Field::Flag(flag)) => ask(name, if *flag { "1" } else { "0" }),
                }
            }
            named_url("path", required(fields, "path")?.split('/').map(str::to_owned))
        }
        Kind::Git | Kind::Mercurial => {
            branch.into_iter().for_each(|branch| ask("ref", branch));
            commit()?.into_iter().for_each(|commit| ask("rev", &commit));
            let at = required(fields, "url")?;
            let (at, prefix) = match kind {
                Kind::Git => (git_address(at)?, "git"),
                _ => (Url::parse(at, Rules::Strict)?, "hg"),
            };
            for name in GIT_FLAGS.into_iter().filter(|_| kind == Kind::Git) {
                if flag(fields, name)? {
                    ask(name, "1");
                }
            }
            match at.scheme.as_str() {
                "git" if kind == Kind::Git => at,
                scheme => Url { scheme: format!("{prefix}+{scheme}"), ..at },
            }
        }
        Kind::Forge(scheme) => {
            hash(fields)?.into_iter().for_each(|hash| ask("narHash", &hash));
            text(fields, "host")?.into_iter().for_each(|host| ask("host", host));
            let names = [required(fields, "owner")?, required(fields, "repo")?];
            let names = names.into_iter().map(str::to_owned);
            let version = branch.map(str::to_owned).or(commit()?);
            named_url(scheme, names.chain(version))
        }
        Kind::Indirect => {
            let names = [Some(required(fields, "id")?.to_owned()), branch.map(str::to_owned)];
            named_url("flake", names.into_iter().chain([commit()?]).flatten())
        }
        Kind::Download(_) => {
            hash(fields)?.into_iter().for_each(|hash| ask("narHash", &hash));
            Url::parse(required(fields, "url")?, Rules::Strict)?
        }
    };
    url.query.extend(query);
    Ok(url)
}

fn named_url(scheme: &str, names: impl Iterator<Item = String>) -> Url {
    Url { scheme: scheme.to_owned(), path: names.collect(), ..Url::default() }
}

/// The file's path that an address has.
fn file_name(parts: &[String]) -> Result<String, String> {
    if let Some(part) = parts.iter().find(|part| part.contains(['/', '\0'])) {
        return Err(format!("'{part}' is no name of a file"));
    }
    let (root, parts) = match parts {
        [first, rest @ ..] if first.is_empty() => ("/", rest),
        parts => ("", parts),
    };
    let names: Vec<_> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    let is_open = !names.is_empty() && parts.last().is_some_and(String::is_empty);
    Ok(format!("{root}{}{}", names.join("/"), if is_open { "/" } else { "" }))
}

/// The address of a Git repository, which may be written as a path, or as `scp` has it:
/// `user@host:path`.
fn git_address(text: &str) -> Result<Url, String> {
    let by_scp = match text.split_once('@') {
        Some((user, rest)) if !user.contains('/') => {
            rest.rsplit_once(':').map(|(host, path)| format!("ssh://{user}@{host}/{path}"))
        }
        _ => None,
    };
    let text = by_scp.as_deref().unwrap_or(text);
    let is_file = text.strip_prefix("git+").unwrap_or(text).starts_with("file:");
    if !is_file && !text.contains("://") {
        if text.split('/').next().is_some_and(|first| first.contains(':')) {
            return Err(format!("'{text}' is no address: write 'ssh://host/path'"));
        }
        let authority = text.starts_with('/').then(Authority::default);
        let text = if text.is_empty() { "/" } else { text };
        return Ok(Url { authority, ..named_url("file", text.split('/').map(str::to_owned)) });
    }
    let mut url = Url::parse(text, Rules::Strict)?;
    if url.application() == Some("git") {
        url.scheme = url.transport().to_owned();
    }
    Ok(url)
}

fn text<'a>(fields: &'a Fields, name: &str) -> Result<Option<&'a str>, String> {
    match fields.get(name) {
        None => Ok(None),
        Some(Field::Text(text)) => Ok(Some(text)),
        Some(_) => Err(format!("'{name}' is no text")),
    }
}

fn required<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, String> {
    text(fields, name)?.ok_or_else(|| format!("'{name}' is missing"))
}

fn flag(fields: &Fields, name: &str) -> Result<bool, String> {
    match fields.get(name) {
        None => Ok(false),
        Some(Field::Flag(flag)) => Ok(*flag),
        Some(_) => Err(format!("'{name}' is no truth value")),
    }
}

/// The hash of the files, in the notation that addresses have.
fn hash(fields: &Fields) -> Result<Option<String>, String> {
    let read = |text: &str| match text {
        "" => Ok(Hash::zero(Algorithm::Sha256).to_sri()),
        text if text.contains('-') => Hash::parse(text, Some(Algorithm::Sha256))
            .map(|hash| hash.to_sri())
            .map_err(|error| error.to_string()),
        text => Err(format!("'{text}' is no hash such as sha256-…")),
    };
    text(fields, "narHash")?.map(read).transpose()
}

/// A commit in the notation that Git has.
fn sha1_commit(text: &str) -> Result<String, String> {
    let hash = Hash::parse(text, Some(Algorithm::Sha1)).map_err(|error| error.to_string())?;
    Ok(hash.to_base16())
}

/// The same of a text that may name another algorithm.
fn any_commit(text: &str) -> Result<String, String> {
    Hash::parse(text, None).map(|hash| hash.to_base16()).or_else(|_| sha1_commit(text))
}

fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_name(text: &str) -> bool {
    text.starts_with(|char: char| char.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

/// A branch or tag without the rarer characters.
fn is_plain_ref(text: &str) -> bool {
    text.starts_with(|char: char| char.is_ascii_alphanumeric() || char == '@')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./@+-".contains(&byte))
}

/// Whether Git lets a branch or tag have this name (git-check-ref-format).
fn is_ref(text: &str) -> bool {
    let is_fine =
        |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    let refused = |char: char| char <= ' ' || char == '\x7f' || "~^:?*[\\".contains(char);
    text.split('/').all(is_fine)
        && !text.contains(refused)
        && !text.contains("..")
        && !text.contains("@{")
        && !text.ends_with('.')
        && text != "@"
        && (!text.starts_with('-') || text.contains('/'))
}
