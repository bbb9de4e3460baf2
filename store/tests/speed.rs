//! Measures what must be quick; run by hand, optimised, with a folder to work in:
//! `TMPDIR=/dev/shm cargo test --release -p hb-store --test speed -- --ignored --nocapture`

#![allow(clippy::print_stdout, reason = "it prints what it measured")]

mod support;

use std::{fs, process::Command, time::Instant};

use hb_model::{Derivation, Input};
use hb_store::{GcOptions, OpenMode, Store, StoreOptions, VerifyOptions};
use support::{Fixture, derivation, name, output_of};

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    println!("{what}: {:.1} ms", start.elapsed().as_secs_f64() * 1000.0);
    result
}

#[test]
#[ignore = "measures; run by hand"]
fn adding_verifying_and_collecting_a_tree_of_20_000_files_and_500_mb() {
    let fixture = Fixture::new();
    let bytes: Vec<u8> =
        (0..25_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for number in 0..20_000 {
        let path = fixture.path(&format!("src/{}/{}", number / 50, number));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, [&bytes[..], format!("{number}").as_bytes()].concat()).unwrap();
    }
    let source = fixture.path("src");
    timed("cp -a", || {
        Command::new("cp").arg("-a").arg(&source).arg(fixture.path("copy")).status().unwrap()
    });
    let path = timed("add", || fixture.store.add_tree(&source, &name("source"), None).unwrap());
    timed("add again", || fixture.store.add_tree(&source, &name("source"), None).unwrap());
    timed("add under another name", || {
        fixture.store.add_tree(&source, &name("other"), None).unwrap()
    });
    let linking = StoreOptions { hard_links: true, ..StoreOptions::default() };
    let linking = Store::open_with(&fixture.path("links"), OpenMode::Write, linking).unwrap();
    timed("add with hard links", || linking.add_tree(&source, &name("source"), None).unwrap());
    timed("add with hard links under another name", || {
        linking.add_tree(&source, &name("other"), None).unwrap()
    });
    let report = timed("optimise", || linking.optimise(false, &|_, _| {}).unwrap());
    assert_eq!(report.files, 0, "all of it is shared");
    let options = VerifyOptions { contents: true };
    let findings = timed("verify contents", || fixture.store.verify(options, &|_| {}).unwrap());
    assert!(findings.is_empty());
    let built = fixture.build("built", &["out"], &[path], |at, _, _| {
        Command::new("cp").arg("-a").arg(&source).arg(at).status().unwrap();
    });
    timed("publish the same as an output", || fixture.publish(&built).unwrap());
    let fixture = timed("open", || fixture.reopen());
    timed("gc", || fixture.store.gc(&GcOptions::default(), &|_, _| {}).unwrap());
}

#[test]
#[ignore = "measures; run by hand"]
fn publishing_1_000_small_outputs() {
    let fixture = Fixture::new();
    let builds: Vec<_> = (0..1000)
        .map(|number| {
            fixture.build(&format!("n{number}"), &["out"], &[], |at, _, _| {
                fs::write(at, format!("{number}")).unwrap();
            })
        })
        .collect();
    timed("publish 1000", || {
        for built in &builds {
            fixture.publish(built).unwrap();
        }
    });
    let all = fixture.store.list().unwrap();
    timed("closure of 1000", || fixture.store.closure(&all).unwrap());
    timed("hold 1000", || fixture.store.hold(&all).unwrap());
}

#[test]
#[ignore = "measures; run by hand"]
fn adding_derivations() {
    for count in [200, 10_000] {
        let fixture = Fixture::new();
        let source = fixture.add("source", "text");
        let mut derivations: Vec<Derivation> = Vec::new();
        for number in 0..count {
            let below = derivations.last().map(output_of);
            let mut step = derivation(&format!("n{number}"), [Input::Path(source.clone())]);
            step.inputs.extend(below);
            derivations.push(step);
        }
        let derivations: Vec<_> = derivations.iter().collect();
        for what in ["add", "add again"] {
            timed(&format!("{what} {count} derivations"), || {
                fixture.add_derivations(&derivations).unwrap()
            });
        }
        timed(&format!("collect {count} derivations"), || {
            fixture.reopen().store.gc(&GcOptions::default(), &|_, _| {}).unwrap()
        });
    }
}
