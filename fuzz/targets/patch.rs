//! Any bytes as a patch, and as a list of patches, for a small tree.
#![no_main]

use hb_fuzz::Yard;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|patch: &[u8]| {
    let yard = Yard::new(&[
        ("source/a.c", b"one\ntwo\nthree\nfour\nfive\n"),
        ("source/sub/b.c", b"no end"),
        ("source/empty", b""),
        ("patches/fix.patch", patch),
        ("patches/series", patch),
    ]);
    for strip in 0..2 {
        let attrs = format!(
            r#"{{"source":"/hb/store/source","patches":["/hb/store/patches/fix.patch"],"strip":{strip}}}"#
        );
        if yard.run("builtin:patch-1", &attrs).is_ok() {
            std::fs::remove_dir_all(yard.path().join("out")).expect("the tree can be removed");
        }
    }
    let attrs = r#"{"source":"/hb/store/source","series":"/hb/store/patches"}"#;
    let _ = yard.run("builtin:patch-1", attrs);
});
