//! The reference in `docs/language.md` is what the table of builtins says.

use std::fmt::Write as _;
use std::path::Path;

use hb_evaluator::builtins::{Builtin, all};
use hb_lang::Dialect;

use crate::support::check_eval_in;

const HEADING: &str = "## Builtins\n";

const EXAMPLE: &str = r#"let
  source = hb.fetch {
    name = "hello.tar.gz";
    sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    origins = [ { url = "https://example.org/hello.tar.gz"; } ];
  };
in
hb.build {
  name = "hello";
  builder = "/bin/sh";
  args = [ "-c" "cp -r ${hb.unpack { name = "hello-source"; archive = source; }} $out" ];
  env.LANG = "C";
}
"#;

const INTRODUCTION: &str = "\
This section is made from the table of builtins; with `HB_UPDATE_DOCS=1` the evaluator's
tests write it.

### The primitives of `.hb` files

The global `hb` has what makes derivations. Each primitive takes one set and refuses any
key that it does not know. Where a text is asked for, a path is put into the store, and a
derivation gives its output's path; what a text refers to becomes an input by itself.
What is made is a set as with Nix: `type`, `name`, `system`, `outputs`, `outPath`,
`drvPath`, `outputName`, `all`, and one set for each output. Who mentions `drvPath` in a
build finds the derivation there as a file of the store, with all outputs of it and of what
it needs; through `builtins.unsafeDiscardOutputDependency` without them.

";

const CONTRACTS: &str = "\
### The contracts

Each is a function of `hb` that gives its last argument, the value, checked. Behind `|` it
has its name alone, and stands without the value.

";

const AS_IN_NIX: &str = "\
### The functions of Nix

All are in `builtins`. They are as lazy, keep contexts and fail as in Nix, but:

- `path` and `filterSource` name what they import `source`; `sha256` of `path` is compared with
  what is found
- `derivation` has no root to run in; it refuses `exportReferencesGraph`, `allowedReferences`
  and their like, `impureEnvVars`, `requiredSystemFeatures`, and an `outputHashMode` other
  than `flat`, unless they ask for nothing
- `fetchurl` needs a hash and gives a path that is there only once it is built; the other
  fetchers and `getFlake` are refused; references to flakes must be UTF-8 without their escapes
- reading what is still to be built is an error: evaluation never builds
- regular expressions give the longest match; how one of several equally long ones divides
  into groups is decided from the left

";

fn call(builtin: &Builtin) -> String {
    let params = builtin.params.iter().map(|param| param.name);
    std::iter::once(builtin.name).chain(params).collect::<Vec<_>>().join(" ")
}

fn section() -> String {
    let mut text = format!("{HEADING}\n{INTRODUCTION}```nix\n{EXAMPLE}```\n\n");
    let (own, mut others): (Vec<&Builtin>, Vec<&Builtin>) =
        all().partition(|builtin| builtin.name.starts_with("hb."));
    let is_contract =
        |builtin: &&Builtin| builtin.name["hb.".len()..].starts_with(char::is_uppercase);
    let (contracts, primitives): (Vec<&Builtin>, Vec<&Builtin>) =
        own.into_iter().partition(is_contract);
    for builtin in primitives {
        let _ = writeln!(text, "#### `{}`\n\n{}\n", call(builtin), builtin.doc);
    }
    text.push_str(CONTRACTS);
    for builtin in contracts {
        let _ = writeln!(text, "- `{}`: {}", call(builtin), builtin.doc);
    }
    text.push('\n');
    text.push_str(AS_IN_NIX);
    others.sort_by_key(|builtin| builtin.name);
    for builtin in others {
        // Of a longer text the reference has the first paragraph.
        let doc = builtin.doc.split("\n\n").next().unwrap_or_default();
        let _ = writeln!(text, "- `{}`: {doc}", call(builtin));
    }
    text
}

#[test]
fn the_page_says_what_the_table_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/language.md");
    let text = std::fs::read_to_string(&page).expect("the page");
    let start = text.find(HEADING).expect("the section");
    let behind = &text[start + HEADING.len()..];
    let end = behind.find("\n## ").map_or(text.len(), |end| start + HEADING.len() + end + 1);
    let separator = if end == text.len() { "" } else { "\n" };
    let wanted = format!("{}{}{separator}{}", &text[..start], section(), &text[end..]);
    if std::env::var_os("HB_UPDATE_DOCS").is_some() {
        std::fs::write(&page, &wanted).expect("the page can be written");
    }
    assert!(
        std::fs::read_to_string(&page).expect("the page") == wanted,
        "docs/language.md is not what the table of builtins says; set HB_UPDATE_DOCS=1"
    );
}

#[test]
fn the_example_evaluates() {
    check_eval_in(Dialect::Hb, &format!("({EXAMPLE}).name"), "\"hello\"");
}
