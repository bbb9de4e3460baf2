//! Zip archives, and wheels, which are such.

use std::{
    fs::File,
    io::{self, BufReader, Read as _},
};

use zip::{ZipArchive, result::ZipError};

use super::{ArchiveError, Entry, EntryNode, Visit};
use crate::builders::name::text;

/// The bits of a Unix mode that say what a node is, and their values.
const KIND: u32 = 0o170_000;
const FOLDER: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
/// Linux's limit for the target of a symbolic link, which zip stores as content.
const MAX_TARGET: u64 = 4095;

/// Give every entry to `visit`.
pub(super) fn read(file: BufReader<File>, visit: &mut Visit) -> Result<(), ArchiveError> {
    let mut archive = ZipArchive::new(file).map_err(read_error)?;
    if archive.has_duplicate_names() {
        return Err(ArchiveError::DuplicateNames);
    }
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(read_error)?;
        let name = entry.name_raw().to_vec();
        let mode = entry.unix_mode().unwrap_or(0);
        let mut target = Vec::new();
        let node = match mode & KIND {
            _ if entry.is_dir() => EntryNode::Folder,
            FOLDER => EntryNode::Folder,
            SYMLINK => {
                let mut content = entry.by_ref().take(MAX_TARGET);
                content.read_to_end(&mut target).map_err(ArchiveError::Read)?;
                EntryNode::Symlink { target: &target }
            }
            // Archives made elsewhere than on Unix say nothing.
            FILE | 0 => EntryNode::File { executable: mode & 0o100 != 0, content: &mut entry },
            _ => {
                let name = text(&name);
                return Err(ArchiveError::Special { name, kind: "a device or the like" });
            }
        };
        visit(Entry { name: &name, node })?;
    }
    Ok(())
}

fn read_error(error: ZipError) -> ArchiveError {
    ArchiveError::Read(match error {
        ZipError::Io(error) => error,
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    })
}
