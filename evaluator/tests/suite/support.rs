//! Helpers of the evaluator's tests: one per kind of test.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hb_evaluator::{
    CodeKey, ContextElement, Eval, Evaluator, FileType, Filter, Held, ImportError, Options,
    Printing, Report, Shown, World, WorldError,
};
use hb_lang::Dialect;
use hb_model::nix::StoreDir;
use hb_model::{ContentDigest, NodeDigest, StoreName, StorePath};

/// Compiled texts, kept from one evaluation to the next.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) code: BTreeMap<CodeKey, Arc<[u8]>>,
    /// How many texts were compiled, and might be kept.
    pub(crate) compiled: usize,
}

/// A world of real files, an empty store and no environment.
#[derive(Default)]
pub(crate) struct Files {
    /// Where compiled texts are kept.
    pub(crate) kept: Option<Arc<Mutex<Kept>>>,
}

fn system(action: &'static str, path: &Path, error: std::io::Error) -> WorldError {
    match error.kind() {
        std::io::ErrorKind::NotFound => WorldError::Missing { path: path.to_owned() },
        _ => WorldError::System { action, path: path.to_owned(), cause: error.to_string() },
    }
}

fn file_type(kind: std::fs::FileType) -> FileType {
    match kind {
        kind if kind.is_file() => FileType::Regular,
        kind if kind.is_dir() => FileType::Directory,
        kind if kind.is_symlink() => FileType::Symlink,
        _ => FileType::Unknown,
    }
}

impl Files {
    /// Everything at a path that the filter keeps, as one text.
    fn import(
        &mut self,
        path: &Path,
        filter: &mut Option<Filter<'_>>,
        content: &mut Vec<u8>,
    ) -> Result<(), ImportError> {
        content.extend_from_slice(path.as_os_str().as_encoded_bytes());
        if self.file_type(path)? != Some(FileType::Directory) {
            content.extend(self.read_file(path)?);
            return Ok(());
        }
        let mut entries = self.read_dir(path)?;
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, kind) in entries {
            let entry = path.join(String::from_utf8_lossy(&name).as_ref());
            let keep = match filter {
                Some(filter) => filter(&entry, kind)?,
                None => true,
            };
            if keep {
                self.import(&entry, filter, content)?;
            }
        }
        Ok(())
    }
}

impl World for Files {
    fn read_file(&mut self, path: &Path) -> Result<Vec<u8>, WorldError> {
        std::fs::read(path).map_err(|error| system("read", path, error))
    }

    fn read_dir(&mut self, path: &Path) -> Result<Vec<(Vec<u8>, FileType)>, WorldError> {
        let entries = std::fs::read_dir(path).map_err(|error| system("list", path, error))?;
        entries
            .map(|entry| {
                let entry = entry.map_err(|error| system("list", path, error))?;
                let kind = entry.file_type().map_err(|error| system("list", path, error))?;
                Ok((entry.file_name().into_encoded_bytes(), file_type(kind)))
            })
            .collect()
    }

    fn file_type(&mut self, path: &Path) -> Result<Option<FileType>, WorldError> {
        match std::fs::symlink_metadata(path) {
            Ok(metadata) => Ok(Some(file_type(metadata.file_type()))),
            Err(error) => match system("look at", path, error) {
                WorldError::Missing { .. } => Ok(None),
                other => Err(other),
            },
        }
    }

    fn is_executable(&mut self, path: &Path) -> Result<bool, WorldError> {
        let metadata = std::fs::metadata(path).map_err(|error| system("look at", path, error))?;
        Ok(metadata.permissions().mode() & 0o100 != 0)
    }

    fn read_link(&mut self, path: &Path) -> Result<PathBuf, WorldError> {
        std::fs::read_link(path).map_err(|error| system("read", path, error))
    }

    fn resolve(&mut self, path: &Path) -> Result<PathBuf, WorldError> {
        std::fs::canonicalize(path).map_err(|error| system("resolve", path, error))
    }

    fn add_path(
        &mut self,
        path: &Path,
        name: &StoreName,
        mut filter: Option<Filter<'_>>,
    ) -> Result<StorePath, ImportError> {
        let mut content = Vec::new();
        self.import(path, &mut filter, &mut content)?;
        Ok(stored(name, &content))
    }

    fn add_text(
        &mut self,
        name: &StoreName,
        text: &[u8],
        _references: &[ContextElement],
    ) -> Result<StorePath, WorldError> {
        Ok(stored(name, text))
    }

    fn keeps_code(&self) -> bool {
        true
    }

    fn code(&mut self, key: &CodeKey) -> Option<Arc<[u8]>> {
        self.kept.as_ref()?.lock().expect("no other thread").code.get(key).cloned()
    }

    fn keep_code(&mut self, key: &CodeKey, code: &Arc<[u8]>) {
        if let Some(kept) = &self.kept {
            let mut kept = kept.lock().expect("no other thread");
            kept.compiled += 1;
            kept.code.insert(*key, Arc::clone(code));
        }
    }

    fn env(&mut self, _name: &str) -> Result<Vec<u8>, WorldError> {
        Ok(Vec::new())
    }

    fn current_time(&mut self) -> Result<i64, WorldError> {
        Err(WorldError::Impure { what: "the time".into(), reason: "it changes".into() })
    }

    fn current_system(&mut self) -> Result<String, WorldError> {
        Ok("x86_64-linux".to_owned())
    }

    fn trace(&mut self, _line: &str) {}
}

fn stored(name: &StoreName, content: &[u8]) -> StorePath {
    let digest = NodeDigest::of_file(false, &ContentDigest::of(content));
    StorePath::of_content(name.clone(), digest, &Default::default(), false)
}

/// An evaluator; `collect_always` also when `HB_TEST_COLLECT_ALWAYS` is set.
pub(crate) fn evaluator(collect_always: bool) -> Evaluator {
    let collect_always = collect_always || std::env::var_os("HB_TEST_COLLECT_ALWAYS").is_some();
    Evaluator::new(Box::new(Files::default()), Options { collect_always, ..Options::default() })
}

/// The same, with Nix's paths.
pub(crate) fn nix_evaluator(collect_always: bool) -> Evaluator {
    let nix_paths = Some(StoreDir::default());
    Evaluator::new(
        Box::new(Files::default()),
        Options { collect_always, nix_paths, ..Options::default() },
    )
}

/// The same, which delays all that Nix does.
pub(crate) fn nix_evaluator_that_delays() -> Evaluator {
    let nix_paths = Some(StoreDir::default());
    Evaluator::new(
        Box::new(Files::default()),
        Options { delay_as_nix: true, nix_paths, ..Options::default() },
    )
}

/// Evaluate an expression and print its whole value, or its error.
pub(crate) fn eval_in(
    evaluator: &mut Evaluator,
    text: &str,
    folder: &Path,
    dialect: Dialect,
) -> Result<String, String> {
    let value = evaluator.eval_text(text, folder, dialect);
    printed(evaluator, value, folder)
}

/// Print a whole value, or its error.
pub(crate) fn printed(
    evaluator: &mut Evaluator,
    value: Eval<Held>,
    folder: &Path,
) -> Result<String, String> {
    let printed = value.and_then(|value| evaluator.print(value, Printing::Strict));
    // Finds that nothing of it is left, of what failed neither.
    evaluator.give_memory_back();
    match printed {
        Ok(printed) => Ok(String::from_utf8_lossy(&printed).into_owned()),
        Err(error) => {
            let report = Report::new(&error, evaluator.sources(), &Shown::Own(folder.to_owned()));
            let mut out = String::new();
            miette::NarratableReportHandler::new()
                .render_report(&mut out, &report)
                .map_err(|error| error.to_string())?;
            Err(out)
        }
    }
}

/// The expression's value prints like this, with and without collecting all the time.
#[track_caller]
pub(crate) fn check_eval(text: &str, expected: &str) {
    check_eval_in(Dialect::Nix, text, expected);
}

/// The same of an expression of one kind of file.
#[track_caller]
pub(crate) fn check_eval_in(dialect: Dialect, text: &str, expected: &str) {
    for collect_always in [false, true] {
        match eval_in(&mut evaluator(collect_always), text, Path::new("/"), dialect) {
            Ok(printed) => assert_eq!(printed, expected, "of {text}"),
            Err(report) => panic!("{text}\n{report}"),
        }
    }
}

/// The expression fails, and the report says all of this.
#[track_caller]
pub(crate) fn check_error(text: &str, expected: &[&str]) {
    check_error_in(Dialect::Nix, text, expected);
}

/// The same of an expression of one kind of file.
#[track_caller]
pub(crate) fn check_error_in(dialect: Dialect, text: &str, expected: &[&str]) {
    match eval_in(&mut evaluator(false), text, Path::new("/"), dialect) {
        Ok(printed) => panic!("{text} gave {printed}"),
        Err(report) => {
            for part in expected {
                assert!(
                    report.contains(part),
                    "'{part}' is not in the report of {text}:\n{report}"
                );
            }
        }
    }
}
