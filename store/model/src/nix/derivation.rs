//! Nix's derivations: their text, and the hashes that their outputs are named by.

use std::collections::{BTreeMap, BTreeSet};

use memchr::{memchr2, memchr3};

use super::{Algorithm, Hash, Method, StoreDir};
use crate::{OutputName, StoreName, StorePath, name::NameError};

/// What an output's path follows from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// From what the derivation is. The path is not known yet, or never will be because
    /// an input's is not.
    Deferred,
    /// The same, and here it is.
    Known(StorePath),
    /// From a hash that was declared beforehand.
    Fixed {
        /// How it is taken.
        method: Method,
        /// The hash.
        hash: Hash,
        /// Where that leads.
        path: StorePath,
    },
    /// From what the build yields.
    Floating {
        /// How that is hashed.
        method: Method,
        /// With which algorithm.
        algorithm: Algorithm,
    },
    /// The same, of a build that is repeated each time.
    Impure {
        /// How that is hashed.
        method: Method,
        /// With which algorithm.
        algorithm: Algorithm,
    },
}

impl Output {
    /// The path, where it is known before building.
    pub fn path(&self) -> Option<&StorePath> {
        match self {
            Self::Known(path) | Self::Fixed { path, .. } => Some(path),
            Self::Deferred | Self::Floating { .. } | Self::Impure { .. } => None,
        }
    }
}

/// What a derivation counts as inside those that need it: the hash of each output that
/// has one, and whether that of those that need it is known before building.
#[derive(Clone, Debug)]
pub struct DerivationHash {
    /// The hash, of all outputs alike.
    pub hash: Hash,
    /// Whether it depends on what builds yield.
    pub deferred: bool,
}

/// A derivation. Texts are bytes, as the language's strings are.
#[derive(Clone, Debug)]
pub struct Derivation {
    /// Its name, without `.drv`.
    pub name: StoreName,
    /// What it makes.
    pub outputs: BTreeMap<OutputName, Output>,
    /// Which outputs of other derivations it needs.
    pub input_derivations: BTreeMap<StorePath, BTreeSet<OutputName>>,
    /// Which store objects it needs.
    pub input_sources: BTreeSet<StorePath>,
    /// Where it runs.
    pub system: Vec<u8>,
    /// What runs.
    pub builder: Vec<u8>,
    /// The builder's arguments.
    pub args: Vec<Vec<u8>>,
    /// The environment.
    pub env: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Derivation {
    /// The text that the store holds.
    pub fn text(&self, store: &StoreDir) -> Vec<u8> {
        let inputs = self.input_derivations.iter();
        let inputs = inputs.map(|(path, outputs)| (store.print(path), outputs.clone())).collect();
        self.write(store, &inputs, false)
    }

    /// Where the derivation itself lies.
    pub fn path(&self, store: &StoreDir) -> Result<StorePath, NameError> {
        let name = StoreName::new(&format!("{}.drv", self.name))?;
        let hash = Algorithm::Sha256.hash(&self.text(store));
        let references = self.input_sources.iter().chain(self.input_derivations.keys());
        Ok(store.of_content(name, Method::Text, &hash, references))
    }

    /// Find the paths of deferred outputs, and put them into the environment, if all that
    /// they follow from is known. `inputs` has what each input counts as.
    pub fn find_output_paths(
        &mut self,
        store: &StoreDir,
        inputs: impl Fn(&StorePath) -> DerivationHash,
    ) -> Result<(), NameError> {
        let found = self.hash(store, inputs, true);
        if found.deferred {
            return Ok(());
        }
        for (name, output) in &mut self.outputs {
            let path = store.of_output(name, &found.hash, &self.name)?;
            self.env.insert(name.as_str().into(), store.print(&path).into());
            *output = Output::Known(path);
        }
        Ok(())
    }

    /// What the derivation counts as. With `mask`, as if its own outputs' paths were empty.
    pub fn hash(
        &self,
        store: &StoreDir,
        inputs: impl Fn(&StorePath) -> DerivationHash,
        mask: bool,
    ) -> DerivationHash {
        let mut deferred = false;
        for output in self.outputs.values() {
            match output {
                // Not by how it is made, but by what comes of it.
                Output::Fixed { method, hash, path } => {
                    let text = format!("fixed:out:{}{hash}:{}", method.prefix(), store.print(path));
                    let hash = Algorithm::Sha256.hash(text.as_bytes());
                    return DerivationHash { hash, deferred: false };
                }
                Output::Impure { .. } => {
                    let hash = Algorithm::Sha256.hash(b"impure");
                    return DerivationHash { hash, deferred: true };
                }
                Output::Floating { .. } => deferred = true,
                Output::Deferred | Output::Known(_) => {}
            }
        }
        let mut by_hash: BTreeMap<String, BTreeSet<OutputName>> = BTreeMap::new();
        for (path, outputs) in &self.input_derivations {
            let input = inputs(path);
            deferred |= input.deferred;
            by_hash.entry(input.hash.to_base16()).or_default().extend(outputs.iter().cloned());
        }
        let hash = Algorithm::Sha256.hash(&self.write(store, &by_hash, mask));
        DerivationHash { hash, deferred }
    }

    /// How many bytes the text takes, or nearly.
    fn about_how_long(&self) -> usize {
        let variables = self.env.iter().map(|(name, value)| name.len() + value.len() + AROUND_ITEM);
        let args = self.args.iter().map(|arg| arg.len() + AROUND_ITEM);
        let inputs = self.outputs.len() + self.input_derivations.len() + self.input_sources.len();
        variables.chain(args).sum::<usize>() + INPUT * (inputs + 1)
    }

    fn write(
        &self,
        store: &StoreDir,
        inputs: &BTreeMap<String, BTreeSet<OutputName>>,
        mask: bool,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.about_how_long());
        out.extend(b"Derive(");
        list(&mut out, b'[', &self.outputs, |out, (name, output)| {
            let (path, method, hash) = match output {
                Output::Deferred => Default::default(),
                Output::Known(path) => match mask {
                    true => Default::default(),
                    false => (store.print(path), String::new(), String::new()),
                },
                Output::Fixed { method, hash, path } => {
                    let algorithm = hash.algorithm().as_str();
                    let method = format!("{}{algorithm}", method.prefix());
                    (store.print(path), method, hash.to_base16())
                }
                Output::Floating { method, algorithm } => {
                    let method = format!("{}{}", method.prefix(), algorithm.as_str());
                    (String::new(), method, String::new())
                }
                Output::Impure { method, algorithm } => {
                    let method = format!("{}{}", method.prefix(), algorithm.as_str());
                    (String::new(), method, "impure".to_owned())
                }
            };
            let fields = [name.as_str(), &path, &method, &hash];
            list(out, b'(', fields, |out, field| text(out, field.as_bytes()));
        });
        out.push(b',');
        list(&mut out, b'[', inputs, |out, (input, outputs)| {
            out.push(b'(');
            text(out, input.as_bytes());
            out.push(b',');
            list(out, b'[', outputs, |out, output| text(out, output.as_str().as_bytes()));
            out.push(b')');
        });
        out.push(b',');
        let sources = store.print_sorted(&self.input_sources);
        list(&mut out, b'[', sources, |out, source| text(out, source.as_bytes()));
        out.push(b',');
        // As it is: Nix writes it so.
        out.push(b'"');
        out.extend(&self.system);
        out.extend(b"\",");
        text(&mut out, &self.builder);
        out.push(b',');
        list(&mut out, b'[', &self.args, |out, arg| text(out, arg));
        out.push(b',');
        list(&mut out, b'[', &self.env, |out, (name, value)| {
            let own = || std::str::from_utf8(name).ok().and_then(|name| OutputName::new(name).ok());
            let masked = mask && own().is_some_and(|output| self.outputs.contains_key(&output));
            let value: &[u8] = if masked { b"" } else { value };
            list(out, b'(', [name.as_slice(), value], text);
        });
        out.push(b')');
        out
    }
}

/// What an item of a list takes beside its text, about: quotes, commas, brackets, escapes.
const AROUND_ITEM: usize = 16;

/// What an input takes, about.
const INPUT: usize = 100;

/// Items in brackets of a kind, with commas between.
fn list<T>(
    out: &mut Vec<u8>,
    open: u8,
    items: impl IntoIterator<Item = T>,
    mut write: impl FnMut(&mut Vec<u8>, T),
) {
    out.push(open);
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(if open == b'(' { b')' } else { b']' });
}

/// A text in quotes.
fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for stretch in bytes.chunks(STRETCH) {
        let mut rest = stretch;
        while let Some(at) = escaped(rest) {
            out.extend_from_slice(&rest[..at]);
            out.extend(match rest[at] {
                b'\n' => *b"\\n",
                b'\r' => *b"\\r",
                b'\t' => *b"\\t",
                byte => [b'\\', byte],
            });
            rest = &rest[at + 1..];
        }
        out.extend_from_slice(rest);
    }
    out.push(b'"');
}

/// How much is searched at a time: a text of many tabs would be searched to its end for a quote at
/// each of them.
const STRETCH: usize = 128;

/// Where the first byte is that is not written as it is.
fn escaped(bytes: &[u8]) -> Option<usize> {
    let found = memchr3(b'"', b'\\', b'\n', bytes);
    memchr2(b'\r', b'\t', &bytes[..found.unwrap_or(bytes.len())]).or(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_text_escapes_is_found_wherever_it_stands() {
        for length in [STRETCH - 1, STRETCH, STRETCH + 1, 3 * STRETCH] {
            for (byte, escape) in
                [(b'"', "\\\""), (b'\\', "\\\\"), (b'\n', "\\n"), (b'\r', "\\r"), (b'\t', "\\t")]
            {
                for at in 0..length {
                    let mut bytes = vec![b'x'; length];
                    bytes[at] = byte;
                    let mut out = Vec::new();
                    text(&mut out, &bytes);
                    let (before, after) = ("x".repeat(at), "x".repeat(length - at - 1));
                    assert_eq!(
                        String::from_utf8_lossy(&out),
                        format!("\"{before}{escape}{after}\"")
                    );
                }
            }
        }
        let mut out = Vec::new();
        text(&mut out, b"\t\"\t\n\r\\");
        assert_eq!(out, br#""\t\"\t\n\r\\""#);
    }
}
