//! Questions about a graph: what is in it, and why one thing needs another.

use std::collections::{BTreeMap, BTreeSet};

use hb_model::{Derivation, DerivationId, StorePath};
use serde::Serialize;

use super::{Graph, Place};

/// What stands at one end of an edge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeKey {
    /// A derivation.
    Derivation(DerivationId),
    /// A store object that no derivation makes, such as a source.
    Source(StorePath),
}

impl std::fmt::Display for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Derivation(id) => id.fmt(f),
            Self::Source(path) => path.fmt(f),
        }
    }
}

impl Serialize for NodeKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One node, for showing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeData {
    /// What it is called.
    pub name: String,
    /// `fetch`, `builtin`, `build` or `source`.
    pub kind: &'static str,
    /// Where it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// What builds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub builder: Option<String>,
    /// Its outputs.
    pub outputs: Vec<String>,
    /// Its path, where it is known without building.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// One thing needs another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Edge {
    /// What needs.
    pub from: NodeKey,
    /// What is needed.
    pub to: NodeKey,
    /// The output that is needed; none of a source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// A graph as plain data, sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GraphData {
    /// What is asked for.
    pub roots: Vec<NodeKey>,
    /// Everything, by key.
    #[serde(serialize_with = "by_text")]
    pub nodes: BTreeMap<NodeKey, NodeData>,
    /// What needs what.
    pub edges: Vec<Edge>,
}

fn by_text<S: serde::Serializer>(
    nodes: &BTreeMap<NodeKey, NodeData>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(nodes.iter().map(|(key, node)| (key.to_string(), node)))
}

impl Graph {
    /// The whole graph as data, sources included.
    pub fn data(&self) -> GraphData {
        let mut edges = Vec::new();
        let mut nodes = BTreeMap::new();
        for &place in self.order() {
            let from = NodeKey::Derivation(self.node(place).id);
            edges.extend(self.inputs(place).map(|(needed, output)| Edge {
                from: from.clone(),
                to: NodeKey::Derivation(self.node(needed).id),
                output: Some(self.node(needed).outputs[output].to_string()),
            }));
            for source in self.sources(place) {
                let to = NodeKey::Source(source.clone());
                nodes.entry(to.clone()).or_insert_with(|| source_data(source));
                edges.push(Edge { from: from.clone(), to, output: None });
            }
            nodes.insert(from, derivation_data(&self.node(place).derivation));
        }
        edges.sort();
        let roots: BTreeSet<_> =
            self.targets().map(|target| NodeKey::Derivation(target.derivation)).collect();
        GraphData { roots: roots.into_iter().collect(), nodes, edges }
    }

    /// Everything that lies on some way from `from` to `to`; empty if there is none.
    pub fn between(&self, from: &NodeKey, to: &NodeKey) -> GraphData {
        let whole = self.data();
        let forward = reach(from, whole.edges.iter().map(|edge| (&edge.from, &edge.to)));
        let backward = reach(to, whole.edges.iter().map(|edge| (&edge.to, &edge.from)));
        let on_the_way: BTreeSet<&NodeKey> = forward.intersection(&backward).copied().collect();
        let kept = |key: &NodeKey| on_the_way.contains(key);
        GraphData {
            roots: if kept(from) { vec![from.clone()] } else { vec![] },
            edges: whole.edges.iter().filter(|e| kept(&e.from) && kept(&e.to)).cloned().collect(),
            nodes: whole.nodes.iter().filter(|(key, _)| kept(key)).map(clone_pair).collect(),
        }
    }

    /// The shortest way from `from` to `to`, both included: why one needs the other.
    pub fn why(&self, from: &DerivationId, to: &NodeKey) -> Option<Vec<NodeKey>> {
        let start = self.place(from)?;
        let reaches = |place: Place| match to {
            NodeKey::Derivation(id) => self.node(place).id == *id,
            NodeKey::Source(path) => self.sources(place).any(|source| source == path),
        };
        let path = if reaches(start) { vec![start] } else { self.shortest_path(start, reaches)? };
        let mut keys: Vec<_> =
            path.into_iter().map(|place| NodeKey::Derivation(self.node(place).id)).collect();
        if matches!(to, NodeKey::Source(_)) {
            keys.push(to.clone());
        }
        Some(keys)
    }

    /// What a user may mean by `text`: a derivation's id or at least eight digits of
    /// it, a name, or the path of a source or a fixed output.
    pub fn find(&self, text: &str) -> Vec<NodeKey> {
        let is_id = |id: &DerivationId| text.len() >= 8 && id.to_string().starts_with(text);
        let mut found: BTreeSet<NodeKey> = BTreeSet::new();
        for &place in self.order() {
            let node = self.node(place);
            let path = || node.derivation.fixed_path().is_some_and(|path| path.to_string() == text);
            if node.derivation.name.as_str() == text || is_id(&node.id) || path() {
                found.insert(NodeKey::Derivation(node.id));
            }
            let sources = self.sources(place);
            let named = sources.filter(|path| path.to_string() == text || path.base_name() == text);
            found.extend(named.cloned().map(NodeKey::Source));
        }
        found.into_iter().collect()
    }
}

fn derivation_data(derivation: &Derivation) -> NodeData {
    let kind = match derivation {
        fetch if fetch.is_fetch() => "fetch",
        builtin if builtin.is_builtin() => "builtin",
        _ => "build",
    };
    NodeData {
        name: derivation.name.to_string(),
        kind,
        system: Some(derivation.system.clone()),
        builder: Some(derivation.builder.clone()),
        outputs: derivation.output_names().map(|name| name.to_string()).collect(),
        path: derivation.fixed_path().map(|path| path.to_string()),
    }
}

fn source_data(path: &StorePath) -> NodeData {
    NodeData {
        name: path.name().to_string(),
        kind: "source",
        system: None,
        builder: None,
        outputs: vec![],
        path: Some(path.to_string()),
    }
}

fn clone_pair((key, node): (&NodeKey, &NodeData)) -> (NodeKey, NodeData) {
    (key.clone(), node.clone())
}

/// Everything that `start` leads to, itself included.
fn reach<'a>(
    start: &'a NodeKey,
    edges: impl Iterator<Item = (&'a NodeKey, &'a NodeKey)>,
) -> BTreeSet<&'a NodeKey> {
    let mut next: BTreeMap<&NodeKey, Vec<&'a NodeKey>> = BTreeMap::new();
    for (from, to) in edges {
        next.entry(from).or_default().push(to);
    }
    let mut seen = BTreeSet::from([start]);
    let mut queue = vec![start];
    while let Some(key) = queue.pop() {
        for &to in next.get(key).into_iter().flatten() {
            if seen.insert(to) {
                queue.push(to);
            }
        }
    }
    seen
}
