//! Taking the outputs of builds.

mod support;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use hb_model::{DeclaredHash, FixedMethod, FixedOutput, NodeDigest, OutputName, RealisationKey};
use hb_store::{STORE_MTIME, StoreError};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use support::{Fixture, resolved};

fn read(fixture: &Fixture, realisation: &hb_model::Realisation) -> String {
    fs::read_to_string(fixture.store.physical(&realisation.path)).unwrap()
}

#[test]
fn an_output_becomes_a_read_only_object_with_fixed_times() {
    let fixture = Fixture::new();
    let built = fixture.build("tool", &["out"], &[], |at, _, _| {
        fs::create_dir_all(at.join("bin")).unwrap();
        fs::write(at.join("bin/tool"), "#!").unwrap();
        fs::set_permissions(at.join("bin/tool"), fs::Permissions::from_mode(0o4777)).unwrap();
        fs::write(at.join("note"), "n").unwrap();
        symlink("bin/tool", at.join("link")).unwrap();
    });
    let out = &fixture.publish(&built).unwrap()["out"];
    let object = fixture.store.physical(&out.path);
    for (below, mode) in [("", 0o555), ("bin", 0o555), ("bin/tool", 0o555), ("note", 0o444)] {
        let meta = fs::metadata(object.join(below)).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.mtime()), (mode, STORE_MTIME), "{below}");
    }
    assert_eq!(fs::symlink_metadata(object.join("link")).unwrap().mtime(), STORE_MTIME);
    let info = fixture.store.info(&out.path).unwrap().unwrap();
    assert_eq!((info.digest, info.size), (out.digest, 2 + 1 + 8));
}

#[test]
fn a_self_reference_is_rewritten_and_the_path_follows_from_the_rest() {
    let fixture = Fixture::new();
    let make = |label: &str| {
        let built = fixture.build(label, &["out"], &[], |at, output, scratch| {
            fs::create_dir(at).unwrap();
            let own = &scratch[output];
            fs::write(at.join("a"), format!("I am {own}, truly {own}")).unwrap();
            symlink(format!("{own}/a"), at.join("b")).unwrap();
        });
        fixture.publish(&built).unwrap().remove("out").unwrap()
    };
    let out = make("selfish");
    let object = fixture.store.physical(&out.path);
    let expected = format!("I am {0}, truly {0}", out.path);
    assert_eq!(fs::read_to_string(object.join("a")).unwrap(), expected);
    let target = fs::read_link(object.join("b")).unwrap();
    assert_eq!(target.to_str().unwrap(), format!("{}/a", out.path));
    assert_eq!(out.references, BTreeSet::from([out.path.clone()]));
    let info = fixture.store.info(&out.path).unwrap().unwrap();
    assert!(info.self_reference && info.references.is_empty());
}

#[test]
fn two_builds_that_differ_only_in_their_scratch_path_give_the_same_object() {
    let fixture = Fixture::new();
    let built = |variant| {
        let mut built = fixture.build("same", &["out"], &[], |_, _, _| {});
        let output = built.outputs.values_mut().next().unwrap();
        let key = (resolved("same"), OutputName::out());
        let own = output.scratch.name().clone();
        output.scratch = hb_model::StorePath::scratch(&key.0, &key.1, own, variant);
        fs::write(&output.at, format!("self: {}\n", output.scratch)).unwrap();
        built
    };
    let first = fixture.publish(&built(0)).unwrap();
    let second = fixture.store.prepare(&built(1)).unwrap();
    assert_eq!(second.outputs()[&OutputName::out()].path, first["out"].path);
    assert_eq!(second.outputs()[&OutputName::out()].digest, first["out"].digest);
}

#[test]
fn references_to_inputs_are_found_in_files_links_and_names() {
    let fixture = Fixture::new();
    let inputs: Vec<_> = ["a", "b", "c", "unused"].map(|text| fixture.add(text, text)).to_vec();
    let built = fixture.build("user", &["out"], &inputs, |at, _, _| {
        fs::create_dir(at).unwrap();
        let padding = "x".repeat(300_000);
        fs::write(at.join("file"), format!("{padding}{}", inputs[0].hash_part())).unwrap();
        symlink(inputs[1].to_string(), at.join("link")).unwrap();
        fs::write(at.join(inputs[2].base_name()), "").unwrap();
    });
    let out = &fixture.publish(&built).unwrap()["out"];
    assert_eq!(out.references, inputs[..3].iter().cloned().collect());
    let closure = fixture.store.closure(std::slice::from_ref(&out.path)).unwrap();
    assert_eq!(closure.len(), 4);
    assert_eq!(closure.last(), Some(&out.path), "dependencies come first");
    assert!(fixture.store.referrers(&inputs[0]).unwrap().contains(&out.path));
}

#[test]
fn outputs_may_refer_to_each_other_in_one_direction() {
    let fixture = Fixture::new();
    // `bin` comes before `out` by name and refers to it.
    let built = fixture.build("multi", &["bin", "out"], &[], |at, output, scratch| {
        let text = match output {
            "bin" => format!("needs {} and {}", scratch["out"], scratch["bin"]),
            _ => "data".to_owned(),
        };
        fs::write(at, text).unwrap();
    });
    let published = fixture.publish(&built).unwrap();
    let (bin, out) = (&published["bin"], &published["out"]);
    assert_eq!(read(&fixture, bin), format!("needs {} and {}", out.path, bin.path));
    assert_eq!(bin.references, BTreeSet::from([bin.path.clone(), out.path.clone()]));
    assert_eq!(bin.path.name().as_str(), "multi-bin");
}

#[test]
fn outputs_that_refer_to_each_other_in_a_circle_are_refused_by_name() {
    let fixture = Fixture::new();
    let built = fixture.build("circle", &["a", "b", "c"], &[], |at, output, scratch| {
        let other = if output == "a" { "b" } else { "a" };
        fs::write(at, if output == "c" { String::new() } else { scratch[other].to_string() })
            .unwrap();
    });
    let Err(StoreError::OutputCycle { outputs }) = fixture.publish(&built) else {
        panic!("not refused")
    };
    assert_eq!(outputs.iter().map(ToString::to_string).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(fixture.store.list().unwrap(), []);
}

#[test]
fn the_same_bytes_from_another_derivation_are_not_stored_again() {
    let fixture = Fixture::new();
    let make = |label: &str| {
        let built = fixture.build(label, &["out"], &[], |at, _, _| fs::write(at, "same").unwrap());
        let mut built = built;
        let output = built.outputs.values_mut().next().unwrap();
        let own = support::name("common");
        output.scratch = hb_model::StorePath::scratch(&built.resolved, &OutputName::out(), own, 0);
        fixture.publish(&built).unwrap().remove("out").unwrap()
    };
    let first = make("one");
    let inode = fs::metadata(fixture.store.physical(&first.path)).unwrap().ino();
    let second = make("two");
    assert_eq!(first.path, second.path);
    assert_eq!(fs::metadata(fixture.store.physical(&first.path)).unwrap().ino(), inode);
    assert_eq!(fixture.store.realisations_of(&first.path).unwrap().len(), 2);
}

#[test]
fn a_realisation_is_found_under_its_key() {
    let fixture = Fixture::new();
    let out = fixture.publish_text("known", "text");
    let key = RealisationKey { resolved: resolved("known"), output: OutputName::out() };
    assert_eq!(fixture.store.realisation(&key).unwrap().unwrap().realisation, out);
    let other = RealisationKey { resolved: resolved("other"), output: OutputName::out() };
    assert!(fixture.store.realisation(&other).unwrap().is_none());
}

#[test]
fn hard_links_of_the_builder_do_not_reach_the_store() {
    let fixture = Fixture::new();
    let outside = fixture.write("outside", b"before");
    let built = fixture.build("linked", &["out"], &[], |at, _, _| {
        fs::hard_link(&outside, at).unwrap();
    });
    let out = fixture.publish(&built).unwrap().remove("out").unwrap();
    fs::write(&outside, "after").unwrap();
    assert_eq!(read(&fixture, &out), "before");
}

/// No process of a build lives when its outputs are taken. Should one live all the same, it
/// still cannot make hb read through a link.
#[test]
fn a_tree_that_changes_while_it_is_taken_gives_nothing_from_elsewhere() {
    let fixture = Fixture::new();
    let elsewhere = fixture.path("elsewhere");
    fs::create_dir_all(elsewhere.join("e")).unwrap();
    fs::write(elsewhere.join("f"), "secret").unwrap();
    fs::write(elsewhere.join("e/f"), "secret").unwrap();
    let built = fixture.build("raced", &["out"], &[], |at, _, _| {
        fs::create_dir_all(at.join("d/e")).unwrap();
        fs::write(at.join("d/e/f"), "plain").unwrap();
        fs::write(at.join("f"), "plain").unwrap();
        let beside = at.parent().unwrap();
        symlink(&elsewhere, beside.join("d")).unwrap();
        symlink(elsewhere.join("f"), beside.join("f")).unwrap();
    });
    let at = built.outputs[&OutputName::out()].at.clone();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for name in ["d", "f"] {
                    let (inside, beside) = (at.join(name), at.with_file_name(name));
                    renameat_with(CWD, inside, CWD, beside, RenameFlags::EXCHANGE).unwrap();
                }
            }
        });
        let (mut taken, mut wrong) = (0, 0);
        for _ in 0..500 {
            // That it changed is an error, or it is taken as it was at some moment.
            let Ok(prepared) = fixture.store.prepare(&built) else { continue };
            taken += 1;
            let staged = &prepared.outputs()[&OutputName::out()].staged;
            for (below, first) in [("f", "f"), ("d/e/f", "d")] {
                let is_link = staged.join(first).is_symlink();
                let plain = fs::read(staged.join(below)).is_ok_and(|bytes| bytes == b"plain");
                wrong += u32::from(!is_link && !plain);
            }
        }
        done.store(true, Ordering::Relaxed);
        assert!(taken > 0 && wrong == 0, "{wrong} of {taken}");
    });
}

#[test]
fn what_the_builder_shut_is_taken_all_the_same() {
    let fixture = Fixture::new();
    let built = fixture.build("shut", &["out"], &[], |at, _, _| {
        fs::create_dir_all(at.join("d")).unwrap();
        fs::write(at.join("d/f"), "f").unwrap();
        for (below, mode) in [("d/f", 0), ("d", 0), ("", 0o100)] {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(at.join(below), mode).unwrap();
        }
    });
    let out = fixture.publish(&built).unwrap().remove("out").unwrap();
    let file = fixture.store.physical(&out.path).join("d/f");
    assert_eq!(fs::read_to_string(file).unwrap(), "f");
}

#[test]
fn a_missing_output_is_named() {
    let fixture = Fixture::new();
    let built = fixture.build("lazy", &["doc", "out"], &[], |at, output, _| {
        if output == "out" {
            fs::write(at, "").unwrap();
        }
    });
    let error = fixture.publish(&built).unwrap_err();
    assert!(matches!(error, StoreError::MissingOutput { output, .. } if output.as_str() == "doc"));
}

#[test]
fn a_file_named_after_the_scratch_hash_is_refused() {
    let fixture = Fixture::new();
    let built = fixture.build("named", &["out"], &[], |at, _, scratch| {
        fs::create_dir(at).unwrap();
        fs::write(at.join(scratch["out"].hash_part()), "").unwrap();
    });
    assert!(matches!(fixture.publish(&built), Err(StoreError::HashInName { .. })));
}

fn fixed(
    fixture: &Fixture,
    text: &str,
    method: FixedMethod,
    hash: DeclaredHash,
) -> hb_store::Built {
    let mut built = fixture.build("fetch", &["out"], &[], |at, _, _| fs::write(at, text).unwrap());
    built.fixed = Some(FixedOutput { method, hash });
    built
}

fn sha256(text: &str) -> DeclaredHash {
    let mut hasher = hb_model::Hasher::new(hb_model::Algorithm::Sha256);
    hasher.update(text.as_bytes());
    hasher.finish()
}

#[test]
fn a_fixed_output_gets_the_path_of_its_declared_hash() {
    let fixture = Fixture::new();
    let built = fixed(&fixture, "got", FixedMethod::Flat, sha256("got"));
    let out = fixture.publish(&built).unwrap().remove("out").unwrap();
    let expected =
        hb_model::StorePath::of_fixed(support::name("fetch"), FixedMethod::Flat, &sha256("got"));
    assert_eq!(out.path, expected);
    let tree = NodeDigest::of_file(false, &hb_model::ContentDigest::of(b"got")).to_string();
    let hash = DeclaredHash::parse(hb_model::Algorithm::Blake3, &tree).unwrap();
    assert!(fixture.publish(&fixed(&fixture, "got", FixedMethod::Tree, hash)).is_ok());
}

#[test]
fn a_wrong_hash_says_both_and_keeps_the_file_aside() {
    let fixture = Fixture::new();
    let error = fixture
        .publish(&fixed(&fixture, "got", FixedMethod::Flat, sha256("expected")))
        .unwrap_err();
    let StoreError::HashMismatch { expected, got, kept, .. } = error else { panic!("{error}") };
    assert_eq!((expected, got), (sha256("expected"), sha256("got")));
    assert_eq!(fs::read_to_string(&kept).unwrap(), "got");
    assert!(kept.starts_with(fixture.store.root().join("failed")));
    assert_eq!(fixture.store.list().unwrap(), []);
}

#[test]
fn a_leftover_at_the_objects_place_is_replaced() {
    let fixture = Fixture::new();
    let built = fixture.build("left", &["out"], &[], |at, _, _| {
        fs::create_dir(at).unwrap();
        fs::write(at.join("a"), "whole").unwrap();
    });
    let prepared = fixture.store.prepare(&built).unwrap();
    let place = fixture.store.physical(&prepared.outputs()[&OutputName::out()].path);
    fs::create_dir(&place).unwrap();
    fs::write(place.join("a"), "broken").unwrap();
    fs::set_permissions(&place, fs::Permissions::from_mode(0o555)).unwrap();
    fixture.store.commit(prepared).unwrap();
    assert_eq!(fs::read_to_string(place.join("a")).unwrap(), "whole");
}

#[test]
fn prepared_outputs_that_are_dropped_leave_nothing() {
    let fixture = Fixture::new();
    let built = fixture.build("audit", &["out"], &[], |at, _, _| fs::write(at, "x").unwrap());
    let prepared = fixture.store.prepare(&built).unwrap();
    let staged = prepared.outputs()[&OutputName::out()].staged.clone();
    assert_eq!(fs::read_to_string(&staged).unwrap(), "x");
    drop(prepared);
    assert!(!staged.exists());
    assert_eq!(fixture.store.list().unwrap(), []);
}
