//! Debian packages: `ar` archives as deb(5) describes them, without the tables of long names that
//! other tools put into such archives.

use std::io::{self, Read};

use super::{ArchiveError, Visit, read_tar};

/// What every member begins with: its name (16 bytes), time, owner, group and mode (32), its
/// length (10), and two bytes that are always the same.
const HEADER: usize = 60;
const HEADER_END: &[u8] = b"`\n";

/// Give every entry of the member `data.tar…`, which is the tree, to `visit`. `file` stands
/// behind the archive's magic.
pub(super) fn read(file: &mut dyn Read, visit: &mut Visit) -> Result<(), ArchiveError> {
    while let Some((name, length)) = header(file).map_err(ArchiveError::Read)? {
        if name.starts_with(b"data.tar") {
            return read_tar(&mut file.take(length), visit);
        }
        // A member begins at an even place.
        let padded = length + length % 2;
        let skipped = io::copy(&mut file.take(padded), &mut io::sink());
        if skipped.map_err(ArchiveError::Read)? < length {
            return Err(ArchiveError::Read(damaged("it ends in the middle of a member")));
        }
    }
    Err(ArchiveError::NoData)
}

/// The name and the length of the member that follows; nothing at the end.
fn header(file: &mut dyn Read) -> io::Result<Option<([u8; 16], u64)>> {
    let mut bytes = Vec::with_capacity(HEADER);
    file.take(HEADER as u64).read_to_end(&mut bytes)?;
    if bytes.is_empty() {
        return Ok(None);
    }
    let (Some(name), true) = (bytes.first_chunk::<16>(), bytes.len() == HEADER) else {
        return Err(damaged("it ends in the header of a member"));
    };
    let digits = str::from_utf8(&bytes[48..58]).unwrap_or_default();
    match digits.trim_end().parse() {
        Ok(length) if bytes.ends_with(HEADER_END) => Ok(Some((*name, length))),
        _ => Err(damaged("a member's header is not one")),
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
