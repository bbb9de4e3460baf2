//! A plain server: whatever serves the files of a folder. It can only be read.

use ureq::{
    RequestBuilder,
    http::{StatusCode, header},
    typestate::WithoutBody,
};
use url::Url;

use super::{
    Listed, Manner, Storage,
    client::{body, clients, refused, request},
};
use crate::{Clients, Credential, entry::Entry, fault::Fault};

pub(crate) struct Web {
    clients: Clients,
    base: Url,
    /// Shown with every request.
    authorization: Option<String>,
}

impl Web {
    pub(crate) fn new(base: &Url, manner: &Manner) -> Self {
        let authorization = manner.credential.as_ref().map(Credential::basic);
        Self { clients: clients(manner), base: base.clone(), authorization }
    }

    fn shown(&self, request: RequestBuilder<WithoutBody>) -> RequestBuilder<WithoutBody> {
        match &self.authorization {
            Some(authorization) => request.header(header::AUTHORIZATION, authorization),
            None => request,
        }
    }

    fn url(&self, entry: &Entry) -> String {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(entry.name().split('/'));
        }
        url.into()
    }
}

impl Storage for Web {
    fn get(&self, entry: &Entry, limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        let url = self.url(entry);
        let response = request(|| self.shown(self.clients.to(&url).get(&url)).call())?;
        match response.status() {
            StatusCode::OK => body(response, limit).map(Some),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(None),
            status => Err(refused(entry, status)),
        }
    }

    fn has(&self, entry: &Entry) -> Result<bool, Fault> {
        let url = self.url(entry);
        match request(|| self.shown(self.clients.to(&url).head(&url)).call())?.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND | StatusCode::GONE => Ok(false),
            status => Err(refused(entry, status)),
        }
    }

    fn put(&self, _: &Entry, _: &[u8], _: &[Entry]) -> Result<u64, Fault> {
        Err(Fault::ReadOnly)
    }

    fn is_writable(&self) -> bool {
        false
    }

    fn list(&self, _: &str) -> Result<Vec<Listed>, Fault> {
        Err(Fault::NoList)
    }
}
