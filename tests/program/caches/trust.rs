//! Who must have signed what a cache says that builds gave.

use std::fs;

use hb_model::{NodeDigest, Realisation, SecretKey, Signed};

use super::{Builder, build, check_pulled, settings};
use crate::support::Project;

/// The other machine believes what so many of the named builders have signed.
fn believing(builder: &Builder, needed: usize, keys: &[&str]) -> Project {
    let other = Project::with_recipe(&builder.recipe);
    fs::create_dir_all(other.home().join(".config/hb")).unwrap();
    let cache = builder.cache();
    settings(
        &other,
        &format!("caches = [{cache:?}]\nsignatures-needed = {needed}\ntrusted-keys = {keys:?}\n"),
    );
    other
}

/// Everything is built, and nothing is wrong with the cache.
fn check_unbelieved(other: &Project) {
    let (_, said) = build(other, &[]);
    assert!(said.contains("built upper") && !said.contains("pulled upper"), "{said}");
    assert!(!said.contains("warning"), "{said}");
}

#[test]
fn builds_are_pulled_where_enough_of_the_named_builders_signed_them() {
    let builder = Builder::new();
    let others = ["second", "third", "nobody"];
    let [second, third, nobody] = others.map(|name| builder.project.succeeds(["key", "new", name]));
    let first = builder.key.clone();
    let keys = [&*first, &*second, &*third];
    builder.push(&["--sign", "builder"]);
    check_unbelieved(&believing(&builder, 2, &keys));
    // Somebody whom nobody has named.
    builder.push(&["--sign", "nobody"]);
    check_unbelieved(&believing(&builder, 2, &keys));
    // One key under two names is one builder.
    let renamed = first.replacen("builder:", "again:", 1);
    check_unbelieved(&believing(&builder, 2, &[&first, &renamed, &second]));

    builder.push(&["--sign", "third"]);
    check_pulled(&builder, &believing(&builder, 2, &keys), &[]);
    check_pulled(&builder, &believing(&builder, 1, &[&nobody]), &[]);
    check_unbelieved(&believing(&builder, 3, &keys));
    builder.push(&["--sign", "second"]);
    check_pulled(&builder, &believing(&builder, 3, &keys), &[]);
}

/// Let the second builder say something else, and sign that.
fn restate(builder: &Builder, change: impl Fn(&mut Realisation)) {
    let key = builder.project.home().join(".config/hb/keys/second.secret");
    let key: SecretKey = fs::read_to_string(key).unwrap().trim().parse().unwrap();
    let again = |text: &str| {
        let mut realisation = Signed::parse(text).unwrap().realisation;
        change(&mut realisation);
        let signature = key.sign(&realisation);
        Signed { realisation, signatures: vec![signature] }.to_text() + "\n"
    };
    for area in ["builds", "graphs"] {
        for folder in fs::read_dir(builder.cache().join(area)).unwrap().flatten() {
            let file = folder.path().join("second");
            let text = zstd::decode_all(&fs::read(&file).unwrap()[..]).unwrap();
            let text = String::from_utf8(text).unwrap();
            let parts = text.split_inclusive("\n\n").map(|part| part.strip_suffix('\n').unwrap());
            let text: String = parts.map(again).collect();
            fs::write(file, zstd::encode_all(text.as_bytes(), 0).unwrap()).unwrap();
        }
    }
}

#[test]
fn builders_agree_if_the_same_came_out_however_they_made_it() {
    let builder = Builder::pushed();
    let second = builder.project.succeeds(["key", "new", "second"]);
    builder.push(&["--sign", "second"]);
    let other = || believing(&builder, 2, &[&builder.key, &second]);
    restate(&builder, |it| it.builder = "hb of another version".to_owned());
    check_pulled(&builder, &other(), &[]);
    restate(&builder, |it| it.digest = NodeDigest::from_bytes([7; 32]));
    check_unbelieved(&other());
}
