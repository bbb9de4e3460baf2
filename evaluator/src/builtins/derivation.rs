//! `derivation` as Nix has it, for hb's derivations.
//!
//! Extra attributes become variables. Those that mean something to Nix are honoured, or
//! refused by name where hb has another way or none.

use std::collections::BTreeMap;
use std::path::Path;

use hb_lang::Dialect;
use hb_model::{
    Algorithm, BUILTIN_PREFIX, DeclaredHash, Derivation, FileContent, FixedMethod, FixedOutput,
    Limits, OutputName, Outputs, SortedSet, StoreName,
};

use super::{instantiate, json, structured};
use crate::context::ContextParts;
use crate::error::{Error, Eval, Fault};
use crate::machine::{Coercion, Machine, Text};
use crate::source::Pos;
use crate::value::Value;

const NAME: &str = "derivation";

/// Attributes that hb refuses unless they ask for nothing (null, false, an empty string,
/// list or set).
const REFUSED: &[(&str, &str)] = &[
    ("__impure", "every build is pure"),
    ("__noChroot", "every build is in the sandbox"),
    ("__impureHostDeps", "no build sees the host's files"),
    ("__sandboxProfile", "there is one sandbox for all builds"),
    ("__darwinAllowLocalNetworking", "there is one sandbox for all builds"),
    ("__json", "use `__structuredAttrs`"),
    ("exportReferencesGraph", "use `closureInfo` of hb.build"),
    ("disallowedReferences", "check the output in the builder"),
    ("disallowedRequisites", "check the output in the builder"),
    ("impureEnvVars", "no build sees the host's environment"),
    ("outputChecks", "check the output in the builder"),
    ("requiredSystemFeatures", "every build runs on this machine"),
    ("unsafeDiscardReferences", "references are what an output holds"),
];

/// Attributes whose emptiness asks for something too.
const REFUSED_ALWAYS: &[(&str, &str)] = &[
    ("allowedReferences", "check the output in the builder"),
    ("allowedRequisites", "check the output in the builder"),
];

/// The `derivation` function.
pub(super) fn function(m: &mut Machine, _: &[Value]) -> Eval<Value> {
    let text = include_str!("derivation.nix").into();
    let value =
        m.load_text("«derivation»".to_owned(), false, text, Path::new("/"), Dialect::Nix, None)?;
    m.force(value)
}

/// What the attributes say so far.
#[derive(Default)]
struct Step {
    env: BTreeMap<String, String>,
    args: Vec<String>,
    outputs: Vec<String>,
    as_files: Vec<String>,
    /// With `__structuredAttrs`: what is no variable then, as JSON.
    structured: Option<BTreeMap<String, String>>,
    context: ContextParts,
}

/// `derivationStrict`.
pub(super) fn strict(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let attrs = m.expect_attrs(args[0])?;
    if m.nix.is_some() {
        return super::nix::derivation::strict(m, attrs);
    }
    let mut truth = |name: &[u8]| match attrs.get(m.intern(name)) {
        Some(value) => m.expect_bool(value),
        None => Ok(false),
    };
    let ignore_nulls = truth(b"__ignoreNulls")?;
    let structured = truth(b"__structuredAttrs")?.then(BTreeMap::new);
    let mut step = Step { structured, ..Step::default() };
    for (symbol, pos, value) in m.sorted_attrs(attrs) {
        let name = m.symbols.text(symbol).into_owned();
        read(m, &mut step, &name, value, ignore_nulls)
            .map_err(|error| m.in_attribute(error, symbol, pos))?;
    }
    let derivation = finish(m, step)?;
    let recorded = instantiate::record(m, derivation)?;
    let drv_path = m.intern(b"drvPath");
    let mut result = vec![(drv_path, Pos::NONE, recorded.path)];
    for (output, path) in recorded.outputs {
        result.push((m.intern(output.as_str().as_bytes()), Pos::NONE, path));
    }
    Ok(m.attrs(result))
}

fn refuse(key: &str, reason: impl ToString) -> Error {
    Fault::KeyValue { primitive: NAME, key: key.to_owned(), reason: reason.to_string() }.into()
}

fn text(m: &mut Machine, value: Value, context: &mut ContextParts) -> Eval<String> {
    let mut text = Text::default();
    m.coerce(value, Coercion::ENVIRONMENT, &mut text)?;
    context.add_all(&text.context);
    String::from_utf8(text.bytes).map_err(|_| Fault::NotUtf8.into())
}

fn read(
    m: &mut Machine,
    step: &mut Step,
    name: &str,
    value: Value,
    ignore_nulls: bool,
) -> Eval<()> {
    if name == "__ignoreNulls" {
        return Ok(());
    }
    if ignore_nulls && m.force(value)? == Value::NULL {
        return Ok(());
    }
    if let Some((_, reason)) = REFUSED_ALWAYS.iter().find(|refused| refused.0 == name) {
        return Err(refuse(name, reason));
    }
    if let Some((_, reason)) = REFUSED.iter().find(|refused| refused.0 == name) {
        let value = m.force(value)?;
        let asks_for_nothing = matches!(value, Value::NULL | Value::FALSE)
            || value.as_bytes() == Some(b"")
            || value.as_list().is_some_and(<[Value]>::is_empty)
            || value.as_attrs().is_some_and(|attrs| attrs.is_empty());
        return if asks_for_nothing { Ok(()) } else { Err(refuse(name, reason)) };
    }
    match name {
        "args" => {
            let list = m.expect_list(value)?;
            for &item in list.as_list().unwrap_or_default() {
                let item = text(m, item, &mut step.context)?;
                step.args.push(item);
            }
            return Ok(());
        }
        // Outputs are named by their content anyway.
        "__contentAddressed" => return m.expect_bool(value).map(drop),
        _ => {}
    }
    if step.structured.is_some() {
        return read_structured(m, step, name, value);
    }
    let value = text(m, value, &mut step.context)?;
    let words = || value.split_ascii_whitespace().map(str::to_owned).collect();
    match name {
        "outputs" => step.outputs = words(),
        "passAsFile" => step.as_files = words(),
        _ => {}
    }
    step.env.insert(name.to_owned(), value);
    Ok(())
}

fn read_structured(m: &mut Machine, step: &mut Step, name: &str, value: Value) -> Eval<()> {
    if name == "__structuredAttrs" {
        return Ok(());
    }
    let mut json = Text::default();
    json::write(m, value, true, &mut json)?;
    step.context.add_all(&json.context);
    let json = String::from_utf8(json.bytes).map_err(|_| Error::from(Fault::NotUtf8))?;
    step.structured.get_or_insert_default().insert(name.to_owned(), json);
    match name {
        "outputs" => {
            let list = m.expect_list(value)?;
            for &item in list.as_list().unwrap_or_default() {
                let output = m.expect_text(item, "the name of an output")?;
                step.outputs.push(output);
            }
            // That there are outputs is said, and perhaps that there are none.
            step.env.insert(name.to_owned(), String::new());
        }
        "name" | "builder" | "system" | "outputHash" | "outputHashAlgo" | "outputHashMode" => {
            let said = m.expect_string(value)?;
            let said = text(m, said, &mut step.context)?;
            step.env.insert(name.to_owned(), said);
        }
        _ => {}
    }
    Ok(())
}

fn finish(m: &mut Machine, mut step: Step) -> Eval<Derivation> {
    let required = |env: &BTreeMap<String, String>, name: &'static str| {
        env.get(name)
            .cloned()
            .ok_or_else(|| Error::from(Fault::MissingKey { primitive: NAME, name }))
    };
    let name = required(&step.env, "name")?;
    let name = StoreName::new(&name).map_err(|error| refuse("name", error))?;
    let builder = required(&step.env, "builder")?;
    if builder.starts_with(BUILTIN_PREFIX) {
        return Err(refuse("builder", "hb's own builders have primitives: see hb.fetch"));
    }
    let system = required(&step.env, "system")?;
    let outputs = outputs(&step)?;
    let mut files = BTreeMap::new();
    for (i, name) in step.as_files.iter().enumerate() {
        if let Some(text) = step.env.remove(name) {
            let file = format!(".attr-{i}");
            step.env.insert(format!("{name}Path"), format!("/build/{file}"));
            files.insert(file, FileContent::Text(text));
        }
    }
    if let Some(attributes) = step.structured {
        let names: Vec<_> = outputs.names().collect();
        (files, step.env) = structured::files(attributes, &names);
    }
    Ok(Derivation {
        name,
        system,
        root: None,
        builder,
        args: step.args,
        env: step.env,
        files,
        attrs: None,
        closure_info: BTreeMap::new(),
        runtime_root: None,
        inputs: instantiate::inputs(m, &step.context)?,
        outputs,
        limits: Limits::default(),
    })
}

fn outputs(step: &Step) -> Eval<Outputs> {
    let mut names = SortedSet::new();
    for name in &step.outputs {
        let name = OutputName::new(name).map_err(|error| refuse("outputs", error))?;
        if name.as_str() == "drvPath" {
            return Err(refuse("outputs", "an output cannot be called 'drvPath'"));
        }
        if let (_, Some(twice)) = names.replace(name) {
            return Err(refuse("outputs", format!("'{twice}' stands there twice")));
        }
    }
    if names.is_empty() {
        if step.env.contains_key("outputs") {
            return Err(refuse("outputs", "there must be at least one output"));
        }
        names.push(OutputName::out());
    }
    let given = |name: &str| step.env.get(name).filter(|text| !text.is_empty());
    let Some(hash) = given("outputHash") else { return Ok(Outputs::Floating(names)) };
    if names[..] != [OutputName::out()] {
        return Err(refuse("outputHash", "a fixed output is the only one and called 'out'"));
    }
    match given("outputHashMode").map(String::as_str) {
        None | Some("flat") => {}
        Some(mode) => {
            let reason = format!("'{mode}' hashes Nix's archive format; hb has 'flat' alone");
            return Err(refuse("outputHashMode", reason));
        }
    }
    let hash = match given("outputHashAlgo") {
        Some(algorithm) => {
            let algorithm: Algorithm =
                algorithm.parse().map_err(|error| refuse("outputHashAlgo", error))?;
            DeclaredHash::parse(algorithm, hash)
        }
        None => hash.parse(),
    };
    let hash = hash.map_err(|error| refuse("outputHash", error))?;
    Ok(Outputs::Fixed(FixedOutput { method: FixedMethod::Flat, hash }))
}
