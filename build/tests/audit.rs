//! Audits of derivations that leak something, each of which must be caught and named.

mod support;

use std::{collections::BTreeSet, fs};

use hb_build::{
    Cancel, Canceller, Events,
    audit::{Against, AuditOptions, AuditReport, Cause, DifferenceKind, Factor, Reason, audit},
};
use hb_model::{Derivation, Input};
use support::{World, graph, name, options, target};

async fn run(world: &World, derivation: &Derivation, against: &[&str]) -> AuditReport {
    let options = AuditOptions {
        rounds: 2.try_into().unwrap(),
        against: against.iter().map(|text| text.parse::<Against>().unwrap()).collect(),
        build: options(),
    };
    let graph = graph(&[derivation], &[derivation]);
    let (_canceller, cancel): (Canceller, Cancel) = Canceller::new();
    let target = target(derivation);
    audit(&world.store, &graph, &target, &options, Events::ignored(), &cancel).await.unwrap()
}

/// Audit a script and return the report with the causes that it names.
async fn check_audit(script: &str) -> (AuditReport, BTreeSet<Cause>) {
    let world = World::new();
    let report = run(&world, &world.script("audited", script, &[]), &[]).await;
    let causes = report.causes();
    (report, causes)
}

async fn check_leak(script: &str, cause: Cause) {
    let (report, causes) = check_audit(script).await;
    assert!(!report.is_identical(), "{report:#?}");
    assert_eq!(causes, BTreeSet::from([cause]), "{report:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_build_is_identical_and_says_what_was_varied() {
    let script = "mkdir $out; echo $out > $out/self; ln -s $out/self $out/link; env > $out/env";
    let (report, _) = check_audit(script).await;
    assert!(report.is_identical(), "{report:#?}");
    assert_eq!(report.rounds.len(), 2);
    assert!(report.rounds[0].conditions.varied.is_empty());
    let second = &report.rounds[1].conditions;
    for factor in [Factor::Time, Factor::ScratchHash, Factor::User, Factor::Load] {
        assert!(second.varied.contains(&factor), "{factor:?}: {second:?}");
    }
    let gap = second.started.duration_since(report.rounds[0].conditions.ended).unwrap();
    assert!(gap >= hb_build::audit::MIN_PAUSE);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_is_named() {
    check_leak("date -u +%s > $out", Cause::Time).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_written_date_is_named() {
    check_leak("date -u > $out", Cause::Time).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_random_number_is_named_with_its_path_and_bytes() {
    let script = "mkdir $out; echo same > $out/same; od -An -N8 -tx8 /dev/urandom > $out/id";
    let (report, causes) = check_audit(script).await;
    assert_eq!(causes, BTreeSet::from([Cause::Random]));
    let [found] = report.rounds[1].found.as_slice() else { panic!("{report:#?}") };
    assert_eq!(found.difference.path.to_str(), Some("id"));
    let DifferenceKind::Content(content) = &found.difference.kind else { panic!("{found:?}") };
    assert_ne!(content.excerpts[0].left, content.excerpts[0].right);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_many_names_an_input_has_is_named() {
    check_leak("echo $(stat -L -c %h /proc/$$/exe) names > $out", Cause::LinkCount).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_number_is_named() {
    check_leak("echo by process $$ > $out", Cause::ProcessId).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_of_processors_is_named_where_there_are_several() {
    let (report, causes) = check_audit("echo built by $(nproc) processors > $out").await;
    match std::thread::available_parallelism().map_or(1, |count| count.get()) {
        1 => {
            let left = &report.rounds[1].conditions.not_varied;
            assert!(left.iter().any(|left| left.reason == Reason::OneProcessor));
        }
        _ => assert_eq!(causes, BTreeSet::from([Cause::Processors]), "{report:#?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_user_is_named() {
    check_leak("id -u > $out", Cause::User).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scratch_path_that_cannot_be_rewritten_is_named() {
    let script = "mkdir $out; echo in $out > $out/plain; gzip < $out/plain > $out/plain.gz";
    let (report, causes) = check_audit(script).await;
    assert_eq!(causes, BTreeSet::from([Cause::ScratchPath]), "{report:#?}");
    let [found] = report.rounds[1].found.as_slice() else { panic!("{report:#?}") };
    assert_eq!(found.difference.path.to_str(), Some("plain.gz"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_order_of_listing_is_named_where_it_can_be_varied() {
    let world = World::new();
    let letters = world.root().join("letters");
    fs::create_dir(&letters).unwrap();
    for letter in ["c", "a", "e", "b", "d"] {
        fs::write(letters.join(letter), "").unwrap();
    }
    let letters = world.store.add_tree(&letters, &name("letters"), None).unwrap();
    let mut lister = world.script("lister", &format!("cd {letters}; find . > $out"), &[]);
    lister.inputs.push(Input::Path(letters));
    let report = run(&world, &lister, &[]).await;
    let second = &report.rounds[1].conditions;
    if second.varied.contains(&Factor::InputListing) {
        assert_eq!(report.causes(), BTreeSet::from([Cause::Order]), "{report:#?}");
    } else {
        let left = second.not_varied.iter().find(|left| left.factor == Factor::InputListing);
        assert_eq!(left.unwrap().reason, Reason::ListsByName);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_added_and_changed_paths_are_told_apart() {
    let script = "mkdir $out; case $(id -u) in
        1000) : > $out/first; ln -s a $out/link; : > $out/mode; mkdir $out/type;;
        *) : > $out/second; ln -s b $out/link; : > $out/mode; chmod +x $out/mode; : > $out/type;;
    esac";
    let (report, _) = check_audit(script).await;
    let found: Vec<_> = report.rounds[1]
        .found
        .iter()
        .map(|found| {
            let kind = match &found.difference.kind {
                DifferenceKind::Missing => "missing",
                DifferenceKind::Added => "added",
                DifferenceKind::Type { .. } => "type",
                DifferenceKind::Mode { .. } => "mode",
                DifferenceKind::Target { .. } => "target",
                DifferenceKind::Content(_) => "content",
            };
            format!("{} {kind}", found.difference.path.display())
        })
        .collect();
    assert_eq!(found, ["first missing", "link target", "mode mode", "type type", "second added"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn published_hashes_are_compared_with() {
    let world = World::new();
    let hello = world.script("hello", "mkdir $out; printf hello > $out/file", &[]);
    let right = "file=2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let wrong = "file=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let report = run(&world, &hello, &[right]).await;
    assert!(report.is_identical(), "{report:#?}");
    let report = run(&world, &hello, &[wrong]).await;
    assert!(!report.is_identical() && report.rounds[1].found.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_store_holds_is_compared_too() {
    let world = World::new();
    let random = world.script("random", "cat /proc/sys/kernel/random/uuid > $out", &[]);
    world.build(&graph(&[&random], &[&random])).await.unwrap();
    let report = run(&world, &random, &[]).await;
    assert_eq!(report.recorded.values().collect::<Vec<_>>(), [&false]);
    let honest = world.script("honest", "echo same > $out", &[]);
    world.build(&graph(&[&honest], &[&honest])).await.unwrap();
    assert_eq!(run(&world, &honest, &[]).await.recorded.values().collect::<Vec<_>>(), [&true]);
}
