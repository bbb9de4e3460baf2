//! One cache: its entries, checked as they come.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use hb_model::{ContentDigest, StorePath};

use crate::{
    Address, Manner,
    entry::Entry,
    fault::{CacheError, Fault, wrong},
    frame,
    manifest::{Chunk, Manifest, NoManifest},
    storage::{self, Listed, Storage},
};

/// A cache. What it gives is checked; nothing else about it is believed.
pub struct Cache {
    address: Address,
    storage: Box<dyn Storage>,
    left_out: AtomicBool,
}

impl Cache {
    /// The cache at an address. Nothing is asked of it yet.
    pub fn open(address: Address, manner: &Manner) -> Arc<Self> {
        let storage = storage::open(&address, manner);
        Arc::new(Self { address, storage, left_out: AtomicBool::new(false) })
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What is wrong with it, as an error.
    pub(crate) fn error(&self, fault: Fault) -> CacheError {
        CacheError { cache: self.address.to_string(), fault }
    }

    /// Ask it for nothing any more; whether that is news.
    pub(crate) fn leave_out(&self) -> bool {
        !self.left_out.swap(true, Ordering::Relaxed)
    }

    /// Whether it may still be asked.
    pub(crate) fn is_usable(&self) -> bool {
        !self.left_out.load(Ordering::Relaxed)
    }

    fn frame(&self, entry: &Entry) -> Result<Option<Vec<u8>>, Fault> {
        if !self.is_usable() {
            return Err(Fault::LeftOut);
        }
        self.storage.get(entry, frame::limit(entry.limit())).map_err(|fault| fault.of(entry))
    }

    /// The text of an entry.
    pub(crate) fn text(&self, entry: &Entry) -> Result<Option<String>, Fault> {
        let Some(frame) = self.frame(entry)? else { return Ok(None) };
        let bytes = frame::decompress(&frame, entry.limit()).map_err(|fault| fault.of(entry))?;
        String::from_utf8(bytes).map(Some).map_err(|_| wrong(entry, "is no text"))
    }

    /// What an object consists of, if it is there.
    pub(crate) fn manifest(&self, path: &StorePath) -> Result<Option<Manifest>, Fault> {
        let entry = Entry::Object(path.clone());
        let Some(text) = self.text(&entry)? else { return Ok(None) };
        match Manifest::parse(&text) {
            Ok(manifest) if manifest.path == *path => Ok(Some(manifest)),
            Ok(_) | Err(NoManifest::Wrong) => Err(wrong(&entry, "is not what hb writes")),
            Err(NoManifest::OtherVersion) => {
                Err(wrong(&entry, "was written by a version of hb with another format"))
            }
        }
    }

    /// A chunk's bytes, and the frame that holds them.
    pub(crate) fn chunk(&self, chunk: &Chunk) -> Result<(Vec<u8>, Vec<u8>), Fault> {
        let entry = Entry::Chunk(chunk.digest);
        let missing = || Fault::Missing { entry: entry.name() };
        let frame = self.frame(&entry)?.ok_or_else(missing)?;
        let bytes = unpack(chunk.digest, chunk.length, &frame).map_err(|fault| fault.of(&entry))?;
        bytes.map(|bytes| (bytes, frame)).ok_or_else(|| wrong(&entry, "is not what its name says"))
    }

    /// Whether an entry is there.
    pub(crate) fn has(&self, entry: &Entry) -> Result<bool, Fault> {
        if !self.is_usable() {
            return Err(Fault::LeftOut);
        }
        self.storage.has(entry)
    }

    /// Compress bytes and put them there; how many had to be sent.
    pub(crate) fn put(&self, entry: &Entry, bytes: &[u8], needs: &[Entry]) -> Result<u64, Fault> {
        self.storage.put(entry, &frame::compress(bytes), needs)
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.storage.is_writable()
    }

    /// Whether it is up to hb to remove what is old there.
    pub(crate) fn is_collected(&self) -> bool {
        self.storage.is_collected()
    }

    pub(crate) fn list(&self, folder: &str) -> Result<Vec<Listed>, Fault> {
        self.storage.list(folder)
    }

    pub(crate) fn remove(&self, name: &str) -> Result<(), Fault> {
        self.storage.remove(name)
    }

    pub(crate) fn flush(&self) -> Result<(), Fault> {
        self.storage.flush()
    }

    /// The objects that are there, sorted by hash.
    pub fn objects(&self) -> Result<Vec<StorePath>, CacheError> {
        let names = self.storage.objects().map_err(|fault| self.error(fault))?;
        let mut paths: Vec<_> =
            names.iter().filter_map(|name| StorePath::from_base_name(name).ok()).collect();
        paths.sort();
        Ok(paths)
    }

    /// What an object consists of there, if it is there.
    pub fn contents(&self, path: &StorePath) -> Result<Option<Contents>, CacheError> {
        let manifest = self.manifest(path).map_err(|fault| self.error(fault))?;
        Ok(manifest.map(|manifest| Contents {
            bytes: manifest.length(),
            chunks: manifest.chunks.len(),
            references: manifest.facts.references,
        }))
    }
}

/// What a cache says that an object consists of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The bytes of its stream: its files, and what is said of them.
    pub bytes: u64,
    /// How many chunks those lie in.
    pub chunks: usize,
    /// The other objects that it refers to.
    pub references: BTreeSet<StorePath>,
}

/// What a frame holds, if that has this digest and length.
pub(crate) fn unpack(
    digest: ContentDigest,
    length: u32,
    frame: &[u8],
) -> Result<Option<Vec<u8>>, Fault> {
    let bytes = frame::decompress(frame, length as usize)?;
    let is_it = bytes.len() == length as usize && ContentDigest::of(&bytes) == digest;
    Ok(is_it.then_some(bytes))
}
