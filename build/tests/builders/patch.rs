//! `builtin:patch-1`: exactly or not at all.

use std::{fs, os::unix::fs::PermissionsExt as _};

use hb_build::builders::{BuiltinError, PatchError};
use serde_json::json;

use crate::{Fixture, said, tree};

/// A source tree with a few files.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.input("source/main.c", b"one\ntwo\nthree\n");
    fixture.input("source/sub/old", b"gone\n");
    fixture.input("source/run", b"#!\n");
    let run = fixture.path("inputs/source/run");
    fs::set_permissions(run, fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("main.c", fixture.path("inputs/source/link")).unwrap();
    fixture
}

fn patch(fixture: &Fixture, patches: &[&str]) -> Result<(), BuiltinError> {
    let patches: Vec<String> = (0..)
        .zip(patches)
        .map(|(index, text)| fixture.input(&format!("{index}.patch"), text.as_bytes()))
        .collect();
    let attrs = json!({"source": "/hb/store/source", "patches": patches});
    fixture.run("builtin:patch-1", &attrs, None)
}

const CHANGE: &str = "--- a/main.c\n+++ b/main.c\n@@ -1,3 +1,3 @@\n one\n-two\n+TWO\n three\n";

#[test]
fn patches_build_on_one_another_and_the_rest_is_copied() {
    let fixture = fixture();
    let second = "--- a/main.c\n+++ b/main.c\n@@ -2,2 +2,3 @@\n TWO\n three\n+four\n";
    patch(&fixture, &[CHANGE, second]).unwrap();
    let expected = tree(&[
        ("link", "l main.c"),
        ("main.c", "f one\nTWO\nthree\nfour\n"),
        ("run", "x #!\n"),
        ("sub", "d"),
        ("sub/old", "f gone\n"),
    ]);
    assert_eq!(fixture.out(), expected);
}

#[test]
fn gits_headers_make_delete_move_and_change_modes() {
    let fixture = fixture();
    let text = "\
diff --git a/new/file b/new/file
new file mode 100755
--- /dev/null
+++ b/new/file
@@ -0,0 +1 @@
+new
diff --git a/sub/old b/sub/old
deleted file mode 100644
--- a/sub/old
+++ /dev/null
@@ -1 +0,0 @@
-gone
diff --git a/main.c b/moved.c
similarity index 80%
rename from main.c
rename to moved.c
--- a/main.c
+++ b/moved.c
@@ -3 +3 @@
-three
+THREE
diff --git a/run b/run
old mode 100755
new mode 100644
";
    patch(&fixture, &[text]).unwrap();
    let expected = tree(&[
        ("link", "l main.c"),
        ("moved.c", "f one\ntwo\nTHREE\n"),
        ("new", "d"),
        ("new/file", "x new\n"),
        ("run", "f #!\n"),
        ("sub", "d"),
    ]);
    assert_eq!(fixture.out(), expected);
}

#[test]
fn a_hunk_that_does_not_fit_is_shown_and_leaves_no_tree() {
    let fixture = fixture();
    let text = "--- a/main.c\n+++ b/main.c\n@@ -1,2 +1,2 @@ int\n one\n-zwei\n+2\n";
    let error = patch(&fixture, &[CHANGE, text]).unwrap_err();
    let BuiltinError::Patch(PatchError::Hunk { patch, file, mismatch }) = &error else {
        panic!("{error:?}");
    };
    assert_eq!((patch.as_str(), file.as_str()), ("/hb/store/1.patch", "main.c"));
    assert_eq!(mismatch.hunk, "@@ -1,2 +1,2 @@ int");
    assert_eq!((mismatch.line, mismatch.expected.as_str()), (2, "zwei"));
    assert_eq!(mismatch.found.as_deref(), Some("TWO"));
    assert!(!fixture.path("out").exists());
}

#[test]
fn a_series_is_read_with_its_comments_and_its_options() {
    let fixture = fixture();
    fixture.input("debian/series", b"# first\n\nfirst.patch # why\nsub/second.patch -p2\n");
    fixture.input("debian/first.patch", CHANGE.as_bytes());
    let second = CHANGE.replace("a/main", "x/a/main").replace("b/main", "x/b/main");
    let second = second.replace("-two", "-TWO").replace("+TWO", "+2");
    fixture.input("debian/sub/second.patch", second.as_bytes());
    for series in ["/hb/store/debian", "/hb/store/debian/series"] {
        let attrs = json!({"source": "/hb/store/source", "series": series, "strip": 1});
        fixture.run("builtin:patch-1", &attrs, None).unwrap();
        assert_eq!(fixture.out()["main.c"], "f one\n2\nthree\n");
        fs::remove_dir_all(fixture.path("out")).unwrap();
    }
}

#[test]
fn files_that_should_or_should_not_be_there_are_named() {
    let made = "--- /dev/null\n+++ b/main.c\n@@ -0,0 +1 @@\n+x\n";
    let missing = CHANGE.replace("main.c", "none.c");
    let through = CHANGE.replace("main.c", "link");
    let upwards = CHANGE.replace("a/main.c", "a/../main.c");
    let more = "--- a/main.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-one\n";
    for (text, words) in [
        (made, "makes main.c, which is there already"),
        (&missing, "changes none.c, which is not a file of the tree"),
        (&through, "changes link, which is not a file of the tree"),
        (&upwards, "leads upwards"),
        (more, "deletes main.c, which has more in it"),
        ("no diff", "holds no diff"),
    ] {
        let error = said(&patch(&fixture(), &[text]).unwrap_err());
        assert!(error.contains(words), "{error}");
    }
}
