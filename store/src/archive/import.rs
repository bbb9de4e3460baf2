//! Reading a stream into the store.

use std::{io::Read, sync::Arc};

use hb_model::{FixedMethod, FixedOutput, Signed, StorePath, Trust};
use tar::Archive;

use super::{
    ArchiveError, BUILDS, END, FACTS, Facts, HEAD, OBJECTS,
    unpack::{Entry, Reader, Unpacking, unreadable},
};
use crate::{
    copy::{copy, digests},
    error::Result,
    install::Finished,
    publish::{Staged, declared_hash},
    realisations::{Origin, Recorded},
    rewrite::{Replacements, Rewritable, ZEROS},
    scan::{Scanner, hash_part},
    scratch::ScratchDir,
    store::Store,
    tree::{Kind, Place, Reading, Tree},
};

/// Objects are registered when so many bytes are unpacked: flushing and registering cost
/// the same for one as for many.
const BATCH_BYTES: u64 = 256 << 20;

/// The most objects that are registered at once.
const BATCH_OBJECTS: usize = 256;

/// Whom to believe which derivations gave the objects of a stream, so that they need not
/// be built here. Content needs no such belief.
#[derive(Clone, Copy, Debug)]
pub enum Believe<'a> {
    /// Those whose keys are trusted.
    Signed(&'a Trust),
    /// The stream.
    Everything,
}

/// What came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportReport {
    /// What was asked for when the stream was written.
    pub roots: Vec<StorePath>,
    /// How many objects were new here.
    pub new: usize,
    /// How many were here before.
    pub known: usize,
    /// How many builds were recorded.
    pub builds: usize,
    /// How many were not, since nobody who is trusted signed them.
    pub unbelieved: usize,
}

impl Store {
    /// Read what [`Store::export`] wrote. Each object is registered once its content gave
    /// its path; what came before a fault stays, so that the rest can follow.
    pub fn import(&self, input: impl Read, believe: Believe<'_>) -> Result<ImportReport> {
        let decoder = zstd::Decoder::new(input).map_err(unreadable)?;
        let mut archive = Archive::new(decoder);
        let mut reader = Reader::new(&mut archive)?;
        let mut importing = Importing {
            store: self,
            scratch: self.scratch_dir()?,
            waiting: Vec::new(),
            bytes: 0,
            report: ImportReport::default(),
        };
        importing.head(reader.next()?)?;
        let mut entry = reader.next()?;
        while entry.name.area == FACTS {
            let (path, facts) = read_facts(entry)?;
            entry = importing.object(path, &facts, &mut reader)?;
        }
        importing.register()?;
        importing.builds(entry, believe)?;
        let end = reader.next()?;
        match end.name.area.as_str() {
            END => Ok(importing.report),
            _ => Err(end.fault("is not in its place")),
        }
    }
}

fn read_facts<R: Read>(entry: Entry<'_, R>) -> Result<(StorePath, Facts)> {
    let name = entry.name.object.as_deref();
    let path = name.and_then(|name| StorePath::from_base_name(name).ok());
    let fault = entry.fault("is not what hb writes");
    let facts = Facts::parse(&entry.text()?);
    path.zip(facts).ok_or(fault)
}

/// An import under way.
struct Importing<'a> {
    store: &'a Store,
    scratch: ScratchDir,
    /// Unpacked and verified, but not registered.
    waiting: Vec<Finished>,
    bytes: u64,
    report: ImportReport,
}

impl Importing<'_> {
    fn head<R: Read>(&mut self, entry: Entry<'_, R>) -> Result<()> {
        if entry.name.area != HEAD {
            return Err(ArchiveError::Foreign.into());
        }
        let fault = entry.fault("is not what hb writes");
        let root = |line: &str| StorePath::from_base_name(line.strip_prefix("root ")?).ok();
        let roots: Option<_> = entry.text()?.lines().map(root).collect();
        self.report.roots = roots.ok_or(fault)?;
        Ok(())
    }

    /// Takes the entries of one object, and gives the one after them.
    fn object<'e, R: Read>(
        &mut self,
        path: StorePath,
        facts: &Facts,
        reader: &mut Reader<'e, R>,
    ) -> Result<Entry<'e, R>> {
        let name = path.base_name();
        let is_new = !self.store.hold_and_want(std::slice::from_ref(&path))?.is_empty();
        let around = Arc::clone(&self.scratch.folder);
        let mut unpacking = Unpacking::new(Place { around, name: name.clone().into_bytes() });
        let next = loop {
            let entry = reader.next()?;
            if entry.name.area != OBJECTS || entry.name.object.as_ref() != Some(&name) {
                break entry;
            }
            if is_new {
                let below = entry.name.below.clone();
                unpacking.take(entry, &below)?;
            }
        };
        if is_new {
            let object = verified(self.store, path, facts, unpacking.place)?;
            self.bytes += object.size;
            self.report.new += 1;
            self.waiting.push(object);
        } else {
            self.report.known += 1;
        }
        if self.bytes >= BATCH_BYTES || self.waiting.len() >= BATCH_OBJECTS {
            self.register()?;
        }
        Ok(next)
    }

    fn register(&mut self) -> Result<()> {
        self.bytes = 0;
        let objects = std::mem::take(&mut self.waiting);
        if objects.is_empty() { Ok(()) } else { self.store.install(&objects, |_| Ok(())) }
    }

    fn builds<R: Read>(&mut self, entry: Entry<'_, R>, believe: Believe<'_>) -> Result<()> {
        if entry.name.area != BUILDS {
            return Err(entry.fault("is not in its place"));
        }
        let fault = entry.fault("is not what hb writes");
        let text = entry.text()?;
        let builds: Option<Vec<_>> = text.split_terminator("\n\n").map(read_build).collect();
        let mut builds = builds.ok_or(fault)?;
        let all = builds.len();
        if let Believe::Signed(trust) = believe {
            builds.retain(|build| trust.believes(&build.realisation, &build.signatures));
        }
        self.report.builds = builds.len();
        self.report.unbelieved = all - builds.len();
        self.store.inner.database.transact(|transaction| {
            builds.iter().try_for_each(|build| self.store.record(transaction, build))
        })
    }
}

/// A realisation's canonical text, perhaps the derivation that gave it, and signatures.
fn read_build(text: &str) -> Option<Recorded> {
    let mut canonical = String::new();
    let mut derivation = None;
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("derivation", name)) => derivation = Some(StorePath::from_base_name(name).ok()?),
            _ => canonical.extend([line, "\n"]),
        }
    }
    let Signed { realisation, signatures } = Signed::parse(&canonical)?;
    Some(Recorded { realisation, derivation, origin: Origin::Foreign, signatures })
}

/// The unpacked object, if its content gives its path.
pub(super) fn verified(
    store: &Store,
    path: StorePath,
    facts: &Facts,
    place: Place,
) -> Result<Finished> {
    let differs = || ArchiveError::Differs { path: path.clone() };
    let reading = Reading { filter: None, visit: &mut |_, _| {}, ours: true };
    let tree = Tree::read(&place, reading)?.ok_or_else(differs)?;
    let own = facts.self_reference.then_some(&path);
    let scanner = Scanner::new(own);
    let contents = copy(&tree, &place, None, &scanner)?;
    let mut staged = Staged { place, files: Rewritable::new(tree, contents, &scanner) };
    let follows = match &facts.fixed {
        Some(fixed) => {
            let name = path.name().clone();
            StorePath::of_fixed(name, fixed.method, &fixed.hash) == path
                && stands_alone(facts, fixed, &staged)
                && declared_hash(&staged, fixed, &path)? == fixed.hash
        }
        None => content_path(&path, facts, &mut staged)? == path,
    };
    if !follows {
        return Err(differs().into());
    }
    let references = facts.references.clone();
    staged.finish(store, path, references, facts.self_reference, facts.fixed.clone())
}

/// Whether an object of a declared hash is as publishing makes it: the hash says nothing of
/// references and, of a file alone, nothing of the executable bit.
fn stands_alone(facts: &Facts, fixed: &FixedOutput, staged: &Staged) -> bool {
    let root = &staged.files.tree.nodes[0].kind;
    let is_program = matches!(root, Kind::File { executable: true, .. });
    let refers = facts.self_reference || !facts.references.is_empty();
    !refers && (fixed.method == FixedMethod::Tree || !is_program)
}

/// The path that the content gives, with the object's own hash part, where it refers to
/// itself, read as zeros.
fn content_path(path: &StorePath, facts: &Facts, staged: &mut Staged) -> Result<StorePath> {
    let Staged { place, files } = staged;
    let own = 0;
    if facts.self_reference {
        files.rewrite(place, &Replacements::from([(own, ZEROS)]))?;
    }
    let digest = files.tree.digest(&digests(&files.contents));
    if facts.self_reference {
        files.rewrite(place, &Replacements::from([(own, hash_part(path))]))?;
    }
    let name = path.name().clone();
    Ok(StorePath::of_content(name, digest, &facts.references, facts.self_reference))
}
