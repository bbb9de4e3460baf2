//! Whole builds, in real sandboxes, with a static busybox as the builder.

mod support;

use std::{collections::BTreeSet, fs, num::NonZeroUsize, process::Command, time::Duration};

use hb_build::{
    BuildError, BuildOptions, Canceller, Event, Events, Failure, FailureCause, Phase,
    fetch::FetchSettings,
};
use hb_model::{FileContent, Limits, OutputName, Outputs};
use hb_store::GcOptions;
use support::{World, fetch, graph, name, options, out, target};

/// The only failure of a build that failed.
fn failure(result: Result<hb_build::BuildReport, BuildError>) -> std::sync::Arc<Failure> {
    match result {
        Err(BuildError::Failed { mut failures, .. }) if failures.len() == 1 => failures.remove(0),
        other => panic!("expected one failure, got {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_makes_its_output_and_is_not_repeated() {
    let world = World::new();
    let hello = world.script("hello", "echo hello > $out", &[]);
    let graph = graph(&[&hello], &[&hello]);
    let report = world.build(&graph).await.unwrap();
    assert_eq!(world.read(&report, &hello), "hello\n");
    assert_eq!(report.counts.built, 1);
    let again = world.build(&graph).await.unwrap();
    assert_eq!((again.counts.built, again.outputs), (0, report.outputs));
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_of_inputs_can_be_read() {
    let world = World::new();
    let first = world.script("first", "echo first > $out", &[]);
    let script = format!("cat {} > $out; echo second >> $out", out(&first));
    let second = world.script("second", &script, &[&first]);
    let report = world.build(&graph(&[&first, &second], &[&second])).await.unwrap();
    assert_eq!(world.read(&report, &second), "first\nsecond\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_attributes_and_closures_lie_in_the_build_folder() {
    let world = World::new();
    let first = world.script("first", "echo first > $out", &[]);
    let mut all = world.script("all", "cat text copy attrs.json closure > $out", &[&first]);
    all.files = [
        ("text".into(), FileContent::Text("text\n".into())),
        ("copy".into(), FileContent::Path(out(&first))),
    ]
    .into();
    all.attrs = Some("{\"a\":1}\n".into());
    all.closure_info = [("closure".into(), BTreeSet::from([out(&first)]))].into();
    let report = world.build(&graph(&[&first, &all], &[&all])).await.unwrap();
    let text = world.read(&report, &all);
    let closure = text.strip_prefix("text\nfirst\n{\"a\":1}\n").unwrap();
    assert!(closure.starts_with("/hb/store/") && closure.ends_with("-first\n"), "{closure}");
    assert_eq!(closure.lines().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_tells_status_and_the_end_of_the_log() {
    let world = World::new();
    let bad = world.script("bad", "seq 1 50; echo oh no >&2; exit 3", &[]);
    let (result, events) = world.build_with(&graph(&[&bad], &[&bad]), &options()).await;
    let failure = failure(result);
    assert!(matches!(failure.cause, FailureCause::Status { status: 3 }), "{:?}", failure.cause);
    let log = failure.log.as_ref().unwrap();
    assert_eq!(log.lines.last().unwrap(), "oh no");
    assert!(fs::read_to_string(&log.path).unwrap().starts_with("1\n2\n"));
    assert!(failure.kept.is_none());
    assert!(matches!(events.last(), Some(Event::Failed(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_of_a_failed_build_is_kept_on_request() {
    let world = World::new();
    let bad = world.script("bad", "echo evidence > left; exit 1", &[]);
    let options = BuildOptions { keep_failed: true, ..options() };
    let kept = failure(world.build_with(&graph(&[&bad], &[&bad]), &options).await.0).kept.clone();
    assert_eq!(fs::read_to_string(kept.unwrap().join("build/left")).unwrap(), "evidence\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_that_was_not_made_is_a_failure() {
    let world = World::new();
    let lazy = world.script("lazy", ":", &[]);
    let failure = failure(world.build(&graph(&[&lazy], &[&lazy])).await);
    let FailureCause::Output(error) = &failure.cause else { panic!("{:?}", failure.cause) };
    assert!(error.to_string().contains("'out'"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_outputs_may_refer_to_each_other_and_themselves() {
    let world = World::new();
    let script = "mkdir $out; echo $out $doc > $out/me; echo doc > $doc";
    let mut two = world.script("two", script, &[]);
    two.outputs =
        Outputs::Floating(vec![OutputName::out(), OutputName::new("doc").unwrap()].into());
    let report = world.build(&graph(&[&two], &[&two])).await.unwrap();
    let path = &report.outputs[&target(&two)];
    let text = fs::read_to_string(world.store.physical(path).join("me")).unwrap();
    let info = world.store.info(path).unwrap().unwrap();
    let doc = info.references.first().unwrap();
    assert_eq!(text, format!("{path} {doc}\n"));
    assert!(info.self_reference && doc.name().as_str() == "two-doc");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_bytes_stop_a_rebuild() {
    let world = World::new();
    let build = async |note: &str| {
        let first = world.script("first", &format!("# {note}\necho same > $out"), &[]);
        let script = format!("cat {} > $out", out(&first));
        let second = world.script("second", &script, &[&first]);
        world.build(&graph(&[&first, &second], &[&second])).await.unwrap().counts
    };
    assert_eq!(build("a").await.built, 2);
    let counts = build("b").await;
    assert_eq!((counts.built, counts.reused), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_ids_of_one_resolved_derivation_are_built_once() {
    let world = World::new();
    let base = |note: &str| world.script("base", &format!("# {note}\necho b > $out"), &[]);
    let (left, right) = (base("left"), base("right"));
    let top = |below| world.script("top", &format!("cat {} > $out", out(below)), &[below]);
    let (first, second) = (top(&left), top(&right));
    assert_ne!(first.id(), second.id());
    let graph = graph(&[&left, &right, &first, &second], &[&first, &second]);
    let (result, events) = world.build_with(&graph, &options()).await;
    assert_eq!(result.unwrap().counts.built, 3, "both bases, and one of the tops");
    let started = |event: &&Event| matches!(event, Event::Started { .. });
    assert_eq!(events.iter().filter(started).count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn independent_work_goes_on_only_on_request() {
    let world = World::new();
    let bad = world.script("bad", "exit 1", &[]);
    let good = world.script("good", "sleep 0.1; echo good > $out", &[]);
    let after = world.script("after", &format!("cat {} > $out", out(&good)), &[&good]);
    let blocked = world.script("blocked", &format!("cat {}", out(&bad)), &[&bad]);
    let graph = graph(&[&bad, &good, &after, &blocked], &[&blocked, &after]);
    for (keep_going, expected) in [(false, false), (true, true)] {
        let jobs = NonZeroUsize::new(2).unwrap();
        let options = BuildOptions { keep_going, jobs, ..options() };
        let (result, events) = world.build_with(&graph, &options).await;
        let Err(BuildError::Failed { failures, blocked }) = result else { panic!("{result:?}") };
        assert_eq!(failures.len(), 1);
        assert!(blocked.contains(&name("blocked")), "{blocked:?}");
        let is_after = |event: &Event| matches!(event, Event::Finished { step, .. } if step.name == name("after"));
        assert_eq!(events.iter().any(is_after), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_the_allowed_number_of_builders_runs_at_once() {
    let world = World::new();
    let many: Vec<_> =
        (0..6).map(|n| world.script(&format!("n{n}"), "sleep 0.05; : > $out", &[])).collect();
    let many: Vec<_> = many.iter().collect();
    let options = BuildOptions { jobs: NonZeroUsize::new(2).unwrap(), ..options() };
    let (result, events) = world.build_with(&graph(&many, &many), &options).await;
    assert_eq!(result.unwrap().counts.built, 6);
    let mut running = 0;
    let mut most = 0;
    for event in events {
        match event {
            Event::Started { .. } => running += 1,
            Event::Entered { phase: Phase::Publishing, .. } => running -= 1,
            _ => {}
        }
        most = most.max(running);
    }
    assert_eq!(most, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_builder_runs_while_outputs_are_published() {
    let world = World::new();
    let large = |n| world.script(&format!("n{n}"), "head -c 50000000 /dev/zero > $out", &[]);
    let (first, second) = (large(1), large(2));
    let options = BuildOptions { jobs: NonZeroUsize::MIN, ..options() };
    let graph = graph(&[&first, &second], &[&first, &second]);
    let (result, events) = world.build_with(&graph, &options).await;
    assert_eq!(result.unwrap().counts.built, 2);
    let order: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Started { .. } => Some("started"),
            Event::Entered { phase: Phase::Publishing, .. } => Some("ran"),
            Event::Finished { .. } => Some("published"),
            _ => None,
        })
        .collect();
    assert_eq!(order[..3], ["started", "ran", "started"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_leaves_no_process_and_registers_nothing() {
    let world = World::new();
    let marker = format!("sleep 86{}", std::process::id());
    let slow = world.script("slow", &format!("echo ready; {marker}; : > $out"), &[]);
    let graph = graph(&[&slow], &[&slow]);
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let (canceller, cancel) = Canceller::new();
    let stop_when_ready = async {
        while let Some(event) = events.recv().await {
            if matches!(event, Event::Log { .. }) {
                canceller.cancel();
                break;
            }
        }
        // Keeps the channel and the canceller until the build is over.
        (events, canceller)
    };
    let options = options();
    let build = hb_build::build(&world.store, &graph, &options, Events::new(sender), &cancel);
    let (result, (events, _canceller)) = tokio::join!(build, stop_when_ready);
    assert!(matches!(result, Err(BuildError::Cancelled)), "{result:?}");
    assert!(matches!(support::drain(events).last(), Some(Event::Stopped { .. })));
    let processes = Command::new("ps").args(["-eo", "args"]).output().unwrap().stdout;
    assert!(!String::from_utf8_lossy(&processes).contains(&marker));
    let mut left = world.store.list().unwrap();
    left.retain(|path| path.name() != &name("slow.drv"));
    assert_eq!(left, std::slice::from_ref(&world.busybox));
}

#[tokio::test(flavor = "multi_thread")]
async fn offline_names_everything_that_is_missing_before_anything_is_built() {
    let world = World::new();
    let (a, b) = (fetch("a"), fetch("b"));
    let first = world.script("first", &format!("cat {} > $out", out(&a)), &[&a]);
    let script = format!("cat {} {} > $out", out(&first), out(&b));
    let second = world.script("second", &script, &[&first, &b]);
    let other = world.script("other", ": > $out", &[]);
    let graph = graph(&[&a, &b, &first, &second, &other], &[&second, &other]);
    let fetch = FetchSettings { offline: true, ..Default::default() };
    let options = BuildOptions { fetch, ..options() };
    let (result, events) = world.build_with(&graph, &options).await;
    let Err(BuildError::Offline { missing }) = result else { panic!("{result:?}") };
    let names: Vec<_> = missing.iter().map(|item| item.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(events.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_has_no_network() {
    let world = World::new();
    let script = "if nc -w 2 192.0.2.1 80 < /dev/null 2> err; then exit 7; fi; cat err; : > $out";
    let nosy = world.script("nosy", script, &[]);
    let (result, events) = world.build_with(&graph(&[&nosy], &[&nosy]), &options()).await;
    result.unwrap();
    let said: Vec<u8> = events
        .into_iter()
        .filter_map(|event| match event {
            Event::Log { bytes, .. } => Some(bytes),
            _ => None,
        })
        .flatten()
        .collect();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("Network is unreachable"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_system_is_refused_by_name() {
    let world = World::new();
    let mut foreign = world.script("foreign", ": > $out", &[]);
    foreign.system = "loongarch64-linux".into();
    let failure = failure(world.build(&graph(&[&foreign], &[&foreign])).await);
    let text = failure.cause.to_string();
    assert!(
        text.contains("loongarch64-linux") && text.contains(&hb_build::this_system()),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_that_takes_too_long_is_ended() {
    let world = World::new();
    let mut slow = world.script("slow", "sleep 60", &[]);
    slow.limits = Limits { timeout: 1, ..Limits::default() };
    let failure = failure(world.build(&graph(&[&slow], &[&slow])).await);
    let limit = Duration::from_secs(1);
    assert!(matches!(failure.cause, FailureCause::TimedOut { limit: l } if l == limit));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_nothing_could_load_needs_a_runtime_root() {
    let world = World::new();
    let itself = fs::read(std::env::current_exe().unwrap()).unwrap();
    let dynamic = world.store.add_file(&name("dynamic"), &itself, true, &Default::default());
    let dynamic = dynamic.unwrap();
    let mut copy = world.script("copy", &format!("cat {dynamic} > $out; chmod +x $out"), &[]);
    copy.inputs.push(hb_model::Input::Path(dynamic));
    let failed = failure(world.build(&graph(&[&copy], &[&copy])).await);
    assert!(matches!(failed.cause, FailureCause::Interpreter { .. }), "{:?}", failed.cause);

    copy.runtime_root = Some(world.busybox.to_string());
    let report = world.build(&graph(&[&copy], &[&copy])).await.unwrap();
    let info = world.store.info(&report.outputs[&target(&copy)]).unwrap().unwrap();
    assert!(info.references.contains(&world.busybox));
}

#[tokio::test(flavor = "multi_thread")]
async fn building_again_tells_a_difference_and_keeps_what_is_there() {
    let world = World::new();
    let same = world.script("same", "echo same > $out", &[]);
    let other = world.script("other", "cat /proc/sys/kernel/random/uuid > $out", &[]);
    let again = BuildOptions { rebuild: true, ..options() };
    let same = graph(&[&same], &[&same]);
    let first = world.build(&same).await.unwrap();
    let second = world.build_with(&same, &again).await.0.unwrap();
    assert_eq!((second.counts.built, second.outputs), (1, first.outputs));

    let graph = graph(&[&other], &[&other]);
    let first = world.build(&graph).await.unwrap();
    let result = world.build_with(&graph, &again).await.0;
    assert!(matches!(result, Err(BuildError::NotReproducible { .. })), "{result:?}");
    assert_eq!(world.build(&graph).await.unwrap().outputs, first.outputs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_source_is_named_before_anything_is_built() {
    let world = World::new();
    let elsewhere = World::new();
    let gone = elsewhere.store.add_file(&name("gone"), b"x", false, &Default::default()).unwrap();
    let mut lost = world.script("lost", ": > $out", &[]);
    lost.inputs.push(hb_model::Input::Path(gone.clone()));
    let result = world.build(&graph(&[&lost], &[&lost])).await;
    let Err(BuildError::MissingSources { missing }) = result else { panic!("{result:?}") };
    assert_eq!((missing.len(), &missing[0].path), (1, &gone));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_built_from_collected_steps_is_still_known() {
    let world = World::new();
    let first = world.script("first", "echo same > $out", &[]);
    // Takes nothing of the first into its output, so that it does not keep it.
    let script = format!("read line < {}; echo got $line > $out", out(&first));
    let second = world.script("second", &script, &[&first]);
    let graph = graph(&[&first, &second], &[&second]);
    let built = world.build(&graph).await.unwrap();
    let path = built.outputs[&target(&second)].clone();
    world.store.add_root(&name("kept"), &path).unwrap();
    world.store.add_root(&name("tools"), &world.busybox).unwrap();

    let world = world.reopened();
    let collected = world.store.gc(&Default::default(), &|_, _| {}).unwrap();
    assert!(world.store.list().unwrap().iter().all(|path| path.name() != &name("first")));
    assert_eq!(world.build(&graph).await.unwrap().counts, Default::default(), "{collected:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_built_says_from_which_derivation_it_is() {
    let world = World::new();
    let first = world.script("first", "echo first > $out", &[]);
    let second = world.script("second", &format!("cat {} > $out", out(&first)), &[&first]);
    let graph = graph(&[&first, &second], &[&second]);
    let report = world.build(&graph).await.unwrap();

    let store = &world.store;
    let given = store.derivations_of(&report.outputs[&target(&second)]).unwrap();
    let [object] = &given[..] else { panic!("{given:?}") };
    assert_eq!(store.derivation(object).unwrap(), second);
    let needed = store.needed_derivations(object).unwrap();
    assert_eq!(store.derivation(&needed[&first.id()]).unwrap(), first);
    let references = store.info(object).unwrap().unwrap().references;
    assert_eq!(references, [world.busybox.clone(), needed[&first.id()].clone()].into());
    let gave = store.realisations_by_derivation(&needed[&first.id()]).unwrap();
    assert_eq!(
        store.derivations_of(&gave[0].realisation.path).unwrap(),
        [needed[&first.id()].clone()]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn derivations_stay_for_as_long_as_what_they_gave() {
    let world = World::new();
    let first = world.script("first", "echo first > $out", &[]);
    let kept = world.script("kept", &format!("read line < {}; : > $out", out(&first)), &[&first]);
    let dead = world.script("dead", ": > $out", &[]);
    let graph = graph(&[&first, &kept, &dead], &[&kept, &dead]);
    let report = world.build(&graph).await.unwrap();
    world.store.add_root(&name("kept"), &report.outputs[&target(&kept)]).unwrap();

    let world = world.reopened();
    let derivations = |world: &World| {
        let mut names: Vec<_> =
            world.store.list().unwrap().iter().map(|path| path.name().to_string()).collect();
        names.retain(|name| name.ends_with(".drv"));
        names
    };
    world.store.gc(&Default::default(), &|_, _| {}).unwrap();
    assert_eq!(derivations(&world), ["first.drv", "kept.drv"]);
    assert!(world.store.contains(&world.busybox).unwrap(), "it is a source of theirs");
    world.store.remove_root(&name("kept")).unwrap();
    world.store.gc(&Default::default(), &|_, _| {}).unwrap();
    assert_eq!(world.store.list().unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_derivation_that_was_dropped_is_recorded_again_when_it_is_carried_out_again() {
    let world = World::new();
    let step = world.script("step", ": > $out", &[]);
    let graph = graph(&[&step], &[&step]);
    let path = world.build(&graph).await.unwrap().outputs[&target(&step)].clone();
    world.store.add_root(&name("kept"), &path).unwrap();
    world.store.add_root(&name("tools"), &world.busybox).unwrap();
    let world = world.reopened();
    let drop = GcOptions { drop_derivations: true, ..Default::default() };
    world.store.gc(&drop, &|_, _| {}).unwrap();
    assert_eq!(world.store.derivations_of(&path).unwrap(), []);
    let again = BuildOptions { rebuild: true, ..options() };
    world.build_with(&graph, &again).await.0.unwrap();
    assert_eq!(world.store.derivations_of(&path).unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_derivation_can_be_read_by_what_it_is_given_to() {
    let world = World::new();
    let first = world.script("first", "echo first > $out", &[]);
    let object = first.store_path(&first.id(), &[world.busybox.clone()].into()).unwrap();
    let mut second = world.script("second", &format!("cat {object} > $out"), &[&first]);
    second.inputs.push(hb_model::Input::Path(object));
    let report = world.build(&graph(&[&first, &second], &[&second])).await.unwrap();
    assert_eq!(world.read(&report, &second).as_bytes(), first.encode());
    let given = world.store.derivations_of(&report.outputs[&target(&second)]).unwrap();
    assert_eq!(given.len(), 1, "what needs the object of a derivation is one itself");
}
