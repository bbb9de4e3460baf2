//! A look inside a build: its sandbox, with a shell where its builder would be.

use std::{path::Path, sync::Arc};

use hb_sandbox::SandboxSpec;
use hb_store::{ScratchDir, Store};

use crate::{
    BuildError, BuildOptions, Cancel, Events, Graph, Target, events::Work, ready,
    realise::StepError,
};

/// A sandbox for a person, and the folder that it works in.
#[derive(Debug)]
pub struct Inside {
    /// The sandbox, whose program is a shell at the terminal.
    pub spec: SandboxSpec,
    /// Removed with this value; none where a failed build's own folder is used.
    _scratch: Option<ScratchDir>,
}

/// The sandbox of `target` once everything that it needs is in the store. `kept` is the
/// folder that a failed build of it left; without one the build folder is fresh.
///
/// The shell is the root's `/bin/sh`, or without a root the builder itself with the
/// argument `sh`, which is right where that is a static busybox. `None` if hb carries the
/// target out by itself: there is no sandbox to look into.
pub async fn look_inside(
    store: &Store,
    graph: &Arc<Graph>,
    target: &Target,
    kept: Option<&Path>,
    options: &BuildOptions,
    events: Events,
    cancel: &Cancel,
) -> Result<Option<Inside>, BuildError> {
    let (realiser, order) = ready(store, graph, target, options, events, cancel).await?;
    if order.work != Work::Build {
        return Ok(None);
    }
    let scratch = match kept {
        Some(_) => None,
        None => Some(store.scratch_dir()?),
    };
    let place = scratch.as_ref().map(ScratchDir::path).or(kept).unwrap_or(store.root());
    let spec = realiser.sandbox_at(&order, place).map_err(|error| match error {
        StepError::Failed(failure) => {
            BuildError::Failed { failures: vec![Arc::new(*failure)], blocked: Vec::new() }
        }
        StepError::Stopped | StepError::NotPulled => BuildError::Cancelled,
        StepError::Store(error) => error.into(),
    })?;
    let derivation = order.resolved.derivation();
    let shell = match derivation.root {
        Some(_) => vec!["/bin/sh".into()],
        None => vec![derivation.builder.clone().into(), "sh".into()],
    };
    Ok(Some(Inside { spec: spec.interactive(shell), _scratch: scratch }))
}
