//! Requests to servers: patience, limits, and another try. Addresses may hold signatures, so
//! no message has one.

use std::{thread, time::Duration};

use ureq::{
    Body,
    http::{Response, StatusCode},
};

use super::{Manner, read_at_most};
use crate::{Clients, Patience, entry::Entry, fault::Fault};

/// How often a request that failed in a way that may pass is made again.
const RETRIES: u32 = 2;

/// How long to wait before the first of them; the next wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// How much longer than for a first answer the whole of one may take: many chunks come at once,
/// maybe over a slow line.
const WHOLE: u32 = 16;

/// Clients with these manners.
pub(super) fn clients(manner: &Manner) -> Clients {
    let whole = Some(manner.patience * WHOLE);
    Clients::new(&manner.network, Patience { silence: manner.patience, whole })
}

/// Make a request, and once more where that may help.
pub(super) fn request(
    make: impl Fn() -> Result<Response<Body>, ureq::Error>,
) -> Result<Response<Body>, Fault> {
    let mut tried = 0;
    loop {
        let outcome = make();
        let may_pass = match &outcome {
            Ok(response) => is_busy(response.status()),
            // A server that is silent was waited for long enough.
            Err(error) => !matches!(error, ureq::Error::Timeout(_)),
        };
        if !may_pass || tried == RETRIES {
            return outcome.map_err(network);
        }
        thread::sleep(FIRST_WAIT * 2_u32.pow(tried));
        tried += 1;
    }
}

fn is_busy(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 500 | 502 | 503 | 504)
}

fn network(error: ureq::Error) -> Fault {
    match error.to_string() {
        // As rustls calls it; the latter where an authority is called like the right one.
        text if ["UnknownIssuer", "BadSignature"].iter().any(|it| text.contains(it)) => {
            Fault::UnknownAuthority
        }
        text => Fault::Network(text),
    }
}

/// What a status other than success means.
pub(super) fn refused(entry: &Entry, status: StatusCode) -> Fault {
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Fault::Denied(status.as_u16()),
        _ => Fault::Status { entry: entry.name(), status: status.as_u16() },
    }
}

/// The answer, if what was asked for is there.
pub(super) fn found(
    entry: &Entry,
    response: Response<Body>,
) -> Result<Option<Response<Body>>, Fault> {
    match response.status() {
        StatusCode::OK => Ok(Some(response)),
        StatusCode::NOT_FOUND => Ok(None),
        status => Err(refused(entry, status)),
    }
}

/// The body, if it is at most `limit` bytes.
pub(super) fn body(response: Response<Body>, limit: usize) -> Result<Vec<u8>, Fault> {
    let reader = response.into_body().into_reader();
    let bytes = read_at_most(reader, limit).map_err(|error| network(error.into()))?;
    bytes.ok_or(Fault::TooLarge { limit })
}
