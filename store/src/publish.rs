//! Taking the outputs of a build: staged anew, scanned, hashed, their temporary hashes
//! rewritten, and published together.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    path::PathBuf,
    sync::Arc,
};

use hb_model::{
    Algorithm, DeclaredHash, FixedMethod, FixedOutput, Hasher, Isolation, NodeDigest, OutputName,
    Realisation, RealisationKey, ResolvedId, StorePath,
};
use rustix::fs::Stat;

use crate::{
    copy::{copy, digests, seal, total_size},
    error::{Context as _, Result, StoreError},
    install::Finished,
    realisations::{Origin, Recorded},
    rewrite::{Replacements, Rewritable, ZEROS},
    scan::{Scanner, hash_part},
    scratch::ScratchDir,
    store::Store,
    tree::{Kind, Node, Place, Reading, Tree},
};

/// One output as the builder left it.
#[derive(Clone, Debug)]
pub struct BuiltOutput {
    /// Where it lies now.
    pub at: PathBuf,
    /// The path that the build knew it by.
    pub scratch: StorePath,
}

/// A build that has ended; none of its processes lives.
#[derive(Clone, Debug)]
pub struct Built {
    /// What was built.
    pub resolved: ResolvedId,
    /// The object of the derivation as evaluated; it must be registered.
    pub derivation: Option<StorePath>,
    /// The outputs. The build's files are read, not taken: what holds on to them, such as
    /// another link, cannot reach the store.
    pub outputs: BTreeMap<OutputName, BuiltOutput>,
    /// Where the hash was declared beforehand: of `out`, the only output.
    pub fixed: Option<FixedOutput>,
    /// What the outputs can refer to: the closure of the inputs.
    pub candidates: BTreeSet<StorePath>,
    /// What every output refers to even if it does not say so: the runtime root.
    pub implied_references: BTreeSet<StorePath>,
    /// How it was built.
    pub isolation: Isolation,
    /// Who built it, such as `hb 0.1.0`.
    pub builder: String,
}

/// An output with its final path, not published yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedOutput {
    /// Its final path.
    pub path: StorePath,
    /// The digest of its tree, self-references as they stand.
    pub digest: NodeDigest,
    /// The bytes of its files and link targets.
    pub size: u64,
    /// The other objects that it refers to.
    pub references: BTreeSet<StorePath>,
    /// Whether it refers to itself.
    pub self_reference: bool,
    /// Where it lies now, with the modes and times of the store.
    pub staged: PathBuf,
}

/// Outputs that are ready to be published, or to be looked at and dropped.
#[derive(Debug)]
pub struct Prepared {
    outputs: BTreeMap<OutputName, PreparedOutput>,
    /// Each after those that it refers to.
    finished: Vec<Finished>,
    recorded: Vec<Recorded>,
    _scratch: ScratchDir,
}

impl Prepared {
    /// The outputs by name.
    pub fn outputs(&self) -> &BTreeMap<OutputName, PreparedOutput> {
        &self.outputs
    }
}

impl Store {
    /// Take the outputs of a build and publish them; they are held.
    pub fn publish(&self, built: &Built) -> Result<BTreeMap<OutputName, Realisation>> {
        self.commit(self.prepare(built)?)
    }

    /// Take the outputs of a build without publishing them, as an audit does.
    pub fn prepare(&self, built: &Built) -> Result<Prepared> {
        let scratch = self.scratch_dir()?;
        let mut preparing = Preparing::new(self, built, &scratch)?;
        for (output, from) in &built.outputs {
            preparing.stage(output, from)?;
        }
        let finished = match &built.fixed {
            Some(fixed) => preparing.fixed(fixed)?,
            None => preparing.floating()?,
        };
        let mut outputs = BTreeMap::new();
        let mut recorded = Vec::new();
        let mut objects = Vec::new();
        for (output, object) in finished {
            recorded.push(realise(built, &output, &object));
            outputs.insert(
                output,
                PreparedOutput {
                    path: object.path.clone(),
                    digest: object.digest,
                    size: object.size,
                    references: object.references.clone(),
                    self_reference: object.self_reference,
                    staged: object.staged.path(),
                },
            );
            objects.push(object);
        }
        Ok(Prepared { outputs, finished: objects, recorded, _scratch: scratch })
    }

    /// Publish prepared outputs, all of them or none, and record what they realise. The
    /// realisations returned are those that count: where this key was built here before,
    /// the earlier ones.
    pub fn commit(&self, prepared: Prepared) -> Result<BTreeMap<OutputName, Realisation>> {
        self.install(&prepared.finished, |transaction| {
            prepared.recorded.iter().try_for_each(|new| self.record(transaction, new))
        })?;
        let mut realisations = BTreeMap::new();
        for new in &prepared.recorded {
            let key = &new.realisation.key;
            let counts = match self.realisation(key)? {
                Some(counts) => counts.realisation,
                None => new.realisation.clone(),
            };
            realisations.insert(key.output.clone(), counts);
        }
        Ok(realisations)
    }
}

fn realise(built: &Built, output: &OutputName, object: &Finished) -> Recorded {
    let own = object.self_reference.then(|| object.path.clone());
    Recorded {
        realisation: Realisation {
            key: RealisationKey { resolved: built.resolved, output: output.clone() },
            path: object.path.clone(),
            digest: object.digest,
            references: object.references.iter().cloned().chain(own).collect(),
            isolation: built.isolation,
            builder: built.builder.clone(),
        },
        derivation: built.derivation.clone(),
        origin: Origin::Local,
        signatures: Vec::new(),
    }
}

/// One output on its way.
pub(crate) struct Staged {
    pub(crate) place: Place,
    pub(crate) files: Rewritable,
}

impl Staged {
    /// Shared with what is equal, sealed, and complete but for its place.
    pub(crate) fn finish(
        self,
        store: &Store,
        path: StorePath,
        references: BTreeSet<StorePath>,
        self_reference: bool,
        fixed: Option<FixedOutput>,
    ) -> Result<Finished> {
        let Self { place, files: Rewritable { tree, contents, .. } } = self;
        let shared = store.share_staged(&tree, &contents, &place)?;
        seal(&tree, &place)?;
        Ok(Finished {
            staged: place,
            is_folder: matches!(tree.nodes[0].kind, Kind::Directory { .. }),
            path,
            digest: tree.digest(&digests(&contents)),
            size: total_size(&tree, &contents),
            references,
            self_reference,
            fixed,
            shared,
        })
    }
}

struct Preparing<'a> {
    store: &'a Store,
    built: &'a Built,
    scratch: &'a ScratchDir,
    scanner: Scanner,
    /// What the scanner's numbers stand for: the outputs first, then the candidates.
    outputs: Vec<&'a OutputName>,
    candidates: Vec<&'a StorePath>,
    staged: BTreeMap<&'a OutputName, Staged>,
}

impl<'a> Preparing<'a> {
    fn new(store: &'a Store, built: &'a Built, scratch: &'a ScratchDir) -> Result<Self> {
        let own = built.outputs.values().map(|output| &output.scratch);
        Ok(Self {
            store,
            built,
            scratch,
            scanner: Scanner::new(own.chain(&built.candidates)),
            outputs: built.outputs.keys().collect(),
            candidates: built.candidates.iter().collect(),
            staged: BTreeMap::new(),
        })
    }

    /// Copy an output into fresh files.
    fn stage(&mut self, output: &'a OutputName, from: &'a BuiltOutput) -> Result<()> {
        let missing = || StoreError::MissingOutput { output: output.clone(), at: from.at.clone() };
        let source = Place::of(&from.at)?;
        let mut ignore = |_: &Node, _: &Stat| {};
        let reading = Reading { filter: None, visit: &mut ignore, ours: true };
        let mut tree = Tree::read(&source, reading)?.ok_or_else(missing)?;
        if let (Some(fixed), Kind::File { executable, .. }) =
            (&self.built.fixed, &mut tree.nodes[0].kind)
            && fixed.method == FixedMethod::Flat
        {
            // The declared hash does not cover the bit.
            *executable = false;
        }
        let around = Arc::clone(&self.scratch.folder);
        let place = Place { around, name: output.as_str().as_bytes().to_vec() };
        let contents = copy(&tree, &source, Some(&place), &self.scanner)?;
        self.refuse_hash_in_name(output, &tree)?;
        let files = Rewritable::new(tree, contents, &self.scanner);
        self.staged.insert(output, Staged { place, files });
        Ok(())
    }

    fn refuse_hash_in_name(&self, output: &OutputName, tree: &Tree) -> Result<()> {
        for (index, node) in tree.nodes.iter().enumerate() {
            let mut found = false;
            self.scanner.scan(&node.name, |number, _| found |= self.output(number).is_some());
            if found {
                let (output, file) = (output.clone(), tree.path(index));
                return Err(StoreError::HashInName { output, file });
            }
        }
        Ok(())
    }

    fn output(&self, number: u32) -> Option<&'a OutputName> {
        self.outputs.get(number as usize).copied()
    }

    /// The objects among the candidates that an output refers to, in files, link targets
    /// or names.
    fn references(&self, files: &Rewritable) -> BTreeSet<StorePath> {
        let mut numbers: BTreeSet<_> = files.numbers().collect();
        for node in &files.tree.nodes {
            self.scanner.scan(&node.name, |number, _| {
                numbers.insert(number);
            });
        }
        let first = self.outputs.len();
        let found = numbers.iter().filter_map(|&number| {
            self.candidates.get((number as usize).checked_sub(first)?).copied().cloned()
        });
        found.chain(self.built.implied_references.iter().cloned()).collect()
    }

    /// Outputs whose paths follow from their content.
    fn floating(mut self) -> Result<Vec<(OutputName, Finished)>> {
        let mut done = Vec::new();
        let mut paths: BTreeMap<&OutputName, StorePath> = BTreeMap::new();
        for output in self.in_order()? {
            let Some(mut staged) = self.staged.remove(output) else { continue };
            let object = self.settle(output, &mut staged, &paths)?;
            paths.insert(output, object.0.clone());
            let (path, references, self_reference) = object;
            done.push((output.clone(), self.finish(staged, path, references, self_reference)?));
        }
        Ok(done)
    }

    /// The outputs, each after those that it refers to.
    fn in_order(&self) -> Result<Vec<&'a OutputName>> {
        let mut waiting: BTreeMap<&OutputName, BTreeSet<&OutputName>> = BTreeMap::new();
        for (output, staged) in &self.staged {
            let siblings = staged.files.numbers().filter_map(|number| self.output(number));
            waiting.insert(output, siblings.filter(|sibling| sibling != output).collect());
        }
        let mut order = Vec::new();
        while !waiting.is_empty() {
            let ready = waiting.iter().find(|(_, needs)| needs.iter().all(|n| order.contains(n)));
            let Some((&ready, _)) = ready else {
                let outputs = waiting.keys().map(|&output| output.clone()).collect();
                return Err(StoreError::OutputCycle { outputs });
            };
            waiting.remove(ready);
            order.push(self.built.outputs.get_key_value(ready).map_or(ready, |(name, _)| name));
        }
        Ok(order)
    }

    /// Rewrite an output's temporary hashes; its path, references and whether it refers
    /// to itself.
    fn settle(
        &self,
        output: &OutputName,
        staged: &mut Staged,
        paths: &BTreeMap<&OutputName, StorePath>,
    ) -> Result<(StorePath, BTreeSet<StorePath>, bool)> {
        let Staged { place, files } = staged;
        let numbers: BTreeSet<_> = files.numbers().collect();
        let mut replacements = Replacements::new();
        let mut references = self.references(files);
        let mut own = None;
        for (number, sibling) in (0..).zip(&self.outputs) {
            if *sibling == output {
                own = numbers.contains(&number).then_some(number);
            } else if let (true, Some(path)) = (numbers.contains(&number), paths.get(sibling)) {
                replacements.insert(number, hash_part(path));
                references.insert(path.clone());
            }
        }
        replacements.extend(own.map(|number| (number, ZEROS)));
        files.rewrite(place, &replacements)?;
        let modulo_self = files.tree.digest(&digests(&files.contents));
        let name = self.built.outputs[output].scratch.name().clone();
        let path = StorePath::of_content(name, modulo_self, &references, own.is_some());
        if let Some(number) = own {
            files.rewrite(place, &Replacements::from([(number, hash_part(&path))]))?;
        }
        Ok((path, references, own.is_some()))
    }

    fn finish(
        &self,
        staged: Staged,
        path: StorePath,
        references: BTreeSet<StorePath>,
        self_reference: bool,
    ) -> Result<Finished> {
        staged.finish(self.store, path, references, self_reference, self.built.fixed.clone())
    }

    /// The one output whose hash was declared.
    fn fixed(mut self, fixed: &FixedOutput) -> Result<Vec<(OutputName, Finished)>> {
        let mut done = Vec::new();
        for (output, from) in &self.built.outputs {
            let Some(staged) = self.staged.remove(output) else { continue };
            let name = from.scratch.name().clone();
            let path = StorePath::of_fixed(name, fixed.method, &fixed.hash);
            let got = declared_hash(&staged, fixed, &path)?;
            if got != fixed.hash {
                let label = format!("{}-{}", got.to_hex(), path.name());
                let kept = self.store.keep_aside(&staged.place.path(), &label)?;
                let expected = fixed.hash.clone();
                return Err(StoreError::HashMismatch { path, expected, got, kept });
            }
            let references = self.references(&staged.files);
            if !references.is_empty() {
                return Err(StoreError::FixedRefers { path, references });
            }
            done.push((output.clone(), self.finish(staged, path, references, false)?));
        }
        Ok(done)
    }
}

/// The hash of a staged tree by the method and algorithm of a declared one.
pub(crate) fn declared_hash(
    staged: &Staged,
    fixed: &FixedOutput,
    path: &StorePath,
) -> Result<DeclaredHash> {
    let algorithm = fixed.hash.algorithm();
    let Staged { place, files } = staged;
    let text = match (fixed.method, algorithm, &files.contents[0]) {
        (FixedMethod::Flat, _, None) => {
            return Err(StoreError::NotAFile { path: path.clone() });
        }
        (FixedMethod::Flat, Algorithm::Blake3, Some(content)) => content.digest.to_string(),
        (FixedMethod::Flat, _, Some(_)) => {
            let file = place.path();
            let mut hasher = Hasher::new(algorithm);
            let mut read = || io::copy(&mut File::open(&file)?, &mut hasher);
            read().at("read", &file)?;
            return Ok(hasher.finish());
        }
        (FixedMethod::Tree, Algorithm::Blake3, _) => {
            files.tree.digest(&digests(&files.contents)).to_string()
        }
        (FixedMethod::Tree, _, _) => {
            return Err(StoreError::TreeAlgorithm { path: path.clone(), algorithm });
        }
    };
    DeclaredHash::parse(algorithm, &text)
        .map_err(|_| StoreError::TreeAlgorithm { path: path.clone(), algorithm })
}
