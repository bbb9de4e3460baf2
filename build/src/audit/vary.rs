//! What a round has otherwise than the first, and what it could not have.

use std::{
    fs,
    num::NonZeroUsize,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    thread,
    time::SystemTime,
};

use hb_sandbox::User;
use hb_store::ScratchDir;
use tempfile::TempDir;
use walkdir::WalkDir;

use super::{
    conditions::{Conditions, Factor, NotVaried, Reason},
    listing::{Relisted, other_file_system, relisted},
};
use crate::{
    BuildError,
    events::Work,
    realise::{Attempt, Order, Realiser, Setting, blocking},
};

/// Where the kernel lets processes be numbered from elsewhere.
const LAST_PROCESS: &str = "/proc/sys/kernel/ns_last_pid";
/// Not to be taken for a number of processors.
const FIRST_PROCESS: u32 = 1000;
/// Below the lowest limit that kernels have by default.
const MAX_PROCESS: u32 = 30_000;

/// A round that can begin.
pub(super) struct Prepared {
    pub(super) setting: Setting,
    pub(super) load: bool,
    varied: Vec<Factor>,
    not_varied: Vec<NotVaried>,
    /// Removed after the round, and before the folder that may hold them.
    _folders: Vec<Folder>,
    _scratch: Option<ScratchDir>,
}

/// Decide on a round's conditions. The first, number 0, is like any build.
pub(super) async fn prepare(
    realiser: &Realiser,
    order: &Order,
    number: usize,
) -> Result<Prepared, BuildError> {
    let mut prepared = Prepared {
        setting: Setting::default(),
        load: false,
        varied: Vec::new(),
        not_varied: Vec::new(),
        _folders: Vec::new(),
        _scratch: None,
    };
    if number == 0 {
        return Ok(prepared);
    }
    prepared.varied.push(Factor::Time);
    prepared.load = true;
    prepared.varied.push(Factor::Load);
    prepared.setting.variant = u32::try_from(number).unwrap_or(u32::MAX);
    prepared.varied.push(Factor::ScratchHash);
    if order.work != Work::Build {
        let sandboxed = [
            Factor::User,
            Factor::Processors,
            Factor::ProcessIds,
            Factor::InputListing,
            Factor::LinkCounts,
            Factor::BuildListing,
        ];
        for factor in sandboxed {
            prepared.leave(factor, Reason::Builtin);
        }
        return Ok(prepared);
    }
    prepared.vary_user(number);
    prepared.vary_processors();
    prepared.vary_process_ids(number);
    prepared.vary_inputs(realiser, order).await?;
    Ok(prepared)
}

impl Prepared {
    fn leave(&mut self, factor: Factor, reason: Reason) {
        self.not_varied.push(NotVaried { factor, reason });
    }

    fn tell(&mut self, factor: Factor, outcome: Result<(), Reason>) {
        match outcome {
            Ok(()) => self.varied.push(factor),
            Err(reason) => self.leave(factor, reason),
        }
    }

    fn vary_user(&mut self, number: usize) {
        let shift = u32::try_from(number).unwrap_or(u32::MAX);
        let shifted = |id: u32| id.saturating_add(shift);
        let User { uid, gid } = User::BUILDER;
        self.setting.user = Some(User { uid: shifted(uid), gid: shifted(gid) });
        self.varied.push(Factor::User);
    }

    fn vary_processors(&mut self) {
        match processors() {
            1 => self.leave(Factor::Processors, Reason::OneProcessor),
            _ => {
                self.setting.processors = Some(1);
                self.varied.push(Factor::Processors);
            }
        }
    }

    fn vary_process_ids(&mut self, number: usize) {
        if !Path::new(LAST_PROCESS).exists() {
            return self.leave(Factor::ProcessIds, Reason::NoNumbering);
        }
        let round = u32::try_from(number).unwrap_or(u32::MAX);
        self.setting.first_process = Some(FIRST_PROCESS.saturating_mul(round).min(MAX_PROCESS));
        self.varied.push(Factor::ProcessIds);
    }

    async fn vary_inputs(&mut self, realiser: &Realiser, order: &Order) -> Result<(), BuildError> {
        let usual = realiser.store().scratch_dir()?;
        let other = other_file_system(usual.path());
        match &other {
            Some(elsewhere) => {
                let work = Folder::below(elsewhere)?;
                self.setting.work = Some(work.0.path().to_owned());
                self._folders.push(work);
                self.varied.push(Factor::BuildListing);
            }
            None => self.leave(Factor::BuildListing, Reason::OneFileSystem),
        }
        let visible = realiser.visible(order)?;
        let folder = Folder::below(other.as_deref().unwrap_or(usual.path()))?;
        let copies = folder.0.path().to_owned();
        self._folders.push(folder);
        self._scratch = Some(usual);
        let relisted = {
            let copies = copies.clone();
            blocking(move || relisted(&visible, &copies)).await
        };
        let relisted = relisted.map_err(|error| BuildError::Folder { path: copies, error })?;
        match relisted {
            Ok(Relisted { inputs, listing, links }) => {
                self.setting.inputs = Some(inputs);
                self.tell(Factor::InputListing, listing);
                self.tell(Factor::LinkCounts, links);
            }
            Err(reason) => {
                self.leave(Factor::InputListing, reason);
                self.leave(Factor::LinkCounts, reason);
            }
        }
        Ok(())
    }

    /// What the round was like, now that it is over.
    pub(super) fn conditions(
        self,
        attempt: &Attempt,
        started: SystemTime,
        ended: SystemTime,
    ) -> Conditions {
        let outputs = attempt.outputs.values();
        Conditions {
            started,
            ended,
            processors: self.setting.processors.unwrap_or_else(processors),
            user: self.setting.user.unwrap_or(User::BUILDER).uid,
            first_process: self.setting.first_process,
            scratch_variant: self.setting.variant,
            scratch_hashes: outputs.map(|made| made.path.hash_part()).collect(),
            varied: self.varied,
            not_varied: self.not_varied,
        }
    }
}

fn processors() -> usize {
    thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// A folder whose contents may be read-only, removed when dropped.
struct Folder(TempDir);

impl Folder {
    fn below(place: &Path) -> Result<Self, BuildError> {
        let path: PathBuf = place.to_owned();
        tempfile::Builder::new()
            .prefix("hb-audit-")
            .tempdir_in(place)
            .map(Self)
            .map_err(|error| BuildError::Folder { path, error })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        for entry in WalkDir::new(self.0.path()).into_iter().flatten() {
            if entry.file_type().is_dir() {
                // If it can't be made writable, removing it says so by leaving it.
                let _ = fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o700));
            }
        }
    }
}
