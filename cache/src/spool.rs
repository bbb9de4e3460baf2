//! Chunks and pieces that are here already: what an interrupted pull had brought, and what an
//! object shares with an earlier version of it in the store.
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

use crate::{cache::unpack, frame, manifest::Manifest, pieces::Cutter, versions::Versions};

/// How long what an interrupted pull has brought is kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

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

    /// A chunk or a piece, if it is here.
    pub(crate) fn get(&self, digest: ContentDigest, length: u32) -> Option<Vec<u8>> {
        let frame = fs::read(self.path(&digest)).ok()?;
        let bytes = unpack(digest, length, &frame).ok().flatten();
        if bytes.is_none() {
            self.remove(&digest);
        }
        bytes
    }

    /// Keep a chunk or a piece, if there is room.
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
    pub(crate) fn search(&self, store: &Store, versions: &Versions<'_>, manifest: &Manifest) {
        let versions = versions.before(&manifest.path, manifest.length());
        if versions.is_empty() {
            return;
        }
        let is_here = |digest: &ContentDigest| self.path(digest).exists();
        let chunks: Vec<_> = manifest.needs().map(|digest| is_here(&digest)).collect();
        let missing = manifest.pieces.iter().filter(|piece| !chunks[piece.place.chunk]);
        let mut wanted: HashSet<_> =
            missing.map(|piece| piece.digest).filter(|digest| !is_here(digest)).collect();
        for version in versions {
            if !wanted.is_empty() {
                self.take_from(store, &version, &mut wanted);
            }
        }
    }

    fn take_from(&self, store: &Store, version: &StorePath, wanted: &mut HashSet<ContentDigest>) {
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
