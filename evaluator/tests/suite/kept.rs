//! Compiled texts that are kept: evaluating with them gives the same as without, values and
//! diagnostics, and what is damaged is noticed.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use hb_evaluator::{Evaluator, Options};
use hb_lang::{Dialect, parse_program};
use hb_model::nix::StoreDir;
use tempfile::TempDir;

use crate::cases::all_cases;
use crate::support::{Files, Kept, printed};

/// Files to evaluate, and what is kept of them.
struct Setting {
    folder: TempDir,
    kept: Arc<Mutex<Kept>>,
}

impl Setting {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), kept: Arc::default() }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    }

    /// A file's whole value or its error, and how many texts were compiled for it.
    fn eval(&self, path: &Path, options: &Options) -> (Result<String, String>, usize) {
        let before = self.compiled();
        let world = Files { kept: Some(Arc::clone(&self.kept)) };
        let mut evaluator = Evaluator::new(Box::new(world), options.clone());
        let value = evaluator.eval_file(path);
        let result = printed(&mut evaluator, value, self.folder.path());
        (result, self.compiled() - before)
    }

    fn compiled(&self) -> usize {
        self.kept.lock().expect("no other thread").compiled
    }

    /// Change the bytes of all that is kept.
    fn damage(&self, change: impl Fn(&mut Vec<u8>)) {
        for code in self.kept.lock().expect("no other thread").code.values_mut() {
            let mut bytes = code.to_vec();
            change(&mut bytes);
            *code = bytes.into();
        }
    }
}

#[test]
fn every_case_gives_the_same_from_kept_code() {
    let setting = Setting::new();
    // Where the sources of cases are.
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/source");
    symlink(sources, setting.folder.path().join("source")).expect("a link");
    for case in all_cases() {
        let name = match case.dialect {
            Dialect::Hb => "case.hb",
            _ => "case.nix",
        };
        let path = setting.write(name, &case.expression);
        let nix_paths = case.nix_paths.then(StoreDir::default);
        let parses = parse_program(&case.expression, case.dialect).problems.is_empty();
        for (delay_as_nix, collect_always) in [(false, false), (true, false), (false, true)] {
            if collect_always && case.is_deep() {
                continue;
            }
            let options = Options {
                delay_as_nix,
                collect_always,
                nix_paths: nix_paths.clone(),
                ..Options::default()
            };
            let (first, _) = setting.eval(&path, &options);
            let (again, compiled) = setting.eval(&path, &options);
            assert_eq!(first, again, "{}:{}", case.file.display(), case.line);
            assert!(!parses || compiled == 0, "compiled again: {}", case.expression);
        }
    }
}

#[test]
fn a_library_gives_the_same_from_kept_code() {
    let programs = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/programs");
    for program in ["library.nix", "modules.nix", "overlay.nix"] {
        let setting = Setting::new();
        let (first, compiled) = setting.eval(&programs.join(program), &Options::default());
        assert!(first.is_ok() && compiled > 0);
        assert_eq!(setting.eval(&programs.join(program), &Options::default()), (first, 0));
    }
}

#[test]
fn only_what_changed_is_compiled() {
    let setting = Setting::new();
    setting.write("a.nix", "1");
    setting.write("b.nix", "2");
    let main = setting.write("main.nix", "[ (import ./a.nix) (import ./b.nix) ./. ]");
    let options = Options::default();
    let here = setting.folder.path().display();
    assert_eq!(setting.eval(&main, &options), (Ok(format!("[ 1 2 {here} ]")), 3));
    setting.write("b.nix", "3");
    assert_eq!(setting.eval(&main, &options), (Ok(format!("[ 1 3 {here} ]")), 1));
    // The same text elsewhere: its code is the same, its paths are not.
    let inner = setting.folder.path().join("inner");
    std::fs::create_dir(&inner).expect("a folder");
    for name in ["a.nix", "b.nix", "main.nix"] {
        std::fs::copy(setting.folder.path().join(name), inner.join(name)).expect("a copy");
    }
    let other = setting.eval(&inner.join("main.nix"), &options);
    assert_eq!(other, (Ok(format!("[ 1 3 {} ]", inner.display())), 0));
}

#[test]
fn what_is_not_the_texts_own_is_not_kept() {
    let setting = Setting::new();
    setting.write("scoped.nix", "x");
    let text = "map (x: scopedImport { inherit x; } ./scoped.nix) [ 1 2 ]";
    let main = setting.write("main.nix", text);
    assert_eq!(setting.eval(&main, &Options::default()), (Ok("[ 1 2 ]".into()), 1));
    // Another dialect is another text.
    let contract = "let f = { a | Int }: a; in f { a = 1; }";
    assert_eq!(setting.eval(&setting.write("main.hb", contract), &Options::default()).1, 1);
    let refused = setting.eval(&setting.write("refused.nix", contract), &Options::default());
    assert!(refused.0.is_err());
}

/// Something that happens to a file.
type Change = fn(&mut Vec<u8>);

#[test]
fn damaged_code_is_noticed() {
    let text = "let f = { a, b ? \"x\" }: a + b; in { x = f { a = \"${./.}\"; }; y = f { a = 1.5; b = 2; }; }.y";
    let changes: [(&str, Change); 5] = [
        ("a bit", |bytes| bytes[7] ^= 4),
        ("the last byte", |bytes| *bytes.last_mut().expect("not empty") ^= 1),
        ("the end is missing", |bytes| bytes.truncate(bytes.len() / 2)),
        ("nothing is left", Vec::clear),
        ("something else", |bytes| bytes.fill(0)),
    ];
    for (what, change) in changes {
        let setting = Setting::new();
        let main = setting.write("main.nix", text);
        assert_eq!(setting.eval(&main, &Options::default()), (Ok("3.5".into()), 1));
        setting.damage(change);
        assert_eq!(setting.eval(&main, &Options::default()), (Ok("3.5".into()), 1), "{what}");
        assert_eq!(setting.eval(&main, &Options::default()), (Ok("3.5".into()), 0), "{what}");
    }
}

#[test]
fn code_of_another_text_is_noticed() {
    let setting = Setting::new();
    let (one, two) = (setting.write("one.nix", "1"), setting.write("two.nix", "2"));
    for path in [&one, &two] {
        assert_eq!(setting.eval(path, &Options::default()).1, 1);
    }
    {
        let mut kept = setting.kept.lock().expect("no other thread");
        let [a, b] = kept.code.values_mut().collect::<Vec<_>>().try_into().expect("two");
        std::mem::swap(a, b);
    }
    assert_eq!(setting.eval(&one, &Options::default()), (Ok("1".into()), 1));
}
