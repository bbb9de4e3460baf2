//! Pieces that are here already: what an interrupted pull had brought, and what an object
//! shares with an earlier version of it in the store.
//!
//! A folder of frames by digest. They are checked again when they are read, so nothing is
//! flushed, and whatever goes wrong with one only costs asking a cache for it.

use std::{
    collections::HashSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::Duration,
};

use hb_model::{ContentDigest, StorePath};
use hb_store::Store;

use crate::{cache::unpack, chunks::Cutter, frame, manifest::Manifest, manifest::Piece};

/// How long what an interrupted pull has brought is kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How many earlier versions of an object are looked into.
const VERSIONS: usize = 2;

/// Objects with less than this are brought sooner than a search pays.
const WORTH_SEARCHING: u64 = 1 << 20;

/// An earlier version that is this many times as long has other things in it.
const LIKELY: u64 = 4;

pub(crate) struct Spool {
    folder: PathBuf,
}

impl Spool {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    fn path(&self, digest: &ContentDigest) -> PathBuf {
        self.folder.join(digest.to_string())
    }

    /// A piece, if it is here.
    pub(crate) fn get(&self, piece: &Piece) -> Option<Vec<u8>> {
        let frame = fs::read(self.path(&piece.digest)).ok()?;
        let bytes = unpack(piece, &frame).ok().flatten();
        if bytes.is_none() {
            self.remove(&piece.digest);
        }
        bytes
    }

    /// Keep a piece, if there is room.
    pub(crate) fn put(&self, digest: &ContentDigest, frame: &[u8]) {
        let write = || {
            fs::create_dir_all(&self.folder)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            file.write_all(frame)?;
            file.persist(self.path(digest)).map_err(|error| error.error)
        };
        // What is not here is asked for.
        let _ = write();
    }

    pub(crate) fn remove(&self, digest: &ContentDigest) {
        let _ = fs::remove_file(self.path(digest));
    }

    /// Remove what nobody came back for.
    pub(crate) fn tidy(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let age = entry.metadata().ok().and_then(|found| found.modified().ok()?.elapsed().ok());
            if age.is_some_and(|age| age > KEPT) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// Take from earlier versions in the store what an object shares with them.
    pub(crate) fn search(&self, store: &Store, manifest: &Manifest) {
        if manifest.length() < WORTH_SEARCHING {
            return;
        }
        let pieces = manifest.pieces.iter().map(|piece| piece.digest);
        let mut wanted: HashSet<_> = pieces.filter(|digest| !self.path(digest).exists()).collect();
        let versions = store.newest_called(manifest.path.name(), VERSIONS).unwrap_or_default();
        for version in versions {
            if !wanted.is_empty() {
                self.take_from(store, &version, manifest, &mut wanted);
            }
        }
    }

    fn take_from(
        &self,
        store: &Store,
        version: &StorePath,
        manifest: &Manifest,
        wanted: &mut HashSet<ContentDigest>,
    ) {
        let likely = |size| size <= LIKELY * manifest.length();
        if !store.info(version).ok().flatten().is_some_and(|info| likely(info.size)) {
            return;
        }
        let mut cutter = Cutter::new(|piece: &[u8]| {
            let digest = ContentDigest::of(piece);
            if wanted.remove(&digest) {
                self.put(&digest, &frame::compress_quickly(piece));
            }
            Ok(())
        });
        // One that cannot be read, such as a damaged one, is no help.
        if let Ok(facts) = store.facts(version)
            && store.write_stream(version, &facts, &mut cutter, Path::new("memory")).is_ok()
        {
            let _ = cutter.finish();
        }
    }
}
