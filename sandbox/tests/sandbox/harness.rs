//! One helper for tests with a real sandbox: a root of busybox alone, and a script.

use std::fs;
use std::future::{Future, pending};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::OnceLock;

use hb_sandbox::{
    Backend, Ended, Exit, Maker, Reentry, Root, RunError, Runner, SandboxSpec, StoreEntry,
};
use tempfile::TempDir;

/// A build's folders on the host, and its sandbox.
pub(crate) struct Build {
    pub(crate) folder: TempDir,
    pub(crate) spec: SandboxSpec,
}

/// How a script in a sandbox ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) ended: Ended,
    pub(crate) output: String,
}

/// Set to run the tests with the sandboxes of bubblewrap.
pub(crate) const BUBBLEWRAP_VARIABLE: &str = "HB_TEST_BUBBLEWRAP";

/// This test program starts sandboxes when it is executed once more.
#[ctor::ctor(unsafe)]
fn reenter() {
    Reentry::point();
}

/// Who makes the sandboxes of this test program.
pub(crate) fn maker() -> Maker {
    match std::env::var_os(BUBBLEWRAP_VARIABLE) {
        Some(_) => Maker::Bubblewrap,
        None => Maker::Direct,
    }
}

/// The runner of this test program.
pub(crate) fn runner() -> &'static Runner {
    static RUNNER: OnceLock<Runner> = OnceLock::new();
    RUNNER.get_or_init(|| runner_by(maker()))
}

pub(crate) fn runner_by(maker: Maker) -> Runner {
    let backend = Backend { reentry: Reentry::point(), maker };
    Runner::new(backend).expect("sandboxes can be made")
}

/// A build whose builder is busybox' shell, running `script`. The shell finds
/// every applet of busybox by name.
pub(crate) fn build(script: &str) -> Build {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let make = |name: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(&path).expect("a folder of the build");
        path
    };
    let (bin, work, outputs) = (make("root/bin"), make("work"), make("outputs"));
    fs::copy("/bin/busybox", bin.join("busybox")).expect("busybox-static is installed");
    symlink("busybox", bin.join("sh")).expect("a link");
    let argv = ["/bin/sh", "-c", script].map(Into::into).to_vec();
    let root = Root::Tree(folder.path().join("root"));
    Build { spec: SandboxSpec::build(root, work, outputs, argv), folder }
}

impl Build {
    /// A path below the build's folder on the host.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Adds a file to the closure, as `/hb/store/<name>`.
    pub(crate) fn add_input(&mut self, name: &str, contents: &str) {
        let physical = self.path("inputs").join(name);
        fs::create_dir_all(self.path("inputs")).expect("a folder for inputs");
        fs::write(&physical, contents).expect("an input");
        self.spec.store.closure.push(StoreEntry { path: format!("/hb/store/{name}"), physical });
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Result<Ran, RunError> {
        self.run_until(pending())
    }

    /// Runs it to its end, or until `cancel` completes.
    pub(crate) fn run_until(&self, cancel: impl Future<Output = ()>) -> Result<Ran, RunError> {
        self.run_with(runner(), cancel)
    }

    /// Runs it to its end by this runner, or until `cancel` completes.
    pub(crate) fn run_with(
        &self,
        runner: &Runner,
        cancel: impl Future<Output = ()>,
    ) -> Result<Ran, RunError> {
        let mut output = Vec::new();
        let ended = block_on(async {
            runner.run(self.spec.clone(), cancel, |bytes| output.extend_from_slice(bytes)).await
        })?;
        Ok(Ran { ended, output: String::from_utf8_lossy(&output).into_owned() })
    }

    /// Runs it to its end in a sandbox of the given maker's.
    pub(crate) fn run_by(&self, maker: Maker) -> Result<Ran, RunError> {
        self.run_with(&runner_by(maker), pending())
    }

    /// Runs it, expects status 0, and gives what it wrote.
    pub(crate) fn succeed(&self) -> String {
        let ran = self.run().expect("the sandbox starts");
        assert_eq!(ran.ended.exit, Exit::Code(0), "{}", ran.output);
        ran.output
    }
}

/// Runs a future on a tokio of its own.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut tokio = tokio::runtime::Builder::new_current_thread();
    tokio.enable_all().build().expect("a tokio runtime").block_on(future)
}
