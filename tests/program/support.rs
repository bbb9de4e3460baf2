//! A project and a store of a test's own, and `hb` run in them.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use hb_model::{Algorithm, Hasher};
use tempfile::TempDir;

/// Where Debian's busybox-static puts its one program.
const BUSYBOX: &str = "/bin/busybox";

/// What recipes in tests begin with: `run` makes a derivation of a script for busybox's
/// static shell, which needs no root. All of busybox's applets are there as commands.
const PRELUDE: &str = r#"
let
  run = name: script: runWith { inherit name script; };
  runWith = { name, script, ... }@args: hb.build ({
    inherit name;
    system = "x86_64-linux";
    builder = "${./bin}/busybox";
    args = [ "sh" "-euc" script ];
  } // removeAttrs args [ "name" "script" ]);
in
"#;

/// A folder with a recipe in it, and a store, both gone at the end.
pub(crate) struct Project {
    folder: TempDir,
    /// Where the store lies; another project's may be put here.
    pub(crate) store: PathBuf,
}

impl Project {
    /// An empty project with busybox in it.
    pub(crate) fn new() -> Self {
        let folder = temporary_folder();
        let store = folder.path().join("store");
        fs::create_dir_all(folder.path().join("work/bin")).unwrap();
        assert!(Path::new(BUSYBOX).exists(), "these tests need Debian's busybox-static");
        fs::copy(BUSYBOX, folder.path().join("work/bin/busybox")).unwrap();
        Self { folder, store }
    }

    /// A project with this recipe, to which `run` and `runWith` are known.
    pub(crate) fn with_recipe(text: &str) -> Self {
        let project = Self::new();
        project.recipe(text);
        project
    }

    /// The project's folder.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Write a file of the project.
    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A source that is fetched from a file of this project's folder, as an expression.
    pub(crate) fn fetched_source(&self) -> String {
        let source = "from afar\n";
        self.write("origin", source);
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(source.as_bytes());
        format!(
            r#"hb.fetch {{
                 name = "source";
                 sha256 = "{}";
                 origins = [ {{ url = "file://{}/origin"; }} ];
               }}"#,
            hasher.finish().to_hex(),
            self.path().display()
        )
    }

    /// The user's home folder.
    pub(crate) fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// Write `recipe.hb`.
    pub(crate) fn recipe(&self, text: &str) {
        self.write("recipe.hb", format!("{PRELUDE}{text}\n"));
    }

    /// `hb` with these arguments, in the project, with nothing from outside.
    pub(crate) fn hb<const N: usize>(&self, arguments: [&str; N]) -> Command {
        self.hb_with(&arguments)
    }

    /// The same, however many they are.
    pub(crate) fn hb_with(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hb"));
        command
            .args(arguments)
            .current_dir(self.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("HB_STORE", &self.store);
        command
    }

    /// Run `hb`; it must succeed. Gives what it printed.
    pub(crate) fn succeeds<const N: usize>(&self, arguments: [&str; N]) -> String {
        let output = self.hb(arguments).output().unwrap();
        assert!(output.status.success(), "hb {arguments:?}: {}", explain(&output));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Run `hb`; it must end with this code. Gives what it said on standard error.
    pub(crate) fn fails<const N: usize>(&self, code: i32, arguments: [&str; N]) -> String {
        let output = self.hb(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "hb {arguments:?}: {}", explain(&output));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Build an attribute of the recipe; gives the output's path on disk.
    pub(crate) fn build(&self, attribute: &str) -> PathBuf {
        let target = format!("recipe.hb#{attribute}");
        self.succeeds(["build", "--no-link", &target]).into()
    }

    /// Build an attribute and read its output, a file.
    pub(crate) fn build_and_read(&self, attribute: &str) -> String {
        fs::read_to_string(self.build(attribute)).unwrap()
    }
}

/// A folder in memory where programs may run there: hb syncs what it stores, and a disk
/// would make the tests wait.
fn temporary_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    let runs_programs = rustix::fs::statvfs(memory)
        .is_ok_and(|found| !found.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC));
    match runs_programs {
        true => TempDir::new_in(memory),
        false => TempDir::new(),
    }
    .unwrap()
}

impl Drop for Project {
    fn drop(&mut self) {
        make_writable(&self.store);
    }
}

/// Start a program, and keep what it says.
pub(crate) fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Everything that a run printed, for a failed assertion.
pub(crate) fn explain(output: &Output) -> String {
    format!(
        "{}\n--- standard output\n{}--- standard error\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Store objects are read-only; to be removed, their folders must not be.
pub(crate) fn make_writable(path: &Path) {
    let Ok(metadata) = fs::symlink_metadata(path) else { return };
    if !metadata.is_dir() {
        return;
    }
    let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o755));
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        make_writable(&entry.path());
    }
}

/// Whether the tests run as root; says that a test is skipped if not.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn as_root() -> bool {
    let is_root = rustix::process::getuid().is_root();
    if !is_root {
        eprintln!("skipped: only root can do this");
    }
    is_root
}

/// `hb` as an ordinary user, who is given the project's folder; `None` where the tests do not run as root and so are an ordinary user's already.
pub(crate) fn as_ordinary_user<const N: usize>(
    project: &Project,
    arguments: [&str; N],
) -> Option<Command> {
    use std::os::unix::process::CommandExt as _;
    const NOBODY: u32 = 65534;
    if !as_root() {
        return None;
    }
    give(project.folder.path(), NOBODY);
    // The program may lie below a folder that others cannot enter.
    let program = project.folder.path().join("hb");
    fs::copy(env!("CARGO_BIN_EXE_hb"), &program).unwrap();
    let template = project.hb(arguments);
    let mut command = Command::new(program);
    command.args(template.get_args()).current_dir(project.path()).env_clear();
    for (name, value) in template.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.uid(NOBODY).gid(NOBODY);
    Some(command)
}

fn give(path: &Path, user: u32) {
    let _ = std::os::unix::fs::lchown(path, Some(user), Some(user));
    if fs::symlink_metadata(path).is_ok_and(|found| found.is_dir()) {
        fs::read_dir(path).into_iter().flatten().flatten().for_each(|e| give(&e.path(), user));
    }
}

/// The command lines of living processes that were told of a folder, or run in a sandbox
/// that shows something of it.
pub(crate) fn processes_in(folder: &Path) -> Vec<String> {
    // Mounts name what they show from the root of its file system on.
    let parent = folder.parent().and_then(Path::file_name).unwrap();
    let named = format!("{}/{}", parent.display(), folder.file_name().unwrap().display());
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| {
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            let mounts = fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
            (line.contains(&named) || mounts.contains(&named)).then_some(line)
        })
        .collect()
}
