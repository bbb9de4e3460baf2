//! The rules of `docs/architecture.md` that a program can check.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, MetadataCommand};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("cli/ lies in the root").to_owned()
}

/// Each of our crates, and the normal dependencies that a filter lets through.
fn dependencies(keep: impl Fn(&str) -> bool) -> BTreeMap<String, BTreeSet<String>> {
    let metadata =
        MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    metadata
        .packages
        .iter()
        .map(|package| {
            let names = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind == DependencyKind::Normal)
                .map(|dependency| dependency.name.clone())
                .filter(|name| keep(name))
                .collect();
            (package.name.to_string(), names)
        })
        .collect()
}

#[test]
fn dependencies_among_our_crates_point_one_way() {
    let allowed = BTreeMap::from([
        ("hb-lang", vec![]),
        ("hb-model", vec![]),
        ("hb-sandbox", vec![]),
        ("hb-store", vec!["hb-model"]),
        ("hb-evaluator", vec!["hb-lang", "hb-model"]),
        ("hb-cache", vec!["hb-model", "hb-store"]),
        ("hb-build", vec!["hb-cache", "hb-model", "hb-sandbox", "hb-store"]),
        (
            "hb",
            vec![
                "hb-build",
                "hb-cache",
                "hb-evaluator",
                "hb-lang",
                "hb-model",
                "hb-sandbox",
                "hb-store",
            ],
        ),
    ]);
    let found = dependencies(|name| name.starts_with("hb-"));
    assert_eq!(found.keys().map(String::as_str).collect::<Vec<_>>().len(), allowed.len());
    for (package, names) in found {
        let allowed: BTreeSet<_> =
            allowed[package.as_str()].iter().map(|n| n.to_string()).collect();
        assert!(names.is_subset(&allowed), "{package} depends on {names:?}, allowed: {allowed:?}");
    }
}

#[test]
fn tokio_is_only_where_processes_are_waited_for() {
    let users: Vec<_> = dependencies(|name| name == "tokio")
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(package, _)| package)
        .collect();
    let allowed = ["hb", "hb-build", "hb-sandbox"];
    assert!(users.iter().all(|user| allowed.contains(&user.as_str())), "{users:?}");
}

#[test]
fn every_dependency_is_pinned_in_the_one_table() {
    let table: toml::Table =
        toml::from_str(&fs::read_to_string(root().join("Cargo.toml")).unwrap()).unwrap();
    for (name, value) in table["workspace"]["dependencies"].as_table().unwrap() {
        let version = value.as_str().or_else(|| value.get("version").and_then(|v| v.as_str()));
        let ours = value.get("path").is_some();
        assert!(ours || version.is_some_and(|v| v.starts_with('=')), "{name} is not pinned");
    }
    for manifest in manifests() {
        let text = fs::read_to_string(&manifest).unwrap();
        let table: toml::Table = toml::from_str(&text).unwrap();
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, value) in table.get(section).and_then(|t| t.as_table()).into_iter().flatten()
            {
                let inherits = value.get("workspace").and_then(toml::Value::as_bool) == Some(true);
                assert!(inherits, "{}: {name} does not come from the table", manifest.display());
            }
        }
    }
}

#[test]
fn every_crate_obeys_the_workspaces_lints() {
    for manifest in manifests() {
        let table: toml::Table = toml::from_str(&fs::read_to_string(&manifest).unwrap()).unwrap();
        let inherits = table.get("lints").and_then(|lints| lints.get("workspace"));
        assert_eq!(inherits.and_then(|w| w.as_bool()), Some(true), "{}", manifest.display());
    }
}

#[test]
fn every_source_file_says_what_lives_in_it() {
    for file in sources(&root()) {
        let text = fs::read_to_string(&file).unwrap();
        let head = text.lines().next().unwrap_or_default();
        assert!(head.starts_with("//!"), "{} does not open with //!", file.display());
    }
}

#[test]
fn every_invariant_names_a_test_that_exists() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let code: String =
        sources(&root()).iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let invariants: Vec<_> = text.split("\n\n").filter(|p| p.starts_with("Invariant:")).collect();
    assert!(invariants.len() >= 10, "only {} invariants", invariants.len());
    for invariant in invariants {
        let tests: Vec<_> = invariant.split('`').skip(1).step_by(2).collect();
        let named = tests.iter().any(|test| code.contains(&format!("fn {test}(")));
        assert!(named, "no test of that name: {invariant}");
    }
}

#[test]
fn every_threat_names_tests_that_exist() {
    let text = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let named = |text: &str| {
        let code = text.split('`').skip(1).step_by(2).filter(|code| code.contains("::"));
        code.map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    for test in named(&text) {
        assert!(is_test(&test), "there is no test {test}");
    }
    let tables =
        text.split("\n\n").filter_map(|table| table.strip_prefix("| threat | wall | test |"));
    let threats: Vec<_> = tables.flat_map(|table| table.lines().skip(2)).collect();
    assert!(threats.len() >= 40, "only {} threats", threats.len());
    for threat in threats {
        assert!(!named(threat).is_empty(), "no test: {threat}");
    }
}

/// Whether there is a test by the name that `docs/security.md` has for it: the folder's word,
/// if it is not the sandbox's, the file, and the function.
fn is_test(named: &str) -> bool {
    let (folder, path) = named.rsplit_once(' ').unwrap_or(("sandbox", named));
    let folder = match folder {
        "sandbox" => "sandbox/tests/sandbox",
        "program" => "tests/program",
        "store" => "store/tests",
        "build" => "build/tests/builders",
        "cache" => "cache/tests",
        _ => return false,
    };
    let Some((file, test)) = path.rsplit_once("::") else { return false };
    let file = root().join(folder).join(file.replace("::", "/"));
    let read = |path| fs::read_to_string(path).ok();
    let text = read(file.with_extension("rs")).or_else(|| read(file.join("mod.rs")));
    text.is_some_and(|text| {
        let before = text.split_once(&format!("fn {test}(")).map(|(before, _)| before);
        // Those of proptest stand deeper.
        let lines = before.map(|before| before.lines().rev().map(str::trim));
        lines.is_some_and(|lines| {
            lines.skip_while(|line| line.is_empty()).take(4).any(|line| line == "#[test]")
        })
    })
}

fn manifests() -> Vec<PathBuf> {
    ["lang", "evaluator", "store/model", "store", "cache", "sandbox", "build", "cli"]
        .iter()
        .map(|folder| root().join(folder).join("Cargo.toml"))
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}
