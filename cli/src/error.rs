//! Failures: what to print and which code to end with.
//!
//! The libraries' errors carry facts; this module decides whose fault each is, adds
//! the way out, and picks the exit code.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use hb_build::{BuildError, FailureCause, builders::BuiltinError};
use hb_cache::{CacheError, Fault};
use hb_model::DerivationId;
use hb_sandbox::Excess;
use hb_store::{ArchiveError, StoreError};
use miette::{Diagnostic, MietteDiagnostic};

use crate::exit::Exit;

/// The way out where the machine may lack something.
pub(crate) const DOCTOR: &str = "`hb doctor` says what this machine lacks";

/// The end of a command that did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The code to end with.
    pub(crate) exit: Exit,
    /// What to show; more than one where several problems were found in one run.
    pub(crate) reports: Vec<miette::Report>,
}

impl Failure {
    /// One report, one code.
    pub(crate) fn new(exit: Exit, report: impl Into<miette::Report>) -> Self {
        Self { exit, reports: vec![report.into()] }
    }

    /// An error of a library that implements no diagnostic of its own: its code, its
    /// message, its causes, and a way out where there is one.
    pub(crate) fn plain(
        exit: Exit,
        code: &str,
        error: &(dyn std::error::Error + 'static),
        help: Option<&str>,
    ) -> Self {
        let mut report = MietteDiagnostic::new(chain(error)).with_code(code);
        if let Some(help) = help {
            report = report.with_help(help);
        }
        Self::new(exit, report)
    }
}

/// What can be wrong with what the user wrote outside recipes.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub(crate) enum CliError {
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    #[diagnostic(code("usage.file"))]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A configuration, project or lock file is not what it should be.
    #[error("{message}")]
    #[diagnostic(code("project.toml"))]
    Toml {
        message: String,
        #[source_code]
        text: miette::NamedSource<String>,
        #[label("here")]
        span: Option<miette::SourceSpan>,
    },
    /// A lock file of another format.
    #[error("{} has format {found}, and this hb knows format {known}", path.display())]
    #[diagnostic(
        code("project.lock-format"),
        help("use a newer hb, or write it anew with `hb update`")
    )]
    LockVersion { path: PathBuf, found: u32, known: u32 },
    /// An environment variable has no meaning.
    #[error("the environment has {name}='{value}'; {expected} is expected")]
    #[diagnostic(code("settings.variable"))]
    Variable { name: String, value: String, expected: &'static str },
    /// There is nowhere to put the store.
    #[error("no home folder, so there is no default place for the store")]
    #[diagnostic(code("settings.store"), help("name one with --store DIR or HB_STORE"))]
    NoHome,
    /// A command needs a project and there is none.
    #[error("{} is not inside a project: neither it nor a folder above has an hb.toml", start.display())]
    #[diagnostic(code("project.none"), help("`hb pin go@1.24.4` makes one here"))]
    NoProject { start: PathBuf },
    /// The lock file does not list what it should.
    #[error("{message}")]
    #[diagnostic(code("project.lock-mismatch"))]
    LockMismatch {
        message: String,
        #[help]
        help: &'static str,
    },
    /// What should be built is nothing that can be.
    #[error("'{attribute}' of {} is no derivation and no list of them", file.display())]
    #[diagnostic(
        code("recipe.not-a-derivation"),
        help("`hb eval` shows what it is; FILE#a.b selects another attribute")
    )]
    NotADerivation { attribute: String, file: PathBuf },
    /// What stands among tests is none.
    #[error("'{name}' is no test")]
    #[diagnostic(
        code("recipe.not-a-test"),
        help("a test is `{{ expr = …; expected = …; }}`, a derivation, or a set of tests")
    )]
    NotATest { name: String },
    /// Anything that one sentence says.
    #[error("{message}")]
    #[diagnostic(code("usage.input"))]
    Usage {
        message: String,
        #[help]
        help: Option<String>,
    },
}

impl CliError {
    /// A problem that the TOML reader found.
    pub(crate) fn toml(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        Self::Toml {
            message: error.message().trim_end().to_owned(),
            text: miette::NamedSource::new(path.display().to_string(), text.to_owned()),
            span: error.span().map(Into::into),
        }
    }

    /// A mistake in how hb was called.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: None }
    }

    /// What to do next.
    pub(crate) fn with_help(self, text: impl Into<String>) -> Self {
        match self {
            Self::Usage { message, .. } => Self::Usage { message, help: Some(text.into()) },
            other => other,
        }
    }
}

impl From<CliError> for Failure {
    fn from(error: CliError) -> Self {
        let exit = match error {
            CliError::LockMismatch { .. } => Exit::Lock,
            CliError::NotADerivation { .. } | CliError::NotATest { .. } => Exit::Evaluation,
            _ => Exit::Usage,
        };
        Self::new(exit, error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        store_failure(&error)
    }
}

impl From<hb_cache::Error> for Failure {
    fn from(error: hb_cache::Error) -> Self {
        match error {
            hb_cache::Error::Store(error) => store_failure(&error),
            hb_cache::Error::Cache(error) => error.into(),
            error @ hb_cache::Error::Nowhere(_) => {
                let help = "`hb cache ls` lists what a cache has";
                Self::plain(Exit::Fetch, "cache.missing", &error, Some(help))
            }
        }
    }
}

impl From<CacheError> for Failure {
    fn from(error: CacheError) -> Self {
        let help = match &error.fault {
            Fault::Cancelled => {
                return Self::plain(
                    Exit::Interrupted,
                    "cache.stopped",
                    &error,
                    Some("what was moved is kept; the same command goes on from there"),
                );
            }
            Fault::ReadOnly => Some("push to a folder, an S3 server or a registry"),
            Fault::NoList => Some("name the store paths to look for"),
            _ => None,
        };
        Self::plain(Exit::Fetch, "cache.failed", &error, help)
    }
}

/// A store's error, with its code and a way out where there is one.
fn store_failure(error: &StoreError) -> Failure {
    Failure::plain(Exit::Store, store_code(error), error, store_help(error))
}

/// The code of a store's error: causes with the same way out share one.
fn store_code(error: &StoreError) -> &'static str {
    match error {
        StoreError::Full { .. } => "store.full",
        StoreError::ReadOnlyFileSystem { .. }
        | StoreError::Denied { .. }
        | StoreError::WrongOwner { .. }
        | StoreError::OtherUser { .. }
        | StoreError::OpenedForReading { .. } => "store.denied",
        StoreError::Io { .. } => "store.io",
        StoreError::Lower { .. }
        | StoreError::BelowItself { .. }
        | StoreError::GoneBelow { .. }
        | StoreError::UnfinishedLog { .. }
        | StoreError::InLower { .. } => "store.lower",
        StoreError::CannotShare { .. } => "store.sharing",
        StoreError::OlderFormat { .. } | StoreError::NewerFormat { .. } => "store.format",
        StoreError::ForeignDatabase { .. }
        | StoreError::DamagedDatabase { .. }
        | StoreError::Database { .. } => "store.database",
        StoreError::Changed { .. } => "store.changed",
        StoreError::Busy { .. } => "store.busy",
        StoreError::NoStore { .. }
        | StoreError::NotInStore { .. }
        | StoreError::MissingReference { .. } => "store.missing",
        StoreError::TwoDigests { .. } => "store.conflict",
        StoreError::Archive(_) => "store.import",
        StoreError::NoFacts { .. } => "store.export",
        StoreError::NotADerivation { .. }
        | StoreError::SpecialFile { .. }
        | StoreError::PathTooLong { .. }
        | StoreError::TooManyEntries { .. }
        | StoreError::FilterStopped { .. }
        | StoreError::Name(_) => "store.input",
        StoreError::MissingOutput { .. }
        | StoreError::HashInName { .. }
        | StoreError::OutputCycle { .. }
        | StoreError::HashMismatch { .. }
        | StoreError::NotAFile { .. }
        | StoreError::TreeAlgorithm { .. }
        | StoreError::FixedRefers { .. } => "build.output",
        StoreError::LinkInTheWay { .. } => "store.link",
    }
}

/// The way out of a store's error, where there is one.
fn store_help(error: &StoreError) -> Option<&'static str> {
    Some(match error {
        StoreError::Full { .. } => {
            "free some space, or let `hb store gc` remove what nothing needs; what was stored \
             before is whole"
        }
        StoreError::ReadOnlyFileSystem { .. } | StoreError::Denied { .. } => {
            "name a store of your own with --store DIR or HB_STORE"
        }
        StoreError::OtherUser { .. } => {
            "hb was run as another user in this store; as root, `chown -R` gives all of it back"
        }
        StoreError::WrongOwner { .. } => {
            "run hb as that user, or name a store of your own with --store DIR"
        }
        StoreError::Lower { source, .. } => match &**source {
            StoreError::OlderFormat { .. } => {
                "open it for writing once with this hb, where that can be done, or make it anew"
            }
            StoreError::UnfinishedLog { .. } => {
                "a lower store must not change while it is one; open it for writing once, \
                 which completes it"
            }
            _ => "`lower-stores` in the settings, HB_LOWER_STORES or --lower-store names it",
        },
        StoreError::BelowItself { .. } => {
            "`lower-stores` in the settings, HB_LOWER_STORES or --lower-store names it"
        }
        StoreError::GoneBelow { .. } => {
            "name that lower store again; if it is gone for good, `hb store verify --repair` builds \
             again what lay there"
        }
        StoreError::CannotShare { .. } => {
            "with `hard-links = true` in the settings, or HB_HARD_LINKS=1, equal files become links"
        }
        StoreError::InLower { .. } => "mend it there, or name another lower store",
        StoreError::OlderFormat { .. } => "open it for writing once, which brings it up to date",
        StoreError::Changed { .. } => "`hb store verify --contents` finds all that is damaged",
        StoreError::NewerFormat { .. } => {
            "use the newer hb that wrote it, or name another store with --store DIR"
        }
        StoreError::DamagedDatabase { .. } => {
            "move the file away and name another store, or restore it from a copy"
        }
        StoreError::Archive(ArchiveError::Cut) => "get the whole stream, and import it again",
        StoreError::Archive(_) => "export it again where it came from, and compare the two files",
        StoreError::NoFacts { .. } => "let gc remove it, and fetch it again",
        StoreError::Busy { .. } => "wait for the other hb to finish, and try again",
        StoreError::LinkInTheWay { .. } => "move it away, or name another link with --out-link",
        _ => return None,
    })
}

/// What a build's error says, and the code to end with.
pub(crate) fn build_failure(
    error: &BuildError,
    place_of: impl Fn(&DerivationId) -> Option<String>,
) -> Failure {
    let each = |failures: &[Arc<hb_build::Failure>], exit| Failure {
        exit,
        reports: failures.iter().map(|f| step_report(f, place_of(&f.derivation))).collect(),
    };
    match error {
        BuildError::Failed { failures, blocked } => {
            let exit = failures.iter().map(|failure| exit_of(&failure.cause)).min();
            let mut failure = each(failures, exit.unwrap_or(Exit::Build));
            if !blocked.is_empty() {
                let names: Vec<_> = blocked.iter().map(ToString::to_string).collect();
                let message = format!("not built because of that: {}", names.join(", "));
                let note = MietteDiagnostic::new(message)
                    .with_code("build.blocked")
                    .with_severity(miette::Severity::Advice);
                failure.reports.push(note.into());
            }
            failure
        }
        BuildError::NotReproducible { failures } => each(failures, Exit::Differs),
        BuildError::Cancelled => Failure::new(
            Exit::Interrupted,
            MietteDiagnostic::new(
                "stopped: nothing is left running, and what was finished is kept",
            )
            .with_code("build.cancelled"),
        ),
        BuildError::Offline { missing } => {
            let lines: String = missing.iter().map(|file| format!("\n  {}", file.name)).collect();
            let message = format!(
                "{} files are not in the store, and offline nothing is fetched:{lines}",
                missing.len()
            );
            Failure::new(
                Exit::Fetch,
                MietteDiagnostic::new(message).with_code("build.offline").with_help(
                    "`hb fetch` with the same recipe brings all of them, where there is a network",
                ),
            )
        }
        BuildError::MissingSources { .. } => {
            Failure::plain(Exit::Store, "build.missing-sources", error, None)
        }
        BuildError::NoTarget(_) => Failure::plain(Exit::Store, "build.derivation", error, None),
        BuildError::Folder { .. } => Failure::plain(Exit::Store, "build.folder", error, None),
        BuildError::Store(error) => store_failure(error),
    }
}

/// Whose fault a failed step is.
fn exit_of(cause: &FailureCause) -> Exit {
    match cause {
        FailureCause::NoSandbox(_) | FailureCause::Isolation { .. } => Exit::Host,
        FailureCause::Builtin(BuiltinError::Fetch(_)) => Exit::Fetch,
        _ => Exit::Build,
    }
}

/// The code of a failed step: causes with the same way out share one.
fn cause_code(cause: &FailureCause) -> &'static str {
    match cause {
        FailureCause::Status { .. } | FailureCause::Signal { .. } => "build.failed",
        FailureCause::TimedOut { .. }
        | FailureCause::Silent { .. }
        | FailureCause::Exceeded { .. } => "build.limit",
        FailureCause::Isolation { .. } => "build.isolation",
        FailureCause::Output(error) => store_code(error),
        FailureCause::Interpreter { .. } => "build.interpreter",
        FailureCause::ForeignSystem { .. } => "build.foreign-system",
        FailureCause::Name(_) | FailureCause::BuiltinOutputs | FailureCause::NotAnInput { .. } => {
            "build.derivation"
        }
        FailureCause::NoSandbox(_) | FailureCause::Sandbox(_) => "build.sandbox",
        FailureCause::Builtin(BuiltinError::Fetch(_)) => "build.fetch",
        FailureCause::Builtin(_) => "build.primitive",
        FailureCause::Folder { .. } => "build.folder",
        FailureCause::Differs(_) => "build.differs",
    }
}

/// A failed step: where it stands, why it failed, what it said last, and how to look.
fn step_report(failure: &hb_build::Failure, place: Option<String>) -> miette::Report {
    let mut message = format!("{} failed: {}", failure.name, chain(&failure.cause));
    if let Some(place) = place {
        message += &format!("\n  made at {place}");
    }
    if let Some(log) = &failure.log {
        if !log.lines.is_empty() {
            message += "\n  the last lines of its log:";
        }
        log.lines.iter().for_each(|line| message += &format!("\n  │ {line}"));
        message += &format!("\n  the whole log: {}", log.path.display());
    }
    let report = MietteDiagnostic::new(message).with_code(cause_code(&failure.cause));
    if let Some(help) = bound_help(&failure.cause) {
        return report.with_help(help).into();
    }
    match (&failure.kept, &failure.log) {
        (Some(kept), _) => report.with_help(format!(
            "the build folder is kept in {0}; `hb shell FILE#ATTR --kept {0}` opens a shell as the \
             build had it",
            kept.display()
        )),
        // What hb carries out by itself has no build folder to look into.
        (None, Some(_)) if !matches!(failure.cause, FailureCause::Builtin(_)) => {
            report.with_help("with --keep-failed the build folder is kept, to look inside")
        }
        (None, _) => report,
    }
    .into()
}

/// How to raise the limit that ended a build, or what it lacked.
fn bound_help(cause: &FailureCause) -> Option<String> {
    let name = match cause {
        FailureCause::TimedOut { .. } => "timeout",
        FailureCause::Silent { .. } => "silence",
        FailureCause::Exceeded { excess: Excess::Memory(_) } => "memory",
        FailureCause::Exceeded { excess: Excess::Processes(_) } => "processes",
        FailureCause::Exceeded { excess: Excess::Disk(_) } => "disk",
        FailureCause::Isolation { .. } => {
            return Some(format!("{DOCTOR}; `isolation-needed` in the settings asks for it"));
        }
        _ => return None,
    };
    Some(format!(
        "it may use what is the least of `limits.{name}` in the recipe and `{name}` under `[limits]` \
         in the settings; raise that one"
    ))
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let more = cause.to_string();
        if !text.contains(&more) {
            text += &format!(": {more}");
        }
        source = cause.source();
    }
    text
}
