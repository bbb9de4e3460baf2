//! Any bytes as what caches answer: names, manifests, builds, frames, lists of S3-compatible
//! servers, what registries say, and streams of objects. What is accepted is what hb would
//! write, or reads back as the same, and a stream is taken only if it gives its object's path.
#![no_main]

use std::{
    fs,
    path::{Component, Path},
    sync::OnceLock,
};

use hb_cache::answers::{self, List, Object};
use hb_fuzz::{Yard, below, mend_checksums, store_in_yard};
use hb_model::ContentDigest;
use hb_store::{Store, VerifyOptions};
use libfuzzer_sys::fuzz_target;

/// The most that a frame may hold here.
const LIMIT: usize = 1 << 16;

/// The length of the pieces that streams come in.
const PIECE: usize = 1000;

fn texts(text: &str) {
    if let Some(manifest) = answers::manifest(text) {
        assert_eq!(manifest.text, text);
        let pieces = text.matches("piece ").count() as u64;
        assert!((pieces..=pieces << 21).contains(&manifest.length));
    }
    if let Some(builds) = answers::builds(text) {
        assert_eq!(builds, text);
    }
    if let Some(name) = answers::name(text) {
        assert_eq!(name, text);
        let mut components = Path::new(text).components();
        assert!(components.all(|it| matches!(it, Component::Normal(_))), "{text}");
    }
    if let Some(url) = answers::place_of_tokens(text) {
        assert_eq!(url.to_string().parse(), Ok(url));
    }
}

fn frame(bytes: &[u8]) {
    let Ok(held) = answers::frame(bytes, LIMIT) else { return };
    assert!(held.len() <= LIMIT);
    assert!(held.is_empty() || answers::frame(bytes, held.len() - 1).is_err());
    let chunk = |digest, length: usize| answers::chunk(digest, length as u32, bytes);
    let digest = ContentDigest::of(&held);
    assert!(matches!(chunk(digest, held.len() + 1), Ok(None)));
    assert!(matches!(chunk(ContentDigest::of(bytes), held.len()), Ok(None)));
    assert!(matches!(chunk(digest, held.len()), Ok(Some(it)) if it == held));
}

fn list(answer: &[u8]) {
    let Ok(List { names, next }) = answers::page(answer, "prefix/") else { return };
    let text = String::from_utf8_lossy(answer);
    assert!(names.len() <= text.matches("Contents").count());
    assert!(next.is_none() || text.contains("NextContinuationToken"));
    for name in names {
        assert!(answers::name(&name).is_none_or(|written| written == name));
    }
}

fn registry(json: &[u8]) {
    if let Ok(written) = answers::document(json) {
        assert!(answers::document(&written).is_ok_and(|again| again == written));
    }
    let _ = (answers::tags(json), answers::token(json));
}

fn store() -> &'static (Yard, Store) {
    static STORE: OnceLock<(Yard, Store)> = OnceLock::new();
    STORE.get_or_init(|| {
        let (yard, store) = store_in_yard();
        below(&store);
        (yard, store)
    })
}

/// A manifest without chunks and pieces, an empty line, and the stream.
fn object(input: &[u8]) {
    let Some(end) = input.windows(2).position(|two| two == b"\n\n") else { return };
    let Ok(head) = std::str::from_utf8(&input[..=end]) else { return };
    let mut stream = input[end + 2..].to_vec();
    mend_checksums(&mut stream);
    let line = |word: &str, it: &[u8]| format!("{word} {} {}\n", ContentDigest::of(it), it.len());
    let chunk = line("chunk", &stream);
    let pieces: String = stream.chunks(PIECE).map(|it| line("piece", it)).collect();
    if head.lines().any(|line| line.starts_with("chunk ")) {
        return;
    }
    let Some(object) = answers::manifest(&format!("{head}{chunk}{pieces}")) else { return };
    assert_eq!(object.length, stream.len() as u64);
    take(&object, &stream);
    let (yard, _) = store();
    assert_eq!(fs::read_dir(yard.path()).expect("the yard").count(), 1, "it left the store");
}

fn take(object: &Object, stream: &[u8]) {
    let Object { path, facts, holes, .. } = object;
    let (_, store) = store();
    let intake = store.intake().expect("an intake");
    let Ok(taken) = intake.take(path, facts, holes, stream) else { return };
    assert_eq!(taken.path(), path);
    if intake.register(vec![taken]).is_err() {
        return;
    }
    let findings = store.verify(VerifyOptions { contents: true }, &|_| {});
    assert!(findings.is_ok_and(|findings| findings.is_empty()));
    let mut written = Vec::new();
    let holes = store.write_stream(path, facts, &mut written, Path::new("memory"));
    intake.take(path, facts, &holes.expect("a stream"), &written[..]).expect("it is taken again");
}

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = std::str::from_utf8(input) {
        texts(text);
    }
    frame(input);
    list(input);
    registry(input);
    object(input);
});
