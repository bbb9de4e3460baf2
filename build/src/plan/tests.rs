//! Plans of synthetic graphs over a store that is a map.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
};

use hb_model::{ContentDigest, NodeDigest, OutputName, RealisationKey, StoreName, StorePath};

use super::{Forecast, Goal, Job, Plan, Records};
use crate::{
    graph::{Graph, Place},
    testing::{derivation, graph_of, id},
};

/// A store of names: what is recorded, and what is there.
#[derive(Default)]
struct Memory {
    realised: BTreeMap<RealisationKey, StorePath>,
    present: BTreeSet<StorePath>,
    lookups: Cell<usize>,
}

impl Records for Memory {
    type Error = Infallible;

    fn realised(&self, key: &RealisationKey) -> Result<Option<StorePath>, Infallible> {
        self.lookups.set(self.lookups.get() + 1);
        Ok(self.realised.get(key).cloned())
    }

    fn is_present(&self, path: &StorePath) -> Result<bool, Infallible> {
        Ok(self.present.contains(path))
    }
}

fn content(name: &StoreName, bytes: &str) -> StorePath {
    let node = NodeDigest::of_file(false, &ContentDigest::of(bytes.as_bytes()));
    StorePath::of_content(name.clone(), node, &BTreeSet::new(), false)
}

impl Memory {
    /// Put the job's output there, holding `bytes`, and record it.
    fn publish(&mut self, job: &Job, bytes: &str) -> BTreeMap<OutputName, StorePath> {
        let derivation = job.resolved.derivation();
        let path = derivation.fixed_path().unwrap_or_else(|| content(&derivation.name, bytes));
        let key = RealisationKey { resolved: job.resolved.id(), output: OutputName::out() };
        self.realised.insert(key, path.clone());
        self.present.insert(path.clone());
        BTreeMap::from([(OutputName::out(), path)])
    }

    /// Run everything, each output holding its derivation's name; returns what ran, in
    /// order.
    fn run(&mut self, graph: &Arc<Graph>) -> Vec<String> {
        let mut plan = self.plan(graph, Goal::Targets);
        let mut ran = Vec::new();
        while let Some(job) = plan.next_fetch().or_else(|| plan.next_build()) {
            let name = job.resolved.derivation().name.to_string();
            let key = RealisationKey { resolved: job.resolved.id(), output: OutputName::out() };
            // As realising does, look again before running.
            if !self.realised.get(&key).is_some_and(|path| self.present.contains(path)) {
                ran.push(name.clone());
            }
            let outputs = self.publish(&job, &name);
            plan.complete(&job.resolved.id(), &outputs, self).unwrap();
        }
        assert!(plan.is_reached());
        ran
    }

    fn plan(&self, graph: &Arc<Graph>, goal: Goal) -> Plan {
        Plan::new(Arc::clone(graph), goal, false, self).unwrap()
    }

    fn forecast(&self, graph: &Arc<Graph>) -> Forecast {
        self.plan(graph, Goal::Targets).forecast(self).unwrap()
    }

    /// Forget that the outputs with these names are there; their records stay.
    fn collect_garbage(&mut self, names: &[&str]) {
        self.present.retain(|path| !names.contains(&path.name().as_str()));
    }
}

/// The names in each list of a forecast: fetch, may fetch, build, may build.
fn names(forecast: &Forecast) -> [String; 4] {
    let lists = [&forecast.fetch, &forecast.may_fetch, &forecast.build, &forecast.may_build];
    lists.map(|list| list.iter().map(|item| item.name.as_str()).collect::<Vec<_>>().join(" "))
}

fn chain() -> Arc<Graph> {
    let nodes: &[(&str, &[&str])] = &[
        ("fetch-a", &[]),
        ("fetch-b", &[]),
        ("first", &["fetch-a"]),
        ("second", &["first", "fetch-b"]),
    ];
    Arc::new(graph_of(nodes, &["second"]))
}

#[test]
fn an_empty_store_will_build_what_is_known_and_may_build_the_rest() {
    let forecast = Memory::default().forecast(&chain());
    assert_eq!(names(&forecast), ["fetch-a", "fetch-b", "first", "second"]);
}

#[test]
fn everything_is_built_once_after_what_it_needs() {
    let mut memory = Memory::default();
    assert_eq!(memory.run(&chain()), ["fetch-a", "fetch-b", "first", "second"]);
    assert_eq!(memory.run(&chain()), [""; 0]);
}

#[test]
fn below_a_known_target_nothing_has_to_exist() {
    let mut memory = Memory::default();
    memory.run(&chain());
    memory.collect_garbage(&["fetch-a", "fetch-b", "first"]);
    let forecast = memory.forecast(&chain());
    assert_eq!(names(&forecast), ["", "", "", ""]);
    assert_eq!(forecast.present.len(), 1);
}

#[test]
fn a_lost_target_brings_back_only_what_its_build_needs() {
    let mut memory = Memory::default();
    memory.run(&chain());
    memory.collect_garbage(&["fetch-a", "fetch-b", "second"]);
    assert_eq!(names(&memory.forecast(&chain())), ["fetch-b", "", "second", ""]);
    assert_eq!(memory.run(&chain()), ["fetch-b", "second"]);
}

#[test]
fn lost_inputs_of_a_lost_target_are_built_again() {
    let mut memory = Memory::default();
    memory.run(&chain());
    memory.collect_garbage(&["fetch-a", "fetch-b", "first", "second"]);
    assert_eq!(names(&memory.forecast(&chain())), ["fetch-a fetch-b", "", "first second", ""]);
    assert_eq!(memory.run(&chain()), ["fetch-a", "fetch-b", "first", "second"]);
}

#[test]
fn the_same_bytes_stop_a_change() {
    let mut memory = Memory::default();
    memory.run(&chain());
    memory.collect_garbage(&["fetch-b"]);
    let nodes: &[(&str, &[&str])] = &[
        ("fetch-a2", &[]),
        ("fetch-b", &[]),
        ("first", &["fetch-a2"]),
        ("second", &["first", "fetch-b"]),
    ];
    let changed = Arc::new(graph_of(nodes, &["second"]));
    let forecast = memory.forecast(&changed);
    assert_eq!(names(&forecast), ["fetch-a2", "fetch-b", "first", "second"]);

    let mut plan = memory.plan(&changed, Goal::Targets);
    let fetch = plan.next_fetch().unwrap();
    let outputs = memory.publish(&fetch, "");
    plan.complete(&fetch.resolved.id(), &outputs, &memory).unwrap();
    let first = plan.next_build().unwrap();
    let outputs = memory.publish(&first, "first");
    let progress = plan.complete(&first.resolved.id(), &outputs, &memory).unwrap();
    assert_eq!(progress.done.len(), 2, "first, and second without building it");
    assert!(plan.next_build().is_none());
    assert!(plan.is_reached());
}

#[test]
fn two_ids_that_resolve_to_the_same_are_built_once() {
    let nodes: &[(&str, &[&str])] = &[
        ("fetch-a", &[]),
        ("mid-x", &["fetch-a"]),
        ("mid-y", &["fetch-a"]),
        ("top", &["mid-x", "mid-y"]),
    ];
    let mut derivations: BTreeMap<_, _> =
        nodes.iter().map(|(name, needs)| (id(name), derivation(name, needs))).collect();
    derivations.insert(id("mid-y"), derivation("mid-x", &["fetch-a"]));
    let target = crate::graph::Target { derivation: id("top"), output: OutputName::out() };
    let graph = Arc::new(Graph::new(derivations, &[target]).unwrap());
    assert_eq!(Memory::default().run(&graph), ["fetch-a", "mid-x", "top"]);
}

#[test]
fn what_is_being_built_is_not_started_twice() {
    let mut derivations = BTreeMap::from([(id("twin-x"), derivation("twin", &[]))]);
    derivations.insert(id("twin-y"), derivation("twin", &[]));
    let targets = ["twin-x", "twin-y"]
        .map(|name| crate::graph::Target { derivation: id(name), output: OutputName::out() });
    let graph = Arc::new(Graph::new(derivations, &targets).unwrap());
    let mut memory = Memory::default();
    let mut plan = memory.plan(&graph, Goal::Targets);
    let job = plan.next_build().unwrap();
    assert!(plan.next_build().is_none());
    let outputs = memory.publish(&job, "twin");
    let progress = plan.complete(&job.resolved.id(), &outputs, &memory).unwrap();
    assert_eq!(progress.done.len(), 2);
    assert!(plan.is_reached());
}

#[test]
fn an_uncertain_fetch_that_failed_surfaces_only_when_it_is_needed() {
    let mut memory = Memory::default();
    let graph = chain();
    let mut plan = memory.plan(&graph, Goal::Targets);
    let a = plan.next_fetch().unwrap();
    let b = plan.next_fetch().unwrap();
    assert_eq!(b.resolved.derivation().name.as_str(), "fetch-b");
    assert!(plan.fail(&b.resolved.id()).is_empty());
    let outputs = memory.publish(&a, "");
    let progress = plan.complete(&a.resolved.id(), &outputs, &memory).unwrap();
    assert!(progress.surfaced.is_empty());
    let first = plan.next_build().unwrap();
    let outputs = memory.publish(&first, "first");
    let progress = plan.complete(&first.resolved.id(), &outputs, &memory).unwrap();
    assert_eq!(progress.surfaced, [b.place]);
    assert!(plan.next_build().is_none());
}

#[test]
fn independent_work_goes_on_after_a_failure() {
    let memory = Memory::default();
    let nodes: &[(&str, &[&str])] = &[("bad", &[]), ("good", &[]), ("top", &["bad"])];
    let graph = Arc::new(graph_of(nodes, &["top", "good"]));
    let mut plan = memory.plan(&graph, Goal::Targets);
    let bad = plan.next_build().unwrap();
    assert_eq!(plan.fail(&bad.resolved.id()), [bad.place]);
    assert_eq!(plan.next_build().unwrap().resolved.derivation().name.as_str(), "good");
    assert!(plan.next_build().is_none());
    let unfinished: BTreeSet<_> =
        plan.unfinished().map(|place| graph.node(place).derivation.name.to_string()).collect();
    assert_eq!(unfinished, BTreeSet::from(["good".to_owned(), "top".to_owned()]));
}

#[test]
fn rebuilding_builds_the_targets_and_nothing_below() {
    let mut memory = Memory::default();
    memory.run(&chain());
    let mut plan = memory.plan(&chain(), Goal::Rebuild);
    let job = plan.next_build().unwrap();
    assert_eq!(job.resolved.derivation().name.as_str(), "second");
    assert!(job.forced && plan.next_build().is_none() && plan.next_fetch().is_none());
    assert!(!plan.is_reached());
}

#[test]
fn fetching_brings_every_fetch_and_builds_nothing() {
    let mut memory = Memory::default();
    memory.run(&chain());
    memory.collect_garbage(&["fetch-a", "first"]);
    let mut plan = memory.plan(&chain(), Goal::Fetches);
    assert_eq!(plan.next_fetch().unwrap().resolved.derivation().name.as_str(), "fetch-a");
    assert!(plan.next_fetch().is_none() && plan.next_build().is_none());
}

#[test]
fn what_most_waits_for_starts_first() {
    let nodes: &[(&str, &[&str])] =
        &[("a-leaf", &[]), ("z-deep", &[]), ("mid", &["z-deep"]), ("top", &["mid", "a-leaf"])];
    let graph = Arc::new(graph_of(nodes, &["top"]));
    let mut plan = Memory::default().plan(&graph, Goal::Targets);
    assert_eq!(plan.next_build().unwrap().resolved.derivation().name.as_str(), "z-deep");
}

/// A plan over an empty store and a cache that says what the chain gave: everything that
/// is asked is answered with that.
fn offered(memory: &mut Memory, said: &Memory, graph: &Arc<Graph>) -> Plan {
    offered_and_asked(memory, said, graph, false).0
}

/// The same, with everything that was asked; needs are found out anew when nothing is left to
/// ask, or `at_once`.
fn offered_and_asked(
    memory: &mut Memory,
    said: &Memory,
    graph: &Arc<Graph>,
    at_once: bool,
) -> (Plan, BTreeSet<Place>) {
    let mut plan = Plan::new(Arc::clone(graph), Goal::Targets, true, memory).unwrap();
    let (mut asked, mut is_current) = (BTreeSet::new(), true);
    loop {
        let questions = plan.take_questions();
        if questions.is_empty() && is_current {
            return (plan, asked);
        }
        for question in &questions {
            assert!(asked.insert(question.place), "it was asked before");
            let key = |output: &OutputName| RealisationKey {
                resolved: question.resolved,
                output: output.clone(),
            };
            let path = |output: &OutputName| said.realised.get(&key(output)).cloned();
            let outputs = question.outputs.iter();
            let outputs = outputs.map(|(name, _)| Some((name.clone(), path(name)?))).collect();
            let outputs: Option<BTreeMap<_, _>> = outputs;
            for (output, path) in outputs.iter().flatten() {
                memory.realised.insert(key(output), path.clone());
            }
            plan.answer(question, outputs.as_ref(), memory).unwrap();
        }
        is_current = questions.is_empty() || at_once;
        if is_current {
            plan.reassess(memory).unwrap();
        }
    }
}

#[test]
fn when_needs_are_found_out_anew_decides_neither_what_is_asked_nor_what_is_needed() {
    let graph = grid(8, 5);
    for seed in 0..200_u32 {
        let mut said = Memory::default();
        said.run(&graph);
        // Some of it only, and a part of that is here.
        let mut number = 0;
        let mut is_picked = |of: u32| {
            number += 1;
            u32::from(
                ContentDigest::of(&[seed, number].map(u32::to_le_bytes).concat()).as_bytes()[0],
            ) < of
        };
        said.realised.retain(|_, _| is_picked(20 * (seed % 13)));
        let present = said.present.iter().filter(|_| is_picked(seed % 4 * 10)).cloned().collect();
        let mut here = Memory { present, realised: said.realised.clone(), ..Memory::default() };
        here.realised.retain(|_, _| is_picked(60));
        let [at_once, in_the_end] = [true, false].map(|at_once| {
            let mut memory = Memory {
                realised: here.realised.clone(),
                present: here.present.clone(),
                ..Memory::default()
            };
            let (mut plan, asked) = offered_and_asked(&mut memory, &said, &graph, at_once);
            let forecast = plan.forecast(&memory).unwrap();
            let mut next = Vec::new();
            while let Some(job) = plan.next_pull().or_else(|| plan.next_build()) {
                next.push(job.place);
            }
            (asked, forecast, next)
        });
        assert_eq!(at_once, in_the_end, "{seed}");
    }
}

#[test]
fn what_a_cache_offers_is_pulled_and_nothing_below_it_is_needed() {
    let (mut memory, mut said) = (Memory::default(), Memory::default());
    said.run(&chain());
    let mut plan = offered(&mut memory, &said, &chain());
    assert_eq!(names(&plan.forecast(&memory).unwrap()), ["", "", "", ""]);
    let job = plan.next_pull().unwrap();
    assert_eq!(job.resolved.derivation().name.as_str(), "second");
    assert!(plan.next_pull().is_none() && plan.next_fetch().is_none());
    memory.present.extend(job.offered.iter().flatten().map(|(_, path)| path.clone()));
    plan.complete(&job.resolved.id(), &job.offered.unwrap(), &memory).unwrap();
    assert!(plan.is_reached());
}

#[test]
fn what_was_offered_and_does_not_come_is_built_from_what_is_offered_below_it() {
    let (mut memory, mut said) = (Memory::default(), Memory::default());
    said.run(&chain());
    let mut plan = offered(&mut memory, &said, &chain());
    let job = plan.next_pull().unwrap();
    plan.refuse(&job.resolved.id(), &memory).unwrap();
    let below = plan.next_pull().unwrap();
    assert_eq!(below.resolved.derivation().name.as_str(), "first");
    assert_eq!(plan.next_fetch().unwrap().resolved.derivation().name.as_str(), "fetch-b");
    assert!(plan.next_fetch().is_none() && plan.next_build().is_none());
}

#[test]
fn what_no_cache_knows_is_built() {
    let mut memory = Memory::default();
    let mut plan = offered(&mut memory, &Memory::default(), &chain());
    let forecast = plan.forecast(&memory).unwrap();
    assert_eq!(names(&forecast), ["fetch-a", "fetch-b", "first", "second"]);
    assert!(plan.next_pull().is_none() && plan.next_fetch().is_some());
}

#[test]
fn a_known_chain_costs_one_lookup_each() {
    let names: Vec<String> = (0..500).map(|n| format!("step-{n}")).collect();
    let needs: Vec<Vec<&str>> =
        (0..500).map(|n| names[..n].last().map(String::as_str).into_iter().collect()).collect();
    let nodes: Vec<(&str, &[&str])> =
        names.iter().zip(&needs).map(|(name, needs)| (name.as_str(), needs.as_slice())).collect();
    let graph = Arc::new(graph_of(&nodes, &["step-499"]));
    let mut memory = Memory::default();
    memory.run(&graph);
    memory.lookups.set(0);
    assert_eq!(names_of(&memory.forecast(&graph)), 0);
    assert_eq!(memory.lookups.get(), 500);
}

fn names_of(forecast: &Forecast) -> usize {
    forecast.fetch.len() + forecast.build.len() + forecast.may_build.len()
}

/// A grid of derivations, each of which needs the two below it.
fn grid(layers: usize, width: usize) -> Arc<Graph> {
    let name = |layer: usize, number: usize| format!("step-{layer}-{}", number % width);
    let mut nodes = Vec::new();
    for layer in 0..layers {
        for number in 0..width {
            let needs = match layer {
                0 => Vec::new(),
                _ => BTreeSet::from([name(layer - 1, number), name(layer - 1, number + 1)])
                    .into_iter()
                    .collect(),
            };
            nodes.push((name(layer, number), needs));
        }
    }
    let needs: Vec<Vec<&str>> =
        nodes.iter().map(|(_, needs)| needs.iter().map(String::as_str).collect()).collect();
    let drawn: Vec<(&str, &[&str])> =
        nodes.iter().zip(&needs).map(|((name, _), needs)| (&**name, &**needs)).collect();
    let targets: Vec<_> = (0..width).map(|number| name(layers - 1, number)).collect();
    Arc::new(graph_of(&drawn, &targets.iter().map(String::as_str).collect::<Vec<_>>()))
}

#[test]
#[ignore = "measures; run by hand"]
#[allow(clippy::print_stdout, reason = "it prints what it measured")]
fn asking_caches_about_many() {
    for (layers, width) in [(1_000, 1), (10_000, 1), (100, 100), (1_000, 100)] {
        let graph = grid(layers, width);
        let (mut memory, mut said) = (Memory::default(), Memory::default());
        said.run(&graph);
        let begun = std::time::Instant::now();
        Plan::new(Arc::clone(&graph), Goal::Targets, false, &said).unwrap();
        let known = begun.elapsed();
        let begun = std::time::Instant::now();
        let mut plan = offered(&mut memory, &said, &graph);
        let asked = begun.elapsed();
        assert_eq!(plan.forecast(&memory).unwrap().pull.len(), width);
        println!("{layers} layers of {width}: known {known:?}, asked {asked:?}");
    }
}
