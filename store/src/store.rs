//! The handle on a store.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use hb_model::StorePath;

use crate::{
    database::Database,
    disk::Folder,
    error::{Result, StoreError},
    install::StoreParts,
    layout::Layout,
    lock::lock_exclusive,
    lower::{self, Lower},
    protocol, reserve,
    session::Session,
    share::Sharing,
};

/// What the caller is going to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Look only; the store must exist, and may lie on a read-only file system.
    Read,
    /// Change as well; the store is made if it is missing.
    Write,
}

/// What a power failure may cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Nothing that was registered.
    #[default]
    Full,
    /// Everything: nothing is flushed. For throw-away stores and file systems that keep
    /// nothing anyway. A killed process still loses nothing.
    Relaxed,
}

/// How a store is opened, where that is not as usual.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// What a power failure may cost.
    pub durability: Durability,
    /// Stores that are only read: what they have is as good as what is here. The first is
    /// asked first. Nobody may change them meanwhile.
    pub lower: Vec<PathBuf>,
    /// Store equal files as one with several names. How many a file has shows in builds.
    pub hard_links: bool,
}

impl From<Durability> for StoreOptions {
    fn from(durability: Durability) -> Self {
        Self { durability, ..Self::default() }
    }
}

/// A store; clones are handles on the same one. All functions may block.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) layout: Layout,
    pub(crate) database: Database,
    pub(crate) durability: Durability,
    /// What is read beside it; the first is asked first.
    pub(crate) lower: Vec<Lower>,
    pub(crate) hard_links: bool,
    /// What writing needs; absent in a store opened for reading.
    writer: Option<Writer>,
}

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) session: Session,
    /// The folder of the objects.
    pub(crate) objects: Folder,
    /// How equal files are stored once, if they can be; looked up when it matters.
    pub(crate) sharing: OnceLock<Option<Sharing>>,
}

impl Store {
    /// Open the store below `root`.
    pub fn open(root: &Path, mode: OpenMode) -> Result<Self> {
        Self::open_with(root, mode, StoreOptions::default())
    }

    /// Open the store below `root` in another way than the usual one.
    pub fn open_with(
        root: &Path,
        mode: OpenMode,
        options: impl Into<StoreOptions>,
    ) -> Result<Self> {
        let (layout, options) = (Layout::new(root), options.into());
        if mode == OpenMode::Read {
            if !layout.database().exists() {
                return Err(StoreError::NoStore { root: root.to_owned() });
            }
            let database = Database::open(&layout.database(), mode, options.durability)?;
            return Self::assemble(&layout, &options, database, None);
        }
        layout.create()?;
        match Self::open_for_writing(&layout, &options) {
            // Opening must work even now: gc is what helps.
            Err(StoreError::Full { .. }) if layout.reserve().exists() => {
                reserve::release(&layout)?;
                Self::open_for_writing(&layout, &options)
            }
            opened => {
                reserve::keep(&layout);
                opened
            }
        }
    }

    fn open_for_writing(layout: &Layout, options: &StoreOptions) -> Result<Self> {
        let opening = lock_exclusive(&layout.sessions_lock())?;
        let database = Database::open(&layout.database(), OpenMode::Write, options.durability)?;
        drop(opening);
        let objects = Folder::open(&layout.objects())?;
        let session = Session::start(layout)?;
        let writer = Writer { session, objects, sharing: OnceLock::new() };
        Self::assemble(layout, options, database, Some(writer))
    }

    fn assemble(
        layout: &Layout,
        options: &StoreOptions,
        database: Database,
        writer: Option<Writer>,
    ) -> Result<Self> {
        let lower = lower::open_all(layout.root(), &options.lower)?;
        let (layout, &StoreOptions { durability, hard_links, .. }) = (layout.clone(), options);
        let inner = Inner { layout, database, durability, lower, hard_links, writer };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The folder that everything lies below.
    pub fn root(&self) -> &Path {
        self.inner.layout.root()
    }

    /// Keep objects, and all that they refer to, from gc for as long as this store is
    /// open. Returns those that are not in the store, and are therefore not kept yet;
    /// they will be if they are added later.
    ///
    /// What a process has asked the store about can vanish under it until it is held.
    pub fn hold(&self, paths: &[StorePath]) -> Result<Vec<StorePath>> {
        match &self.inner.writer {
            Some(writer) => protocol::hold(&StoreParts { store: self, writer }, paths),
            None => protocol::missing(paths, |path| self.contains(path)),
        }
    }

    pub(crate) fn writer(&self) -> Result<&Writer> {
        let root = || self.root().to_owned();
        self.inner.writer.as_ref().ok_or_else(|| StoreError::OpenedForReading { root: root() })
    }
}
