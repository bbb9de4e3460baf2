//! The Merkle digest of a tree: names, kinds, executable bits, contents; nothing else.

use crate::{ContentDigest, NodeDigest};

/// What a directory entry is, as far as hashing knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeKind {
    /// A regular file.
    File {
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A symbolic link.
    Symlink,
    /// A directory.
    Directory,
}

const TAG: &[u8] = b"hb-node-1\0";

fn hasher(kind: u8) -> blake3::Hasher {
    let mut hasher = blake3::Hasher::new();
    hasher.update(TAG);
    hasher.update(&[kind]);
    hasher
}

fn finish(hasher: &blake3::Hasher) -> NodeDigest {
    NodeDigest::from_bytes(*hasher.finalize().as_bytes())
}

impl NodeDigest {
    /// A regular file: the tag, `x` or `f`, and the content's digest.
    pub fn of_file(executable: bool, content: &ContentDigest) -> Self {
        let kind = if executable { b"x" } else { b"f" };
        // At once, which is quicker for so little.
        let bytes = [TAG, kind, content.as_bytes()].concat();
        Self::from_bytes(*blake3::hash(&bytes).as_bytes())
    }

    /// A symbolic link: the tag, `l`, and the target's bytes.
    pub fn of_symlink(target: &[u8]) -> Self {
        finish(hasher(b'l').update(target))
    }
}

/// Hashes a directory from its entries, which must come sorted by name (as bytes).
pub struct DirectoryHasher {
    hasher: blake3::Hasher,
    last: Option<Vec<u8>>,
}

impl Default for DirectoryHasher {
    fn default() -> Self {
        Self::new()
    }
}

impl DirectoryHasher {
    /// An empty directory: the tag and `d`.
    pub fn new() -> Self {
        Self { hasher: hasher(b'd'), last: None }
    }

    /// Add an entry: its name's length (8 bytes, little endian), its name, its digest.
    ///
    /// # Panics
    /// If `name` does not come after every name before it.
    pub fn entry(&mut self, name: &[u8], digest: &NodeDigest) {
        assert!(self.last.as_deref() < Some(name), "directory entries out of order");
        self.hasher.update(&(name.len() as u64).to_le_bytes());
        self.hasher.update(name);
        self.hasher.update(digest.as_bytes());
        self.last = Some(name.to_vec());
    }

    /// The directory's digest.
    pub fn finish(self) -> NodeDigest {
        finish(&self.hasher)
    }
}
