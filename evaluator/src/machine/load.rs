//! Getting programs: globals, files, and texts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hb_lang::{Diagnostic, Dialect, Severity, parse_program};
use rustc_hash::FxHashMap;

use super::Machine;
use super::text::{bytes_to_path, canonical, text_of};
use crate::builtins::{GLOBAL, HB_PREFIX};
use crate::error::{Error, Eval, Fault};
use crate::heap::{Attrs, Marker};
use crate::program::{Op, Unit, compile};
use crate::source::{Pos, SourceId};
use crate::symbol::Symbol;
use crate::value::Value;
use crate::world::{FileType, WorldError};

/// Links that may lead to one file, as Linux has it: more are a circle.
const MAX_LINKS: usize = 40;

/// The variables that every file sees.
#[derive(Default)]
pub(crate) struct Globals {
    variables: FxHashMap<Symbol, Value>,
    builtins: Option<Attrs>,
    /// The name and value of the typed primitives, which `.hb` files see.
    hb: Option<(Symbol, Value)>,
}

impl Globals {
    /// The value of a global variable of a file.
    pub(crate) fn get(&self, name: Symbol, dialect: Dialect) -> Option<Value> {
        let only_in_hb = || self.hb.filter(|hb| hb.0 == name && dialect != Dialect::Nix);
        self.variables.get(&name).copied().or_else(|| only_in_hb().map(|hb| hb.1))
    }

    /// The contract of a name: what `hb` has under a name that begins with a capital.
    pub(crate) fn contract(&self, symbol: Symbol, name: &str) -> Option<Value> {
        let is_contract = name.starts_with(|first: char| first.is_ascii_uppercase());
        self.hb.filter(|_| is_contract)?.1.as_attrs()?.get(symbol)
    }

    /// The name of everything that `hb` has.
    pub(crate) fn primitives(&self) -> impl Iterator<Item = Symbol> {
        self.hb.and_then(|hb| hb.1.as_attrs()).into_iter().flat_map(|hb| hb.iter()).map(|a| a.0)
    }

    /// Whether a value is the set of all builtins.
    pub(crate) fn is_builtins(&self, value: Value) -> Option<Attrs> {
        self.builtins.filter(|builtins| builtins.value() == value)
    }

    pub(super) fn mark(&mut self, marker: &mut Marker<'_>) {
        // Not shortened: `builtins` must stay the same value.
        for value in self.variables.values().copied().chain(self.hb.map(|hb| hb.1)) {
            if let Some(object) = value.as_any_object() {
                marker.object(object);
            }
        }
    }

    /// The name of every global of a file.
    pub(crate) fn names(&self, dialect: Dialect) -> impl Iterator<Item = Symbol> {
        let only_in_hb = self.hb.filter(|_| dialect != Dialect::Nix).map(|hb| hb.0);
        self.variables.keys().copied().chain(only_in_hb)
    }
}

impl Machine {
    /// Make the builtins' set and the global variables.
    pub(super) fn make_globals(&mut self) {
        let mut all = Vec::new();
        let mut hb = Vec::new();
        for number in 0..self.builtins.len() as u32 {
            let builtin = self.builtin(number);
            let value = match builtin.params.is_empty() {
                false => Value::builtin(number),
                true => {
                    let code = [Op::CallBuiltin { count: 0, builtin: number }, Op::Update];
                    let prototype = self.program.add_stub(&code, 0);
                    Value::thunk(self.heap.thunk(prototype, 0))
                }
            };
            match builtin.name.strip_prefix(HB_PREFIX) {
                Some(name) => hb.push((self.symbols.intern(name.as_bytes()), Pos::NONE, value)),
                None => all.push((builtin.name, value)),
            }
        }
        self.globals.hb = Some((self.symbols.intern(b"hb"), self.heap.attrs(hb)));
        all.extend([("true", Value::TRUE), ("false", Value::FALSE), ("null", Value::NULL)]);
        // The set contains itself.
        let constant = self.program.constants.len() as u32;
        let prototype = self.program.add_stub(&[Op::Constant(constant), Op::Update], 0);
        all.push(("builtins", Value::thunk(self.heap.thunk(prototype, 0))));
        let attributes = all
            .iter()
            .map(|&(name, value)| (self.symbols.intern(name.as_bytes()), Pos::NONE, value));
        let attributes = attributes.collect();
        let set = self.heap.attrs(attributes);
        self.program.constants.push(set);
        self.globals.builtins = set.as_attrs();
        for (name, value) in all {
            let value = if name == "builtins" { set } else { value };
            let global = match GLOBAL.contains(&name) {
                true => self.symbols.intern(name.as_bytes()),
                false => self.symbols.intern(format!("__{name}").as_bytes()),
            };
            self.globals.variables.insert(global, value);
        }
    }

    /// The value of a text, as a thunk.
    pub(crate) fn load_text(
        &mut self,
        name: String,
        is_file: bool,
        text: Arc<str>,
        folder: &Path,
        dialect: Dialect,
        scope: Option<Attrs>,
    ) -> Eval<Value> {
        let Some(source) = self.sources.add(name, is_file, text.clone(), dialect) else {
            return Err(Fault::TextsTooLarge.into());
        };
        let parsed = parse_program(&text, dialect);
        let mut problems = parsed.problems;
        problems.extend(self.options.literals.problems(&text));
        for problem in problems.iter().filter(|problem| problem.severity < Severity::Error) {
            self.warn_of(problem, source);
        }
        if problems.iter().all(|problem| problem.severity < Severity::Error) {
            let unit = Unit { source, folder: folder.to_owned(), dialect, scope };
            match compile(self, &parsed.ast, unit) {
                Ok(prototype) => return Ok(Value::thunk(self.heap.thunk(prototype, 0))),
                Err(more) => problems = more,
            }
        }
        Err(Error::from(Fault::Syntax { source_id: source, problems }))
    }

    /// A line about what is no error.
    fn warn_of(&mut self, problem: &Diagnostic, source: SourceId) {
        let start = problem.labels.first().map_or(0, |label| label.span.start);
        let (line, column) = self.sources.line_column(source, start);
        let name = &self.sources.get(source).name;
        let line = format!("warning: {} at {name}:{line}:{column}", problem.message);
        self.world.trace(&line);
    }

    /// A file's value, as a thunk; each file is loaded once.
    pub fn import(&mut self, path: &Path) -> Eval<Value> {
        if let Some(&value) = self.imported.get(path) {
            return Ok(value);
        }
        let file = self.find_file(path)?;
        let value = match self.files.get(&file) {
            Some(&value) => value,
            None => {
                let value = self.load_file(&file, None)?;
                self.files.insert(file, value);
                value
            }
        };
        self.imported.insert(path.to_owned(), value);
        Ok(value)
    }

    /// A file's value with more variables in scope; loaded each time.
    pub fn import_with_scope(&mut self, path: &Path, scope: Attrs) -> Eval<Value> {
        let file = self.find_file(path)?;
        self.load_file(&file, Some(scope))
    }

    /// The file behind a path: followed where it is a link itself, and `default.nix` of a
    /// folder. Links among the folders above stay: `..` in the file is that of its text.
    fn find_file(&mut self, path: &Path) -> Eval<PathBuf> {
        let mut file = path.to_owned();
        for _ in 0..MAX_LINKS {
            match self.world.file_type(&file)? {
                Some(FileType::Symlink) => {
                    let target = self.world.read_link(&file)?;
                    let folder = file.parent().unwrap_or(Path::new("/"));
                    let target = folder.join(target);
                    file = bytes_to_path(&canonical(target.as_os_str().as_encoded_bytes())).into();
                }
                Some(FileType::Directory) => {
                    let name = match self.world.file_type(&file.join("default.hb"))? {
                        Some(_) => "default.hb",
                        None => "default.nix",
                    };
                    return Ok(file.join(name));
                }
                Some(FileType::Regular | FileType::Unknown) => return Ok(file),
                None => return Err(WorldError::Missing { path: file }.into()),
            }
        }
        let cause = "its symbolic links lead in a circle".to_owned();
        Err(WorldError::System { action: "follow", path: path.to_owned(), cause }.into())
    }

    fn load_file(&mut self, file: &Path, scope: Option<Attrs>) -> Eval<Value> {
        let text: Arc<str> = text_of(&self.world.read_file(file)?)?.into();
        let folder = file.parent().unwrap_or(Path::new("/"));
        let dialect = match file.extension() {
            Some(extension) if extension == "hb" => Dialect::Hb,
            _ => Dialect::Nix,
        };
        self.load_text(file.display().to_string(), true, text, folder, dialect, scope)
    }

    /// The variables that every file sees.
    pub(crate) fn globals(&self) -> &Globals {
        &self.globals
    }

    /// The set of all builtins.
    pub(crate) fn builtins_set(&self) -> Attrs {
        match self.globals.builtins {
            Some(builtins) => builtins,
            None => unreachable!("made with the machine"),
        }
    }
}
