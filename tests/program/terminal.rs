//! `hb` at a pseudo-terminal.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    process::{Child, Command, ExitStatus},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::{Project, explain};

/// A program at a terminal, ended with the test.
pub(crate) struct Terminal {
    terminal: File,
    child: Child,
    /// What was read and not yet awaited.
    shown: String,
}

impl Terminal {
    pub(crate) fn start(mut command: Command) -> Self {
        let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&terminal).unwrap();
        unlockpt(&terminal).unwrap();
        let name = ptsname(&terminal, Vec::new()).unwrap();
        let side = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        command.env("TERM", "xterm");
        command.stdin(side.try_clone().unwrap()).stdout(side.try_clone().unwrap()).stderr(side);
        let child = command.spawn().unwrap();
        Self { terminal: File::from(terminal), child, shown: String::new() }
    }

    pub(crate) fn types(&mut self, text: &str) {
        self.terminal.write_all(text.as_bytes()).unwrap();
    }

    /// Read until this is shown.
    #[track_caller]
    pub(crate) fn awaits(&mut self, awaited: &str) {
        let limit = Timespec { tv_sec: 30, tv_nsec: 0 };
        loop {
            if let Some(at) = self.shown.find(awaited) {
                self.shown.drain(..at + awaited.len());
                return;
            }
            let mut ready = [PollFd::new(&self.terminal, PollFlags::IN)];
            let count = poll(&mut ready, Some(&limit)).unwrap();
            assert_eq!(count, 1, "'{awaited}' does not come; so far:\n{}", self.shown);
            let mut bytes = [0; 4096];
            let length = self.terminal.read(&mut bytes).unwrap();
            self.shown += &String::from_utf8_lossy(&bytes[..length]);
        }
    }

    /// Wait for the program's end.
    pub(crate) fn ends(mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

#[test]
fn what_may_take_long_shows_at_a_terminal_how_far_it_is_and_nothing_elsewhere() {
    let project = Project::with_recipe(r#"run "large" "head -c 30000000 /dev/zero > $out""#);
    let built = project.succeeds(["build", "recipe.hb", "--no-link"]);
    fs::create_dir(project.path().join("cache")).unwrap();
    let cache = project.path().join("cache").to_str().unwrap().to_owned();
    project.write("hb.toml", "[settings]\nhard-links = true\n");
    let commands: [(&str, &[&str], &str); 7] = [
        ("exporting", &["store", "export", &built, "-o", "bundle"], "are in the stream"),
        ("pushing", &["cache", "push", &built, "--to", &cache], "objects are there"),
        ("verifying", &["store", "verify"], "as it should be"),
        ("verifying", &["store", "verify", "--contents"], "as it should be"),
        ("sharing", &["store", "optimise"], "as hard links"),
        ("removing", &["store", "gc"], "freed"),
        ("importing", &["store", "import", "bundle"], "are new"),
    ];
    for (verb, arguments, end) in commands {
        let mut terminal = Terminal::start(project.hb_with(arguments));
        terminal.awaits(verb);
        terminal.awaits(end);
        assert!(terminal.ends().success(), "{arguments:?}");
        let output = project.hb_with(arguments).output().unwrap();
        assert!(output.status.success(), "{}", explain(&output));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains(verb), "{said}");
    }
}
