//! Writing a closure as one stream.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, Write},
    path::Path,
};

use hb_model::{SecretKey, Signed, StorePath};
use tar::{Builder, EntryType, Header};

use super::{BUILDS, END, FACTS, Facts, HEAD, OBJECTS};
use crate::{
    clock::STORE_MTIME,
    error::{Context as _, Result, StoreError},
    store::Store,
    tree::{Kind, Place, Reading, Tree},
};

/// Fixed, since it decides the bytes: quick, and small enough.
const COMPRESSION_LEVEL: i32 = 3;

/// How much of a link's target stands in a header; longer ones have an entry before it.
const LINK_FIELD: usize = 100;

/// What to write beside the objects that are asked for and what they refer to.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions<'a> {
    /// The derivations that gave the objects, with their sources: all that is needed to
    /// build them again but for what is fetched.
    pub derivations: bool,
    /// Sign what was built in this store.
    pub sign_with: Option<&'a SecretKey>,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    /// How many objects.
    pub objects: usize,
    /// The bytes of their files and link targets.
    pub bytes: u64,
}

impl Store {
    /// Write objects, with all that they refer to, as one stream to `output`; `place` is
    /// what messages call that. They are held.
    pub fn export(
        &self,
        roots: &[StorePath],
        options: ExportOptions<'_>,
        output: impl Write,
        place: &Path,
    ) -> Result<ExportReport> {
        if let Some(path) = self.hold(roots)?.into_iter().next() {
            return Err(StoreError::NotInStore { path });
        }
        let mut wanted: BTreeSet<_> = roots.iter().cloned().collect();
        if options.derivations {
            for path in self.closure(roots)? {
                wanted.extend(self.derivations_of(&path)?);
            }
        }
        let closure = self.closure(&Vec::from_iter(wanted))?;
        let mut report = ExportReport::default();
        let mut stream = Stream::new(compressed(output).at("write", place)?);
        let head = roots.iter().map(|root| format!("root {}\n", root.base_name()));
        stream.text(Path::new(HEAD), &head.collect::<String>()).at("write", place)?;
        for path in &closure {
            let info = self.info(path)?.ok_or(StoreError::NotInStore { path: path.clone() })?;
            let facts = Facts::of(&info)?.to_text();
            stream.text(&Path::new(FACTS).join(path.base_name()), &facts).at("write", place)?;
            let base = Path::new(OBJECTS).join(path.base_name());
            self.write_object(path, &base, &mut stream, place)?;
            report.objects += 1;
            report.bytes += info.size;
        }
        let builds = self.builds_of(&closure, options.sign_with)?;
        let finish = || {
            stream.text(Path::new(BUILDS), &builds)?;
            stream.text(Path::new(END), "")?;
            stream.finish()?.finish()?.flush()
        };
        finish().at("write", place)?;
        Ok(report)
    }

    /// The entries of an object, called `base` and what lies below it.
    pub(super) fn write_object<W: Write>(
        &self,
        path: &StorePath,
        base: &Path,
        stream: &mut Stream<W>,
        place: &Path,
    ) -> Result<()> {
        let source = Place::of(&self.physical(path))?;
        let reading = Reading { filter: None, visit: &mut |_, _| {}, ours: false };
        let missing = || StoreError::Changed { path: path.clone() };
        let tree = Tree::read(&source, reading)?.ok_or_else(missing)?;
        for (index, node) in tree.nodes.iter().enumerate() {
            let below = tree.path(index);
            let name = if index == 0 { base.to_owned() } else { base.join(&below) };
            match &node.kind {
                Kind::Directory { .. } => stream.folder(&name).at("write", place)?,
                Kind::Symlink { target } => stream.link(&name, target).at("write", place)?,
                Kind::File { executable, size } => {
                    let from = self.physical(path).join(&below);
                    let from = if index == 0 { self.physical(path) } else { from };
                    let file = File::open(&from).at("read", &from)?;
                    stream.file(&name, *executable, *size, &file).at("write", place)?;
                }
            }
        }
        Ok(())
    }

    /// The realisations that came out as these objects, with the derivations that gave
    /// them where those are written too, and with signatures.
    fn builds_of(&self, closure: &[StorePath], key: Option<&SecretKey>) -> Result<String> {
        let written: BTreeSet<_> = closure.iter().collect();
        let mut text = String::new();
        for path in closure {
            for recorded in self.realisations_of(path)? {
                let derivation = recorded.derivation.clone().filter(|it| written.contains(it));
                let Signed { realisation, signatures } = recorded.signed(key);
                text.push_str(&realisation.canonical_text());
                if let Some(derivation) = derivation {
                    text.push_str(&format!("derivation {}\n", derivation.base_name()));
                }
                for signature in &signatures {
                    text.push_str(&format!("signature {signature}\n"));
                }
                text.push('\n');
            }
        }
        Ok(text)
    }
}

fn compressed<W: Write>(output: W) -> io::Result<zstd::Encoder<'static, W>> {
    let mut encoder = zstd::Encoder::new(output, COMPRESSION_LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

/// Entries in the one form that hb gives them.
pub(super) struct Stream<W: Write> {
    tar: Builder<W>,
}

impl<W: Write> Stream<W> {
    pub(super) fn new(output: W) -> Self {
        Self { tar: Builder::new(output) }
    }

    fn text(&mut self, name: &Path, text: &str) -> io::Result<()> {
        self.file(name, false, text.len() as u64, text.as_bytes())
    }

    fn file(
        &mut self,
        name: &Path,
        executable: bool,
        size: u64,
        content: impl io::Read,
    ) -> io::Result<()> {
        let mut header = header(EntryType::Regular, if executable { 0o555 } else { 0o444 });
        header.set_size(size);
        // A file that has grown or shrunk would shift all that follows.
        let mut content = Exactly { content, left: size };
        self.tar.append_data(&mut header, name, &mut content)
    }

    fn folder(&mut self, name: &Path) -> io::Result<()> {
        self.tar.append_data(&mut header(EntryType::Directory, 0o555), name, io::empty())
    }

    fn link(&mut self, name: &Path, target: &[u8]) -> io::Result<()> {
        let mut header = header(EntryType::Symlink, 0o777);
        // To the byte: not every target is a path.
        if header.set_link_name_literal(target).is_err() {
            let mut long = self::header(EntryType::GNULongLink, 0o644);
            long.set_size(target.len() as u64);
            self.tar.append_data(&mut long, "././@LongLink", target)?;
            header.set_link_name_literal(&target[..LINK_FIELD])?;
        }
        self.tar.append_data(&mut header, name, io::empty())
    }

    pub(super) fn finish(self) -> io::Result<W> {
        self.tar.into_inner()
    }
}

fn header(kind: EntryType, mode: u32) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(STORE_MTIME as u64);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

/// Reads so many bytes, or fails.
struct Exactly<R> {
    content: R,
    left: u64,
}

impl<R: io::Read> io::Read for Exactly<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let length = self.content.read(&mut buffer[..room])?;
        if length == 0 && room > 0 {
            return Err(io::Error::other("a file of the store is shorter than it was"));
        }
        self.left -= length as u64;
        Ok(length)
    }
}
