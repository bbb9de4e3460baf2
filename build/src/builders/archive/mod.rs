//! Reads archives entry by entry: tar (plain, or compressed by gzip, xz, zstd or
//! bzip2), zip and wheels, Debian packages.
//!
//! What a file is follows from its first bytes, never from its name. Entries come as
//! they stand in the archive; what of them is acceptable is for the tree to say.

mod deb;
mod tar;
mod zip;

use std::{
    fs::File,
    io::{self, BufReader, Cursor, Read, Seek as _},
};

use super::tree::TreeError;

/// An entry of an archive.
pub(crate) struct Entry<'a> {
    /// Its name as it stands there.
    pub(crate) name: &'a [u8],
    /// What it is.
    pub(crate) node: EntryNode<'a>,
}

/// What an entry is.
pub(crate) enum EntryNode<'a> {
    Folder,
    File {
        executable: bool,
        content: &'a mut dyn Read,
    },
    Symlink {
        target: &'a [u8],
    },
    /// Another name of an earlier entry.
    HardLink {
        target: &'a [u8],
    },
}

/// Takes entries one after the other.
pub(crate) type Visit<'v> = dyn FnMut(Entry) -> Result<(), TreeError> + 'v;

/// Why an archive could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Not one of the formats.
    #[error(
        "it is no archive that hb knows: tar (also with gzip, xz, zstd or bzip2), zip, wheel or deb"
    )]
    Format,
    /// Damaged, truncated, or using what is not supported.
    #[error("the archive is damaged or unusual")]
    Read(#[source] io::Error),
    /// A device, a pipe or the like.
    #[error("'{name}' is {kind}; only files, folders and links can be unpacked")]
    Special {
        /// The entry.
        name: String,
        /// What it is.
        kind: &'static str,
    },
    /// A zip archive that lists a name more than once.
    #[error("a name occurs twice in it")]
    DuplicateNames,
    /// A Debian package without its `data.tar`.
    #[error("it is a Debian package without data")]
    NoData,
    /// An entry could not be taken.
    #[error(transparent)]
    Entry(#[from] TreeError),
}

/// Long enough to hold a tar header.
const HEAD: usize = 512;

/// What a Debian package begins with.
const DEB_MAGIC: &[u8] = b"!<arch>\n";

/// Give every entry of the archive to `visit`.
pub(crate) fn read(mut file: File, visit: &mut Visit) -> Result<(), ArchiveError> {
    let mut head = Vec::with_capacity(HEAD);
    file.by_ref().take(HEAD as u64).read_to_end(&mut head).map_err(ArchiveError::Read)?;
    file.rewind().map_err(ArchiveError::Read)?;
    if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
        return zip::read(BufReader::new(file), visit);
    }
    let mut file = BufReader::with_capacity(128 * 1024, file);
    if head.starts_with(DEB_MAGIC) {
        file.seek_relative(DEB_MAGIC.len() as i64).map_err(ArchiveError::Read)?;
        return deb::read(&mut file, visit);
    }
    read_tar(&mut file, visit)
}

/// A tar archive, compressed or not.
fn read_tar(file: &mut dyn Read, visit: &mut Visit) -> Result<(), ArchiveError> {
    let (head, file) = peek(file)?;
    let compressed = [&[0x1f, 0x8b][..], b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd", b"BZh"];
    let mut unpacked: Box<dyn Read + '_> = match compressed
        .iter()
        .position(|magic| head.starts_with(magic))
    {
        Some(0) => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Some(1) => Box::new(liblzma::read::XzDecoder::new_multi_decoder(file)),
        Some(2) => Box::new(zstd::stream::read::Decoder::new(file).map_err(ArchiveError::Read)?),
        Some(_) => Box::new(bzip2::read::MultiBzDecoder::new(file)),
        None => Box::new(file),
    };
    let (head, mut unpacked) = peek(&mut *unpacked)?;
    if !tar::is_header(&head) {
        return Err(ArchiveError::Format);
    }
    tar::read(&mut unpacked, visit)?;
    // To the end, where the compression's own check sum stands.
    io::copy(&mut unpacked, &mut io::sink()).map_err(ArchiveError::Read)?;
    Ok(())
}

/// The first bytes, and a reader that gives them again.
fn peek(reader: &mut dyn Read) -> Result<(Vec<u8>, impl Read + '_), ArchiveError> {
    let mut head = Vec::with_capacity(HEAD);
    reader.take(HEAD as u64).read_to_end(&mut head).map_err(ArchiveError::Read)?;
    Ok((head.clone(), Cursor::new(head).chain(reader)))
}
