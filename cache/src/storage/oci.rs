//! An OCI registry: chunks are blobs, and every other entry is an artifact with a tag.
//!
//! The artifact's config is the entry, and its layers are the chunks that it speaks of, each
//! once, in their order: so the registry keeps them, and their digests there are known to
//! whoever has read the manifest of an object.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use hb_model::{Algorithm, ContentDigest, Hasher};
use serde::{Deserialize, Serialize};
use ureq::http::{StatusCode, header};
use url::Url;

use super::{
    Listed, Manner, Storage,
    client::{body, found, refused},
    registry::{Call, Registry, from_json},
};
use crate::{entry::Entry, fault::Fault, frame, manifest::Manifest};

const ARTIFACT: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const ENTRY: &str = "application/vnd.hb.entry.v1+zstd";
const CHUNK: &str = "application/vnd.hb.chunk.v1+zstd";

/// The name of an object, for lists.
const NAME: &str = "hb.object";

/// Registries take manifests of 4 MiB; an object with more chunks has several.
const MAX_LAYERS: usize = 10_000;
const MAX_MANIFEST: usize = 4 << 20;

/// The most manifests of one object.
const MAX_PARTS: usize = 10_000;

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

/// A manifest, or an index of manifests.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    schema_version: u32,
    media_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    config: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    layers: Option<Vec<Descriptor>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    manifests: Option<Vec<Descriptor>>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

impl Document {
    pub(crate) fn parse(json: &[u8]) -> Result<Self, Fault> {
        from_json(json)
    }

    pub(crate) fn to_json(&self) -> Result<Vec<u8>, Fault> {
        serde_json::to_vec(self).map_err(|error| Fault::Protocol(error.to_string()))
    }
}

pub(crate) struct Oci {
    registry: Registry,
    /// The chunks as the registry calls them, as far as that is known.
    blobs: Mutex<HashMap<ContentDigest, Descriptor>>,
}

impl Oci {
    pub(crate) fn new(base: &Url, manner: &Manner) -> Self {
        Self { registry: Registry::new(base, manner), blobs: Mutex::default() }
    }

    fn blobs(&self) -> MutexGuard<'_, HashMap<ContentDigest, Descriptor>> {
        self.blobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A document by its tag or digest.
    fn document(&self, entry: &Entry, reference: &str) -> Result<Option<Document>, Fault> {
        let response = self.registry.send(&of_document(Call::get(&place_of(reference))))?;
        let Some(response) = found(entry, response)? else { return Ok(None) };
        let bytes = body(response, MAX_MANIFEST)?;
        if reference.starts_with("sha256:") && sha256(&bytes) != reference {
            return Err(Fault::Protocol(format!("the manifest {reference} is another one")));
        }
        Document::parse(&bytes).map(Some)
    }

    /// The artifact of an entry: its first document, and all its layers.
    fn artifact(&self, entry: &Entry) -> Result<Option<(Document, Vec<Descriptor>)>, Fault> {
        let Some(mut document) = self.document(entry, &tag(entry))? else { return Ok(None) };
        let Some(parts) = document.manifests.take() else {
            let layers = document.layers.take().unwrap_or_default();
            return Ok(Some((document, layers)));
        };
        if parts.len() > MAX_PARTS {
            return Err(Fault::TooLarge { limit: MAX_PARTS });
        }
        let (mut first, mut layers) = (None, Vec::new());
        for part in parts {
            let missing = || Fault::Missing { entry: part.digest.clone() };
            let mut part = self.document(entry, &part.digest)?.ok_or_else(missing)?;
            layers.extend(part.layers.take().unwrap_or_default());
            first = first.or(Some(part));
        }
        Ok(first.map(|first| (first, layers)))
    }

    fn blob(&self, entry: &Entry, digest: &str, limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        let response = self.registry.send(&Call::get(&format!("blobs/{digest}")))?;
        found(entry, response)?.map(|response| body(response, limit)).transpose()
    }

    /// Learn what the registry calls the chunks of an object.
    fn learn(&self, entry: &Entry, frame: &[u8], layers: Vec<Descriptor>) {
        let text = frame::decompress(frame, entry.limit()).ok();
        let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
        // What is not understood is found out by whoever asked for it.
        if let Some(manifest) = text.and_then(|text| Manifest::parse(&text).ok()) {
            self.blobs().extend(manifest.needs().zip(layers));
        }
    }

    /// Put bytes there under their digest, unless they are there.
    fn upload(&self, entry: &Entry, bytes: &[u8], kind: &str) -> Result<(Descriptor, u64), Fault> {
        let digest = sha256(bytes);
        let size = bytes.len() as u64;
        let descriptor = Descriptor { media_type: kind.to_owned(), digest: digest.clone(), size };
        let there = self.registry.send(&Call::head(&format!("blobs/{digest}")))?;
        if found(entry, there)?.is_some() {
            return Ok((descriptor, 0));
        }
        let begun = self.registry.send(&Call::post("blobs/uploads/"))?;
        if begun.status() != StatusCode::ACCEPTED {
            return Err(refused(entry, begun.status()));
        }
        let place = begun.headers().get(header::LOCATION).and_then(|place| place.to_str().ok());
        let place = place.ok_or_else(|| Fault::Protocol("an upload has no place".to_owned()))?;
        let call = Call::put(place, bytes)
            .with(header::CONTENT_TYPE, "application/octet-stream")
            .query("digest", &digest);
        match self.registry.send(&call)?.status() {
            StatusCode::CREATED => Ok((descriptor, size)),
            status => Err(refused(entry, status)),
        }
    }

    fn put_document(
        &self,
        entry: &Entry,
        reference: Option<&str>,
        document: &Document,
    ) -> Result<Descriptor, Fault> {
        let bytes = document.to_json()?;
        let digest = sha256(&bytes);
        let reference = reference.unwrap_or(&digest);
        let call = Call::put(&place_of(reference), &bytes)
            .with(header::CONTENT_TYPE, &document.media_type);
        match self.registry.send(&call)?.status() {
            StatusCode::CREATED => {
                let media_type = document.media_type.clone();
                Ok(Descriptor { media_type, digest, size: bytes.len() as u64 })
            }
            status => Err(refused(entry, status)),
        }
    }

    fn layers(&self, needs: &[Entry]) -> Result<Vec<Descriptor>, Fault> {
        let blobs = self.blobs();
        let layer = |need: &Entry| match need {
            Entry::Chunk(digest) => blobs.get(digest).cloned(),
            _ => None,
        };
        let missing = |need: &Entry| Fault::Missing { entry: need.name() };
        needs.iter().map(|need| layer(need).ok_or_else(|| missing(need))).collect()
    }
}

/// Where a document is, by its tag or digest.
fn place_of(reference: &str) -> String {
    format!("manifests/{reference}")
}

/// A call whose answer is a document of either kind.
fn of_document(call: Call<'_>) -> Call<'_> {
    call.with(header::ACCEPT, &format!("{ARTIFACT}, {INDEX}"))
}

fn sha256(bytes: &[u8]) -> String {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(bytes);
    hasher.finish().to_string()
}

/// Tags are short and have few characters; the names of builds do not fit.
fn tag(entry: &Entry) -> String {
    match entry {
        Entry::Object(path) => format!("object-{}", path.hash_part()),
        other => format!("entry-{}", ContentDigest::of(other.name().as_bytes())),
    }
}

impl Storage for Oci {
    fn get(&self, entry: &Entry, limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        if let Entry::Chunk(digest) = entry {
            let Some(blob) = self.blobs().get(digest).cloned() else { return Ok(None) };
            return self.blob(entry, &blob.digest, limit);
        }
        let Some((document, layers)) = self.artifact(entry)? else { return Ok(None) };
        let Some(config) = document.config else {
            return Err(Fault::Protocol("an artifact has no config".to_owned()));
        };
        let frame = self.blob(entry, &config.digest, limit)?;
        if let Some(frame) = &frame {
            self.learn(entry, frame, layers);
        }
        Ok(frame)
    }

    fn has(&self, entry: &Entry) -> Result<bool, Fault> {
        if let Entry::Chunk(digest) = entry {
            // Others are looked for by what they are called here, when they are put.
            return Ok(self.blobs().contains_key(digest));
        }
        let call = of_document(Call::head(&place_of(&tag(entry))));
        Ok(found(entry, self.registry.send(&call)?)?.is_some())
    }

    fn put(&self, entry: &Entry, bytes: &[u8], needs: &[Entry]) -> Result<u64, Fault> {
        if let Entry::Chunk(digest) = entry {
            let (blob, sent) = self.upload(entry, bytes, CHUNK)?;
            self.blobs().insert(*digest, blob);
            return Ok(sent);
        }
        let layers = self.layers(needs)?;
        let (config, mut sent) = self.upload(entry, bytes, ENTRY)?;
        let annotations: BTreeMap<_, _> = match entry {
            Entry::Object(path) => [(NAME.to_owned(), path.base_name())].into(),
            _ => BTreeMap::new(),
        };
        let part = |layers: &[Descriptor]| Document {
            schema_version: 2,
            media_type: ARTIFACT.to_owned(),
            config: Some(config.clone()),
            layers: Some(layers.to_vec()),
            manifests: None,
            annotations: annotations.clone(),
        };
        let tag = tag(entry);
        if layers.len() <= MAX_LAYERS {
            return Ok(sent + self.put_document(entry, Some(&tag), &part(&layers))?.size);
        }
        let mut parts = Vec::new();
        for layers in layers.chunks(MAX_LAYERS) {
            let put = self.put_document(entry, None, &part(layers))?;
            sent += put.size;
            parts.push(put);
        }
        let index = Document {
            schema_version: 2,
            media_type: INDEX.to_owned(),
            config: None,
            layers: None,
            manifests: Some(parts),
            annotations,
        };
        Ok(sent + self.put_document(entry, Some(&tag), &index)?.size)
    }

    /// A registry lists tags, of which only those of objects say what they are of.
    fn list(&self, _: &str) -> Result<Vec<Listed>, Fault> {
        Err(Fault::NotCollected)
    }

    fn objects(&self) -> Result<Vec<String>, Fault> {
        let mut names = Vec::new();
        for tag in self.registry.tags()? {
            if !tag.starts_with("object-") {
                continue;
            }
            let call = of_document(Call::get(&place_of(&tag)));
            let bytes = body(self.registry.send(&call)?, MAX_MANIFEST)?;
            let document = Document::parse(&bytes)?;
            names.extend(document.annotations.get(NAME).cloned());
        }
        Ok(names)
    }
}
