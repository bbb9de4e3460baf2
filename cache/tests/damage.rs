//! Whatever is damaged in a cache, nothing wrong comes out of it.
//!
//! Damage goes into what entries hold as well as into their frames, so that it gets past the
//! compression. `PROPTEST_CASES=100000` makes a long run of it.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use hb_model::StorePath;
use proptest::{collection::vec, prelude::*, sample::Index};
use support::{Fixture, files, open, random};

/// What a cache holds: the files' names below it, and their bytes.
struct Pushed {
    top: StorePath,
    files: Vec<(PathBuf, Vec<u8>)>,
}

fn pushed() -> &'static Pushed {
    static PUSHED: OnceLock<Pushed> = OnceLock::new();
    PUSHED.get_or_init(|| {
        let here = Fixture::new();
        let lib = here.folder("lib", &[("a/text", b"text"), ("large", &random(40_000, 1))]);
        let top = here.file("app", format!("{lib}").as_bytes(), &[&lib]);
        let folder = here.path("cache");
        fs::create_dir(&folder).unwrap();
        here.push(&open(&folder), &[&top]);
        let read = |path: PathBuf| {
            let bytes = fs::read(&path).unwrap();
            (path.strip_prefix(&folder).unwrap().to_owned(), bytes)
        };
        Pushed { top, files: files(&folder).into_iter().map(read).collect() }
    })
}

/// One change of one file.
#[derive(Clone, Debug)]
struct Damage {
    file: Index,
    /// In what the frame holds, or in the frame.
    inside: bool,
    how: How,
}

#[derive(Clone, Debug)]
enum How {
    Overwrite(Index, u8),
    Insert(Index, Vec<u8>),
    Cut(Index),
    RepeatLine(Index),
    RemoveLine(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let index = any::<Index>;
    let how = prop_oneof![
        (index(), any::<u8>()).prop_map(|(at, byte)| How::Overwrite(at, byte)),
        // What texts are made of.
        (index(), b'0'..=b'z').prop_map(|(at, byte)| How::Overwrite(at, byte)),
        (index(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| How::Insert(at, bytes)),
        index().prop_map(How::Cut),
        index().prop_map(How::RepeatLine),
        index().prop_map(How::RemoveLine),
    ];
    (index(), any::<bool>(), how).prop_map(|(file, inside, how)| Damage { file, inside, how })
}

impl How {
    fn to(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        match self {
            _ if bytes.is_empty() => {}
            Self::Overwrite(at, byte) => *at.get_mut(&mut bytes) = *byte,
            Self::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::RepeatLine(which) | Self::RemoveLine(which) => {
                let mut lines: Vec<_> = bytes.split_inclusive(|&byte| byte == b'\n').collect();
                let which = which.index(lines.len());
                match self {
                    Self::RepeatLine(_) => lines.insert(which, lines[which]),
                    _ => drop(lines.remove(which)),
                }
                bytes = lines.concat();
            }
        }
        bytes
    }
}

fn damaged(bytes: &[u8], Damage { inside, how, .. }: &Damage) -> Vec<u8> {
    match zstd::decode_all(bytes) {
        Ok(held) if *inside => zstd::encode_all(&how.to(held)[..], 1).unwrap(),
        _ => how.to(bytes.to_vec()),
    }
}

fn write_cache(folder: &Path, files: &[(PathBuf, Vec<u8>)]) {
    for (name, bytes) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn damage_never_comes_out_of_a_cache(changes in vec(damage(), 1..4)) {
        let Pushed { top, files } = pushed();
        let mut files = files.clone();
        for change in &changes {
            let (_, bytes) = change.file.get_mut(&mut files);
            *bytes = damaged(bytes, change);
        }
        let there = Fixture::new();
        let folder = there.path("cache");
        write_cache(&folder, &files);
        // Checks what came, and that the store is whole.
        there.pull(&there.caches(&[&open(&folder)]), &[top]);
    }
}
