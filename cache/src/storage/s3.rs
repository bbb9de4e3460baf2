//! An S3-compatible server: an entry is an object of a bucket, by its name below a prefix.
//!
//! Requests are signed in their address (SigV4), which no message shows.

use std::{sync::Arc, time::Duration};

use rusty_s3::{
    Bucket, Credentials, S3Action as _, UrlStyle,
    actions::{ListObjectsV2, list_objects_v2::ListObjectsContent},
};
use ureq::{Agent, http::StatusCode};
use url::Url;

use super::{
    Listed, Manner, Storage,
    client::{body, clients, found, refused, request},
};
use crate::{Clients, Credential, entry::Entry, fault::Fault};

/// How long a signature is good for: longer than any request takes.
const VALID: Duration = Duration::from_secs(3600);

/// The longest page of names, and the most pages.
const MAX_PAGE: usize = 16 << 20;
const MAX_PAGES: usize = 100_000;

/// Where a bucket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Address {
    /// The server.
    pub endpoint: Url,
    /// The bucket.
    pub bucket: String,
    /// What the names of entries begin with; empty, or it ends with `/`.
    pub prefix: String,
    /// What the server calls its place.
    pub region: String,
}

pub(crate) struct S3 {
    clients: Clients,
    endpoint: String,
    /// `None` if the address cannot be one of a bucket.
    bucket: Option<Arc<Bucket>>,
    prefix: String,
    credentials: Option<Credentials>,
}

impl S3 {
    pub(crate) fn new(address: &S3Address, manner: &Manner) -> Self {
        let S3Address { endpoint, bucket, prefix, region } = address.clone();
        let credentials = manner.credential.as_ref().map(|credential| match credential {
            Credential::Password { user, password } => Credentials::new(user, password.reveal()),
        });
        let server = endpoint.to_string();
        let bucket = Bucket::new(endpoint, UrlStyle::Path, bucket, region).ok().map(Arc::new);
        Self { clients: clients(manner), endpoint: server, bucket, prefix, credentials }
    }

    fn agent(&self) -> &Agent {
        self.clients.to(&self.endpoint)
    }

    fn bucket(&self) -> Result<&Bucket, Fault> {
        let none = || Fault::Protocol("the address is none of a bucket".to_owned());
        self.bucket.as_deref().ok_or_else(none)
    }

    fn key(&self, entry: &Entry) -> String {
        format!("{}{}", self.prefix, entry.name())
    }
}

/// A page of a list.
pub(crate) struct Page {
    pub(crate) listed: Vec<Listed>,
    /// What to ask for the next one with.
    pub(crate) next: Option<String>,
}

impl Page {
    /// What a server answered; names are those below `prefix`.
    pub(crate) fn parse(answer: Vec<u8>, prefix: &str) -> Result<Self, Fault> {
        let nonsense = |error: &dyn std::fmt::Display| Fault::Protocol(error.to_string());
        let text = String::from_utf8(answer).map_err(|it| nonsense(&it))?;
        let page = ListObjectsV2::parse_response(&text).map_err(|it| nonsense(&it))?;
        let listed = |content: ListObjectsContent| {
            let time = content.last_modified.unwrap_or_default();
            let put = humantime::parse_rfc3339(&time).map_err(|it| nonsense(&it))?;
            let name = content.key.strip_prefix(prefix).unwrap_or(&content.key).to_owned();
            Ok(Listed { name, put, size: content.size.unwrap_or_default() })
        };
        let next = page.next_continuation_token;
        Ok(Self { listed: page.contents.into_iter().map(listed).collect::<Result<_, _>>()?, next })
    }
}

impl Storage for S3 {
    fn get(&self, entry: &Entry, limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        let (bucket, key) = (self.bucket()?, self.key(entry));
        let url = || bucket.get_object(self.credentials.as_ref(), &key).sign(VALID);
        let response = request(|| self.agent().get(url().as_str()).call())?;
        found(entry, response)?.map(|response| body(response, limit)).transpose()
    }

    fn has(&self, entry: &Entry) -> Result<bool, Fault> {
        let (bucket, key) = (self.bucket()?, self.key(entry));
        let url = || bucket.head_object(self.credentials.as_ref(), &key).sign(VALID);
        let response = request(|| self.agent().head(url().as_str()).call())?;
        Ok(found(entry, response)?.is_some())
    }

    fn put(&self, entry: &Entry, bytes: &[u8], _: &[Entry]) -> Result<u64, Fault> {
        let (bucket, key) = (self.bucket()?, self.key(entry));
        let url = || bucket.put_object(self.credentials.as_ref(), &key).sign(VALID);
        match request(|| self.agent().put(url().as_str()).send(bytes))?.status() {
            StatusCode::OK | StatusCode::CREATED => Ok(bytes.len() as u64),
            status => Err(refused(entry, status)),
        }
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>, Fault> {
        let bucket = self.bucket()?;
        let start = format!("{}{folder}", self.prefix);
        let (mut all, mut next) = (Vec::new(), None);
        for _ in 0..MAX_PAGES {
            let url = || {
                let mut list = bucket.list_objects_v2(self.credentials.as_ref());
                list.with_prefix(start.as_str());
                if let Some(token) = &next {
                    list.with_continuation_token(String::clone(token));
                }
                list.sign(VALID)
            };
            let response = request(|| self.agent().get(url().as_str()).call())?;
            match response.status() {
                StatusCode::OK => {}
                status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                    return Err(Fault::Denied(status.as_u16()));
                }
                status => return Err(Fault::Protocol(format!("status {status} for a list"))),
            }
            let page = Page::parse(body(response, MAX_PAGE)?, &self.prefix)?;
            all.extend(page.listed);
            match page.next {
                Some(token) => next = Some(token),
                None => return Ok(all),
            }
        }
        Err(Fault::TooLarge { limit: MAX_PAGES })
    }

    fn is_collected(&self) -> bool {
        true
    }

    fn remove(&self, name: &str) -> Result<(), Fault> {
        let (bucket, key) = (self.bucket()?, format!("{}{name}", self.prefix));
        let url = || bucket.delete_object(self.credentials.as_ref(), &key).sign(VALID);
        match request(|| self.agent().delete(url().as_str()).call())?.status() {
            StatusCode::OK | StatusCode::NO_CONTENT | StatusCode::NOT_FOUND => Ok(()),
            StatusCode::UNAUTHORIZED => Err(Fault::Denied(401)),
            StatusCode::FORBIDDEN => Err(Fault::Denied(403)),
            status => Err(Fault::Status { entry: name.to_owned(), status: status.as_u16() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(inside: &str) -> Result<Page, Fault> {
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{inside}\
             </ListBucketResult>"
        );
        Page::parse(text.into_bytes(), "p/")
    }

    #[test]
    fn a_page_is_read() {
        let page = page(
            "<Name/><Contents><Key>p/objects/a</Key><Size>3</Size>\
             <LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>\
             <NextContinuationToken>next</NextContinuationToken>",
        )
        .unwrap();
        assert_eq!(page.next.as_deref(), Some("next"));
        assert_eq!((page.listed[0].name.as_str(), page.listed[0].size), ("objects/a", 3));
    }

    #[test]
    fn a_page_that_is_nested_deeply_is_refused() {
        assert!(page(&"<a>".repeat(1_000_000)).is_err());
    }
}
