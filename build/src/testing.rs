//! Derivations and graphs for tests.

use std::{collections::BTreeMap, sync::Arc};

use hb_model::{
    Algorithm, ContentDigest, Derivation, DerivationId, FixedMethod, FixedOutput, Hasher, Input,
    Limits, OutputName, Outputs, StoreName,
};

use crate::graph::{Graph, GraphError, Target};

/// An id that follows from a name, so that tests can draw any graph, cycles included.
pub(crate) fn id(name: &str) -> DerivationId {
    DerivationId::from_bytes(*ContentDigest::of(name.as_bytes()).as_bytes())
}

/// A derivation with one output that needs others; a fetch if its name begins so.
pub(crate) fn derivation(name: &str, needs: &[&str]) -> Derivation {
    let out = OutputName::out();
    let fetch = name.starts_with("fetch");
    let outputs = match fetch {
        true => {
            let mut hasher = Hasher::new(Algorithm::Sha256);
            hasher.update(name.as_bytes());
            Outputs::Fixed(FixedOutput { method: FixedMethod::Flat, hash: hasher.finish() })
        }
        false => Outputs::Floating(vec![out.clone()].into()),
    };
    Derivation {
        name: StoreName::new(name).unwrap(),
        system: "x86_64-linux".into(),
        root: None,
        builder: if fetch { "builtin:fetch-1" } else { "/bin/sh" }.into(),
        args: needs.iter().map(|need| hb_model::output_placeholder(&id(need), &out)).collect(),
        env: BTreeMap::new(),
        files: BTreeMap::new(),
        attrs: None,
        closure_info: BTreeMap::new(),
        runtime_root: None,
        inputs: needs
            .iter()
            .map(|need| Input::Output { derivation: id(need), output: out.clone() })
            .collect(),
        outputs,
        limits: Limits::default(),
    }
}

/// A graph drawn as names and what each needs.
pub(crate) fn graph_of(nodes: &[(&str, &[&str])], targets: &[&str]) -> Graph {
    let derivations = nodes.iter().map(|(name, needs)| (id(name), derivation(name, needs)));
    let target = |name: &&str| Target { derivation: id(name), output: OutputName::out() };
    graph_of_all(derivations, &targets.iter().map(target).collect::<Vec<_>>()).unwrap()
}

/// The graph of the targets among derivations with these ids.
pub(crate) fn graph_of_all(
    derivations: impl IntoIterator<Item = (DerivationId, Derivation)>,
    targets: &[Target],
) -> Result<Graph, GraphError> {
    let derivations = derivations.into_iter().map(|(id, derivation)| (id, Arc::new(derivation)));
    let derivations: BTreeMap<_, _> = derivations.collect();
    Graph::new(|id| derivations.get(id).cloned(), targets)
}
