//! Putting final hash parts in the place of temporary ones, in a staged tree.

use std::{collections::BTreeMap, fs::File, os::unix::fs::FileExt as _, path::Path};

use hb_model::ContentDigest;
use rustix::fs::{AtFlags, Mode, OFlags};

use crate::{
    copy::{Contents, PIECE, finish_file, make_symlink},
    disk::Folder,
    error::{Context as _, Result},
    scan::{HashPart, LENGTH, Scanner},
    tree::{Kind, Place, Tree},
};

/// Hash parts to write, by the scanner's number of what stood there at first.
pub(crate) type Replacements = BTreeMap<u32, HashPart>;

/// Stands for an object's own hash part while its path is computed.
pub(crate) const ZEROS: HashPart = [b'0'; LENGTH];

/// A staged tree with the places of the hash parts in it.
#[derive(Debug)]
pub(crate) struct Rewritable {
    pub(crate) tree: Tree,
    pub(crate) contents: Contents,
    /// Of each link whose target holds some: node, number and offset.
    link_hits: Vec<(usize, u32, usize)>,
}

impl Rewritable {
    pub(crate) fn new(tree: Tree, contents: Contents, scanner: &Scanner) -> Self {
        let mut link_hits = Vec::new();
        for (index, node) in tree.nodes.iter().enumerate() {
            if let Kind::Symlink { target } = &node.kind {
                scanner.scan(target, |number, offset| link_hits.push((index, number, offset)));
            }
        }
        Self { tree, contents, link_hits }
    }

    /// The numbers of all hash parts found.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = u32> {
        let files = self.contents.iter().flatten().flat_map(|content| &content.hits);
        files.map(|hit| hit.number).chain(self.link_hits.iter().map(|hit| hit.1))
    }

    /// Replace what `replacements` names, in the files at `place` and in the tree.
    pub(crate) fn rewrite(&mut self, place: &Place, replacements: &Replacements) -> Result<()> {
        self.rewrite_files(place, replacements)?;
        self.rewrite_links(place, replacements)
    }

    fn rewrite_files(&mut self, place: &Place, replacements: &Replacements) -> Result<()> {
        for (index, content) in self.contents.iter_mut().enumerate() {
            let Some(content) = content else { continue };
            let Kind::File { executable, .. } = self.tree.nodes[index].kind else { continue };
            let changes: Vec<_> = content
                .hits
                .iter()
                .filter_map(|hit| replacements.get(&hit.number).map(|part| (hit.offset, part)))
                .collect();
            if changes.is_empty() {
                continue;
            }
            let relative = place.relative(&self.tree.path(index));
            let path = place.around.path.join(&relative);
            let writable = Mode::RUSR | Mode::WUSR;
            rustix::fs::chmodat(&place.around.fd, &relative, writable, AtFlags::empty())
                .at("open up", &path)?;
            let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            let file: File = rustix::fs::openat(&place.around.fd, &relative, flags, Mode::empty())
                .at("open", &path)?
                .into();
            for (offset, part) in changes {
                file.write_all_at(part, offset).at("write", &path)?;
            }
            content.digest = digest_file(&file).at("read", &path)?;
            finish_file(&file, executable).at("finish", &path)?;
        }
        Ok(())
    }

    fn rewrite_links(&mut self, place: &Place, replacements: &Replacements) -> Result<()> {
        for &(index, number, offset) in &self.link_hits {
            let Some(part) = replacements.get(&number) else { continue };
            let path = self.tree.path(index);
            let Kind::Symlink { target } = &mut self.tree.nodes[index].kind else { continue };
            target[offset..offset + LENGTH].copy_from_slice(part);
            let (folder, name) = self.locate(place, index, &path)?;
            let Kind::Symlink { target } = &self.tree.nodes[index].kind else { continue };
            rustix::fs::unlinkat(&folder.fd, &name[..], AtFlags::empty())
                .at("replace the link", folder.path_of(&name))?;
            make_symlink(&folder, &name, target)?;
        }
        Ok(())
    }

    fn locate(&self, place: &Place, index: usize, path: &Path) -> Result<(Folder, Vec<u8>)> {
        let relative = place.relative(path);
        let around = relative.parent().filter(|parent| !parent.as_os_str().is_empty());
        let folder = place.around.open_below(around.unwrap_or(Path::new(".")))?;
        let name = if index == 0 { &place.name[..] } else { &self.tree.nodes[index].name };
        Ok((folder, name.to_vec()))
    }
}

/// The digest of a whole file.
pub(crate) fn digest_file(file: &File) -> std::io::Result<ContentDigest> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; PIECE];
    let mut offset = 0;
    loop {
        let length = file.read_at(&mut buffer, offset)?;
        if length == 0 {
            return Ok(ContentDigest::from_bytes(*hasher.finalize().as_bytes()));
        }
        hasher.update(&buffer[..length]);
        offset += length as u64;
    }
}
