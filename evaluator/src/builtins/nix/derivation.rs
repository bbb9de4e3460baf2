//! `derivationStrict` as Nix has it: what is recorded is Nix's own derivation.

use std::collections::{BTreeMap, BTreeSet};

use hb_model::nix::{self, Algorithm, Method, Output};
use hb_model::{DerivationId, OutputName, StoreName, StorePath};

use super::{DERIVATION_SUFFIX, Known, NixScheme, hash_or_zero, id_of, no_scheme, scheme};
use crate::builtins::json;
use crate::context::{ContextElement, ContextParts};
use crate::error::{Error, Eval, Fault};
use crate::heap::Attrs;
use crate::machine::{Coercion, Machine, Text};
use crate::source::Pos;
use crate::symbol::well_known;
use crate::value::Value;

const NAME: &str = "derivation";

/// The variable that holds structured attributes, and what they can be given as.
const JSON: &str = "__json";

fn refuse(key: &str, reason: impl ToString) -> Error {
    Fault::KeyValue { primitive: NAME, key: key.to_owned(), reason: reason.to_string() }.into()
}

/// What the attributes say.
struct Step {
    builder: Vec<u8>,
    system: Vec<u8>,
    args: Vec<Vec<u8>>,
    env: BTreeMap<Vec<u8>, Vec<u8>>,
    /// With `__structuredAttrs`: the inside of a JSON object.
    structured: Option<Vec<u8>>,
    outputs: BTreeSet<OutputName>,
    content_addressed: bool,
    impure: bool,
    hash: Option<String>,
    algorithm: Option<Algorithm>,
    method: Option<Method>,
    context: ContextParts,
}

/// `derivationStrict`.
pub(in crate::builtins) fn strict(m: &mut Machine, attrs: Attrs) -> Eval<Value> {
    let name = attrs.get(m.intern(b"name"));
    let name = name.ok_or(Fault::MissingKey { primitive: NAME, name: "name" })?;
    let name = m.expect_text(name, "the name of a derivation")?;
    let name = StoreName::new(&name).map_err(|error| refuse("name", error))?;
    let mut truth = |key: &[u8]| match attrs.get(m.intern(key)) {
        Some(value) => m.expect_bool(value),
        None => Ok(false),
    };
    let structured = truth(b"__structuredAttrs")?;
    let ignore_nulls = truth(b"__ignoreNulls")?;
    let mut step = Step {
        builder: Vec::new(),
        system: Vec::new(),
        args: Vec::new(),
        env: BTreeMap::new(),
        structured: structured.then(Vec::new),
        outputs: BTreeSet::from([OutputName::out()]),
        content_addressed: false,
        impure: false,
        hash: None,
        algorithm: None,
        method: None,
        context: ContextParts::default(),
    };
    for (symbol, pos, value) in m.sorted_attrs(attrs) {
        let key = m.symbols.text(symbol).into_owned();
        step.read(m, &key, value, ignore_nulls)
            .map_err(|error| m.in_attribute(error, symbol, pos))?;
    }
    let derivation = finish(m, name, step)?;
    record(m, derivation)
}

impl Step {
    fn read(&mut self, m: &mut Machine, key: &str, value: Value, ignore_nulls: bool) -> Eval<()> {
        if key == "__ignoreNulls" || (ignore_nulls && m.force(value)? == Value::NULL) {
            return Ok(());
        }
        match key {
            "__contentAddressed" => self.content_addressed = m.expect_bool(value)?,
            "__impure" => self.impure = m.expect_bool(value)?,
            "args" => {
                let list = m.expect_list(value)?;
                for &item in list.as_list().unwrap_or_default() {
                    let item = self.text(m, item)?;
                    self.args.push(item);
                }
            }
            "__structuredAttrs" if self.structured.is_some() => {}
            _ if self.structured.is_some() => self.read_structured(m, key, value)?,
            _ => self.read_variable(m, key, value)?,
        }
        Ok(())
    }

    fn text(&mut self, m: &mut Machine, value: Value) -> Eval<Vec<u8>> {
        let mut text = Text::default();
        m.coerce(value, Coercion::ENVIRONMENT, &mut text)?;
        self.context.add_all(&text.context);
        Ok(text.bytes)
    }

    fn json(&mut self, m: &mut Machine, value: Value) -> Eval<Vec<u8>> {
        let mut text = Text::default();
        json::write(m, value, true, &mut text)?;
        self.context.add_all(&text.context);
        Ok(text.bytes)
    }

    fn read_structured(&mut self, m: &mut Machine, key: &str, value: Value) -> Eval<()> {
        let json = self.json(m, value)?;
        let object = self.structured.get_or_insert_default();
        if !object.is_empty() {
            object.push(b',');
        }
        json::string(key.as_bytes(), object)?;
        object.push(b':');
        object.extend(json);
        match key {
            "builder" => {
                let builder = m.expect_string(value)?;
                self.context.add(m.context_of(builder));
                self.builder = builder.as_bytes().unwrap_or_default().to_vec();
            }
            "outputs" => {
                let list = m.expect_list(value)?;
                let mut names = Vec::new();
                for &item in list.as_list().unwrap_or_default() {
                    names.push(m.expect_text(item, "the name of an output")?);
                }
                self.set_outputs(&names)?;
            }
            "system" | "outputHash" | "outputHashAlgo" | "outputHashMode" => {
                let text = m.expect_text(value, "what a derivation says of itself")?;
                self.note(key, text.as_bytes())?;
            }
            _ => {}
        }
        Ok(())
    }

    fn read_variable(&mut self, m: &mut Machine, key: &str, value: Value) -> Eval<()> {
        let text = self.text(m, value)?;
        if key == JSON {
            let value = m.string(&text);
            let value = json::from_json(m, &[value])?;
            m.keep(value);
            let json = self.json(m, value)?;
            self.env.insert(JSON.into(), json);
            return Ok(());
        }
        match key {
            "outputs" => {
                let names = String::from_utf8_lossy(&text).into_owned();
                let names: Vec<String> = names
                    .split([' ', '\t', '\n', '\r'])
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
                    .collect();
                self.set_outputs(&names)?;
            }
            "builder" => self.builder.clone_from(&text),
            _ => self.note(key, &text)?,
        }
        self.env.insert(key.into(), text);
        Ok(())
    }

    /// What is said in the same words whether attributes are structured or not.
    fn note(&mut self, key: &str, text: &[u8]) -> Eval<()> {
        let words = || String::from_utf8_lossy(text).into_owned();
        match key {
            "system" => self.system = text.to_vec(),
            "outputHash" => self.hash = Some(words()),
            // One that is not known is no error as long as the hash names its own.
            "outputHashAlgo" => self.algorithm = words().parse().ok(),
            "outputHashMode" => {
                let unknown = || refuse(key, format!("'{}' is no way to hash", words()));
                self.method = Some(words().parse().map_err(|()| unknown())?);
            }
            _ => {}
        }
        Ok(())
    }

    fn set_outputs(&mut self, names: &[String]) -> Eval<()> {
        self.outputs.clear();
        for name in names {
            let name = OutputName::new(name).map_err(|error| refuse("outputs", error))?;
            if name.as_str() == "drvPath" {
                return Err(refuse("outputs", "an output cannot be called 'drvPath'"));
            }
            if let Some(twice) = self.outputs.replace(name) {
                return Err(refuse("outputs", format!("'{twice}' stands there twice")));
            }
        }
        match self.outputs.is_empty() {
            true => Err(refuse("outputs", "there must be at least one output")),
            false => Ok(()),
        }
    }
}

fn finish(m: &mut Machine, name: StoreName, mut step: Step) -> Eval<nix::Derivation> {
    if let Some(object) = &step.structured {
        let json = [b"{", object.as_slice(), b"}"].concat();
        step.env.insert(JSON.into(), json);
    }
    for (key, value) in [("builder", &step.builder), ("system", &step.system)] {
        if value.is_empty() {
            return Err(Fault::MissingKey { primitive: NAME, name: key }.into());
        }
    }
    let only_out = step.outputs == BTreeSet::from([OutputName::out()]);
    if name.as_str().ends_with(DERIVATION_SUFFIX)
        && !(step.method == Some(Method::Text) && only_out)
    {
        return Err(refuse("name", "the names of derivations cannot end in '.drv'"));
    }
    let mut derivation = nix::Derivation {
        name,
        outputs: BTreeMap::new(),
        input_derivations: BTreeMap::new(),
        input_sources: BTreeSet::new(),
        system: step.system,
        builder: step.builder,
        args: step.args,
        env: step.env,
    };
    add_inputs(m, &step.context, &mut derivation)?;
    let scheme = scheme(m)?;
    if let Some(hash) = step.hash {
        if !only_out {
            return Err(refuse("outputHash", "a fixed output is the only one and called 'out'"));
        }
        let hash = hash_or_zero(&hash, step.algorithm).map_err(|e| refuse("outputHash", e))?;
        let method = step.method.unwrap_or(Method::Flat);
        let path = scheme.store.of_content(derivation.name.clone(), method, &hash, []);
        derivation.env.insert("out".into(), scheme.store.print(&path).into());
        derivation.outputs.insert(OutputName::out(), Output::Fixed { method, hash, path });
        return Ok(derivation);
    }
    if step.content_addressed && step.impure {
        return Err(refuse("__impure", "an impure derivation cannot be content-addressed too"));
    }
    let algorithm = step.algorithm.unwrap_or(Algorithm::Sha256);
    let method = step.method.unwrap_or(Method::Archive);
    for name in step.outputs {
        let (value, output) = if step.impure {
            (nix::own_output_placeholder(name.as_str()), Output::Impure { method, algorithm })
        } else if step.content_addressed {
            (nix::own_output_placeholder(name.as_str()), Output::Floating { method, algorithm })
        } else {
            (String::new(), Output::Deferred)
        };
        derivation.env.insert(name.as_str().into(), value.into());
        derivation.outputs.insert(name, output);
    }
    if !step.impure && !step.content_addressed {
        let inputs = |path: &StorePath| scheme.derivations[path].hash.clone();
        derivation
            .find_output_paths(&scheme.store, inputs)
            .map_err(|error| refuse("outputs", error))?;
    }
    Ok(derivation)
}

/// What the contexts of strings ask to be there when building.
fn add_inputs(m: &mut Machine, context: &ContextParts, to: &mut nix::Derivation) -> Eval<()> {
    let context = m.contexts.union_of(context);
    let scheme = m.nix.as_ref().ok_or_else(no_scheme)?;
    for element in m.contexts.get(context) {
        match element {
            ContextElement::Source(path) => drop(to.input_sources.insert(path.clone())),
            ContextElement::Output { derivation, output } => {
                let path = made_here(scheme, derivation)?;
                to.input_derivations.entry(path).or_default().insert(output.clone());
            }
            ContextElement::Derivation { id, deep: false } => {
                to.input_sources.insert(scheme.path(id).clone());
            }
            ContextElement::Derivation { id, deep: true } => {
                let path = made_here(scheme, id)?;
                add_closure(scheme, path, to);
            }
        }
    }
    Ok(())
}

/// A derivation's path, if this evaluation made it.
fn made_here(scheme: &NixScheme, id: &DerivationId) -> Eval<StorePath> {
    let path = scheme.path(id);
    if scheme.derivations.contains_key(path) {
        return Ok(path.clone());
    }
    let reason = format!("'{}' was not made by this evaluation", scheme.store.print(path));
    Err(Fault::Argument { builtin: NAME, reason }.into())
}

/// Everything that a derivation refers to, and all outputs of every derivation there.
fn add_closure(scheme: &NixScheme, path: StorePath, to: &mut nix::Derivation) {
    let mut pending = vec![path];
    let mut seen = BTreeSet::new();
    while let Some(path) = pending.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        pending.extend(scheme.references(&path).cloned());
        if let Some(known) = scheme.derivations.get(&path) {
            let outputs = to.input_derivations.entry(path.clone()).or_default();
            outputs.extend(known.outputs.iter().cloned());
        }
        to.input_sources.insert(path);
    }
}

fn record(m: &mut Machine, derivation: nix::Derivation) -> Eval<Value> {
    let scheme = scheme(m)?;
    let path = derivation.path(&scheme.store).map_err(|error| refuse("name", error))?;
    let inputs = |path: &StorePath| scheme.derivations[path].hash.clone();
    let known = Known {
        hash: derivation.hash(&scheme.store, inputs, false),
        outputs: derivation.outputs.keys().cloned().collect(),
        references: derivation
            .input_sources
            .iter()
            .chain(derivation.input_derivations.keys())
            .cloned()
            .collect(),
    };
    let path_text = scheme.store.print(&path);
    let mut outputs = Vec::new();
    for (name, output) in derivation.outputs {
        let text = match output.path() {
            Some(path) => scheme.store.print(path),
            None => {
                nix::output_placeholder(&path, &name).map_err(|error| refuse("outputs", error))?
            }
        };
        outputs.push((name, text));
    }
    scheme.derivations.insert(path.clone(), known);
    let id = id_of(scheme, &path);
    let context = m.contexts.single(ContextElement::Derivation { id, deep: true });
    let value = m.string_with_context(path_text.as_bytes(), context);
    let mut result = vec![(well_known::DRV_PATH, Pos::NONE, value)];
    for (name, text) in outputs {
        let symbol = m.intern(name.as_str().as_bytes());
        let element = ContextElement::Output { derivation: id, output: name };
        let context = m.contexts.single(element);
        result.push((symbol, Pos::NONE, m.string_with_context(text.as_bytes(), context)));
    }
    Ok(m.attrs(result))
}
