//! `docs/errors.md`: what hb says of the cases in `tests/fixtures/messages.txt`, beside
//! what Nix says. What hb says is checked here; with `HB_UPDATE_DOCS` set the page is
//! written anew, and where `HB_NIX_ORACLE` names a `nix-instantiate`, Nix is asked too.

use std::{fmt::Write as _, fs, path::PathBuf, process::Command};

use crate::support::Project;

const INTRODUCTION: &str = "\
# Messages, side by side

What hb and Nix say of the same mistakes. hb marks both ends of a fault (where a value was
needed and where it comes from), names every binding of a cycle, suggests the near name,
marks a missing token where it is missing, and shows all syntax problems of a file in one
run. In a trace, one's own steps come first, and those in a library are folded.
`hb explain CODE` says more of each code: see [codes](codes.md).

";

/// A mistake, and the files that it is made in; the main one is the last.
struct Case {
    title: String,
    note: String,
    files: Vec<(String, String)>,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(root().join("tests/fixtures/messages.txt")).unwrap();
    let case = |text: &str| {
        let (title, rest) = text.split_once('\n').unwrap();
        let mut parts = rest.split("---- ");
        let note = parts.next().unwrap().trim().to_owned();
        let file = |part: &str| {
            let (name, text) = part.split_once('\n').unwrap();
            (name.to_owned(), format!("{}\n", text.trim_end()))
        };
        Case { title: title.to_owned(), note, files: parts.map(file).collect() }
    };
    text.split("==== ").skip(1).map(case).collect()
}

/// What a program says on standard error, without the project's folder and the blanks at
/// the ends of lines.
fn said(project: &Project, mut command: Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{command:?}");
    let folder = fs::canonicalize(project.path()).unwrap();
    let text =
        String::from_utf8_lossy(&output.stderr).replace(&format!("{}/", folder.display()), "");
    text.trim().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// What Nix says of a file: asked, where it can be, or as the page has it.
fn of_nix(project: &Project, file: &str, page: &str, title: &str) -> String {
    if let Some(nix) = std::env::var_os("HB_NIX_ORACLE")
        && std::env::var_os("HB_UPDATE_DOCS").is_some()
    {
        let mut command = Command::new(nix);
        command.args(["--eval", "--strict", file]).current_dir(project.path());
        command.env_clear().env("HOME", project.path()).env("NIX_REMOTE", "dummy://");
        return said(project, command);
    }
    let section = page.split("\n## ").find(|section| section.starts_with(&format!("{title}\n")));
    let after = section.and_then(|section| section.split_once("Nix:\n\n```text\n"));
    after.and_then(|(_, rest)| rest.split_once("\n```")).map_or("", |(text, _)| text).to_owned()
}

#[test]
fn the_page_of_messages_has_what_hb_says() {
    let path = root().join("docs/errors.md");
    let page = fs::read_to_string(&path).unwrap_or_default();
    let mut sections = Vec::new();
    for Case { title, note, files } in cases() {
        let project = Project::new();
        let mut section = format!("## {title}\n\n");
        if !note.is_empty() {
            let _ = writeln!(section, "{note}\n");
        }
        for (name, text) in &files {
            project.write(name, text);
            let _ = writeln!(section, "`{name}`:\n\n```nix\n{text}```\n");
        }
        let main = &files.last().unwrap().0;
        let hb = said(&project, project.hb(["eval", "--strict", main]));
        let _ = writeln!(section, "hb:\n\n```text\n{hb}\n```\n");
        match main.ends_with(".nix") {
            true => {
                let nix = of_nix(&project, main, &page, &title);
                let _ = writeln!(section, "Nix:\n\n```text\n{nix}\n```");
            }
            false => section.push_str("Nix has nothing like it.\n"),
        }
        sections.push(section);
    }
    let wanted = format!("{INTRODUCTION}{}", sections.join("\n"));
    if std::env::var_os("HB_UPDATE_DOCS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let page = fs::read_to_string(&path).unwrap();
    let differs = page.lines().zip(wanted.lines()).find(|(a, b)| a != b);
    assert!(page == wanted, "set HB_UPDATE_DOCS=1; the first difference: {differs:?}");
}
