//! Which interpreter the dynamic programs in a tree ask for.
//!
//! Only files that may be executed count, and only the heads of ELF files are read,
//! so that the look costs little beside the build that made the tree.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use object::{
    Endianness, ReadCache,
    elf::{FileHeader32, FileHeader64},
    read::elf::{FileHeader, ProgramHeader as _},
};
use walkdir::WalkDir;

/// A program and what it asks to be loaded by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DynamicProgram {
    /// The program, relative to the tree; empty if the tree is the program.
    pub(crate) file: PathBuf,
    /// The path of its interpreter.
    pub(crate) interpreter: String,
}

/// The first dynamic program below `tree`, by name, whose interpreter is not accepted.
pub(crate) fn first_dynamic_program(
    tree: &Path,
    accepted: impl Fn(&str) -> bool,
) -> io::Result<Option<DynamicProgram>> {
    for entry in WalkDir::new(tree).sort_by_file_name() {
        let entry = entry?;
        if !entry.file_type().is_file() || entry.metadata()?.permissions().mode() & 0o111 == 0 {
            continue;
        }
        if let Some(interpreter) = interpreter_of(File::open(entry.path())?)?
            && !accepted(&interpreter)
        {
            let file = entry.path().strip_prefix(tree).unwrap_or(entry.path()).to_owned();
            return Ok(Some(DynamicProgram { file, interpreter }));
        }
    }
    Ok(None)
}

/// The first bytes of every ELF file, and the byte after them.
const MAGIC: &[u8] = b"\x7fELF";
const CLASS_32: u8 = 1;
const CLASS_64: u8 = 2;

fn interpreter_of(mut file: File) -> io::Result<Option<String>> {
    let mut head = Vec::with_capacity(MAGIC.len() + 1);
    file.by_ref().take(MAGIC.len() as u64 + 1).read_to_end(&mut head)?;
    file.rewind()?;
    Ok(match head.strip_prefix(MAGIC) {
        Some([CLASS_32]) => requested::<FileHeader32<Endianness>>(file),
        Some([CLASS_64]) => requested::<FileHeader64<Endianness>>(file),
        _ => None,
    })
}

/// What the program header says; nothing if the file is malformed, since the kernel
/// would not run it either.
fn requested<Header: FileHeader<Endian = Endianness>>(file: File) -> Option<String> {
    let data = ReadCache::new(file);
    let header = Header::parse(&data).ok()?;
    let endian = header.endian().ok()?;
    let programs = header.program_headers(endian, &data).ok()?;
    let path = programs.iter().find_map(|program| program.interpreter(endian, &data).ok()?)?;
    Some(String::from_utf8_lossy(path).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_dynamic_program_is_found_and_a_static_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bin")).unwrap();
        fs::copy("/bin/busybox", folder.path().join("bin/static")).unwrap();
        fs::write(folder.path().join("bin/script"), "#!/bin/sh\n").unwrap();
        assert_eq!(first_dynamic_program(folder.path(), |_| false).unwrap(), None);

        // The test itself is dynamic.
        let itself = std::env::current_exe().unwrap();
        fs::copy(itself, folder.path().join("bin/dynamic")).unwrap();
        let found = first_dynamic_program(folder.path(), |_| false).unwrap().unwrap();
        assert_eq!(found.file, Path::new("bin/dynamic"));
        assert!(found.interpreter.contains("/ld-"), "{}", found.interpreter);
        assert_eq!(first_dynamic_program(folder.path(), |_| true).unwrap(), None);
    }

    #[test]
    fn programs_that_may_not_be_executed_do_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::copy(std::env::current_exe().unwrap(), &data).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(first_dynamic_program(folder.path(), |_| false).unwrap(), None);
    }
}
