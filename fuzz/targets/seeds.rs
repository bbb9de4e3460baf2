//! Writes what each target begins with: with `-runs=0`, makes a folder of small files for
//! each in `HB_FUZZ_CORPUS`, from the programs and patches of the repository that it is
//! called in, and archives made here. A target itself, as all are compiled alike.
#![no_main]

use std::{
    error::Error,
    fs::{self, File},
    io::{Cursor, Write as _},
    path::Path,
};

use hb_fuzz::below;
use hb_model::{
    ContentDigest, Derivation, FileContent, Isolation, KeyName, Limits, NodeDigest, OutputName,
    Outputs, Realisation, RealisationKey, ResolvedId, SecretKey, Signed, StoreName, StorePath,
};
use hb_store::{Durability, ExportOptions, OpenMode, Store};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

libfuzzer_sys::fuzz_target!(
    init: write_seeds().expect("the seeds can be made"),
    |input| {
        let _: &[u8] = input;
    }
);

fn write_seeds() -> Outcome {
    let corpus = std::env::var_os("HB_FUZZ_CORPUS").ok_or("HB_FUZZ_CORPUS is not set")?;
    let (corpus, repository) = (Path::new(&corpus), Path::new("."));
    let write = |target: &str, name: &str, bytes: &[u8]| -> Outcome {
        fs::create_dir_all(corpus.join(target))?;
        Ok(fs::write(corpus.join(target).join(name), bytes)?)
    };
    for (number, program) in programs(repository)?.iter().enumerate() {
        write("language", &format!("case-{number}"), program.as_bytes())?;
    }
    for (number, patch) in patches(repository)?.iter().enumerate() {
        write("patch", &format!("patch-{number}"), patch)?;
    }
    write("patch", "list", b"fix.patch -p1 # why\n")?;
    let tree = tar_archive()?;
    write("unpack", "tar", &tree)?;
    write("unpack", "deb", &debian_package(&tree)?)?;
    write("unpack", "zip", &wheel()?)?;
    write("unpack", "tar-gnu", &odd_tar()?)?;
    let (stream, derivation) = export()?;
    write("import", "export", &zstd::decode_all(&stream[..])?)?;
    write("import", "compressed", &stream)?;
    write("derivation", "derivation", &derivation.encode())?;
    for (number, text) in TEXTS.iter().enumerate() {
        write("derivation", &format!("text-{number}"), text.as_bytes())?;
    }
    for (number, answer) in ANSWERS.iter().enumerate() {
        write("cache", &format!("answer-{number}"), answer.as_bytes())?;
    }
    write("cache", "frame", &zstd::encode_all(&b"text text text"[..], 1)?)?;
    write("cache", "builds", builds()?.as_bytes())?;
    let (manifest, stream) = object()?;
    write("cache", "object", &[manifest.as_bytes(), b"\n", &stream].concat())?;
    let digest = ContentDigest::of(&stream);
    let manifest = format!("{manifest}chunk {digest} {0}\npiece {digest} {0}\n", stream.len());
    write("cache", "manifest", manifest.as_bytes())?;
    write("lock", "lock", LOCK.as_bytes())?;
    let large = LOCK.replace("77786026", "18446744073709551615");
    write("lock", "large", large.as_bytes())?;
    write("database", "bytes", &[0, 1, 0, 9, 200, 3, 0])?;
    for table in 0..6_u8 {
        for column in 0..7_u8 {
            let value = [1, table, column, 0, column, 5, b'v', b'a', b'l', b'u', b'e'];
            write("database", &format!("value-{table}-{column}"), &value)?;
        }
    }
    Ok(())
}

/// What the texts of stores look like.
const TEXTS: &[&str] = &[
    "flat sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "tree sha256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "/hb/store/00000000000000000000000000000000-name",
    "00000000000000000000000000000000-name.drv",
    "key-1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
];

/// What servers say, and what entries are called.
const ANSWERS: &[&str] = &[
    "chunks/00/00000000000000000000000000000000000000000000000000000000000000",
    "objects/00000000000000000000000000000000-name",
    "builds/0000000000000000000000000000000000000000000000000000000000000000/key-1",
    "pushing/0000000000000007",
    r#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><KeyCount>1</KeyCount>
<MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><Contents>
<Key>prefix/objects/00000000000000000000000000000000-a%2Bb</Key><ETag>"0"</ETag><Size>3</Size>
<LastModified>2026-01-02T03:04:05.000Z</LastModified><Owner><ID>1</ID></Owner></Contents>
<NextContinuationToken>next</NextContinuationToken></ListBucketResult>"#,
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":
{"mediaType":"application/vnd.hb.entry.v1+zstd","digest":"sha256:00","size":1},"layers":[{"mediaType":
"application/vnd.hb.chunk.v1+zstd","digest":"sha256:01","size":2}],"annotations":{"hb.object":"x"}}"#,
    r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#,
    r#"{"name":"cache","tags":["object-00000000000000000000000000000000","entry-0"]}"#,
    r#"{"token":"a","access_token":"b","expires_in":300}"#,
    r#"realm="https://example.org/token",service="registry",scope="repository:a/b:pull""#,
];

const LOCK: &str = r#"# Written by `hb pin` and `hb update`; do not edit.
version = 1

[[source]]
tool = "go"
version = "1.24.4"
name = "go ${x} \" \\ \u0007"
platforms = ["x86_64-linux"]
size = 77786026
sha256 = "77e5da33bb72aeaef1ba4418b6fe511bc4d041873cbf82e5aa6318740df98717"

[[source.origins]]
url = "https://example.org/go.tar.gz"

[[source.origins]]
list = [1, -2.5, true, 1979-05-27, "${x}"]

[source.origins.debian]
package = "bash"
"#;

/// The programs of the evaluator's tests, and the recipes.
fn programs(repository: &Path) -> Outcome<Vec<String>> {
    let mut programs = Vec::new();
    for file in ["core.txt", "builtins.txt", "contracts.hb.txt"] {
        let text = fs::read_to_string(repository.join("evaluator/tests/cases").join(file))?;
        let cases = text.split("\n\n").map(|case| {
            let lines = case.lines().filter(|line| !line.starts_with(['#', '=', '!']));
            lines.collect::<Vec<_>>().join("\n")
        });
        programs.extend(cases.filter(|case| case.len() < 2000));
    }
    for folder in ["recipes/lib", "recipes/tools", "tests/fixtures/audit"] {
        for entry in fs::read_dir(repository.join(folder))? {
            let path = entry?.path();
            if path.extension().is_some_and(|kind| kind == "hb") {
                programs.push(fs::read_to_string(path)?);
            }
        }
    }
    Ok(programs)
}

/// The patches of the recipes, and small ones that fit the target's tree.
fn patches(repository: &Path) -> Outcome<Vec<Vec<u8>>> {
    let small: [&[u8]; 5] = [
        b"--- a/a.c\n+++ b/a.c\n@@ -2,3 +2,3 @@\n two\n-three\n+3\n four\n",
        b"--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+new\n\\ No newline at end of file\n",
        b"--- a/sub/b.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-no end\n\\ No newline at end of file\n",
        b"diff --git a/a.c b/d.c\nsimilarity index 90%\nrename from a.c\nrename to d.c\n",
        b"diff --git a/a.c b/a.c\nold mode 100644\nnew mode 100755\n",
    ];
    let mut patches: Vec<_> = small.map(<[u8]>::to_vec).into();
    for folder in fs::read_dir(repository.join("recipes/patches"))? {
        for entry in fs::read_dir(folder?.path())? {
            patches.push(fs::read(entry?.path())?);
        }
    }
    Ok(patches)
}

fn header(kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_size(size);
    header
}

fn tar_archive() -> Outcome<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |kind, name: &str, target: &str, content: &[u8]| -> Outcome {
        let mut header = header(kind, content.len() as u64);
        Ok(match target {
            "" => archive.append_data(&mut header, name, content)?,
            target => archive.append_link(&mut header, name, target)?,
        })
    };
    add(tar::EntryType::Directory, "top/", "", b"")?;
    add(tar::EntryType::Regular, "top/file", "", b"text")?;
    add(tar::EntryType::Symlink, "top/link", "file", b"")?;
    add(tar::EntryType::Link, "top/other", "top/file", b"")?;
    add(tar::EntryType::Regular, &format!("top/{}", "long/".repeat(40)), "", b"x")?;
    Ok(archive.into_inner()?)
}

/// Old, sparse and POSIX entries.
fn odd_tar() -> Outcome<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let records = b"18 path=other/pax\n20 linkpath=to/there\n16 size=00000004\n";
    let mut extended = header(tar::EntryType::XHeader, records.len() as u64);
    archive.append_data(&mut extended, "pax", &records[..])?;
    archive.append_data(&mut header(tar::EntryType::Regular, 4), "short", &b"text"[..])?;
    let mut global = header(tar::EntryType::XGlobalHeader, 12);
    archive.append_data(&mut global, "global", &b"12 comment=\n"[..])?;
    let mut sparse = header(tar::EntryType::GNUSparse, 512);
    let gnu = sparse.as_gnu_mut().ok_or("no header of GNU's")?;
    gnu.sparse[0].offset = *b"00000001000\0";
    gnu.sparse[0].numbytes = *b"00000001000\0";
    gnu.realsize = *b"00000002000\0";
    archive.append_data(&mut sparse, "sparse", &[7; 512][..])?;
    archive.append_data(&mut header(tar::EntryType::Fifo, 0), "pipe", &b""[..])?;
    Ok(archive.into_inner()?)
}

fn debian_package(tree: &[u8]) -> Outcome<Vec<u8>> {
    let mut package = ar::Builder::new(Vec::new());
    // First, where the target finds it.
    package.append(&ar::Header::new(b"data.tar".to_vec(), tree.len() as u64), tree)?;
    package.append(&ar::Header::new(b"debian-binary".to_vec(), 4), &b"2.0\n"[..])?;
    Ok(package.into_inner()?)
}

fn wheel() -> Outcome<Vec<u8>> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().unix_permissions(0o755);
    archive.add_directory("top/", options)?;
    archive.start_file("top/module.py", options)?;
    archive.write_all(b"print()\nprint()\n")?;
    let stored = options.compression_method(zip::CompressionMethod::Stored);
    archive.start_file("top/stored", stored)?;
    archive.write_all(b"text")?;
    archive.add_symlink("top/link", "module.py", options)?;
    Ok(archive.finish()?.into_inner())
}

/// A store's export, and a derivation with something in every field.
fn export() -> Outcome<(Vec<u8>, Derivation)> {
    let folder = tempfile::tempdir()?;
    let store =
        Store::open_with(&folder.path().join("store"), OpenMode::Write, Durability::Relaxed)?;
    let source = folder.path().join("source");
    fs::create_dir_all(source.join("sub"))?;
    File::create(source.join("sub/file"))?.write_all(b"text")?;
    std::os::unix::fs::symlink("file", source.join("sub/link"))?;
    let source = store.add_tree(&source, &StoreName::new("source")?, None)?;
    let references = [source.clone()].into();
    let text = store.add_file(&StoreName::new("text")?, b"text", true, &references)?;
    let mut stream = Vec::new();
    store.export(&[text], ExportOptions::default(), &mut stream, Path::new("-"))?;
    Ok((stream, full_derivation(&source)?))
}

/// An object's manifest without its chunks, and its stream.
fn object() -> Outcome<(String, Vec<u8>)> {
    let folder = tempfile::tempdir()?;
    let store =
        Store::open_with(&folder.path().join("store"), OpenMode::Write, Durability::Relaxed)?;
    let below = below(&store);
    let text = format!("{below} and {below}");
    let references = [below].into();
    let path = store.add_file(&StoreName::new("object")?, text.as_bytes(), false, &references)?;
    let (facts, mut stream) = (store.facts(&path)?, Vec::new());
    let holes = store.write_stream(&path, &facts, &mut stream, Path::new("-"))?;
    let mut manifest = format!("hb-object-2\npath {}\n{}", path.base_name(), facts.to_text());
    for hole in holes {
        manifest += &format!("hole {} {}\n", hole.offset, hole.number);
    }
    Ok((manifest, stream))
}

/// What a build gave, signed.
fn builds() -> Outcome<String> {
    let digest = NodeDigest::from_bytes([2; 32]);
    let realisation = Realisation {
        key: RealisationKey {
            resolved: ResolvedId::from_bytes([1; 32]),
            output: OutputName::out(),
        },
        path: StorePath::of_content(StoreName::new("x")?, digest, &[].into(), false),
        digest,
        references: [].into(),
        isolation: Isolation::Filtered,
        builder: "hb".into(),
    };
    let key = SecretKey::from_seed(KeyName::new("key-1")?, &[1; 32]);
    let signatures = vec![key.sign(&realisation)];
    Ok(Signed { realisation, signatures }.to_text() + "\n")
}

fn full_derivation(source: &StorePath) -> Outcome<Derivation> {
    let path = source.to_string();
    Ok(Derivation {
        name: StoreName::new("all")?,
        system: "x86_64-linux".into(),
        root: Some(path.clone()),
        builder: "/bin/sh".into(),
        args: vec!["-c".into(), "true".into()],
        env: [("A".into(), "1".into()), ("B".into(), "2".into())].into(),
        files: [
            ("f".into(), FileContent::Text("text".into())),
            ("g".into(), FileContent::Path(path.clone())),
        ]
        .into(),
        attrs: Some("{}".into()),
        closure_info: [("c".into(), [path.clone()].into())].into(),
        runtime_root: Some(path),
        inputs: vec![hb_model::Input::Path(source.clone())].into(),
        outputs: Outputs::Floating(vec![OutputName::out(), OutputName::new("dev")?].into()),
        limits: Limits { timeout: 60, silence: 10, ..Limits::default() },
    })
}
