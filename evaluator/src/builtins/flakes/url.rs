//! Addresses by RFC 3986, taken apart and put together without being changed: a library for
//! browsers would make them what browsers make of them.

use std::collections::BTreeMap;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const ESCAPED_IN_PATH: &AsciiSet = &ESCAPED.remove(b':').remove(b'@');
const ESCAPED_IN_QUERY: &AsciiSet = &ESCAPED_IN_PATH.remove(b'/').remove(b'?');
const ESCAPED_IN_BRACKETS: &AsciiSet = &ESCAPED.remove(b':');

/// An address. Its texts are as they are meant, not as they are written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) scheme: String,
    pub(super) authority: Option<Authority>,
    /// The parts between slashes: of a path that begins with one the first is empty.
    pub(super) path: Vec<String>,
    pub(super) query: BTreeMap<String, String>,
    pub(super) fragment: String,
}

/// Where it leads to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Authority {
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) host: String,
    /// Whether the host is written in brackets.
    pub(super) is_numeric: bool,
    pub(super) port: Option<u16>,
}

/// What may stand in an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rules {
    /// What the standard allows.
    Strict,
    /// Spaces and quotes in the query as well, and carets in the fragment.
    Lenient,
}

impl Rules {
    fn in_query(self) -> &'static str {
        match self {
            Self::Strict => ":@/?[]",
            Self::Lenient => ":@/?[] \"",
        }
    }

    fn in_fragment(self) -> &'static str {
        match self {
            Self::Strict => ":@/?#[]",
            Self::Lenient => ":@/?#[] \"^",
        }
    }
}

impl Url {
    /// Read an address; or why it is none.
    pub(super) fn parse(text: &str, rules: Rules) -> Result<Self, String> {
        let no_scheme = || format!("'{text}' has no scheme");
        let (scheme, rest) = text.split_once(':').ok_or_else(no_scheme)?;
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
        if !scheme.starts_with(|char: char| char.is_ascii_alphabetic())
            || !scheme.bytes().all(is_part)
        {
            return Err(no_scheme());
        }
        let (rest, fragment) = rest.split_once('#').unwrap_or((rest, ""));
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => {
                let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                (Some(Authority::parse(authority)?), path)
            }
            None => (None, rest),
        };
        let is_local = transport(scheme) == "file";
        if let Some(Authority { host, .. }) = &authority
            && is_local
            && !host.is_empty()
        {
            return Err(format!("'{text}' is a file, and names the host '{host}'"));
        }
        let path = if is_local && path.is_empty() { "/" } else { path };
        Ok(Self {
            scheme: scheme.to_owned(),
            authority,
            path: path.split('/').map(|part| decode(part, ":@")).collect::<Result<_, _>>()?,
            query: parse_query(query, rules)?,
            fragment: decode(fragment, rules.in_fragment())?,
        })
    }

    /// The parts of the path that are not empty.
    pub(super) fn names(&self) -> Vec<&str> {
        self.path.iter().map(String::as_str).filter(|name| !name.is_empty()).collect()
    }

    /// What the scheme has before its first `+`.
    pub(super) fn application(&self) -> Option<&str> {
        self.scheme.split_once('+').map(|(application, _)| application)
    }

    /// What the scheme has behind that.
    pub(super) fn transport(&self) -> &str {
        transport(&self.scheme)
    }
}

fn transport(scheme: &str) -> &str {
    scheme.split_once('+').map_or(scheme, |(_, transport)| transport)
}

/// The values of a query by their names; of two of one name the first. What has no value is no
/// part of it.
pub(super) fn parse_query(query: &str, rules: Rules) -> Result<BTreeMap<String, String>, String> {
    let allowed = rules.in_query();
    let mut values = BTreeMap::new();
    for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let value = decode(value, allowed)?;
        values.entry(decode(name, allowed)?).or_insert(value);
    }
    Ok(values)
}

impl Authority {
    fn parse(text: &str) -> Result<Self, String> {
        let (user, place) = match text.split_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, text),
        };
        let (user, password) = match user.map(|user| user.split_once(':').ok_or(user)) {
            None => (None, None),
            Some(Err(user)) => (Some(user), None),
            Some(Ok((user, password))) => (Some(user), Some(password)),
        };
        let bracketed = place.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        let (host, port) = match bracketed {
            Some((host, "")) => (host, None),
            Some((host, rest)) => {
                (host, Some(rest.strip_prefix(':').ok_or_else(|| no_host(text))?))
            }
            None => match place.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let port = match port {
            None | Some("") => None,
            Some(port) => match port.parse::<u16>() {
                Ok(number) if number > 0 && !port.starts_with('+') => Some(number),
                _ => return Err(format!("'{port}' is no port")),
            },
        };
        Ok(Self {
            user: user.map(|user| decode(user, "")).transpose()?,
            password: password.map(|password| decode(password, ":")).transpose()?,
            host: match bracketed {
                Some(_) => numeric_host(host).ok_or_else(|| no_host(text))?,
                None => decode(host, "")?,
            },
            is_numeric: bracketed.is_some(),
            port,
        })
    }
}

fn no_host(text: &str) -> String {
    format!("'{text}' names no host")
}

/// The host in brackets: an address of the sixth version, perhaps with a zone, or of a later one.
fn numeric_host(text: &str) -> Option<String> {
    if let Some((version, address)) = text.strip_prefix('v').and_then(|rest| rest.split_once('.')) {
        let is_version = !version.is_empty() && version.bytes().all(|it| it.is_ascii_hexdigit());
        let is_address = !address.is_empty() && !address.contains('%');
        return (is_version && is_address).then(|| decode(text, ":").ok()).flatten();
    }
    let (address, zone) = match text.split_once("%25") {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    address.parse::<std::net::Ipv6Addr>().ok()?;
    let zone = zone.map(|zone| decode(zone, "")).transpose().ok()?;
    Some(zone.map_or_else(|| address.to_owned(), |zone| format!("{address}%{zone}")))
}

/// A text without its escapes. Beside these it may hold what the standard lets stand in every
/// part of an address, and what is `allowed` here.
fn decode(text: &str, allowed: &str) -> Result<String, String> {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_fine = match byte {
            b'%' => [bytes.next(), bytes.next()]
                .iter()
                .all(|digit| digit.is_some_and(|digit| digit.is_ascii_hexdigit())),
            b'-' | b'.' | b'_' | b'~' => true,
            _ => {
                byte.is_ascii_alphanumeric()
                    || b"!$&'()*+,;=".contains(&byte)
                    || allowed.as_bytes().contains(&byte)
            }
        };
        if !is_fine {
            return Err(format!("'{text}' holds what must be escaped in an address"));
        }
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| format!("'{text}' is not UTF-8 without its escapes"))
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.scheme)?;
        if let Some(authority) = &self.authority {
            write!(f, "//{authority}")?;
        }
        for (index, part) in self.path.iter().enumerate() {
            let slash = if index == 0 { "" } else { "/" };
            write!(f, "{slash}{}", utf8_percent_encode(part, ESCAPED_IN_PATH))?;
        }
        for (index, (name, value)) in self.query.iter().enumerate() {
            let mark = if index == 0 { '?' } else { '&' };
            let [name, value] =
                [name, value].map(|text| utf8_percent_encode(text, ESCAPED_IN_QUERY));
            write!(f, "{mark}{name}={value}")?;
        }
        match self.fragment.as_str() {
            "" => Ok(()),
            fragment => write!(f, "#{}", utf8_percent_encode(fragment, ESCAPED)),
        }
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{}", utf8_percent_encode(user, ESCAPED))?;
            if let Some(password) = &self.password {
                write!(f, ":{}", utf8_percent_encode(password, ESCAPED))?;
            }
            write!(f, "@")?;
        }
        match self.is_numeric {
            true => write!(f, "[{}]", utf8_percent_encode(&self.host, ESCAPED_IN_BRACKETS))?,
            false => write!(f, "{}", utf8_percent_encode(&self.host, ESCAPED))?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}
