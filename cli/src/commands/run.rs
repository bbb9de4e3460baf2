//! `hb run`: a pinned tool, in the user's own surroundings.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Args;
use hb_sandbox::{Access, Bind, Runner, SandboxSpec, StoreEntry, User};

use super::build::HowArgs;
use crate::{
    args::{ArgumentArgs, EvaluationArgs, Global},
    building::{self, Work},
    config::Settings,
    error::{CliError, DOCTOR, Failure},
    exit::Exit,
    project::{self, Project},
    recipe::{self, Session},
};

/// What `hb run` takes.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// The program and its arguments
    #[arg(
        value_name = "PROGRAM",
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    command: Vec<OsString>,
    #[command(flatten)]
    evaluation: EvaluationArgs,
}

/// Run; ends as the program does.
pub(crate) fn run(global: &Global, args: RunArgs) -> Result<ExitCode, Failure> {
    with_tools(global, args.evaluation, args.command)
}

/// Run a command with the project's tools in front of `PATH`, and `/hb/store` in place.
pub(super) fn with_tools(
    global: &Global,
    evaluation: EvaluationArgs,
    command: Vec<OsString>,
) -> Result<ExitCode, Failure> {
    let project = Project::require(Path::new("."))?;
    let settings = Settings::load(global.layer(), project::settings(Some(&project)))?;
    let store = recipe::open_store(&settings)?;
    let work = tools(&settings, &project, evaluation, &store)?;
    let outcome = work.build(global, &HowArgs::default(), false)?;
    let tools: Vec<_> = outcome.outputs.into_iter().map(|(_, path)| path).collect();
    let mut closure = Vec::new();
    for path in store.closure(&tools)? {
        closure.push(StoreEntry { path: path.to_string(), physical: store.physical(&path) });
    }
    let own_path = std::env::var_os("PATH").unwrap_or_default();
    let folders = tools.iter().map(|path| format!("{path}/bin").into());
    let path = std::env::join_paths(folders.chain(std::env::split_paths(&own_path)))
        .map_err(|error| CliError::usage(error.to_string()))?;
    let mut environment: BTreeMap<OsString, OsString> = std::env::vars_os().collect();
    environment.insert("PATH".into(), path);
    let argv = located(command, &tools, &store, &own_path)?;
    let here = super::current_folder()?;
    let user =
        User { uid: rustix::process::getuid().as_raw(), gid: rustix::process::getgid().as_raw() };
    let mut spec = SandboxSpec::host_view(user, here, environment, argv);
    spec.store.closure = closure;
    spec.binds = writable(&project).collect();
    execute(&settings, spec)
}

/// What stays writable: the project, the user's home, and the folders for temporary files.
fn writable(project: &Project) -> impl Iterator<Item = Bind> {
    let home = etcetera::home_dir().ok();
    let temporary = ["/tmp", "/var/tmp", "/dev/shm"].map(PathBuf::from);
    let folders = home.into_iter().chain(temporary).chain([project.folder.clone()]);
    folders.map(|folder| Bind { source: folder.clone(), target: folder, access: Access::Writable })
}

/// The derivations of the project's tools.
fn tools(
    settings: &Settings,
    project: &Project,
    evaluation: EvaluationArgs,
    store: &hb_store::Store,
) -> Result<Work, Failure> {
    if project.manifest.tools.is_empty() {
        return Err(CliError::usage("this project pins no tools")
            .with_help("`hb pin go@1.24.4` pins one")
            .into());
    }
    let session = Session::new(
        Some(project),
        &project.folder,
        &ArgumentArgs::default(),
        evaluation,
        settings,
        store.clone().into(),
    )?;
    let evaluated = session.tools()?;
    let work = Work::new(settings, store.clone(), evaluated)?;
    work.keep_until_the_end();
    Ok(work)
}

/// The command with its program as a path: a tool's if one has it, or else the user's.
fn located(
    mut command: Vec<OsString>,
    tools: &[hb_model::StorePath],
    store: &hb_store::Store,
    own_path: &OsString,
) -> Result<Vec<OsString>, Failure> {
    let Some(program) =
        command.first_mut().filter(|p| !Path::new(p).to_string_lossy().contains('/'))
    else {
        return Ok(command);
    };
    let of_tool = tools
        .iter()
        .find(|tool| store.physical(tool).join("bin").join(&*program).exists())
        .map(|tool| Path::new(&tool.to_string()).join("bin").join(&*program));
    let of_user = || {
        std::env::split_paths(own_path)
            .map(|folder| folder.join(&*program))
            .find(|candidate| candidate.is_file())
    };
    let Some(found) = of_tool.or_else(of_user) else {
        let message = format!(
            "no pinned tool has a program '{}', and neither does PATH",
            Path::new(program).display()
        );
        return Err(CliError::usage(message).into());
    };
    *program = found.into();
    Ok(command)
}

/// Run a sandbox at the user's terminal, and end as it does.
pub(super) fn execute(settings: &Settings, spec: SandboxSpec) -> Result<ExitCode, Failure> {
    let failed = |error: &(dyn std::error::Error + 'static)| {
        Failure::plain(Exit::Host, "build.sandbox", error, Some(DOCTOR))
    };
    let runner = Runner::new(settings.sandbox).map_err(|error| failed(&error))?;
    let ended = building::runtime()?.block_on(async {
        // The terminal sends Ctrl-C to the program too: it decides what that means.
        use tokio::signal::unix::{SignalKind, signal};
        let _interrupt = signal(SignalKind::interrupt());
        let _quit = signal(SignalKind::quit());
        runner.run(spec, std::future::pending(), |_| {}).await
    });
    match ended.map_err(|error| failed(&error))?.exit {
        hb_sandbox::Exit::Code(code) => Ok(ExitCode::from(code)),
        hb_sandbox::Exit::Signal(signal) => Ok(ExitCode::from(128 + signal)),
        _ => Ok(Exit::Interrupted.into()),
    }
}
