//! One request to a server, from where the download stands to its end.
//!
//! The request runs in a thread of its own, so that a server which says nothing
//! does not keep a cancelled run waiting.

use std::{
    io::Read as _,
    sync::mpsc::{self, RecvTimeoutError, SyncSender},
    thread,
    time::Duration,
};

use hb_cache::{Clients, Network, Patience};
use ureq::{
    Agent,
    http::{StatusCode, header},
};

use super::{Reason, partial::Partial};

/// How long a connection may take, and how long it may be silent.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a waiting run looks whether it is still wanted.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// The size of the pieces in which bytes come.
const PIECE: usize = 128 * 1024;
/// How many pieces may wait for the disk.
const PIECES: usize = 8;

/// Clients that fetch in a network.
pub fn clients(network: &Network) -> Clients {
    Clients::new(network, Patience { silence: PATIENCE, whole: None })
}

/// What the request's thread tells.
enum Message {
    /// The body begins at this offset; the file has so many bytes in all.
    Start {
        offset: u64,
        total: Option<u64>,
    },
    Piece(Vec<u8>),
    End,
    Failed(Reason),
}

/// Download what is missing.
pub(super) fn get(clients: &Clients, address: &str, partial: &mut Partial) -> Result<(), Reason> {
    let (sender, messages) = mpsc::sync_channel(PIECES);
    let (agent, from) = (clients.to(address).clone(), partial.length());
    let address = address.to_owned();
    thread::spawn(move || {
        let last = match request(&agent, &address, from, &sender) {
            Ok(()) => Message::End,
            Err(reason) => Message::Failed(reason),
        };
        // Nobody listens to a run that was cancelled.
        let _ = sender.send(last);
    });
    loop {
        match messages.recv_timeout(LOOK_INTERVAL) {
            Ok(Message::Start { offset, total }) => {
                partial.expect(total)?;
                if offset == 0 && partial.length() > 0 {
                    partial.reset()?;
                }
            }
            Ok(Message::Piece(bytes)) => partial.write(&bytes)?,
            Ok(Message::End) => return complete(partial),
            Ok(Message::Failed(reason)) => return Err(reason),
            Err(RecvTimeoutError::Timeout) if partial.cancelled() => {
                return Err(Reason::Cancelled);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return complete(partial),
        }
    }
}

fn complete(partial: &Partial) -> Result<(), Reason> {
    match partial.total {
        Some(total) if partial.length() < total => {
            Err(Reason::Broken { received: partial.length(), total })
        }
        _ => Ok(()),
    }
}

fn request(
    agent: &Agent,
    address: &str,
    from: u64,
    sender: &SyncSender<Message>,
) -> Result<(), Reason> {
    let network = |error| Reason::Network(Box::new(error));
    // Compressed on the way, bytes could not be counted.
    let mut request = agent.get(address).header(header::ACCEPT_ENCODING, "identity");
    if from > 0 {
        request = request.header(header::RANGE, format!("bytes={from}-"));
    }
    let response = request.call().map_err(network)?;
    let header = |name| response.headers().get(name)?.to_str().ok();
    let length = || header(header::CONTENT_LENGTH).and_then(|text| text.parse::<u64>().ok());
    let start = match response.status() {
        StatusCode::PARTIAL_CONTENT => {
            let range = header(header::CONTENT_RANGE).and_then(content_range);
            match range {
                Some((offset, total)) if offset == from => Message::Start { offset, total },
                _ => return Err(Reason::Status(StatusCode::PARTIAL_CONTENT.as_u16())),
            }
        }
        StatusCode::OK => Message::Start { offset: 0, total: length() },
        // Everything is here already, or the server has another file: from the start.
        StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => {
            drop(response);
            return self::request(agent, address, 0, sender);
        }
        status => return Err(Reason::Status(status.as_u16())),
    };
    let gone = |_| Reason::Cancelled;
    sender.send(start).map_err(gone)?;
    let mut body = response.into_body().into_reader();
    loop {
        let mut piece = vec![0; PIECE];
        match body.read(&mut piece).map_err(|error| network(error.into()))? {
            0 => return Ok(()),
            length => {
                piece.truncate(length);
                sender.send(Message::Piece(piece)).map_err(gone)?;
            }
        }
    }
}

/// The first byte's offset and the whole length in `bytes 5-9/10`.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let first = range.split_once('-')?.0.parse().ok()?;
    Some((first, total.parse().ok()))
}
