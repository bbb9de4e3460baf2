//! Resolving: putting real store paths in the place of placeholders.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    Derivation, DerivationId, FileContent, Input, Limits, OutputName, ResolvedId, STORE_DIR,
    SortedSet, StorePath, encode::Encoder, name::NameError, output_placeholder,
    own_output_placeholder, placeholder::PLACEHOLDER_LENGTH,
};

/// An input that has no path yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the output '{output}' of the input {derivation} has not been built")]
pub struct ResolveError {
    /// Which derivation.
    pub derivation: DerivationId,
    /// Which of its outputs.
    pub output: OutputName,
}

/// Placeholders, and what to put in their places.
pub type Texts = BTreeMap<String, String>;

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
        path_of: impl FnMut(&DerivationId, &OutputName) -> Option<StorePath>,
    ) -> Result<Resolved, ResolveError> {
        let (inputs, texts) = self.resolved_inputs(path_of)?;
        let id = self.resolved_id_with(&inputs, &texts);
        let derivation = Self { limits: Limits::default(), inputs, ..self.with_texts(&texts) };
        Ok(Resolved { derivation, id })
    }

    /// The identity of what [`Derivation::resolve`] gives.
    pub fn resolved_id(
        &self,
        path_of: impl FnMut(&DerivationId, &OutputName) -> Option<StorePath>,
    ) -> Result<ResolvedId, ResolveError> {
        let (inputs, texts) = self.resolved_inputs(path_of)?;
        Ok(self.resolved_id_with(&inputs, &texts))
    }

    fn resolved_id_with(&self, inputs: &SortedSet<Input>, texts: &Texts) -> ResolvedId {
        let mut encoder = Encoder::new("hb-resolved-1");
        self.encode_what_is_built(inputs, |text| substitute(text, texts), &mut encoder);
        ResolvedId::from_bytes(encoder.digest())
    }

    /// The inputs as paths, and what stands for each in texts with its path.
    fn resolved_inputs(
        &self,
        mut path_of: impl FnMut(&DerivationId, &OutputName) -> Option<StorePath>,
    ) -> Result<(SortedSet<Input>, Texts), ResolveError> {
        let mut inputs = Vec::with_capacity(self.inputs.len());
        let mut texts = BTreeMap::new();
        for input in &self.inputs {
            match input {
                Input::Path(path) => inputs.push(Input::Path(path.clone())),
                Input::Output { derivation, output } => {
                    let path = path_of(derivation, output).ok_or_else(|| ResolveError {
                        derivation: *derivation,
                        output: output.clone(),
                    })?;
                    let text = path.text_in(STORE_DIR);
                    texts.insert(output_placeholder(derivation, output), text);
                    inputs.push(Input::Path(path));
                }
            };
        }
        Ok((inputs.into(), texts))
    }

    /// The same derivation with every placeholder that `texts` knows replaced by the text
    /// there, wherever one may stand.
    pub fn with_texts(&self, texts: &Texts) -> Self {
        let map = |text: &String| substitute(text, texts).into_owned();
        let content = |content: &FileContent| match content {
            FileContent::Text(text) => FileContent::Text(map(text)),
            FileContent::Path(path) => FileContent::Path(map(path)),
        };
        let paths = |paths: &BTreeSet<String>| paths.iter().map(map).collect();
        let of_each = |(name, paths_of): (&String, _)| (name.clone(), paths(paths_of));
        Self {
            name: self.name.clone(),
            system: self.system.clone(),
            root: self.root.as_ref().map(map),
            builder: map(&self.builder),
            args: self.args.iter().map(map).collect(),
            env: self.env.iter().map(|(name, value)| (name.clone(), map(value))).collect(),
            files: self.files.iter().map(|(name, file)| (name.clone(), content(file))).collect(),
            attrs: self.attrs.as_ref().map(map),
            closure_info: self.closure_info.iter().map(of_each).collect(),
            runtime_root: self.runtime_root.as_ref().map(map),
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            limits: self.limits,
        }
    }
}

impl Resolved {
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
fn substitute<'a>(text: &'a str, texts: &Texts) -> Cow<'a, str> {
    if texts.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut result = String::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(slash) = rest[from..].find('/') {
        let slash = from + slash;
        let known = rest.get(slash..slash + PLACEHOLDER_LENGTH).and_then(|it| texts.get(it));
        match known {
            Some(path) => {
                result.push_str(&rest[..slash]);
                result.push_str(path);
                rest = &rest[slash + PLACEHOLDER_LENGTH..];
                from = 0;
            }
            None => from = slash + 1,
        }
    }
    if rest.len() == text.len() {
        return Cow::Borrowed(text);
    }
    result.push_str(rest);
    Cow::Owned(result)
}
