//! One object as a stream that does not name it, out of a store and into one.
//!
//! The stream is a tar archive of the object's entries, which are called `object` and what
//! is below that, with holes where its own hash part and those of its references stand.
//! Caches keep it in chunks. As with whole closures, an object is registered only if what
//! came gives its path.

use std::{
    io::{Read, Write},
    path::Path,
    sync::Arc,
};

use hb_model::StorePath;
use tar::Archive;

use super::{
    ArchiveError, Facts,
    export::Stream,
    holes::{Filled, Hole, Hollow},
    import::verified,
    unpack::{Reader, Unpacking},
};
use crate::{
    error::{Context as _, Result, StoreError},
    install::Finished,
    scan::{Scanner, hash_part},
    scratch::ScratchDir,
    store::Store,
    tree::Place,
};

/// What the entries of the one object are called.
const OBJECT: &str = "object";

impl Store {
    /// What an object's path follows from, beside its content.
    pub fn facts(&self, path: &StorePath) -> Result<Facts> {
        Facts::of(&self.info(path)?.ok_or_else(|| StoreError::NotInStore { path: path.clone() })?)
    }

    /// Write an object's stream to `output`, which messages call `place`; returns its holes.
    pub fn write_stream(
        &self,
        path: &StorePath,
        facts: &Facts,
        output: impl Write,
        place: &Path,
    ) -> Result<Vec<Hole>> {
        let none = Scanner::default();
        let all = Scanner::new(std::iter::once(path).chain(&facts.references));
        // What refers to nothing need not be searched.
        let alone = facts.references.is_empty() && !facts.self_reference;
        let scanner = if alone { &none } else { &all };
        let mut stream = Stream::new(Hollow::new(output, scanner));
        self.write_object(path, Path::new(OBJECT), &mut stream, place)?;
        let (_, holes) = stream.finish().and_then(Hollow::finish).at("write", place)?;
        Ok(holes)
    }

    /// Begin to take objects in.
    pub fn intake(&self) -> Result<Intake> {
        Ok(Intake { scratch: self.scratch_dir()?, store: self.clone() })
    }

    /// Those of some objects that are not here, or were damaged and put aside; all of them
    /// are held.
    pub fn hold_and_find_missing(&self, paths: &[StorePath]) -> Result<Vec<StorePath>> {
        Ok(self.hold_and_want(paths)?.into_iter().collect())
    }
}

/// Takes objects in; what is not registered in the end goes away with it.
#[derive(Debug)]
pub struct Intake {
    scratch: ScratchDir,
    store: Store,
}

/// An object that was taken in and is what its path says, but is not registered.
#[derive(Debug)]
pub struct Taken(Finished);

impl Taken {
    /// Its path.
    pub fn path(&self) -> &StorePath {
        &self.0.path
    }

    /// The bytes of its files and link targets.
    pub fn size(&self) -> u64 {
        self.0.size
    }
}

impl Intake {
    /// Take the stream of the object that `path` names.
    pub fn take(
        &self,
        path: &StorePath,
        facts: &Facts,
        holes: &[Hole],
        input: impl Read,
    ) -> Result<Taken> {
        let parts: Vec<_> = std::iter::once(path).chain(&facts.references).map(hash_part).collect();
        let input = Filled::new(input, &parts, holes).ok_or(ArchiveError::Foreign)?;
        let around = Arc::clone(&self.scratch.folder);
        // Not the object's own name: the same one may come twice.
        let name = self.store.writer()?.session.fresh_name("object");
        let mut unpacking = Unpacking::new(Place { around, name: name.into_bytes() });
        let mut archive = Archive::new(input);
        let mut reader = Reader::new(&mut archive)?;
        while let Some(entry) = reader.next_or_end()? {
            if entry.name.area != OBJECT {
                return Err(entry.fault("is not of the object"));
            }
            let below = entry.name.inside.clone();
            unpacking.take(entry, &below)?;
        }
        verified(&self.store, path.clone(), facts, unpacking.place).map(Taken)
    }

    /// Register objects, each after those that it refers to; they are held.
    pub fn register(&self, objects: Vec<Taken>) -> Result<()> {
        let objects: Vec<_> = objects.into_iter().map(|Taken(object)| object).collect();
        self.store.install(&objects, |_| Ok(()))
    }
}
