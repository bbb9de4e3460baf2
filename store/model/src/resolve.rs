//! Resolving: putting real store paths in the place of placeholders.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Derivation, DerivationId, FileContent, Input, Limits, OutputName, ResolvedId, StorePath,
    encode::Encoder, name::NameError, output_placeholder, own_output_placeholder,
    placeholder::PLACEHOLDER_LENGTH,
};

/// An input that has no path yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output ‘{output}’ of the input {derivation} has not been built")]
pub struct ResolveError {
    /// Which derivation.
    pub derivation: DerivationId,
    /// Which of its outputs.
    pub output: OutputName,
}

/// A derivation whose inputs are all store paths: what is really built.
///
/// Two derivations that differ in how their inputs come about, but not in what these
/// are, resolve to the same one; that is how a change that yields the same bytes stops.
/// Limits are left out, since they do not change what a build yields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    derivation: Derivation,
    id: ResolvedId,
}

impl Derivation {
    /// Put the paths of the inputs in. `path_of` gives an output's path once built.
    pub fn resolve(
        &self,
        mut path_of: impl FnMut(&DerivationId, &OutputName) -> Option<StorePath>,
    ) -> Result<Resolved, ResolveError> {
        let mut inputs = BTreeSet::new();
        let mut texts = BTreeMap::new();
        for input in &self.inputs {
            match input {
                Input::Path(path) => inputs.insert(Input::Path(path.clone())),
                Input::Output { derivation, output } => {
                    let path = path_of(derivation, output).ok_or_else(|| ResolveError {
                        derivation: *derivation,
                        output: output.clone(),
                    })?;
                    texts.insert(output_placeholder(derivation, output), path.to_string());
                    inputs.insert(Input::Path(path))
                }
            };
        }
        let mut derivation = self.with_texts(&texts);
        derivation.inputs = inputs;
        derivation.limits = Limits::default();
        Ok(Resolved::new(derivation))
    }

    /// The same derivation with every placeholder that `texts` knows replaced by the text
    /// there, wherever one may stand.
    pub fn with_texts(&self, texts: &BTreeMap<String, String>) -> Self {
        let map = |text: &str| substitute(text, texts);
        Self {
            root: self.root.as_deref().map(&map),
            builder: map(&self.builder),
            args: self.args.iter().map(|arg| map(arg)).collect(),
            env: self.env.iter().map(|(name, value)| (name.clone(), map(value))).collect(),
            files: self
                .files
                .iter()
                .map(|(name, content)| {
                    let content = match content {
                        FileContent::Text(text) => FileContent::Text(map(text)),
                        FileContent::Path(path) => FileContent::Path(map(path)),
                    };
                    (name.clone(), content)
                })
                .collect(),
            attrs: self.attrs.as_deref().map(&map),
            closure_info: self
                .closure_info
                .iter()
                .map(|(name, paths)| (name.clone(), paths.iter().map(|path| map(path)).collect()))
                .collect(),
            runtime_root: self.runtime_root.as_deref().map(&map),
            ..self.clone()
        }
    }
}

impl Resolved {
    fn new(derivation: Derivation) -> Self {
        let mut encoder = Encoder::new("hb-resolved-1");
        derivation.encode_what_is_built(&mut encoder);
        Self { id: ResolvedId::from_bytes(encoder.digest()), derivation }
    }

    /// The identity that realisations are recorded under.
    pub fn id(&self) -> ResolvedId {
        self.id
    }

    /// The derivation; its inputs are all [`Input::Path`]s.
    pub fn derivation(&self) -> &Derivation {
        &self.derivation
    }

    /// The inputs' paths.
    pub fn input_paths(&self) -> impl Iterator<Item = &StorePath> {
        self.derivation.sources()
    }

    /// Where each output lies while it is being built.
    pub fn scratch_paths(
        &self,
        variant: u32,
    ) -> Result<BTreeMap<OutputName, StorePath>, NameError> {
        self.derivation
            .output_names()
            .map(|output| {
                let name = output.object_name(&self.derivation.name)?;
                let path = StorePath::scratch(&self.id, &output, name, variant);
                Ok((output, path))
            })
            .collect()
    }

    /// The derivation with its own outputs' placeholders replaced by scratch paths:
    /// what the sandbox is given.
    pub fn with_scratch(&self, scratch: &BTreeMap<OutputName, StorePath>) -> Derivation {
        let texts = scratch
            .iter()
            .map(|(output, path)| (own_output_placeholder(output), path.to_string()))
            .collect();
        self.derivation.with_texts(&texts)
    }
}

/// Replace every placeholder in `text` that `texts` knows.
fn substitute(text: &str, texts: &BTreeMap<String, String>) -> String {
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(slash) = rest.find('/') {
        result.push_str(&rest[..slash]);
        rest = &rest[slash..];
        let known = rest.get(..PLACEHOLDER_LENGTH).and_then(|head| texts.get(head));
        let (replacement, length) = match known {
            Some(path) => (path.as_str(), PLACEHOLDER_LENGTH),
            None => ("/", 1),
        };
        result.push_str(replacement);
        rest = &rest[length..];
    }
    result.push_str(rest);
    result
}
