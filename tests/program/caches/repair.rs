//! A damaged store that is mended out of a cache.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Builder, settings, tamper};
use crate::support::{Project, explain, make_writable};

/// The object of a project's store that is called so.
fn object(project: &Project, name: &str) -> PathBuf {
    let entries = fs::read_dir(project.store.join("store")).unwrap().flatten();
    let mut paths = entries.map(|entry| entry.path());
    paths.find(|path| path.to_string_lossy().ends_with(&format!("-{name}"))).unwrap()
}

/// Put other bytes into an object that is a file.
fn damage(file: &Path) {
    make_writable(file.parent().unwrap());
    fs::remove_file(file).unwrap();
    fs::write(file, "damaged").unwrap();
}

/// A machine that got everything from the cache, and can build nothing of it: what it would
/// be fetched from is gone. What was pulled is damaged there.
fn damaged(builder: &Builder) -> Project {
    let other = builder.other(&[builder.cache().to_str().unwrap()]);
    other.succeeds(["build", "recipe.hb", "--no-link"]);
    for name in ["lower", "upper"] {
        damage(&object(&other, name));
    }
    other.fails(5, ["store", "verify", "--contents"]);
    other
}

#[test]
fn what_cannot_be_built_again_comes_from_a_cache() {
    let builder = Builder::pushed();
    let other = damaged(&builder);
    let output = other.hb(["store", "verify", "--contents", "--repair"]).output().unwrap();
    assert!(output.status.success(), "{}", explain(&output));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.matches("came from a cache").count(), 2, "{said}");
    assert!(!said.contains("building"), "{said}");
    let upper = object(&other, "upper");
    assert_eq!(fs::read(&upper).unwrap(), fs::read(&builder.built).unwrap());
    let aside = other.store.join("failed").join(upper.file_name().unwrap());
    assert_eq!(fs::read_to_string(aside).unwrap(), "damaged");
    other.succeeds(["store", "verify", "--contents"]);
    // What gave it is known as before, and nobody is asked.
    fs::remove_dir_all(builder.cache()).unwrap();
    let output = other.hb(["build", "recipe.hb", "--no-link"]).output().unwrap();
    let said = explain(&output);
    assert!(output.status.success() && !said.contains("warning"), "{said}");
}

#[test]
fn nobody_need_be_trusted_for_content_and_other_derivations_need_not_be_known() {
    let builder = Builder::pushed();
    let cache = builder.cache();
    let cache = cache.to_str().unwrap();
    let other = Project::new();
    other.succeeds(["cache", "pull", "--from", cache, &builder.built]);
    damage(&object(&other, "upper"));
    other.fails(5, ["store", "verify", "--repair"]);
    fs::create_dir_all(other.home().join(".config/hb")).unwrap();
    settings(&other, &format!("caches = [{cache:?}]\n"));
    other.succeeds(["store", "verify", "--repair"]);
    assert_eq!(fs::read(object(&other, "upper")).unwrap(), fs::read(&builder.built).unwrap());
}

#[test]
fn a_cache_that_lies_mends_nothing() {
    let builder = Builder::pushed();
    let other = damaged(&builder);
    tamper(&builder.cache().join("chunks"), &|mut bytes| {
        bytes[0] ^= 1;
        bytes
    });
    let output = other.hb(["store", "verify", "--contents", "--repair"]).output().unwrap();
    assert_eq!(output.status.code(), Some(5), "{}", explain(&output));
    let said = explain(&output);
    assert!(said.contains("is not what its name says"), "{said}");
    assert!(!said.contains("came from a cache"), "{said}");
    let objects = fs::read_dir(other.store.join("store")).unwrap().flatten();
    let names: Vec<_> = objects.map(|it| it.file_name().into_string().unwrap()).collect();
    assert!(!names.iter().any(|name| name.ends_with("-upper")), "{names:?}");
    // Where it can be built, it is built.
    other.recipe(&builder.recipe);
    other.succeeds(["build", "recipe.hb", "--no-link"]);
    other.succeeds(["store", "verify", "--contents"]);
}
