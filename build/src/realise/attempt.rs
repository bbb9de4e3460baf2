//! One run of a builder, in a scratch folder of its own.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use hb_model::{Derivation, DerivationId, Isolation, OutputName, Outputs, StorePath};
use hb_sandbox::{Backend, Exit, Runner, RunnerError, SandboxSpec, User};
use tokio::sync::OnceCell;

use super::{
    Halt, Order, Realiser, StepError, Traces, blocking,
    log::Log,
    spec::{Folders, Visible, specification},
};
use crate::{
    Cancel, Event, Events, FailureCause,
    builders::{self, BuiltinError, Report, Watch},
    events::Work,
    fetch::FetchSettings,
    system::{runs_here, this_system},
};

/// The sandbox runner, made when the first sandbox is needed: starting a process costs
/// time that a build with nothing to do should not spend.
pub(super) struct LazyRunner {
    backend: Backend,
    made: OnceCell<Result<Runner, Arc<RunnerError>>>,
}

impl LazyRunner {
    pub(super) fn new(backend: Backend) -> Self {
        Self { backend, made: OnceCell::new() }
    }

    async fn get(&self) -> Result<&Runner, FailureCause> {
        let make = || async { Runner::new(self.backend).map_err(Arc::new) };
        let made = self.made.get_or_init(make).await;
        made.as_ref().map_err(|error| FailureCause::NoSandbox(Arc::clone(error)))
    }
}

/// What an attempt may have otherwise than an ordinary build; audits use it.
#[derive(Default)]
pub(crate) struct Setting {
    /// Which of the possible scratch paths.
    pub(crate) variant: u32,
    /// Who the build believes to be.
    pub(crate) user: Option<User>,
    /// How many processors it has.
    pub(crate) processors: Option<usize>,
    /// The number of its first process.
    pub(crate) first_process: Option<u32>,
    /// What it sees as its inputs.
    pub(crate) inputs: Option<Visible>,
    /// Where its build folder lies on the host.
    pub(crate) work: Option<PathBuf>,
}

/// What a builder made, not in the store yet.
pub(crate) struct Attempt {
    /// The closure of the inputs.
    pub(crate) visible: Visible,
    pub(crate) outputs: BTreeMap<OutputName, Made>,
    pub(crate) isolation: Isolation,
}

/// An output as the builder left it.
#[derive(Clone, Debug)]
pub(crate) struct Made {
    /// The path that the builder knew it by.
    pub(crate) path: StorePath,
    /// Where it lies.
    pub(crate) physical: PathBuf,
}

/// The build folder's name in the scratch folder.
const WORK: &str = "build";
/// The name of the folder there that the outputs come to lie in.
const OUTPUTS: &str = "store";

impl Realiser {
    /// Run the builder once. Nothing enters the store.
    pub(super) async fn run_builder(
        &self,
        order: &Order,
        setting: &Setting,
        cancel: &Cancel,
        traces: &mut Traces,
    ) -> Result<Attempt, Halt> {
        if !runs_here(order.resolved.derivation()) {
            let system = order.resolved.derivation().system.clone();
            return Err(FailureCause::ForeignSystem { system, machine: this_system() }.into());
        }
        let paths = order.resolved.scratch_paths(setting.variant).map_err(FailureCause::from)?;
        let visible = self.visible(order)?;
        let scratch = self.store.scratch_dir()?;
        let folder = scratch.path().join(OUTPUTS);
        traces.scratch = Some(scratch);
        create(&folder)?;
        let made = |(name, path): (OutputName, StorePath)| {
            let physical = folder.join(path.base_name());
            (name, Made { path, physical })
        };
        let outputs: BTreeMap<_, _> = paths.into_iter().map(made).collect();
        let isolation = match order.work {
            Work::Build => {
                let visible = setting.inputs.as_ref().unwrap_or(&visible);
                let spec = self.sandbox(order, setting, visible, &outputs, &folder)?;
                self.in_sandbox(order, spec, cancel, traces).await?
            }
            Work::Fetch | Work::Builtin => {
                let inputs = visible.clone();
                self.by_itself(order, inputs, &outputs, cancel, traces).await?
            }
        };
        Ok(Attempt { visible, outputs, isolation })
    }

    /// A foreign program, in a sandbox.
    async fn in_sandbox(
        &self,
        order: &Order,
        spec: SandboxSpec,
        cancel: &Cancel,
        traces: &mut Traces,
    ) -> Result<Isolation, Halt> {
        let runner = self.runner.get().await?;
        let (obtained, needed) = (runner.isolation(&spec), self.isolation_needed);
        if obtained < needed {
            return Err(FailureCause::Isolation { obtained, needed }.into());
        }
        let log = traces.log.insert(self.open_log(order)?);
        let ended = runner.run(spec, cancel.cancelled(), |bytes| log.write(bytes)).await;
        let ended = ended.map_err(FailureCause::from)?;
        match ended.exit {
            Exit::Code(0) => {}
            Exit::Cancelled => return Err(Halt::Stopped),
            Exit::Code(status) => return Err(FailureCause::Status { status }.into()),
            Exit::Signal(signal) => return Err(FailureCause::Signal { signal }.into()),
            Exit::TimedOut(limit) => return Err(FailureCause::TimedOut { limit }.into()),
            Exit::Silent(limit) => return Err(FailureCause::Silent { limit }.into()),
            Exit::Exceeded(excess) => return Err(FailureCause::Exceeded { excess }.into()),
        }
        Ok(match ended.isolation {
            hb_sandbox::Isolation::Filtered => Isolation::Filtered,
            hb_sandbox::Isolation::View | hb_sandbox::Isolation::Namespaces => {
                Isolation::Namespaces
            }
        })
    }

    /// The sandbox that the order is built in, with its folders below `place`: what a
    /// failed build left there is found again.
    pub(crate) fn sandbox_at(&self, order: &Order, place: &Path) -> Result<SandboxSpec, StepError> {
        let make = || {
            let folder = place.join(OUTPUTS);
            create(&folder)?;
            let paths = order.resolved.scratch_paths(0).map_err(FailureCause::from)?;
            let made = |(name, path): (OutputName, StorePath)| {
                let physical = folder.join(path.base_name());
                (name, Made { path, physical })
            };
            let outputs = paths.into_iter().map(made).collect();
            let visible = self.visible(order)?;
            self.sandbox(order, &Setting::default(), &visible, &outputs, &folder)
        };
        make().map_err(|halt| self.explain(order, Traces::begin(), halt))
    }

    /// The sandbox that the order is built in, its outputs to lie in `folder`.
    fn sandbox(
        &self,
        order: &Order,
        setting: &Setting,
        visible: &Visible,
        outputs: &BTreeMap<OutputName, Made>,
        folder: &Path,
    ) -> Result<SandboxSpec, Halt> {
        let work = setting.work.clone().unwrap_or_else(|| folder.with_file_name(WORK));
        create(&work)?;
        let paths = outputs.iter().map(|(name, made)| (name.clone(), made.path.clone())).collect();
        let derivation = order.resolved.with_scratch(&paths);
        let folders = Folders { work, outputs: folder.to_owned() };
        let closure_of = |paths: &[StorePath]| self.store.closure(paths).map_err(Halt::from);
        let limits = order.limits.and(self.limits);
        let mut spec = specification(&derivation, &paths, limits, visible, folders, closure_of)?;
        if let Some(user) = setting.user {
            spec.user = user;
        }
        spec.processors = setting.processors;
        spec.first_process = setting.first_process;
        Ok(spec)
    }

    /// A builder of hb's own, on a thread where it may block.
    async fn by_itself(
        &self,
        order: &Order,
        visible: Visible,
        outputs: &BTreeMap<OutputName, Made>,
        cancel: &Cancel,
        traces: &mut Traces,
    ) -> Result<Isolation, Halt> {
        let out = match outputs.get(&OutputName::out()) {
            Some(made) if outputs.len() == 1 => made.physical.clone(),
            _ => return Err(FailureCause::BuiltinOutputs.into()),
        };
        let runner = match order.work {
            // Only some origins need a client; without a sandbox those alone fail.
            Work::Fetch => self.runner.get().await.ok(),
            Work::Builtin | Work::Build => None,
        };
        let run = BuiltinRun {
            derivation: order.resolved.derivation().clone(),
            out,
            visible,
            fetch: Arc::clone(&self.fetch),
            runner: runner.cloned(),
            cancel: cancel.clone(),
            follower: Follower {
                derivation: order.step.derivation,
                events: self.events.clone(),
                log: Mutex::new(self.open_log(order)?),
            },
        };
        let (result, log) = blocking(move || {
            let result = run.carry_out();
            (result, run.follower.log)
        })
        .await;
        traces.log = Some(log.into_inner().unwrap_or_else(PoisonError::into_inner));
        match result {
            Ok(()) => Ok(Isolation::Builtin),
            Err(_) if cancel.is_cancelled() => Err(Halt::Stopped),
            Err(error) => Err(FailureCause::Builtin(error).into()),
        }
    }
}

/// A run of a builder of hb's own: all that it needs, on whatever thread.
struct BuiltinRun {
    derivation: Derivation,
    out: PathBuf,
    visible: Visible,
    fetch: Arc<FetchSettings>,
    runner: Option<Runner>,
    cancel: Cancel,
    follower: Follower,
}

impl BuiltinRun {
    fn carry_out(&self) -> Result<(), BuiltinError> {
        let input = |text: &str| self.visible.get(&text.parse().ok()?).cloned();
        let declared = match &self.derivation.outputs {
            Outputs::Fixed(fixed) => Some(&fixed.hash),
            Outputs::Floating(_) => None,
        };
        builders::run(&builders::Job {
            builder: &self.derivation.builder,
            attrs: self.derivation.attrs.as_deref().unwrap_or("{}"),
            input: &input,
            out: &self.out,
            declared,
            fetch: &self.fetch,
            sandbox: self.runner.as_ref(),
            watch: Watch {
                cancelled: &|| self.cancel.is_cancelled(),
                report: &|report| self.follower.hear(report),
            },
        })
    }
}

/// Passes on what a builder of hb's own tells.
struct Follower {
    derivation: DerivationId,
    events: Events,
    log: Mutex<Log>,
}

impl Follower {
    fn hear(&self, report: Report) {
        let derivation = self.derivation;
        match report {
            Report::Log(bytes) => {
                self.log.lock().unwrap_or_else(PoisonError::into_inner).write(&bytes);
            }
            Report::Progress { received, total } => {
                self.events.emit(Event::Progress { derivation, received, total });
            }
        }
    }
}

fn create(folder: &Path) -> Result<(), Halt> {
    fs::create_dir_all(folder)
        .map_err(|error| FailureCause::Folder { path: folder.to_owned(), error }.into())
}
