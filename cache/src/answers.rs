//! What caches answer, as this crate reads it, and what it makes of that: for `fuzz/`, which
//! tries it with any bytes. Nothing else should need it.

use hb_model::{ContentDigest, StorePath};
use hb_store::{Facts, Hole};
use url::Url;

use crate::{
    builds,
    cache::unpack,
    entry::Entry,
    fault::Fault,
    frame,
    manifest::Manifest,
    storage::{oci::Document, registry, s3::Page},
};

/// What a manifest says of an object.
pub struct Object {
    /// Which one.
    pub path: StorePath,
    /// What its path follows from.
    pub facts: Facts,
    /// What is left out of its stream.
    pub holes: Vec<Hole>,
    /// The length of its stream.
    pub length: u64,
    /// The manifest as hb writes it.
    pub text: String,
}

/// What a page of a list says.
pub struct List {
    /// The names of what is there.
    pub names: Vec<String>,
    /// What to ask for the next page with.
    pub next: Option<String>,
}

/// A manifest.
pub fn manifest(text: &str) -> Option<Object> {
    let manifest = Manifest::parse(text).ok()?;
    let (length, text) = (manifest.length(), manifest.to_text());
    for (chunk, run) in manifest.runs() {
        let ends = run.iter().map(|piece| piece.place.offset + piece.length);
        assert!(ends.max().is_some_and(|end| end <= chunk.length), "a run outside of its chunk");
    }
    let Manifest { path, facts, holes, .. } = manifest;
    Some(Object { path, facts, holes, length, text })
}

/// What builds gave, as hb writes it.
pub fn builds(text: &str) -> Option<String> {
    Some(builds::to_text(&builds::parse(text)?))
}

/// The name of an entry, as hb writes it.
pub fn name(name: &str) -> Option<String> {
    Some(Entry::parse(name)?.name())
}

/// What a frame holds, if that is at most `limit` bytes.
pub fn frame(frame: &[u8], limit: usize) -> Result<Vec<u8>, Fault> {
    frame::decompress(frame, limit)
}

/// What a frame holds, if that is the chunk of this digest and length.
pub fn chunk(digest: ContentDigest, length: u32, frame: &[u8]) -> Result<Option<Vec<u8>>, Fault> {
    unpack(digest, length, frame)
}

/// A page of an S3-compatible server's list.
pub fn page(answer: &[u8], prefix: &str) -> Result<List, Fault> {
    let page = Page::parse(answer.to_vec(), prefix)?;
    Ok(List { names: page.listed.into_iter().map(|it| it.name).collect(), next: page.next })
}

/// A registry's manifest, as hb writes it.
pub fn document(json: &[u8]) -> Result<Vec<u8>, Fault> {
    Document::parse(json)?.to_json()
}

/// A page of a registry's tags.
pub fn tags(json: &[u8]) -> Result<Vec<String>, Fault> {
    registry::tags(json)
}

/// A registry's token.
pub fn token(json: &[u8]) -> Result<Option<String>, Fault> {
    registry::token(json)
}

/// Where a registry's challenge says that tokens are to be had.
pub fn place_of_tokens(challenge: &str) -> Option<Url> {
    registry::place_of_tokens(challenge)
}
