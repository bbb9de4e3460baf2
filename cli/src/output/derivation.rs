//! A derivation of the store: as text in which placeholders are names, and as JSON in
//! which everything is as it stands.

use std::collections::{BTreeMap, BTreeSet};

use hb_model::{
    Derivation, DerivationId, FileContent, Input, Limits, OutputName, Outputs, Realisation,
    StorePath, output_placeholder, own_output_placeholder,
};
use serde_json::{Value, json};

/// The width of the column that says what a line is.
const KEY_WIDTH: usize = 13;

/// A derivation, and what the store knows around it.
pub(crate) struct StoredDerivation {
    /// Its object.
    pub(crate) path: StorePath,
    /// What the object holds.
    pub(crate) derivation: Derivation,
    /// The objects of the derivations that it needs.
    pub(crate) needed: BTreeMap<DerivationId, StorePath>,
    /// What it and those that it needs gave.
    pub(crate) gave: BTreeMap<(DerivationId, OutputName), Realisation>,
}

impl StoredDerivation {
    /// What an output turned out to be, where that is known.
    fn given(&self, id: DerivationId, output: &OutputName) -> Option<&Realisation> {
        self.gave.get(&(id, output.clone()))
    }

    /// What a derivation that is needed is called.
    fn title(&self, id: &DerivationId) -> String {
        match self.needed.get(id) {
            Some(path) => path.name().as_str().trim_end_matches(".drv").to_owned(),
            None => id.to_string(),
        }
    }

    /// The derivation with names in the place of placeholders.
    fn readable(&self) -> Derivation {
        let derivation = &self.derivation;
        let own = derivation
            .output_names()
            .map(|output| (own_output_placeholder(&output), format!("${{{output}}}")));
        let others = derivation.inputs.iter().filter_map(|input| match input {
            Input::Output { derivation, output } => {
                let name = named(&self.title(derivation), output);
                Some((output_placeholder(derivation, output), format!("${{{name}}}")))
            }
            Input::Path(_) => None,
        });
        derivation.with_texts(&own.chain(others).collect())
    }
}

/// An output by its derivation's name, as recipes write it.
fn named(title: &str, output: &OutputName) -> String {
    if *output == OutputName::out() { title.to_owned() } else { format!("{title}.{output}") }
}

/// Lines of two columns.
#[derive(Default)]
struct Lines(Vec<String>);

impl Lines {
    /// Further lines of the text stand below its first.
    fn add(&mut self, key: &str, text: impl ToString) {
        let text = text.to_string();
        let keys = [key].into_iter().chain(std::iter::repeat(""));
        let lines = keys.zip(text.lines().chain(text.is_empty().then_some("")));
        self.0.extend(lines.map(|(key, line)| format!("{key:<KEY_WIDTH$}{line}")));
    }
}

/// The derivation for a person.
pub(crate) fn derivation_lines(stored: &StoredDerivation) -> Vec<String> {
    let derivation = stored.readable();
    let mut lines = Lines(vec![stored.path.to_string()]);
    lines.add("name", &derivation.name);
    lines.add("id", stored.derivation.id());
    lines.add("system", &derivation.system);
    derivation.root.iter().for_each(|root| lines.add("root", root));
    lines.add("builder", &derivation.builder);
    derivation.args.iter().for_each(|argument| lines.add("argument", argument));
    for (name, value) in &derivation.env {
        lines.add("environment", format!("{name}={value}"));
    }
    for (name, content) in &derivation.files {
        match content {
            FileContent::Text(text) => lines.add("file", format!("{name}:\n{text}")),
            FileContent::Path(path) => lines.add("file", format!("{name} ← {path}")),
        }
    }
    derivation.attrs.iter().for_each(|attrs| lines.add("attributes", attrs));
    for (name, paths) in &derivation.closure_info {
        let paths: Vec<_> = paths.iter().map(String::as_str).collect();
        lines.add("closures", format!("{name} ← {}", paths.join(" ")));
    }
    derivation.runtime_root.iter().for_each(|root| lines.add("runtime root", root));
    add_limits(&mut lines, &derivation);
    add_inputs(&mut lines, stored);
    add_outputs(&mut lines, stored);
    add_builds(&mut lines, stored);
    lines.0
}

fn add_limits(lines: &mut Lines, derivation: &Derivation) {
    let Limits { timeout, silence, memory, processes, disk } = derivation.limits;
    let bounds = [
        ("timeout", timeout, " s"),
        ("silence", silence, " s"),
        ("memory", memory, " bytes"),
        ("processes", processes, ""),
        ("disk", disk, " bytes"),
    ];
    for (what, bound, unit) in bounds.iter().filter(|(_, bound, _)| *bound != 0) {
        lines.add(what, format!("{bound}{unit}"));
    }
}

fn add_inputs(lines: &mut Lines, stored: &StoredDerivation) {
    stored.derivation.sources().for_each(|source| lines.add("source", source));
    for input in &stored.derivation.inputs {
        let Input::Output { derivation: id, output } = input else { continue };
        let object = stored.needed.get(id).map_or_else(|| id.to_string(), StorePath::to_string);
        lines.add("input", format!("{object} {output}{}", became(stored.given(*id, output))));
    }
}

fn add_outputs(lines: &mut Lines, stored: &StoredDerivation) {
    let id = stored.derivation.id();
    if let Outputs::Fixed(fixed) = &stored.derivation.outputs {
        lines.add("hash", format!("{} ({})", fixed.hash, fixed.method.as_str()));
    }
    for output in stored.derivation.output_names() {
        lines.add("output", format!("{output}{}", became(stored.given(id, &output))));
    }
}

fn became(given: Option<&Realisation>) -> String {
    given.map(|given| format!(" → {}", given.path)).unwrap_or_default()
}

/// What was really built, with the paths of the inputs put in, and by whom.
fn add_builds(lines: &mut Lines, stored: &StoredDerivation) {
    let id = stored.derivation.id();
    let outputs = stored.derivation.output_names();
    let given: Vec<_> = outputs.filter_map(|output| stored.given(id, &output)).collect();
    let resolved: BTreeSet<_> = given.iter().map(|given| given.key.resolved).collect();
    resolved.iter().for_each(|id| lines.add("resolved", id));
    let builders = given.iter().map(|given| format!("{} ({})", given.builder, given.isolation));
    BTreeSet::from_iter(builders).iter().for_each(|builder| lines.add("built by", builder));
}

/// The derivation for a program.
pub(crate) fn derivation_json(stored: &StoredDerivation) -> Value {
    let derivation = &stored.derivation;
    let files = derivation.files.iter().map(|(name, content)| (name.clone(), file_json(content)));
    let inputs = derivation.inputs.iter().map(|input| input_json(stored, input));
    let id = derivation.id();
    let outputs = derivation.output_names().map(|output| {
        let given = stored.given(id, &output).map(given_json);
        (output.to_string(), json!(given))
    });
    let fixed = match &derivation.outputs {
        Outputs::Fixed(fixed) => {
            Some(json!({ "method": fixed.method.as_str(), "hash": fixed.hash.to_string() }))
        }
        Outputs::Floating(_) => None,
    };
    json!({
        "derivation": stored.path.to_string(),
        "id": id.to_string(),
        "name": derivation.name.as_str(),
        "system": derivation.system,
        "root": derivation.root,
        "builder": derivation.builder,
        "args": derivation.args,
        "env": derivation.env,
        "files": Value::Object(files.collect()),
        "attrs": derivation.attrs,
        "closureInfo": derivation.closure_info,
        "runtimeRoot": derivation.runtime_root,
        "limits": {
            "timeout": derivation.limits.timeout,
            "silence": derivation.limits.silence,
            "memory": derivation.limits.memory,
            "processes": derivation.limits.processes,
            "disk": derivation.limits.disk,
        },
        "inputs": Value::Array(inputs.collect()),
        "fixed": fixed,
        "outputs": Value::Object(outputs.collect()),
    })
}

fn file_json(content: &FileContent) -> Value {
    match content {
        FileContent::Text(text) => json!({ "text": text }),
        FileContent::Path(path) => json!({ "path": path }),
    }
}

fn input_json(stored: &StoredDerivation, input: &Input) -> Value {
    match input {
        Input::Path(path) => json!({ "path": path.to_string() }),
        Input::Output { derivation, output } => json!({
            "derivation": stored.needed.get(derivation).map(StorePath::to_string),
            "id": derivation.to_string(),
            "output": output.as_str(),
            "path": stored.given(*derivation, output).map(|given| given.path.to_string()),
        }),
    }
}

fn given_json(given: &Realisation) -> Value {
    json!({
        "path": given.path.to_string(),
        "digest": given.digest.to_string(),
        "resolved": given.key.resolved.to_string(),
        "isolation": given.isolation.as_str(),
        "builder": given.builder,
    })
}
