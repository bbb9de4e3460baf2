//! The graph of derivations that some targets rest on.
//!
//! It is made from what evaluation yields and never changes: only what the targets
//! reach is kept, every input exists, and nothing depends on itself. What is known or
//! built so far is the plan's business.

mod query;
mod stored;

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use hb_model::{Derivation, DerivationId, Input, OutputName, StoreName, StorePath};
use petgraph::{
    Direction::{Incoming, Outgoing},
    graph::{DiGraph, NodeIndex},
    visit::EdgeRef,
};
use rustc_hash::FxHashMap;

pub use query::{Edge, GraphData, NodeData, NodeKey};
pub use stored::StoredGraphError;

/// An output that is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Of which derivation.
    pub derivation: DerivationId,
    /// Which of its outputs.
    pub output: OutputName,
}

/// Why some derivations are not a graph.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// A target or an input that was not given.
    #[error("{}the derivation {derivation}, which is not there", needed_by(.by))]
    NoDerivation {
        /// The one that is missing.
        derivation: DerivationId,
        /// What needs it; a target if nothing.
        by: Option<StoreName>,
    },
    /// A derivation lacks an output that something needs.
    #[error("{}the output '{output}' of '{name}', which has no such output", needed_by(.by))]
    NoOutput {
        /// The derivation that lacks it.
        name: StoreName,
        /// The output.
        output: OutputName,
        /// What needs it; a target if nothing.
        by: Option<StoreName>,
    },
    /// Derivations that depend on themselves.
    #[error("a cycle of derivations: {}", cycle(.names))]
    Cycle {
        /// The cycle's members, each needing the next and the last needing the first.
        names: Vec<StoreName>,
    },
}

fn needed_by(by: &Option<StoreName>) -> String {
    match by {
        Some(name) => format!("'{name}' needs "),
        None => "asked for ".to_owned(),
    }
}

fn cycle(names: &[StoreName]) -> String {
    let around = names.iter().chain(names.first());
    around.map(|name| format!("'{name}'")).collect::<Vec<_>>().join(" needs ")
}

/// Where a derivation stands in a [`Graph`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place(NodeIndex);

impl Place {
    /// A number below [`Graph::len`].
    pub(crate) fn index(self) -> usize {
        self.0.index()
    }
}

/// One derivation of a graph.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: DerivationId,
    pub(crate) derivation: Arc<Derivation>,
    /// The outputs' names, sorted; edges and plans speak of them by position.
    pub(crate) outputs: Vec<OutputName>,
}

/// Derivations, the edges between them, and what is asked for.
#[derive(Debug)]
pub struct Graph {
    /// An edge leads from the one that needs to what it needs, and holds the position
    /// of the needed output.
    nodes: DiGraph<Node, usize>,
    places: FxHashMap<DerivationId, Place>,
    targets: Vec<(Place, usize)>,
    /// What is needed before what needs it.
    order: Vec<Place>,
}

impl Graph {
    /// What `targets` rest on, of the derivations that `find` gives.
    pub fn new(
        find: impl Fn(&DerivationId) -> Option<Arc<Derivation>>,
        targets: &[Target],
    ) -> Result<Self, GraphError> {
        let mut graph = Self {
            nodes: DiGraph::new(),
            places: FxHashMap::default(),
            targets: Vec::new(),
            order: Vec::new(),
        };
        let mut unvisited = VecDeque::new();
        for target in targets {
            let place = graph.place_or_add(&target.derivation, &find, &mut unvisited, &|| None)?;
            let output = graph.output_position(place, &target.output, &|| None)?;
            graph.targets.push((place, output));
        }
        while let Some(place) = unvisited.pop_front() {
            let needing = Arc::clone(&graph.node(place).derivation);
            let by = || Some(needing.name.clone());
            for input in &needing.inputs {
                let Input::Output { derivation, output } = input else { continue };
                let needed = graph.place_or_add(derivation, &find, &mut unvisited, &by)?;
                let output = graph.output_position(needed, output, &by)?;
                graph.nodes.add_edge(place.0, needed.0, output);
            }
        }
        graph.order = graph.sorted()?;
        Ok(graph)
    }

    fn place_or_add(
        &mut self,
        id: &DerivationId,
        find: &impl Fn(&DerivationId) -> Option<Arc<Derivation>>,
        unvisited: &mut VecDeque<Place>,
        by: &dyn Fn() -> Option<StoreName>,
    ) -> Result<Place, GraphError> {
        if let Some(place) = self.places.get(id) {
            return Ok(*place);
        }
        let derivation =
            find(id).ok_or_else(|| GraphError::NoDerivation { derivation: *id, by: by() })?;
        let outputs = derivation.output_names().collect();
        let place = Place(self.nodes.add_node(Node { id: *id, derivation, outputs }));
        self.places.insert(*id, place);
        unvisited.push_back(place);
        Ok(place)
    }

    fn output_position(
        &self,
        place: Place,
        output: &OutputName,
        by: &dyn Fn() -> Option<StoreName>,
    ) -> Result<usize, GraphError> {
        let node = self.node(place);
        node.outputs.binary_search(output).map_err(|_| GraphError::NoOutput {
            name: node.derivation.name.clone(),
            output: output.clone(),
            by: by(),
        })
    }

    fn sorted(&self) -> Result<Vec<Place>, GraphError> {
        match petgraph::algo::toposort(&self.nodes, None) {
            Ok(order) => Ok(order.into_iter().rev().map(Place).collect()),
            Err(cycle) => {
                let start = Place(cycle.node_id());
                let path = self.shortest_path(start, |place| place == start);
                let mut names: Vec<_> = path
                    .iter()
                    .flatten()
                    .map(|&place| self.node(place).derivation.name.clone())
                    .collect();
                names.pop();
                Err(GraphError::Cycle { names })
            }
        }
    }

    /// The shortest way of at least one step from `start` along what is needed, both
    /// ends included.
    fn shortest_path(&self, start: Place, goal: impl Fn(Place) -> bool) -> Option<Vec<Place>> {
        let mut came_from: HashMap<Place, Place> = HashMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(place) = queue.pop_front() {
            for (needed, _) in self.inputs(place) {
                if goal(needed) {
                    let mut path = vec![needed, place];
                    while let Some(previous) = path.last().and_then(|last| came_from.get(last)) {
                        path.push(*previous);
                    }
                    path.reverse();
                    return Some(path);
                }
                if needed != start && !came_from.contains_key(&needed) {
                    came_from.insert(needed, place);
                    queue.push_back(needed);
                }
            }
        }
        None
    }

    /// How many derivations there are.
    pub fn len(&self) -> usize {
        self.nodes.node_count()
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A derivation by its id.
    pub fn derivation(&self, id: &DerivationId) -> Option<&Derivation> {
        self.places.get(id).map(|&place| &*self.node(place).derivation)
    }

    /// All derivations, what is needed before what needs it.
    pub fn derivations(&self) -> impl Iterator<Item = (&DerivationId, &Derivation)> {
        self.order.iter().map(|&place| {
            let node = self.node(place);
            (&node.id, &*node.derivation)
        })
    }

    /// What is asked for.
    pub fn targets(&self) -> impl Iterator<Item = Target> + '_ {
        self.targets.iter().map(|&(place, output)| {
            let node = self.node(place);
            Target { derivation: node.id, output: node.outputs[output].clone() }
        })
    }

    pub(crate) fn place(&self, id: &DerivationId) -> Option<Place> {
        self.places.get(id).copied()
    }

    /// Every place, in the order of [`Place::index`].
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + use<> {
        self.nodes.node_indices().map(Place)
    }

    pub(crate) fn node(&self, place: Place) -> &Node {
        &self.nodes[place.0]
    }

    pub(crate) fn target_places(&self) -> &[(Place, usize)] {
        &self.targets
    }

    /// What is needed before what needs it.
    pub(crate) fn order(&self) -> &[Place] {
        &self.order
    }

    /// The outputs of other derivations that `place` needs.
    pub(crate) fn inputs(&self, place: Place) -> impl Iterator<Item = (Place, usize)> + '_ {
        self.nodes
            .edges_directed(place.0, Outgoing)
            .map(|edge| (Place(edge.target()), *edge.weight()))
    }

    /// Who needs an output of `place`; one that needs two comes twice.
    pub(crate) fn consumers(&self, place: Place) -> impl Iterator<Item = Place> + '_ {
        self.nodes.neighbors_directed(place.0, Incoming).map(Place)
    }

    /// The store objects that `place` needs and that no derivation makes.
    pub(crate) fn sources(&self, place: Place) -> impl Iterator<Item = &StorePath> {
        self.node(place).derivation.sources()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{derivation, graph_of, graph_of_all, id};

    #[test]
    fn only_what_the_targets_reach_is_kept_in_order() {
        let graph = graph_of(&[("a", &[]), ("b", &["a"]), ("c", &["b", "a"]), ("d", &[])], &["c"]);
        let names: Vec<_> = graph.derivations().map(|(_, d)| d.name.to_string()).collect();
        assert_eq!(names, ["a", "b", "c"]);
    }

    #[test]
    fn a_cycle_is_reported_by_name() {
        let derivations = [("a", "c"), ("b", "a"), ("c", "b"), ("top", "c")]
            .map(|(name, needs)| (id(name), derivation(name, &[needs])));
        let target = Target { derivation: id("top"), output: OutputName::out() };
        let error = graph_of_all(derivations, &[target]).unwrap_err();
        let GraphError::Cycle { names } = &error else { panic!("{error}") };
        assert_eq!(names.len(), 3, "{error}");
        for needs in ["'b' needs 'a'", "'a' needs 'c'", "'c' needs 'b'"] {
            let twice = format!("{error} {}", error.to_string().replace("a cycle of ", ""));
            assert!(twice.contains(needs), "{error}");
        }
    }

    #[test]
    fn a_derivation_that_needs_itself_is_a_cycle() {
        let target = Target { derivation: id("a"), output: OutputName::out() };
        let error = graph_of_all([(id("a"), derivation("a", &["a"]))], &[target]).unwrap_err();
        assert_eq!(error.to_string(), "a cycle of derivations: 'a' needs 'a'");
    }

    #[test]
    fn missing_inputs_and_outputs_are_named_with_what_needs_them() {
        let out = Target { derivation: id("b"), output: OutputName::out() };
        let error = graph_of_all([(id("b"), derivation("b", &["a"]))], std::slice::from_ref(&out))
            .unwrap_err();
        assert_eq!(
            error,
            GraphError::NoDerivation {
                derivation: id("a"),
                by: Some(StoreName::new("b").unwrap())
            }
        );
        let doc = Target { output: OutputName::new("doc").unwrap(), ..out };
        let error = graph_of_all([(id("b"), derivation("b", &[]))], &[doc]).unwrap_err();
        assert!(matches!(error, GraphError::NoOutput { by: None, .. }), "{error}");
    }
}
