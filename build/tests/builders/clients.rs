//! Fetching through this machine's own clients, for real. A test that finds no client,
//! no sandbox or no registry says so and passes.

use std::{env, fs, path::Path};

use hb_build::{
    builders::BuiltinError,
    fetch::{Debian, FetchError, Fetcher, Origin, Query, Reason, Resolved},
};
use hb_sandbox::{Backend, ClientHost, Maker, Reentry, Runner};
use serde_json::json;

use crate::{Fixture, said};

/// A fixture with this machine's clients; `None` where no sandbox can be run.
fn fixture() -> Option<Fixture> {
    let mut fixture = Fixture::new();
    fixture.settings.host =
        ClientHost { home: env::var_os("HOME").map(Into::into), env: env::vars_os().collect() };
    match Runner::new(Backend { reentry: Reentry::point(), maker: Maker::Automatic }) {
        Ok(runner) => fixture.sandbox = Some(runner),
        Err(error) => {
            skip(&said(&error));
            return None;
        }
    }
    Some(fixture)
}

#[allow(clippy::print_stderr, reason = "a skipped test must say why")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}

/// Find something out; `None` where this machine cannot.
fn resolve(fixture: &Fixture, query: &Query) -> Option<Resolved> {
    let resolved = fixture.watch(|watch| {
        let settings = &fixture.settings;
        Fetcher { settings, sandbox: fixture.sandbox.as_ref(), watch }.resolve(query)
    });
    match resolved {
        Ok(resolved) => Some(resolved),
        Err(FetchError::Origins(failures)) => match &failures[0].reason {
            Reason::NoClient { .. } | Reason::Client { .. } | Reason::NoArchive { .. } => {
                skip(&failures[0].to_string());
                None
            }
            reason => panic!("{reason:?}"),
        },
        Err(error) => panic!("{error:?}"),
    }
}

/// Fetch what was found out, as a build does.
fn fetch(fixture: &Fixture, resolved: &Resolved) -> Result<(), BuiltinError> {
    let attrs = json!({
        "origins": [serde_json::to_value(&resolved.origin).unwrap()],
        "size": resolved.size,
    });
    fixture.run("builtin:fetch-1", &attrs, Some(&resolved.hash))
}

/// Fetch it, and check that the bytes are those and that nothing else is left.
fn check_fetched(fixture: &Fixture, resolved: &Resolved) {
    fetch(fixture, resolved).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(fs::read(fixture.path("out")).unwrap(), fs::read(&resolved.path).unwrap());
    // The resolved file's own folder is the only one of a client.
    assert_eq!(fs::read_dir(fixture.settings.cache.join("clients")).unwrap().count(), 1);
}

#[test]
fn pip_brings_a_wheel_by_its_name() {
    let Some(fixture) = fixture() else { return };
    let query = Query::Wheel {
        project: "six".to_owned(),
        version: Some("1.16.0".to_owned()),
        system: "x86_64-linux".to_owned(),
    };
    let Some(resolved) = resolve(&fixture, &query) else { return };
    assert_eq!(resolved.name, "six-1.16.0-py2.py3-none-any.whl");
    check_fetched(&fixture, &resolved);
}

#[test]
fn apt_brings_a_package_and_keeps_its_lists() {
    let Some(fixture) = fixture() else { return };
    let query = Query::Package {
        package: "hostname".to_owned(),
        version: None,
        arch: "amd64".to_owned(),
        suite: "bookworm".to_owned(),
    };
    let Some(resolved) = resolve(&fixture, &query) else { return };
    let Origin::Debian(Debian::Binary(origin)) = &resolved.origin else {
        panic!("{:?}", resolved.origin);
    };
    assert!(resolved.name.starts_with("hostname_") && !origin.version.is_empty());
    let stamp = fixture.settings.cache.join("apt/bookworm-amd64/refreshed");
    let before = modified(&stamp);
    check_fetched(&fixture, &resolved);
    assert_eq!(modified(&stamp), before);
}

fn modified(path: &Path) -> std::time::SystemTime {
    path.metadata().unwrap().modified().unwrap()
}

#[test]
fn apt_brings_a_source_archive_of_another_release() {
    let Some(fixture) = fixture() else { return };
    let query =
        Query::Source { source: "hello".to_owned(), version: None, suite: "trixie".to_owned() };
    let Some(resolved) = resolve(&fixture, &query) else { return };
    assert!(resolved.name.starts_with("hello_") && resolved.name.contains(".orig.tar."));
    check_fetched(&fixture, &resolved);
}

#[test]
fn without_a_sandbox_no_client_runs() {
    let Some(mut fixture) = fixture() else { return };
    fixture.sandbox = None;
    let attrs = json!({"origins": [
        {"pypi": {"project": "six", "version": "1", "file": "six-1.tar.gz"}},
    ]});
    let hash = crate::sha256(b"");
    let error = fixture.run("builtin:fetch-1", &attrs, Some(&hash)).unwrap_err();
    let BuiltinError::Fetch(FetchError::Origins(failures)) = &error else { panic!("{error:?}") };
    assert!(matches!(failures[0].reason, Reason::NoSandbox { .. } | Reason::NoClient { .. }));
}
