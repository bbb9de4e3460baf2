//! Tar archives, with the extensions of POSIX and of GNU.

use std::io::Read;

use tar::{Archive, EntryType, Header};

use super::{ArchiveError, Entry, EntryNode, Visit};
use crate::builders::name::text;

/// Whether bytes begin with a tar header, by its check sum; or are an empty archive.
pub(super) fn is_header(head: &[u8]) -> bool {
    let Ok(block) = <&[u8; 512]>::try_from(head) else { return false };
    if block.iter().all(|byte| *byte == 0) {
        return true;
    }
    // The check sum's own field (148 to 155) counts as spaces.
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    let expected = sum(&block[..148]) + 8 * u32::from(b' ') + sum(&block[156..]);
    Header::from_byte_slice(block).cksum().is_ok_and(|found| found == expected)
}

/// Give every entry to `visit`.
pub(super) fn read(reader: &mut dyn Read, visit: &mut Visit) -> Result<(), ArchiveError> {
    let mut archive = Archive::new(reader);
    for entry in archive.entries().map_err(ArchiveError::Read)? {
        let mut entry = entry.map_err(ArchiveError::Read)?;
        let name = entry.path_bytes().into_owned();
        let target = entry.link_name_bytes().map(|target| target.into_owned());
        let target = target.as_deref().unwrap_or_default();
        let executable = entry.header().mode().map_err(ArchiveError::Read)? & 0o100 != 0;
        let special = |kind| Err(ArchiveError::Special { name: text(&name), kind });
        let node = match entry.header().entry_type() {
            // Old archives mark a folder by a slash at the end of its name.
            EntryType::Regular if name.ends_with(b"/") => EntryNode::Folder,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                EntryNode::File { executable, content: &mut entry }
            }
            EntryType::Directory => EntryNode::Folder,
            EntryType::Symlink => EntryNode::Symlink { target },
            EntryType::Link => EntryNode::HardLink { target },
            // What holds for all entries: a comment, as far as trees go.
            EntryType::XGlobalHeader => continue,
            EntryType::Char => return special("a character device"),
            EntryType::Block => return special("a block device"),
            EntryType::Fifo => return special("a pipe"),
            _ => return special("of an unknown kind"),
        };
        visit(Entry { name: &name, node })?;
    }
    Ok(())
}
