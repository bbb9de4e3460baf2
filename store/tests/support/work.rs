//! What a process does with a store while it is interrupted, and how the store must be
//! found afterwards.
#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it")]

use std::{
    collections::BTreeSet,
    env, fs,
    path::Path,
    process::{Command, Stdio},
};

use hb_store::{
    Believe, Durability, ExportOptions, Finding, GcOptions, OpenMode, Root, Store, StoreOptions,
    VerifyOptions,
};

use crate::support::{Fixture, Folder, derivation, name, output_of};

/// The call by which the child says that it is at a [`Mark`]: it never makes it otherwise.
pub const MARK: libc::c_long = libc::SYS_getpriority;

/// What the child says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Mark {
    /// The store is open, and the work begins.
    Begun = 1000,
    /// The work is done: whoever asked for it has been told so.
    Done = 1001,
}

impl Mark {
    fn say(self) {
        // SAFETY: asks for a priority of no kind; touches no memory.
        unsafe { libc::syscall(MARK, self as libc::c_long, 0) };
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Work {
    Publish,
    Add,
    Derive,
    Keep,
    Collect,
    Open,
    Migrate,
    Import,
    Repair,
    Optimise,
    /// One after the other.
    Life,
}

impl Work {
    pub const ALL: [Self; 11] = [
        Self::Publish,
        Self::Add,
        Self::Derive,
        Self::Keep,
        Self::Collect,
        Self::Open,
        Self::Migrate,
        Self::Import,
        Self::Repair,
        Self::Optimise,
        Self::Life,
    ];

    /// Do it on an open store; twice is the same as once.
    pub fn run(self, fixture: &Fixture) {
        match self {
            Self::Publish => {
                let built = fixture.build("step", &["dev", "out"], &[], |at, output, scratch| {
                    fs::create_dir(at).unwrap();
                    fs::write(at.join("own"), scratch[output].to_string()).unwrap();
                    fs::write(at.join("out"), scratch["out"].to_string()).unwrap();
                    std::os::unix::fs::symlink("own", at.join("link")).unwrap();
                });
                fixture.publish(&built).unwrap();
            }
            Self::Add => {
                fixture.write("src/sub/a", b"a");
                fixture.write("src/b", &[b'b'; 10_000]);
                let path = fixture.path("src");
                fixture.store.add_tree(&path, &name("source"), None).unwrap();
            }
            Self::Derive => {
                let below = derivation("below", []);
                let above = derivation("above", [output_of(&below)]);
                fixture.add_derivations(&[&below, &above]).unwrap();
            }
            Self::Keep => {
                let kept = fixture.add("root", "root");
                fixture.store.add_root(&name("root"), &kept).unwrap();
                fixture.store.link_result(&fixture.path("result"), &kept).unwrap();
            }
            Self::Collect => {
                fixture.store.gc(&GcOptions::default(), &|_, _| {}).unwrap();
            }
            Self::Import => {
                let stream = fs::File::open(fixture.path("stream")).unwrap();
                fixture.store.import(stream, Believe::Everything).unwrap();
            }
            Self::Open => {
                for root in ["hb", "new"] {
                    drop(Store::open(&fixture.path(root), OpenMode::Write).unwrap());
                }
            }
            Self::Migrate => {
                drop(Store::open(&fixture.path("old"), OpenMode::Write).unwrap());
            }
            Self::Repair => {
                let path = fixture.add("kept", "kept");
                if fs::read(fixture.store.physical(&path)).is_ok_and(|bytes| bytes != b"kept") {
                    fixture.store.set_aside(&path).unwrap();
                }
                fixture.add("kept", "kept");
            }
            Self::Optimise => {
                let options = StoreOptions { hard_links: true, ..StoreOptions::default() };
                let store = Store::open_with(&fixture.path("hb"), OpenMode::Write, options);
                store.unwrap().optimise(false, &|_, _| {}).unwrap();
            }
            Self::Life => {
                for work in [Self::Add, Self::Derive, Self::Publish, Self::Keep, Self::Import] {
                    work.run(fixture);
                }
                Self::Collect.run(fixture);
                Self::Publish.run(fixture);
            }
        }
    }

    /// What is there before: something kept, and something for gc.
    pub fn prepare(self, fixture: &Fixture) {
        let kept = fixture.add("kept", "kept");
        fixture.store.add_root(&name("kept"), &kept).unwrap();
        fixture.add("loose", "loose");
        fixture.write("junk/sub/a", b"a");
        fixture.store.add_tree(&fixture.path("junk"), &name("junk"), None).unwrap();
        match self {
            Self::Import | Self::Life => {
                let from = Fixture::new();
                Self::Publish.run(&from);
                let all = from.store.list().unwrap();
                let place = fixture.path("stream");
                let stream = fs::File::create(&place).unwrap();
                from.store.export(&all, ExportOptions::default(), stream, &place).unwrap();
            }
            Self::Migrate => {
                let old = Store::open(&fixture.path("old"), OpenMode::Write).unwrap();
                let kept = old.add_file(&name("kept"), b"kept", false, &[].into()).unwrap();
                old.add_root(&name("kept"), &kept).unwrap();
                drop(old);
                make_old(&fixture.path("old/db.sqlite"));
            }
            Self::Optimise => {
                for label in ["first", "second", "third", "fourth"] {
                    fixture.write(&format!("{label}/sub/a"), &[b'a'; 10_000]);
                    fixture.write(&format!("{label}/{label}"), &[b'b'; 10_000]);
                    let path = fixture.path(label);
                    fixture.store.add_tree(&path, &name(label), None).unwrap();
                }
            }
            Self::Repair => damage(&fixture.store.physical(&kept)),
            _ => {}
        }
    }

    /// Whether gc is a part of it.
    pub fn collects(self) -> bool {
        matches!(self, Self::Collect | Self::Life)
    }

    /// The objects that were damaged before it began.
    fn damaged(self) -> &'static str {
        if let Self::Repair = self { "kept" } else { "-" }
    }
}

/// Turn a database into one of format 1.
fn make_old(database: &Path) {
    let statements = "
        DROP TABLE signatures;
        ALTER TABLE objects DROP COLUMN fixed;
        ALTER TABLE objects DROP COLUMN borrowed;
        ALTER TABLE objects DROP COLUMN shared;
        DROP TABLE files;
        ALTER TABLE objects ADD COLUMN derivation TEXT;
        DROP INDEX realisations_by_derivation;
        ALTER TABLE realisations DROP COLUMN derivation;
        ALTER TABLE realisations ADD COLUMN derivation TEXT;
        CREATE INDEX realisations_by_derivation ON realisations (derivation);
        PRAGMA user_version = 1;";
    let connection = rusqlite::Connection::open(database).unwrap();
    connection.execute_batch(statements).unwrap();
    connection.close().unwrap();
}

/// Other bytes in the place of a file, as a bad disk would have it.
fn damage(object: &Path) {
    let time = fs::metadata(object).unwrap().modified().unwrap();
    let mode = fs::metadata(object).unwrap().permissions();
    fs::remove_file(object).unwrap();
    fs::write(object, "bits").unwrap();
    fs::File::options().write(true).open(object).unwrap().set_modified(time).unwrap();
    fs::set_permissions(object, mode).unwrap();
}

/// The command that does the work in another process: this test binary again, which has a
/// test that calls [`do_the_work_named_in_the_environment`].
pub fn child(work: Work, folder: &Folder) -> Command {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"])
        .env("HB_TEST_WORK", format!("{work:?}"))
        .env("HB_TEST_FOLDER", folder.path())
        .stdout(Stdio::null());
    command
}

/// What the child does.
pub fn do_the_work_named_in_the_environment() -> ! {
    let work = env::var("HB_TEST_WORK").unwrap();
    let work = Work::ALL.into_iter().find(|it| format!("{it:?}") == work).unwrap();
    let folder = Folder::at(Path::new(&env::var_os("HB_TEST_FOLDER").unwrap()));
    let fixture = Fixture::open(folder, Durability::Full);
    Mark::Begun.say();
    work.run(&fixture);
    Mark::Done.say();
    drop(fixture);
    // SAFETY: ends the process at once, so that the work is the last of it.
    unsafe { libc::_exit(0) }
}

/// What a store is known to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub facts: BTreeSet<String>,
}

impl Known {
    pub fn of(store: &Store) -> Self {
        let mut facts = BTreeSet::new();
        for path in store.list().unwrap() {
            facts.insert(format!("object {path}"));
            for recorded in store.realisations_of(&path).unwrap() {
                facts.insert(format!("build {:?}", recorded.realisation.key));
            }
        }
        facts.extend(store.roots().unwrap().iter().map(|root| format!("root {}", path_of(root))));
        Self { facts }
    }

    /// What both know.
    pub fn and(&self, other: &Self) -> Self {
        Self { facts: self.facts.intersection(&other.facts).cloned().collect() }
    }
}

fn path_of(root: &Root) -> String {
    // The folder of a result link is another one each time.
    match &root.kind {
        hb_store::RootKind::Named(name) => format!("{name} {}", root.path),
        hb_store::RootKind::Result(_) => format!("a link to {}", root.path),
    }
}

/// What lies there now must be whole and hold all that is `known`, and the work must
/// succeed when done again. `when` is said where that is not so.
pub fn look(work: Work, folder: Folder, known: &Known, when: &str) {
    let fixture = Fixture::open(folder, Durability::Relaxed);
    verify(&fixture, work.damaged(), &|findings| {
        // Whole objects that nobody knows may lie around; nothing else.
        assert!(findings.iter().all(Finding::is_leftover), "{work:?} {when}: {findings:?}");
    });
    let staging = fs::read_dir(fixture.path("hb/staging")).unwrap();
    assert_eq!(staging.count(), 1, "{work:?} {when}: staging is not cleared");
    let found = Known::of(&fixture.store);
    let lost: Vec<_> = known.facts.difference(&found.facts).collect();
    assert!(lost.is_empty(), "{work:?} {when}: {lost:?} are lost");
    work.run(&fixture);
    Work::Collect.run(&fixture);
    verify(&fixture, "-", &|findings| {
        assert!(findings.is_empty(), "{work:?} {when}, then done again: {findings:?}");
    });
    assert!(Known::of(&fixture.store).facts.iter().any(|fact| fact.starts_with("root kept ")));
}

/// Verify all stores, but for the objects of a name.
fn verify(fixture: &Fixture, but: &str, judge: &dyn Fn(&[Finding])) {
    let options = VerifyOptions { contents: true };
    let is_other = |finding: &Finding| match finding {
        Finding::Missing { path } | Finding::Changed { path, .. } => path.name().as_str() != but,
        _ => true,
    };
    let mut findings = fixture.store.verify(options, &|_| {}).unwrap();
    findings.retain(is_other);
    judge(&findings);
    for other in ["new", "old"].map(|name| fixture.path(name)) {
        if other.join("db.sqlite").exists() {
            let store = Store::open_with(&other, OpenMode::Write, Durability::Relaxed).unwrap();
            judge(&store.verify(options, &|_| {}).unwrap());
        }
    }
}
