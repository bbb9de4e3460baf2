//! `hb repl`, driven through a pipe and through a terminal.

use std::{
    io::{Read as _, Write as _},
    process::{Output, Stdio},
};

use crate::{
    support::{Project, explain},
    terminal::Terminal,
};

/// Feed lines to a repl; gives what it printed and said.
fn repl(project: &Project, lines: &str) -> Output {
    let mut hb = project.hb(["repl"]);
    hb.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = hb.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// The lines must give exactly this.
#[track_caller]
fn check(project: &Project, lines: &str, expected: &str) {
    let output = repl(project, lines);
    assert!(output.status.success(), "{}", explain(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{}", explain(&output));
}

#[test]
fn variables_are_defined_used_and_replaced() {
    let project = Project::new();
    check(&project, "a = 1\nb = a + 1; c = 3\na + b + c\na = 10\na + b\n", "6\n12\n");
    check(&project, "fac = n: if n == 0 then 1 else n * fac (n - 1)\nfac 10\n", "3628800\n");
    check(&project, "s = { x = 5; }\ninherit (s) x\nx\n", "5\n");
    check(&project, "never = throw \"unused\"\n1\n", "1\n");
}

#[test]
fn input_goes_on_until_it_is_whole() {
    let project = Project::new();
    check(&project, "let\n  a = 1;\nin\n  a +\n\n  1\n[\n 1 ]\n", "2\n[\n  1\n]\n");
}

#[test]
fn a_value_is_shown_to_its_first_level_and_printed_whole() {
    let project = Project::new();
    let set = "{ a = { b = 1; }; l = [ 1 ]; e = throw \"broken\"; n = { }; s = \"x\"; }";
    check(
        &project,
        &format!("{set}\n:p {{ a = {{ b = 1 + 1; }}; }}\n:t {set}\n"),
        "{\n  a = { … };\n  e = «error: broken»;\n  l = [ … ];\n  n = { };\n  s = \"x\";\n}\n\
         { a = { b = 2; }; }\na set\n",
    );
}

#[test]
fn a_file_is_loaded_and_loaded_again_after_a_change() {
    let project = Project::new();
    project.write("lib.hb", "{ system }: { /** Doubles. */ twice = x: x + x; on = system; }");
    let mut hb = project.hb(["repl", "lib.hb"]);
    hb.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = hb.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut printed = child.stdout.take().unwrap();
    let mut next = |line: &str| {
        writeln!(input, "{line}").unwrap();
        let mut bytes = [0; 256];
        let length = printed.read(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    assert_eq!(next("twice 2"), "4\n");
    assert_eq!(next(":doc twice"), "## `twice`\n\n`x:`\n\nDoubles.\n");
    assert_eq!(next("four = twice 2\nfour"), "4\n");
    project.write("lib.hb", "{ twice = x: x * 20; }");
    assert_eq!(next(":r\nfour"), "40\n");
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_error_ends_its_line_only_and_its_trace_can_be_seen_whole() {
    let project = Project::new();
    let down = "down = n: if n == 0 then throw \"bottom\" else 1 + further (n - 1);";
    let deep = format!("deep = rec {{ {down} further = n: 2 * down n; }}");
    let output = repl(&project, &format!("{deep}\ndeep.down 30\n1 + 1\n:trace\n"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{}", explain(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2\n");
    assert_eq!(said.matches("bottom").count(), 4, "{said}");
    assert_eq!(said.matches("steps more").count(), 1, "{said}");
    assert!(said.matches("while calling 'down'").count() > 30, "{said}");
}

#[test]
fn builtins_are_documented_and_a_wrong_command_is_answered_with_the_near_one() {
    let project = Project::new();
    let output = repl(&project, ":doc builtins.map\n:trase\n:q\n1\n");
    assert!(
        String::from_utf8_lossy(&output.stdout).starts_with("## `builtins.map`"),
        "{}",
        explain(&output)
    );
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("did you mean ':trace'?"), "{said}");
}

#[test]
fn a_derivation_is_named_and_built() {
    let project = Project::with_recipe(r#"{ hello = run "hello" "echo hello > $out"; }"#);
    let output = repl(&project, ":l recipe.hb\nhello\n:b hello\n");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = printed.lines();
    assert_eq!(lines.next(), Some("«derivation hello»"), "{}", explain(&output));
    assert_eq!(std::fs::read_to_string(lines.next().unwrap()).unwrap(), "hello\n");
}

#[test]
fn what_a_line_made_is_given_back_after_it() {
    let project = Project::new();
    // Held together, the lists would need some 640 MB.
    let lines = "builtins.length (builtins.genList (n: n) 1000000)\n".repeat(40);
    let resident = "builtins.head (builtins.match \".*VmRSS:[^0-9]*([0-9]+) kB.*\" \
                    (builtins.readFile /proc/self/status))";
    let mut hb = project.hb(["repl", "--impure"]);
    hb.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = hb.spawn().unwrap();
    let input = format!("{lines}{resident}\n");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", explain(&output));
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let resident: u64 = printed.lines().last().unwrap().trim_matches('"').parse().unwrap();
    assert!(resident < 300_000, "{resident} kB");
}

/// A repl at a terminal.
fn at_terminal(project: &Project) -> Terminal {
    Terminal::start(project.hb(["repl"]))
}

/// Wait for a prompt, and type.
fn types(terminal: &mut Terminal, text: &str) {
    terminal.awaits("hb> ");
    terminal.types(text);
}

/// End the input.
fn closes(mut terminal: Terminal) {
    types(&mut terminal, "\x04");
    assert!(terminal.ends().success());
}

#[test]
fn at_a_terminal_names_and_attributes_are_completed_and_history_is_kept() {
    let project = Project::new();
    let mut terminal = at_terminal(&project);
    types(&mut terminal, "answer = 40\r");
    types(&mut terminal, "builtins.stringL\t \"ab\" + ans\t\r");
    terminal.awaits("\n42");
    closes(terminal);
    let mut terminal = at_terminal(&project);
    // Up twice: the line before the last one.
    types(&mut terminal, "\x1b[A\x1b[A\r");
    types(&mut terminal, "answ\t + 1\r");
    terminal.awaits("\n41");
    closes(terminal);
}
