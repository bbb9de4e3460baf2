//! What one machine builds and another one gets from a binary cache.

mod collecting;
mod network;
mod registry;
mod repair;
mod s3;
mod servers;
mod trust;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use hb_model::{Algorithm, Hasher};

use crate::support::{Project, explain};

/// A machine that has built something, and a cache that has it, signed.
struct Builder {
    project: Project,
    recipe: String,
    key: String,
    built: String,
}

impl Builder {
    fn new() -> Self {
        let project = Project::new();
        let source = project.fetched_source();
        let recipe = format!(
            r#"rec {{
                 source = {source};
                 lower = run "lower" "cat ${{source}} > $out";
                 tool = run "tool" "echo tool > $out";
                 default = run "upper" "cat ${{tool}} > /dev/null; echo ${{lower}} > $out";
               }}"#
        );
        project.recipe(&recipe);
        let key = project.succeeds(["key", "new", "builder"]);
        let built = project.succeeds(["build", "recipe.hb", "--no-link"]);
        fs::create_dir(project.path().join("cache")).unwrap();
        Self { project, recipe, key, built }
    }

    fn pushed() -> Self {
        let builder = Self::new();
        builder.push(&["--sign", "builder"]);
        builder
    }

    fn cache(&self) -> PathBuf {
        self.project.path().join("cache")
    }

    fn push(&self, options: &[&str]) -> String {
        let cache = self.cache();
        let arguments = ["cache", "push", &self.built, "--to", cache.to_str().unwrap()];
        let output = self.project.hb(arguments).args(options).output().unwrap();
        assert!(output.status.success(), "{}", explain(&output));
        String::from_utf8(output.stderr).unwrap()
    }

    /// Another machine, which asks these caches and trusts the builder. Nothing can be
    /// fetched there.
    fn other(&self, caches: &[&str]) -> Project {
        let other = Project::with_recipe(&self.recipe.replace("/origin", "/gone"));
        other.succeeds(["key", "trust", &self.key]);
        settings(&other, &format!("caches = {caches:?}\ncache-timeout = 1\n"));
        other
    }
}

/// Add to the user's settings.
fn settings(project: &Project, text: &str) {
    let file = project.path().join("../home/.config/hb/config.toml");
    let before = fs::read_to_string(&file).unwrap_or_default();
    fs::write(file, format!("{text}{before}")).unwrap();
}

/// Let a project show this password at an address.
fn credentials(project: &Project, address: &str, password: &str) {
    let file = project.path().join("../home/.config/hb/credentials.toml");
    let text = format!("[\"{address}\"]\nuser = \"hb\"\npassword = \"{password}\"\n");
    fs::write(&file, text).unwrap();
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}

/// Builds, and gives what was said.
fn build(project: &Project, options: &[&str]) -> (PathBuf, String) {
    let output = project.hb(["build", "recipe.hb", "--no-link"]).args(options).output().unwrap();
    assert!(output.status.success(), "{}", explain(&output));
    let path = String::from_utf8(output.stdout).unwrap();
    (path.trim_end().into(), String::from_utf8(output.stderr).unwrap())
}

/// The other machine gets the same as the builder, and builds nothing.
fn check_pulled(builder: &Builder, other: &Project, options: &[&str]) {
    let (path, said) = build(other, options);
    assert!(said.contains("pulled upper"), "{said}");
    assert!(!said.contains("building") && !said.contains("fetching"), "{said}");
    assert!(!said.contains("warning"), "{said}");
    assert_eq!(path.file_name(), Path::new(&builder.built).file_name());
    other.succeeds(["store", "verify", "--contents"]);
    // Only what the output refers to has come.
    let names = other.succeeds(["store", "ls"]);
    assert!(names.contains("-lower\n"), "{names}");
    assert!(!names.contains("-tool\n") && !names.contains(&stored_source()), "{names}");
}

/// The object of what was fetched; the recipe's own sources are called alike.
fn stored_source() -> String {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(b"from afar\n");
    let name = hb_model::StoreName::new("source").unwrap();
    let method = hb_model::FixedMethod::Flat;
    hb_model::StorePath::of_fixed(name, method, &hasher.finish()).base_name()
}

/// Something is wrong with the cache: that is said, and everything is built.
fn check_built(builder: &Builder, other: &Project, warning: &str) {
    // What cannot be pulled has to be fetched.
    other.recipe(&builder.recipe);
    let (path, said) = build(other, &[]);
    assert!(said.contains(warning), "{warning}: {said}");
    assert!(said.contains("built upper"), "{said}");
    assert_eq!(path.file_name(), Path::new(&builder.built).file_name());
    assert_eq!(fs::read(path).unwrap(), fs::read(&builder.built).unwrap());
    other.succeeds(["store", "verify", "--contents"]);
}

#[test]
fn what_was_pushed_is_not_built_again_and_only_what_is_needed_comes() {
    let builder = Builder::pushed();
    let cache = builder.cache();
    let other = builder.other(&[cache.to_str().unwrap()]);
    let plan = other.succeeds(["build", "recipe.hb", "--dry-run", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["pull"].as_array().unwrap().len(), 1, "{plan}");
    check_pulled(&builder, &other, &[]);
    // It is known from now on, without asking.
    fs::remove_dir_all(&cache).unwrap();
    let (_, said) = build(&other, &[]);
    assert!(!said.contains("warning"), "{said}");
}

#[test]
fn folders_are_asked_offline_and_servers_are_not() {
    let builder = Builder::pushed();
    let cache = builder.cache();
    let other = builder.other(&["http://127.0.0.1:9/", cache.to_str().unwrap()]);
    check_pulled(&builder, &other, &["--offline"]);
}

#[test]
fn a_changed_recipe_takes_what_it_was_built_from_out_of_the_cache() {
    let builder = Builder::new();
    builder.push(&["--sign", "builder", "--inputs"]);
    let cache = builder.cache();
    let other = builder.other(&[cache.to_str().unwrap()]);
    let changed =
        builder.recipe.replace("/origin", "/gone").replace("echo ${lower}", "cat ${lower}");
    other.recipe(&changed);
    let (path, said) = build(&other, &[]);
    for pulled in ["pulled lower", "pulled tool"] {
        assert!(said.contains(pulled), "{said}");
    }
    assert!(said.contains("built upper") && !said.contains("fetching"), "{said}");
    assert_eq!(fs::read_to_string(path).unwrap(), "from afar\n");
}

#[test]
fn what_is_to_be_fetched_comes_from_a_cache_that_nobody_need_trust() {
    let builder = Builder::new();
    builder.push(&["--inputs"]);
    let cache = builder.cache();
    let other = Project::with_recipe(&builder.recipe.replace("/origin", "/gone"));
    fs::create_dir_all(other.path().join("../home/.config/hb")).unwrap();
    settings(&other, &format!("caches = [{cache:?}]\n"));
    let (_, said) = build(&other, &["--offline"]);
    assert!(said.contains("pulled source") && said.contains("built upper"), "{said}");
}

#[test]
fn an_unsigned_build_is_built_again() {
    let builder = Builder::new();
    assert!(builder.push(&[]).contains("`--sign KEY` signs"));
    let cache = builder.cache();
    check_built(&builder, &builder.other(&[cache.to_str().unwrap()]), "");
}

/// What happens to an entry.
type Change<'a> = &'a dyn Fn(Vec<u8>) -> Vec<u8>;

/// The entries below one folder of a cache, decompressed and changed.
fn tamper(folder: &Path, change: Change<'_>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tamper(&path, change);
        } else {
            let bytes = zstd::decode_all(&fs::read(&path).unwrap()[..]).unwrap();
            fs::write(&path, zstd::encode_all(&change(bytes)[..], 0).unwrap()).unwrap();
        }
    }
}

#[test]
fn a_cache_that_lies_costs_a_warning_and_a_build() {
    let flip = |mut bytes: Vec<u8>| {
        bytes[0] ^= 1;
        bytes
    };
    let forge = |bytes: Vec<u8>| {
        // Another result, under the old signature.
        let text = String::from_utf8(bytes).unwrap();
        text.replace("isolation filtered", "isolation builtin").into_bytes()
    };
    let unsign = |bytes: Vec<u8>| {
        let text = String::from_utf8(bytes).unwrap();
        let lines = text.lines().filter(|line| !line.starts_with("signature"));
        lines.map(|line| format!("{line}\n")).collect::<String>().into_bytes()
    };
    let cases: [(&str, &[&str], Change<'_>); 5] = [
        ("not what its name says", &["chunks"], &flip),
        ("is not what hb writes", &["objects"], &flip),
        ("did not sign", &["builds", "graphs"], &forge),
        ("did not sign", &["builds", "graphs"], &unsign),
        ("more than", &["chunks"], &|_| vec![0; 9 << 20]),
    ];
    let builder = Builder::pushed();
    for (warning, areas, change) in cases {
        let folder = tempfile::tempdir().unwrap();
        let copied = Command::new("cp").arg("-a").arg(builder.cache()).arg(folder.path()).status();
        assert!(copied.unwrap().success());
        let cache = folder.path().join("cache");
        areas.iter().for_each(|area| tamper(&cache.join(area), change));
        check_built(&builder, &builder.other(&[cache.to_str().unwrap()]), warning);
    }
}

#[test]
fn objects_are_pulled_by_name() {
    let builder = Builder::pushed();
    let cache = builder.cache();
    let cache = cache.to_str().unwrap();
    let other = Project::new();
    let listed = other.succeeds(["cache", "ls", "--from", cache]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let path = listed.lines().find(|line| line.contains("-upper")).unwrap();
    let path = path.split(' ').next().unwrap();
    let physical = other.succeeds(["cache", "pull", "--from", cache, path]);
    assert_eq!(fs::read(physical).unwrap(), fs::read(&builder.built).unwrap());
    let gone = format!("/hb/store/{}-gone", "0".repeat(32));
    let said = other.fails(4, ["cache", "pull", "--from", cache, &gone]);
    assert!(said.contains("no cache has") && said.contains("hb cache ls"), "{said}");
    let said = other.fails(2, ["cache", "ls"]);
    assert!(said.contains("no cache is named"), "{said}");
    let said = other.fails(2, ["cache", "ls", "--from", "http://user:secret@host/"]);
    assert!(!said.contains("secret@") && said.contains("credentials"), "{said}");
}
