//! Adding what comes from outside of any build: sources and texts.

use std::{borrow::Cow, collections::BTreeSet, io::Write as _, path::Path, sync::Arc};

use hb_model::{ContentDigest, NodeDigest, StoreName, StorePath};
use rusqlite::{OptionalExtension as _, params};
use rustix::fs::Stat;

use crate::{
    clock::now_nanoseconds,
    copy::{Contents, copy, create, digests, finish_file, seal, total_size},
    disk::Folder,
    error::{Context as _, Result},
    install::Finished,
    objects::parse,
    scan::Scanner,
    share::Shared,
    store::Store,
    tree::{Filter, Kind, Node, Place, Reading, Tree},
};

/// A file written this shortly before it was looked at may be written again without
/// getting another time: file systems take it from a clock that ticks this slowly.
const TICK: i128 = 20_000_000;

/// The same where a file system keeps no fractions of seconds.
const COARSE_TICK: i128 = 2_000_000_000;

impl Store {
    /// Add the file, link or folder at `source` as an object called `name`, without what
    /// `filter` refuses; it is held.
    ///
    /// Each file is read once, so that the object is what was hashed even if somebody
    /// writes meanwhile. A tree of which nothing has changed since it was last added is
    /// not read at all; that is told from the entries' device, inode, size and times.
    pub fn add_tree(
        &self,
        source: &Path,
        name: &StoreName,
        filter: Option<Filter<'_>>,
    ) -> Result<StorePath> {
        let place = Place::of(source)?;
        let looked_at = LookedAt::new(&place, name, filter)?;
        if let Some(path) = self.known_source(&looked_at)?
            && self.hold(std::slice::from_ref(&path))?.is_empty()
        {
            return Ok(path);
        }
        let scratch = self.scratch_dir()?;
        let staged = Place { around: Arc::clone(&scratch.folder), name: b"source".to_vec() };
        let tree = &looked_at.tree;
        let contents = copy(tree, &place, Some(&staged), &Scanner::default())?;
        let shared = self.share_staged(tree, &contents, &staged)?;
        seal(tree, &staged)?;
        let object = finished(staged, tree, &contents, name, shared);
        let path = object.path.clone();
        self.install(&[object], |transaction| {
            let Some(row) = self.row(transaction, &path)?.filter(|_| !looked_at.too_recent) else {
                return Ok(());
            };
            let remember = || {
                let sql = "INSERT OR REPLACE INTO sources VALUES (?1, ?2)";
                let values = params![looked_at.fingerprint.as_slice(), row];
                transaction.prepare_cached(sql)?.execute(values)
            };
            remember().map(|_| ()).map_err(|error| self.inner.database.error(error))
        })?;
        Ok(path)
    }

    /// Add a file with these bytes, which refers to these objects; it is held.
    pub fn add_file(
        &self,
        name: &StoreName,
        bytes: &[u8],
        executable: bool,
        references: &BTreeSet<StorePath>,
    ) -> Result<StorePath> {
        let digest = NodeDigest::of_file(executable, &ContentDigest::of(bytes));
        let path = StorePath::of_content(name.clone(), digest, references, false);
        let (bytes, references) = (Cow::Borrowed(bytes), references.clone());
        self.add_files(vec![NewFile { path: path.clone(), bytes, executable, references }])?;
        Ok(path)
    }

    /// Add files, each after those that it refers to: what is flushed is flushed once, and
    /// one transaction registers them all. They are held.
    pub(crate) fn add_files(&self, files: Vec<NewFile>) -> Result<()> {
        let paths: Vec<_> = files.iter().map(|file| file.path.clone()).collect();
        let missing = self.hold_and_want(&paths)?;
        if missing.is_empty() {
            return Ok(());
        }
        let scratch = self.scratch_dir()?;
        let new = files.into_iter().filter(|file| missing.contains(&file.path));
        let staged: Vec<_> = new.map(|file| file.stage(&scratch.folder)).collect::<Result<_>>()?;
        self.install(&staged, |_| Ok(()))
    }

    fn known_source(&self, looked_at: &LookedAt) -> Result<Option<StorePath>> {
        let database = &self.inner.database;
        let name: Option<String> = database.read(|connection| {
            let sql = "SELECT name FROM sources JOIN objects ON id = object WHERE fingerprint = ?1";
            connection
                .prepare_cached(sql)?
                .query_row([looked_at.fingerprint.as_slice()], |row| row.get(0))
                .optional()
        })?;
        name.map(|name| parse(database, &name)).transpose()
    }
}

/// A file in memory that is to become an object.
pub(crate) struct NewFile<'a> {
    pub(crate) path: StorePath,
    pub(crate) bytes: Cow<'a, [u8]>,
    pub(crate) executable: bool,
    pub(crate) references: BTreeSet<StorePath>,
}

impl NewFile<'_> {
    fn stage(self, around: &Arc<Folder>) -> Result<Finished> {
        let Self { path, bytes, executable, references } = self;
        let staged = Place { around: Arc::clone(around), name: path.base_name().into() };
        let mut file = create(around, &staged.name)?;
        file.write_all(&bytes).at("write", staged.path())?;
        finish_file(&file, executable).at("finish", staged.path())?;
        Ok(Finished {
            staged,
            is_folder: false,
            path,
            digest: NodeDigest::of_file(executable, &ContentDigest::of(&bytes)),
            size: bytes.len() as u64,
            references,
            self_reference: false,
            fixed: None,
            shared: Shared::default(),
        })
    }
}

fn finished(
    staged: Place,
    tree: &Tree,
    contents: &Contents,
    name: &StoreName,
    shared: Shared,
) -> Finished {
    let digest = tree.digest(&digests(contents));
    let references = BTreeSet::new();
    Finished {
        staged,
        is_folder: matches!(tree.nodes[0].kind, Kind::Directory { .. }),
        path: StorePath::of_content(name.clone(), digest, &references, false),
        digest,
        size: total_size(tree, contents),
        references,
        self_reference: false,
        fixed: None,
        shared,
    }
}

/// A source's entries, and a digest of all that tells whether one of them has changed.
struct LookedAt {
    tree: Tree,
    fingerprint: [u8; 32],
    /// Something is so new that it could change without showing.
    too_recent: bool,
}

impl LookedAt {
    fn new(place: &Place, name: &StoreName, filter: Option<Filter<'_>>) -> Result<Self> {
        let now = now_nanoseconds();
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"hb-source-1\0");
        hasher.update(name.as_str().as_bytes());
        let mut too_recent = false;
        let mut visit = |node: &Node, stat: &Stat| {
            fingerprint(&mut hasher, node, stat);
            too_recent |= is_too_recent(stat, now);
        };
        let reading = Reading { filter, visit: &mut visit, ours: false };
        let tree = Tree::read(place, reading)?.ok_or(rustix::io::Errno::NOENT);
        let tree = tree.at("look at", place.path())?;
        Ok(Self { tree, fingerprint: *hasher.finalize().as_bytes(), too_recent })
    }
}

fn fingerprint(hasher: &mut blake3::Hasher, node: &Node, stat: &Stat) {
    let numbers = [
        node.name.len() as u64,
        node.parent as u64,
        u64::from(stat.st_mode),
        stat.st_dev,
        stat.st_ino,
        stat.st_size as u64,
        stat.st_mtime as u64,
        stat.st_mtime_nsec,
        stat.st_ctime as u64,
        stat.st_ctime_nsec,
    ];
    hasher.update(&node.name);
    for number in numbers {
        hasher.update(&number.to_le_bytes());
    }
}

fn is_too_recent(stat: &Stat, now: i128) -> bool {
    let tick = if stat.st_ctime_nsec == 0 { COARSE_TICK } else { TICK };
    let changed = i128::from(stat.st_ctime) * 1_000_000_000 + i128::from(stat.st_ctime_nsec);
    changed + tick >= now
}
