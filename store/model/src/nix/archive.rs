//! Nix's archive of a file tree, of which only the hash is ever wanted.

use sha2::{Digest as _, Sha256};

use super::Hash;

/// Takes a tree piece by piece and hashes its archive.
///
/// A node is a [`file`](Self::file), a [`symlink`](Self::symlink), or a directory of
/// entries that each hold a node; their names must come in the order of their bytes.
#[derive(Debug)]
pub struct Archive(Sha256);

impl Default for Archive {
    fn default() -> Self {
        let mut archive = Self(Sha256::new());
        archive.text(b"nix-archive-1");
        archive
    }
}

impl Archive {
    /// The length in eight bytes, the bytes, and zeros up to a multiple of eight.
    fn text(&mut self, bytes: &[u8]) {
        const ALIGNMENT: usize = 8;
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        let rest = bytes.len() % ALIGNMENT;
        if rest > 0 {
            self.0.update(&[0; ALIGNMENT][rest..]);
        }
    }

    fn texts(&mut self, texts: &[&[u8]]) {
        texts.iter().for_each(|text| self.text(text));
    }

    /// A file.
    pub fn file(&mut self, executable: bool, content: &[u8]) {
        self.texts(&[b"(", b"type", b"regular"]);
        if executable {
            self.texts(&[b"executable", b""]);
        }
        self.texts(&[b"contents", content, b")"]);
    }

    /// A symbolic link.
    pub fn symlink(&mut self, target: &[u8]) {
        self.texts(&[b"(", b"type", b"symlink", b"target", target, b")"]);
    }

    /// Begin a directory.
    pub fn open_directory(&mut self) {
        self.texts(&[b"(", b"type", b"directory"]);
    }

    /// Begin an entry of a directory; its node comes next.
    pub fn open_entry(&mut self, name: &[u8]) {
        self.texts(&[b"entry", b"(", b"name", name, b"node"]);
    }

    /// End what was begun last, a directory or an entry.
    pub fn close(&mut self) {
        self.text(b")");
    }

    /// The hash of the archive.
    pub fn finish(self) -> Hash {
        Hash::of_sha256_digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_nix() {
        let mut archive = Archive::default();
        archive.open_directory();
        archive.open_entry(b"a");
        archive.file(false, b"hello\n");
        archive.close();
        archive.open_entry(b"b");
        archive.file(true, b"");
        archive.close();
        archive.open_entry(b"c");
        archive.symlink(b"a");
        archive.close();
        archive.close();
        // nix hash path --base32
        assert_eq!(
            archive.finish().to_base32(),
            "09nr71xfciv3ajkw414hb1jqhsxfjcji1qly4646b3l6ylmxx4ri"
        );
    }
}
