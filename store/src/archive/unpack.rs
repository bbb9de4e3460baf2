//! Reading a stream's entries, and making files of them.
//!
//! Whoever wrote the stream may mean harm: sizes are bounded, names are taken apart, and
//! every folder is opened below the one before it without following links.

use std::{
    io::{self, Read},
    os::unix::ffi::OsStrExt as _,
    path::{Component, Path, PathBuf},
};

use rustix::fs::Mode;
use tar::{Archive, Entries, EntryType};

use super::ArchiveError;
use crate::{
    copy::{create, finish_file, make_symlink},
    disk::Folder,
    error::{Context as _, Result, StoreError},
    tree::{MAX_ENTRIES, MAX_RELATIVE_PATH, Place},
};

/// The longest name of an entry and target of a link: what the system opens at most.
const MAX_NAME: u64 = 4096;

/// The longest text: what is known of the references and builds of a large closure.
const MAX_TEXT: u64 = 256 << 20;

/// An entry, with its whole name.
pub(super) struct Entry<'a, R: Read> {
    pub(super) name: Name,
    kind: EntryType,
    executable: bool,
    link: Vec<u8>,
    size: u64,
    content: tar::Entry<'a, R>,
}

/// Where in the stream an entry says that it belongs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Its first component.
    pub(super) area: String,
    /// The second one, if there is one.
    pub(super) object: Option<String>,
    /// The others.
    pub(super) below: PathBuf,
    /// All but the first.
    pub(super) inside: PathBuf,
    whole: String,
}

impl Name {
    /// Takes the bytes of a name apart, which only goes down.
    fn parse(bytes: &[u8]) -> Result<Self> {
        let whole = String::from_utf8_lossy(bytes).into_owned();
        let path = Path::new(std::ffi::OsStr::from_bytes(bytes));
        let parts: Option<Vec<_>> = path
            .components()
            .map(|part| match part {
                Component::Normal(part) => Some(part),
                _ => None,
            })
            .collect();
        let plain = parts.filter(|parts| !parts.is_empty() && !bytes.contains(&0));
        let Some(parts) = plain else { return Err(fault(&whole, "has a name that leads away")) };
        if bytes.len() as u64 > MAX_NAME {
            return Err(fault(&whole, "has too long a name"));
        }
        let text = |index: usize| parts.get(index).map(|part| part.to_string_lossy().into_owned());
        let after = |count: usize| parts.iter().skip(count).collect();
        let area = text(0).unwrap_or_default();
        Ok(Self { area, object: text(1), below: after(2), inside: after(1), whole })
    }
}

fn fault(entry: &str, fault: &'static str) -> StoreError {
    ArchiveError::Entry { entry: entry.to_owned(), fault }.into()
}

/// The entries of a stream, one after the other.
pub(super) struct Reader<'a, R: Read> {
    entries: Entries<'a, R>,
}

impl<'a, R: Read> Reader<'a, R> {
    pub(super) fn new(archive: &'a mut Archive<R>) -> Result<Self> {
        // Long names are put together here, where they are bounded.
        Ok(Self { entries: archive.entries().map_err(unreadable)?.raw(true) })
    }

    /// The next entry; a stream that has none any more was cut.
    pub(super) fn next(&mut self) -> Result<Entry<'a, R>> {
        self.next_or_end()?.ok_or_else(|| ArchiveError::Cut.into())
    }

    /// The next entry, if there is one.
    pub(super) fn next_or_end(&mut self) -> Result<Option<Entry<'a, R>>> {
        let (mut long_name, mut long_link) = (None, None);
        loop {
            let Some(entry) = self.entries.next() else { return Ok(None) };
            let mut content = entry.map_err(unreadable)?;
            match content.header().entry_type() {
                EntryType::GNULongName => long_name = Some(long(&mut content)?),
                EntryType::GNULongLink => long_link = Some(long(&mut content)?),
                kind => {
                    let header = content.header();
                    let name = long_name.unwrap_or_else(|| header.path_bytes().into_owned());
                    let stands = || header.link_name_bytes().unwrap_or_default().into_owned();
                    return Ok(Some(Entry {
                        name: Name::parse(&name)?,
                        kind,
                        executable: header.mode().map_err(unreadable)? & 0o100 != 0,
                        link: long_link.unwrap_or_else(stands),
                        size: header.entry_size().map_err(unreadable)?,
                        content,
                    }));
                }
            }
        }
    }
}

/// A name or target that did not fit into its header.
fn long(content: &mut impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    content.take(MAX_NAME + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_NAME {
        return Err(fault(&String::from_utf8_lossy(&bytes[..64]), "has too long a name"));
    }
    while bytes.last() == Some(&0) {
        bytes.pop();
    }
    Ok(bytes)
}

/// A stream that ends in the middle of an entry was cut; anything else is damage.
pub(super) fn unreadable(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ArchiveError::Cut.into(),
        _ => ArchiveError::Unreadable(error).into(),
    }
}

impl<R: Read> Entry<'_, R> {
    /// The text that this entry holds.
    pub(super) fn text(mut self) -> Result<String> {
        if self.kind != EntryType::Regular || self.size > MAX_TEXT {
            return Err(self.fault("is no text"));
        }
        let mut text = String::new();
        match self.content.read_to_string(&mut text) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                Err(self.fault("is no text"))
            }
            read => read.map_err(unreadable).map(|_| text),
        }
    }

    pub(super) fn fault(&self, what: &'static str) -> StoreError {
        fault(&self.name.whole, what)
    }
}

/// An object that is being unpacked.
pub(super) struct Unpacking {
    pub(super) place: Place,
    entries: usize,
}

impl Unpacking {
    pub(super) fn new(place: Place) -> Self {
        Self { place, entries: 0 }
    }

    /// Makes what an entry says, `below` the object's place.
    pub(super) fn take<R: Read>(&mut self, mut entry: Entry<'_, R>, below: &Path) -> Result<()> {
        self.entries += 1;
        if below.as_os_str().len() > MAX_RELATIVE_PATH || self.entries > MAX_ENTRIES {
            return Err(entry.fault("is beyond the limits of an object"));
        }
        let relative = self.place.relative(below);
        let (folder, name) = self.locate(&relative)?;
        let is_there = |error: StoreError, entry: &Entry<'_, R>| match &error {
            StoreError::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                entry.fault("is there twice")
            }
            _ => error,
        };
        match entry.kind {
            EntryType::Directory => rustix::fs::mkdirat(&folder.fd, &name[..], Mode::RWXU)
                .at("create the folder", folder.path_of(&name))
                .map_err(|error| is_there(error, &entry)),
            EntryType::Symlink => {
                make_symlink(&folder, &name, &entry.link).map_err(|error| is_there(error, &entry))
            }
            EntryType::Regular => {
                let file = create(&folder, &name).map_err(|error| is_there(error, &entry))?;
                self.write(&mut entry, file, folder.path_of(&name))
            }
            _ => Err(entry.fault("is no file, folder or symbolic link")),
        }
    }

    fn write<R: Read>(
        &self,
        entry: &mut Entry<'_, R>,
        mut file: std::fs::File,
        path: PathBuf,
    ) -> Result<()> {
        let mut buffer = vec![0; crate::copy::PIECE];
        loop {
            let length = entry.content.read(&mut buffer).map_err(unreadable)?;
            if length == 0 {
                break;
            }
            io::Write::write_all(&mut file, &buffer[..length]).at("write", &path)?;
        }
        finish_file(&file, entry.executable).at("finish", &path)
    }

    fn locate(&self, relative: &Path) -> Result<(Folder, Vec<u8>)> {
        let above = relative.parent().filter(|above| !above.as_os_str().is_empty());
        let folder = self.place.around.open_below(above.unwrap_or(Path::new(".")))?;
        let name = relative.file_name().unwrap_or_default().as_bytes().to_vec();
        Ok((folder, name))
    }
}
