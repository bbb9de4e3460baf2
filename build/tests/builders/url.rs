//! Fetching by address: resuming, mirrors, look-up by hash, wrong bytes.

use std::{fs, sync::atomic::Ordering, thread, time::Duration};

use hb_build::{
    builders::BuiltinError,
    fetch::{FetchError, Fetcher, Mirror, Origin, Query, Reason},
};
use serde_json::json;

use crate::{
    Fixture, said,
    server::{Manner, Server},
    sha256,
};

fn bytes() -> Vec<u8> {
    (0..400_000_u32).flat_map(u32::to_le_bytes).collect()
}

fn fetch(fixture: &Fixture, urls: &[&str], bytes: &[u8]) -> Result<(), BuiltinError> {
    let origins: Vec<_> = urls.iter().map(|url| json!({ "url": url })).collect();
    let attrs = json!({"origins": origins, "size": bytes.len(), "executable": false});
    fixture.run("builtin:fetch-1", &attrs, Some(&sha256(bytes)))
}

/// What each origin did, from the error of a fetch.
fn reasons(error: BuiltinError) -> Vec<(String, Reason)> {
    match error {
        BuiltinError::Fetch(FetchError::Origins(failures)) => {
            failures.into_iter().map(|failure| (failure.origin, failure.reason)).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// Where the fixture keeps a partial download of these bytes.
fn partial(fixture: &Fixture, bytes: &[u8]) -> std::path::PathBuf {
    let path = fixture.settings.cache.join("partial");
    fs::create_dir_all(&path).unwrap();
    path.join(format!("sha256-{}", sha256(bytes).to_hex()))
}

#[test]
fn a_file_is_downloaded_with_progress() {
    let (fixture, bytes) = (Fixture::new(), bytes());
    let server = Server::start(&[("/f", &bytes)], Manner::Proper);
    fetch(&fixture, &[&server.url("/f")], &bytes).unwrap();
    assert_eq!(fs::read(fixture.path("out")).unwrap(), bytes);
    let total = bytes.len() as u64;
    let progress = fixture.progress.lock().unwrap();
    assert_eq!(progress.last(), Some(&(total, Some(total))));
    assert!(progress.len() > 2 && progress.is_sorted());
    assert!(!partial(&fixture, &bytes).exists());
}

#[test]
fn a_download_goes_on_where_an_earlier_run_ended() {
    let (fixture, bytes) = (Fixture::new(), bytes());
    fs::write(partial(&fixture, &bytes), &bytes[..1000]).unwrap();
    let server = Server::start(&[("/f", &bytes)], Manner::Proper);
    fetch(&fixture, &[&server.url("/f")], &bytes).unwrap();
    assert_eq!(fs::read(fixture.path("out")).unwrap(), bytes);
    assert_eq!(server.requests(), [("/f".to_owned(), Some("bytes=1000-".to_owned()))]);
}

#[test]
fn a_download_that_breaks_is_resumed_in_the_same_run() {
    let (fixture, bytes) = (Fixture::new(), bytes());
    let server = Server::start(&[("/f", &bytes)], Manner::BreaksAfter(300_000));
    fetch(&fixture, &[&server.url("/f")], &bytes).unwrap();
    assert_eq!(fs::read(fixture.path("out")).unwrap(), bytes);
    assert_eq!(server.requests()[1].1.as_deref(), Some("bytes=300000-"));
}

#[test]
fn a_server_without_ranges_and_one_with_all_the_bytes_here_already_work() {
    let bytes = bytes();
    for (left, manner) in [(1000, Manner::IgnoresRanges), (bytes.len(), Manner::Proper)] {
        let fixture = Fixture::new();
        fs::write(partial(&fixture, &bytes), &bytes[..left]).unwrap();
        let server = Server::start(&[("/f", &bytes)], manner);
        fetch(&fixture, &[&server.url("/f")], &bytes).unwrap();
        assert_eq!(fs::read(fixture.path("out")).unwrap(), bytes);
    }
}

#[test]
fn damaged_bytes_left_by_an_earlier_run_are_replaced() {
    let (fixture, bytes) = (Fixture::new(), bytes());
    fs::write(partial(&fixture, &bytes), [0xff; 5000]).unwrap();
    let server = Server::start(&[("/f", &bytes)], Manner::Proper);
    fetch(&fixture, &[&server.url("/f")], &bytes).unwrap();
    assert_eq!(fs::read(fixture.path("out")).unwrap(), bytes);
}

#[test]
fn a_busy_server_is_asked_again() {
    let fixture = Fixture::new();
    let server = Server::start(&[("/f", b"x")], Manner::BusyFirst);
    fetch(&fixture, &[&server.url("/f")], b"x").unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn wrong_bytes_are_kept_aside_and_the_next_origin_is_asked() {
    let fixture = Fixture::new();
    let server = Server::start(&[("/bad", b"evil"), ("/good", b"good")], Manner::Proper);
    let (bad, good) = (server.url("/bad"), server.url("/good"));
    fetch(&fixture, &[&bad, &good], b"good").unwrap();
    assert_eq!(fs::read(fixture.path("out")).unwrap(), b"good");
    let log = String::from_utf8(fixture.log.lock().unwrap().clone()).unwrap();
    assert!(log.contains(&bad) && log.contains(&sha256(b"evil").to_string()), "{log}");

    fs::remove_file(fixture.path("out")).unwrap();
    let failures = reasons(fetch(&fixture, &[&bad], b"good").unwrap_err());
    let [(origin, Reason::WrongHash { got, kept, .. })] = &failures[..] else {
        panic!("{failures:?}");
    };
    assert_eq!((origin, got), (&bad, &sha256(b"evil")));
    assert_eq!(fs::read(kept).unwrap(), b"evil");
    assert!(!fixture.path("out").exists());
}

#[test]
fn a_wrong_size_is_noticed_before_the_download() {
    let (fixture, bytes) = (Fixture::new(), bytes());
    let server = Server::start(&[("/f", &bytes)], Manner::Silent);
    let failures = reasons(fetch(&fixture, &[&server.url("/f")], b"small").unwrap_err());
    assert!(matches!(failures[0].1, Reason::WrongSize { declared: 5, got: 1_600_000 }));
}

#[test]
fn every_origins_reason_is_told() {
    let fixture = Fixture::new();
    let server = Server::start(&[], Manner::Proper);
    let urls = [&server.url("/f"), "http://127.0.0.1:1/f", "file:///no/such", "ftp://h/f", "?"];
    let failures = reasons(fetch(&fixture, &urls, b"x").unwrap_err());
    assert!(matches!(failures[0].1, Reason::Status(404)));
    assert!(matches!(failures[1].1, Reason::Network(_)));
    assert!(matches!(failures[2].1, Reason::File { .. }));
    assert!(matches!(failures[3].1, Reason::Address));
    assert!(matches!(failures[4].1, Reason::Address));
    assert!(failures.iter().zip(urls).all(|(failure, url)| failure.0 == url));
}

#[test]
fn mirrors_are_asked_before_the_address_itself() {
    let mut fixture = Fixture::new();
    let server = Server::start(&[("/m/f", b"x")], Manner::Proper);
    let mirror = |replacement: String| Mirror { prefix: "http://127.0.0.1:1/".into(), replacement };
    fixture.settings.mirrors = vec![mirror(server.url("/none/")), mirror(server.url("/m/"))];
    fetch(&fixture, &["http://127.0.0.1:1/f"], b"x").unwrap();
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn folders_and_servers_are_asked_by_hash_first() {
    let hex = sha256(b"x").to_hex();
    for name in [hex.clone(), format!("sha256/{hex}")] {
        let mut fixture = Fixture::new();
        fixture.input(&name, b"x");
        fixture.settings.by_hash = vec![fixture.path("inputs").to_str().unwrap().to_owned()];
        fetch(&fixture, &[], b"x").unwrap();
        assert_eq!(fs::read(fixture.path("out")).unwrap(), b"x");

        let mut fixture = Fixture::new();
        let server = Server::start(&[(&format!("/base/{name}"), b"x")], Manner::Proper);
        fixture.settings.by_hash = vec![server.url("/base")];
        fetch(&fixture, &[], b"x").unwrap();
    }
}

#[test]
fn a_file_address_is_copied_and_may_be_executable() {
    let fixture = Fixture::new();
    fixture.input("with space", b"#!");
    let url = format!("file://{}", fixture.path("inputs/with%20space").display());
    let attrs = json!({"origins": [{ "url": url }], "size": null, "executable": true});
    fixture.run("builtin:fetch-1", &attrs, Some(&sha256(b"#!"))).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(fixture.path("out")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn offline_nothing_is_fetched() {
    let mut fixture = Fixture::new();
    fixture.settings.offline = true;
    let error = fetch(&fixture, &["http://127.0.0.1:1/f"], b"x").unwrap_err();
    assert!(matches!(error, BuiltinError::Fetch(FetchError::Offline)), "{error:?}");
}

#[test]
fn a_fetch_without_a_declared_hash_is_refused() {
    let attrs = json!({"origins": []});
    let error = Fixture::new().run("builtin:fetch-1", &attrs, None).unwrap_err();
    assert!(matches!(error, BuiltinError::Undeclared), "{error:?}");
}

#[test]
fn a_silent_server_does_not_keep_a_cancelled_run() {
    let fixture = Fixture::new();
    let server = Server::start(&[("/f", b"x")], Manner::Silent);
    thread::scope(|scope| {
        scope.spawn(|| {
            while server.requests().is_empty() {
                thread::sleep(Duration::from_millis(10));
            }
            fixture.cancelled.store(true, Ordering::Relaxed);
        });
        let error = fetch(&fixture, &[&server.url("/f")], b"x").unwrap_err();
        assert!(matches!(error, BuiltinError::Cancelled), "{}", said(&error));
    });
}

#[test]
fn an_address_resolves_to_its_hash_and_size() {
    let fixture = Fixture::new();
    let server = Server::start(&[("/d/f.tar?x=1", b"content")], Manner::Proper);
    let url = server.url("/d/f.tar?x=1");
    let resolved = fixture.watch(|watch| {
        let fetcher = Fetcher { settings: &fixture.settings, sandbox: None, watch };
        fetcher.resolve(&Query::Exact(Origin::Url(url))).unwrap()
    });
    assert_eq!((resolved.name.as_str(), resolved.size), ("f.tar", 7));
    assert_eq!(resolved.hash, sha256(b"content"));
    assert_eq!(fs::read(&resolved.path).unwrap(), b"content");
}
