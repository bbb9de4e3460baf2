//! A graph as an indented tree; what was shown already is not shown again.

use std::collections::{BTreeMap, BTreeSet};

use hb_build::{GraphData, NodeKey};

/// The lines of the tree below each root.
pub(crate) fn tree(graph: &GraphData) -> Vec<String> {
    let mut needs: BTreeMap<&NodeKey, BTreeSet<&NodeKey>> = BTreeMap::new();
    for edge in &graph.edges {
        needs.entry(&edge.from).or_default().insert(&edge.to);
    }
    let mut tree = Tree { graph, needs, shown: BTreeSet::new(), lines: Vec::new() };
    for root in &graph.roots {
        tree.node(root, "", "");
    }
    tree.lines
}

struct Tree<'a> {
    graph: &'a GraphData,
    needs: BTreeMap<&'a NodeKey, BTreeSet<&'a NodeKey>>,
    shown: BTreeSet<&'a NodeKey>,
    lines: Vec<String>,
}

impl<'a> Tree<'a> {
    /// `first` stands before the node's own line, `rest` before those below it.
    fn node(&mut self, key: &'a NodeKey, first: &str, rest: &str) {
        let (name, kind) = match self.graph.nodes.get(key) {
            Some(node) => (node.name.as_str(), node.kind),
            None => ("?", "?"),
        };
        let below: Vec<_> = self.needs.get(key).into_iter().flatten().copied().collect();
        let again = !self.shown.insert(key) && !below.is_empty();
        let mark = if again { " (as above)" } else { "" };
        self.lines.push(format!("{first}{name} [{kind}]{mark}"));
        if again {
            return;
        }
        for (index, child) in below.iter().enumerate() {
            let (branch, trunk) = match index + 1 == below.len() {
                true => ("└─ ", "   "),
                false => ("├─ ", "│  "),
            };
            self.node(child, &format!("{rest}{branch}"), &format!("{rest}{trunk}"));
        }
    }
}
