//! Getting programs: globals, files, and texts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hb_lang::ast::Ast;
use hb_lang::{Diagnostic, Dialect, PARSER_STACK, Severity, parse_program};

use super::Machine;
use super::text::{bytes_to_path, canonical, text_of};
use crate::builtins::HB_PREFIX;
use crate::error::{Error, Eval, Fault};
use crate::heap::{Attrs, Marker};
use crate::program::{Code, Names, Op, Surroundings, compile, key};
use crate::source::{Pos, SourceId};
use crate::value::Value;
use crate::world::{CodeKey, FileType, WorldError};

/// Links that may lead to one file, as Linux has it: more are a circle.
const MAX_LINKS: usize = 40;

/// What every text sees.
#[derive(Default)]
pub(crate) struct Globals {
    names: Names,
    /// The value of each builtin, by its number.
    values: Vec<Value>,
    builtins: Option<Value>,
    /// The typed primitives.
    primitives: Option<Value>,
}

impl Globals {
    /// The names of all that is here.
    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    /// A builtin's value.
    pub(super) fn value(&self, number: u32) -> Value {
        self.values[number as usize]
    }

    /// The set of all builtins.
    pub(super) fn builtins(&self) -> Value {
        self.builtins.unwrap_or_else(|| unreachable!("made with the machine"))
    }

    /// The set of the typed primitives.
    pub(super) fn primitives(&self) -> Value {
        self.primitives.unwrap_or_else(|| unreachable!("made with the machine"))
    }

    pub(super) fn mark(&mut self, marker: &mut Marker<'_>) {
        marker.values(&mut self.values);
        for value in self.builtins.iter_mut().chain(&mut self.primitives) {
            *value = marker.value(*value);
        }
    }
}

impl Machine {
    /// Make the builtins' set and the typed primitives'.
    pub(super) fn make_globals(&mut self) {
        let mut all = Vec::new();
        let mut hb = Vec::new();
        for number in 0..self.builtins.len() as u32 {
            let builtin = self.builtin(number);
            let value = match builtin.params.is_empty() {
                false => Value::builtin(number),
                true => {
                    let code = [Op::CallBuiltin { count: 0, builtin: number }, Op::Resolve];
                    let prototype = self.program.add_stub(&code, 0);
                    Value::thunk(self.blank(prototype))
                }
            };
            self.globals.values.push(value);
            let (set, name) = match builtin.name.strip_prefix(HB_PREFIX) {
                Some(name) => (&mut hb, name),
                None => (&mut all, builtin.name),
            };
            set.push((self.symbols.intern(name.as_bytes()), Pos::NONE, value));
        }
        // The set contains itself.
        let constant = self.program.add_constant(Value::NULL);
        let prototype = self.program.add_stub(&[Op::Constant(constant), Op::Resolve], 0);
        let itself = Value::thunk(self.blank(prototype));
        for (name, value) in [
            ("true", Value::TRUE),
            ("false", Value::FALSE),
            ("null", Value::NULL),
            ("builtins", itself),
        ] {
            all.push((self.symbols.intern(name.as_bytes()), Pos::NONE, value));
        }
        let set = self.heap.attrs(all);
        self.program.constants[constant as usize] = set;
        self.globals.builtins = Some(set);
        self.globals.primitives = Some(self.heap.attrs(hb));
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
        // What depends on nothing but the text, and is likely to be wanted again.
        let may_be_kept = is_file && scope.is_none() && self.world.keeps_code();
        let key = may_be_kept.then(|| key(&text, dialect, self.options.delay_as_nix));
        let kept = key.as_ref().and_then(|key| Code::kept(self.world.code(key)?, key));
        let (ast, mut problems) = match kept {
            // Only texts without any problem are kept.
            Some(_) => (Ast::default(), Vec::new()),
            None => {
                // Whoever imports may be deep in native code already.
                let parse = || parse_program(&text, dialect);
                let parsed = stacker::maybe_grow(PARSER_STACK, 2 * PARSER_STACK, parse);
                (parsed.ast, parsed.problems)
            }
        };
        let key = key.filter(|_| problems.is_empty());
        problems.extend(self.options.literals.problems(&text));
        for problem in problems.iter().filter(|problem| problem.severity < Severity::Error) {
            self.warn_of(problem, source);
        }
        if problems.iter().all(|problem| problem.severity < Severity::Error) {
            let code = match kept {
                Some(code) => Ok(code),
                None => self.compile(ast, dialect, scope, key),
            };
            match code {
                Ok(code) => return Ok(self.add_code(code, source, folder, scope)),
                Err(more) => problems = more,
            }
        }
        Err(Error::from(Fault::Syntax { source_id: source, problems }))
    }

    fn compile(
        &mut self,
        ast: Ast,
        dialect: Dialect,
        scope: Option<Attrs>,
        kept_under: Option<CodeKey>,
    ) -> Result<Code, Vec<Diagnostic>> {
        let around = Surroundings {
            dialect,
            delay_as_nix: self.options.delay_as_nix,
            names: self.globals.names(),
            scope: scope.map(|scope| (&self.symbols, scope)),
        };
        let code = compile(ast, around, kept_under.as_ref())?;
        if let Some(key) = kept_under {
            self.world.keep_code(&key, code.bytes());
        }
        Ok(code)
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

    /// What every text sees.
    pub(crate) fn globals(&self) -> &Globals {
        &self.globals
    }
}
