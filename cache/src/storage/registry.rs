//! Talking to a registry: the distribution API, and how it wants to be asked.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, de::DeserializeOwned};
use ureq::{
    Body,
    http::{HeaderName, Method, Request, Response, StatusCode, header},
};
use url::Url;

use super::{
    Manner,
    client::{body, clients, request},
};
use crate::{Clients, Credential, fault::Fault};

/// The longest answer with a token.
const MAX_TOKEN: usize = 1 << 20;

/// The longest page of tags, and the most pages.
const MAX_TAGS: usize = 4 << 20;
const MAX_PAGES: usize = 10_000;

/// One request.
pub(super) struct Call<'a> {
    method: Method,
    place: String,
    query: Option<(&'static str, String)>,
    headers: Vec<(HeaderName, String)>,
    body: &'a [u8],
}

impl<'a> Call<'a> {
    fn new(method: Method, place: &str, body: &'a [u8]) -> Self {
        Self { method, place: place.to_owned(), query: None, headers: Vec::new(), body }
    }

    pub(super) fn get(place: &str) -> Self {
        Self::new(Method::GET, place, &[])
    }

    pub(super) fn head(place: &str) -> Self {
        Self::new(Method::HEAD, place, &[])
    }

    pub(super) fn post(place: &str) -> Self {
        Self::new(Method::POST, place, &[])
    }

    pub(super) fn put(place: &str, body: &'a [u8]) -> Self {
        Self::new(Method::PUT, place, body)
    }

    pub(super) fn with(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    pub(super) fn query(mut self, name: &'static str, value: &str) -> Self {
        self.query = Some((name, value.to_owned()));
        self
    }
}

/// A repository of a registry.
pub(super) struct Registry {
    clients: Clients,
    /// Ends with `/`.
    base: Url,
    credential: Option<Credential>,
    /// What the registry wants to see, once it has said so.
    authorization: Mutex<Option<String>>,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct Tags {
    tags: Option<Vec<String>>,
}

impl Registry {
    pub(super) fn new(base: &Url, manner: &Manner) -> Self {
        let (base, clients) = (base.clone(), clients(manner));
        let credential = manner.credential.clone();
        Self { clients, base, credential, authorization: Mutex::default() }
    }

    fn authorization(&self) -> MutexGuard<'_, Option<String>> {
        self.authorization.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Make a call, with credentials if the registry wants some.
    pub(super) fn send(&self, call: &Call) -> Result<Response<Body>, Fault> {
        let response = self.attempt(call)?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let wanted = response.headers().get(header::WWW_AUTHENTICATE);
        let wanted = wanted.and_then(|wanted| wanted.to_str().ok()).unwrap_or_default();
        let authorization = self.authorize(wanted)?;
        *self.authorization() = Some(authorization);
        self.attempt(call)
    }

    fn attempt(&self, call: &Call) -> Result<Response<Body>, Fault> {
        let nonsense = |error: &dyn std::fmt::Display| Fault::Protocol(error.to_string());
        let mut url = self.base.join(&call.place).map_err(|error| nonsense(&error))?;
        if let Some((name, value)) = &call.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        // An upload may be sent elsewhere, but not with our credentials.
        let ours = url.origin() == self.base.origin();
        let authorization = self.authorization().clone().filter(|_| ours);
        let built = |body| {
            let mut request = Request::builder().method(call.method.clone()).uri(url.as_str());
            for (name, value) in &call.headers {
                request = request.header(name, value);
            }
            if let Some(authorization) = &authorization {
                request = request.header(header::AUTHORIZATION, authorization);
            }
            request.body(body).map_err(ureq::Error::from)
        };
        let has_body = matches!(call.method, Method::PUT | Method::POST);
        let agent = self.clients.to(url.as_str());
        request(|| match has_body {
            true => agent.run(built(call.body)?),
            false => {
                let (parts, _) = built(&[][..])?.into_parts();
                agent.run(Request::from_parts(parts, ()))
            }
        })
    }

    /// What to show a registry that wants to be shown something.
    fn authorize(&self, wanted: &str) -> Result<String, Fault> {
        let basic = self.credential.as_ref().map(Credential::basic);
        let denied = || Fault::Denied(StatusCode::UNAUTHORIZED.as_u16());
        let Some(challenge) = wanted.strip_prefix("Bearer ") else {
            return basic.ok_or_else(denied);
        };
        let url = place_of_tokens(challenge).ok_or_else(denied)?;
        // A password goes over a network only as safely as everything else does.
        let basic = basic.filter(|_| url.scheme() == "https" || self.base.scheme() == "http");
        let agent = self.clients.to(url.as_str());
        let response = request(|| match &basic {
            Some(basic) => agent.get(url.as_str()).header(header::AUTHORIZATION, basic).call(),
            None => agent.get(url.as_str()).call(),
        })?;
        if response.status() != StatusCode::OK {
            return Err(denied());
        }
        let token = token(&body(response, MAX_TOKEN)?)?.ok_or_else(denied)?;
        Ok(format!("Bearer {token}"))
    }

    /// All tags of the repository.
    pub(super) fn tags(&self) -> Result<Vec<String>, Fault> {
        let mut place = "tags/list?n=1000".to_owned();
        let mut all = Vec::new();
        for _ in 0..MAX_PAGES {
            let response = self.send(&Call::get(&place))?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Ok(all),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    return Err(Fault::Denied(response.status().as_u16()));
                }
                status => return Err(Fault::Protocol(format!("status {status} for its tags"))),
            }
            let next = response.headers().get(header::LINK).and_then(|link| link.to_str().ok());
            let next = next.and_then(|link| Some(link.split_once('<')?.1.split_once('>')?.0));
            let next = next.map(ToOwned::to_owned);
            all.extend(tags(&body(response, MAX_TAGS)?)?);
            match next {
                Some(next) => place = next,
                None => return Ok(all),
            }
        }
        Err(Fault::TooLarge { limit: MAX_PAGES })
    }
}

/// Where a registry's challenge says that tokens are to be had.
pub(crate) fn place_of_tokens(challenge: &str) -> Option<Url> {
    let field = |name: &str| {
        let rest = challenge.split_once(&format!("{name}=\""))?.1;
        Some(rest.split_once('"')?.0)
    };
    let mut url = Url::parse(field("realm")?).ok()?;
    for name in ["service", "scope"] {
        if let Some(value) = field(name) {
            url.query_pairs_mut().append_pair(name, value);
        }
    }
    Some(url)
}

/// The token of an answer that holds one.
pub(crate) fn token(json: &[u8]) -> Result<Option<String>, Fault> {
    let token: Token = from_json(json)?;
    Ok(token.token.or(token.access_token))
}

/// The tags of a page of them.
pub(crate) fn tags(json: &[u8]) -> Result<Vec<String>, Fault> {
    Ok(from_json::<Tags>(json)?.tags.unwrap_or_default())
}

/// What an answer in JSON says.
pub(super) fn from_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(json).map_err(|error| Fault::Protocol(error.to_string()))
}
