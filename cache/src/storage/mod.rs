//! Where a cache keeps its entries. One contract for every kind.

mod client;
mod folder;
pub(crate) mod oci;
pub(crate) mod registry;
pub(crate) mod s3;
mod web;

use std::{
    io::{self, Read},
    time::{Duration, SystemTime},
};

use crate::{
    Address, Credential, Network,
    entry::{Entry, OBJECTS},
    fault::Fault,
};

use folder::Folder;
use oci::Oci;
use s3::S3;
pub use s3::S3Address;
use web::Web;

/// How a server is asked.
#[derive(Clone, Debug)]
pub struct Manner {
    /// How long it may take for an answer.
    pub patience: Duration,
    /// The way to it.
    pub network: Network,
    /// What it may be shown.
    pub credential: Option<Credential>,
}

/// A place for entries. Whatever it gives is believed by nobody.
pub(crate) trait Storage: Send + Sync {
    /// An entry's bytes, if it is there; not more than `limit` are read.
    fn get(&self, entry: &Entry, limit: usize) -> Result<Option<Vec<u8>>, Fault>;

    /// Whether an entry is there.
    fn has(&self, entry: &Entry) -> Result<bool, Fault>;

    /// Put an entry there, whole or not at all, in the place of what was there. `needs` are
    /// the chunks, all of them there, that it speaks of: some storages keep only those that
    /// something needs. Gives how many bytes had to be sent.
    fn put(&self, entry: &Entry, bytes: &[u8], needs: &[Entry]) -> Result<u64, Fault>;

    /// Whether anything can be put there.
    fn is_writable(&self) -> bool {
        true
    }

    /// Make sure that what was put there survives a power failure.
    fn flush(&self) -> Result<(), Fault> {
        Ok(())
    }

    /// Everything that is there and has a name that begins so, a folder.
    fn list(&self, folder: &str) -> Result<Vec<Listed>, Fault>;

    /// The names of all objects that are there: `<h>-<name>`.
    fn objects(&self) -> Result<Vec<String>, Fault> {
        let listed = self.list(OBJECTS)?.into_iter();
        Ok(listed.filter_map(|it| Some(it.name.strip_prefix(OBJECTS)?.to_owned())).collect())
    }

    /// Whether it is up to hb to remove what is old; other storages do that themselves.
    fn is_collected(&self) -> bool {
        false
    }

    /// Remove what has this name, if it is there.
    fn remove(&self, _name: &str) -> Result<(), Fault> {
        Err(Fault::NotCollected)
    }
}

/// Something that is there.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Its whole name.
    pub(crate) name: String,
    /// When it was put there, by the storage's own clock.
    pub(crate) put: SystemTime,
    pub(crate) size: u64,
}

/// All that a reader gives; `None` if that is more than `limit` bytes.
fn read_at_most(reader: impl Read, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let length = reader.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok((length <= limit).then_some(bytes))
}

/// The storage at an address.
pub(crate) fn open(address: &Address, manner: &Manner) -> Box<dyn Storage> {
    match address {
        Address::Folder(path) => Box::new(Folder::new(path)),
        Address::Web(url) => Box::new(Web::new(url, manner)),
        Address::S3(address) => Box::new(S3::new(address, manner)),
        Address::Registry(url) => Box::new(Oci::new(url, manner)),
    }
}
