//! Names the form of compiled code, for [`CodeKey`](src/world.rs): whatever changes in the
//! sources that read, compile and run programs, code that was compiled before is not used.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// The folders whose files say what compiled code is.
const SOURCES: [&str; 2] = ["src", "../lang/src"];

fn main() -> io::Result<()> {
    let mut files = BTreeMap::new();
    let mut cargo = io::stdout().lock();
    for folder in SOURCES {
        writeln!(cargo, "cargo::rerun-if-changed={folder}")?;
        read(Path::new(folder), &mut files)?;
    }
    // The same for the same sources, wherever and by whichever program it is computed.
    let mut hasher = DefaultHasher::new();
    (env::var("CARGO_PKG_VERSION").unwrap_or_default(), files).hash(&mut hasher);
    writeln!(cargo, "cargo::rustc-env=HB_CODE_FORMAT={:016x}", hasher.finish())
}

fn read(folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.is_dir() {
            true => read(&path, files)?,
            false => {
                files.insert(path.clone(), fs::read(&path)?);
            }
        }
    }
    Ok(())
}
