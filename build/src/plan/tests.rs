//! Plans of synthetic graphs over a store that is a map.

mod offers;

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    sync::Arc,
};

use hb_model::{ContentDigest, NodeDigest, OutputName, RealisationKey, StoreName, StorePath};

use super::{Forecast, Goal, Job, LookUp, Plan, Records};
use crate::{
    graph::Graph,
    testing::{derivation, graph_of, graph_of_all, id},
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

    fn look_up<T>(
        &self,
        work: impl FnOnce(&LookUp<Infallible>) -> Result<T, Infallible>,
    ) -> Result<T, Infallible> {
        work(&|key| {
            self.lookups.set(self.lookups.get() + 1);
            Ok(self.realised.get(key).cloned())
        })
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
    let graph = Arc::new(graph_of_all(derivations, &[target]).unwrap());
    assert_eq!(Memory::default().run(&graph), ["fetch-a", "mid-x", "top"]);
}

#[test]
fn what_is_being_built_is_not_started_twice() {
    let mut derivations = BTreeMap::from([(id("twin-x"), derivation("twin", &[]))]);
    derivations.insert(id("twin-y"), derivation("twin", &[]));
    let targets = ["twin-x", "twin-y"]
        .map(|name| crate::graph::Target { derivation: id(name), output: OutputName::out() });
    let graph = Arc::new(graph_of_all(derivations, &targets).unwrap());
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
