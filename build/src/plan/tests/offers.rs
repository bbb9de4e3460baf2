//! What plans ask of caches, and what follows from the answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hb_model::{ContentDigest, OutputName, RealisationKey};

use super::{Goal, Memory, Plan, chain, names};
use crate::{
    graph::{Graph, Place},
    testing::graph_of,
};

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
