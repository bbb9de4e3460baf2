//! Caches and origins in a closed network: authorities of its own, and proxies.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Builder, build, check_built, check_pulled,
    servers::{Server, free_port, plain_server, python, serve},
    settings,
};
use crate::support::{Project, explain};

/// An authority that nobody knows.
pub(super) struct Authority(PathBuf);

impl Authority {
    /// One that keeps what it makes below a folder.
    pub(super) fn new(folder: &Path) -> Self {
        let folder = folder.join("authority");
        fs::create_dir(&folder).unwrap();
        let authority = Self(folder);
        authority.openssl(&[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=authority",
            "-keyout",
            "authority.key",
            "-out",
            "authority.pem",
        ]);
        authority
    }

    fn openssl(&self, arguments: &[&str]) {
        let output = Command::new("openssl").args(arguments).current_dir(&self.0).output().unwrap();
        assert!(output.status.success(), "{}", explain(&output));
    }

    /// Its own certificate.
    pub(super) fn certificate(&self) -> PathBuf {
        self.0.join("authority.pem")
    }

    /// A certificate for 127.0.0.1, and its key.
    pub(super) fn server(&self) -> [PathBuf; 2] {
        fs::write(self.0.join("extensions"), "subjectAltName=IP:127.0.0.1\n").unwrap();
        self.openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=server",
            "-keyout",
            "server.key",
            "-out",
            "server.request",
        ]);
        self.openssl(&[
            "x509",
            "-req",
            "-in",
            "server.request",
            "-CA",
            "authority.pem",
            "-CAkey",
            "authority.key",
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "extensions",
            "-out",
            "server.pem",
        ]);
        ["server.pem", "server.key"].map(|name| self.0.join(name))
    }

    /// A server of the files in a project's folder.
    fn serve(&self, project: &Project) -> (Server, u16) {
        let port = free_port();
        let mut command = python("https_server.py", include_str!("https_server.py"), project);
        command.arg(port.to_string()).args(self.server()).current_dir(project.path());
        (serve(&mut command, port), port)
    }
}

#[test]
fn servers_are_believed_whose_authority_the_settings_or_the_environment_name() {
    let builder = Builder::pushed();
    let authority = Authority::new(&builder.project.path());
    let (_server, port) = authority.serve(&builder.project);
    let address = format!("https://127.0.0.1:{port}/cache/");
    check_built(&builder, &builder.other(&[&address]), "no authority that is known here");

    let other = builder.other(&[&address]);
    settings(&other, &format!("certificates = [{:?}]\n", authority.certificate()));
    check_pulled(&builder, &other, &[]);

    let other = builder.other(&[&address]);
    let mut hb = other.hb(["build", "recipe.hb", "--no-link"]);
    let output = hb.env("SSL_CERT_FILE", authority.certificate()).output().unwrap();
    assert!(output.status.success(), "{}", explain(&output));
    let said = explain(&output);
    assert!(said.contains("pulled upper") && !said.contains("warning"), "{said}");

    // Another authority does not vouch for it.
    let other = builder.other(&[&address]);
    let stranger = Authority::new(&other.path());
    settings(&other, &format!("certificates = [{:?}]\n", stranger.certificate()));
    check_built(&builder, &other, "no authority that is known here");
}

#[test]
fn sources_are_fetched_from_servers_that_the_settings_vouch_for() {
    let builder = Builder::new();
    let authority = Authority::new(&builder.project.path());
    let (_server, port) = authority.serve(&builder.project);
    let origin = format!("file://{}/origin", builder.project.path().display());
    let recipe = builder.recipe.replace(&origin, &format!("https://127.0.0.1:{port}/origin"));
    let other = Project::with_recipe(&recipe);
    let said = other.fails(4, ["build", "recipe.hb"]);
    assert!(said.contains("certificate"), "{said}");
    fs::create_dir_all(other.home().join(".config/hb")).unwrap();
    settings(&other, &format!("certificates = [{:?}]\n", authority.certificate()));
    build(&other, &[]);
}

#[test]
fn certificates_that_are_none_and_those_that_a_project_names_are_refused() {
    let project = Project::with_recipe(r#"run "x" "echo > $out""#);
    fs::create_dir_all(project.home().join(".config/hb")).unwrap();
    project.write("none.pem", "nothing");
    settings(&project, &format!("certificates = [{:?}]\n", project.path().join("none.pem")));
    let said = project.fails(2, ["build", "recipe.hb"]);
    assert!(said.contains("none.pem") && said.contains("no certificate"), "{said}");
    fs::remove_file(project.home().join(".config/hb/config.toml")).unwrap();
    project.write("hb.toml", "recipes = \".\"\n[settings]\ncertificates = [\"none.pem\"]\n");
    let said = project.fails(2, ["build", "recipe.hb"]);
    assert!(said.contains("a project cannot say whose certificates"), "{said}");
}

/// A proxy, and the file that says what it was asked for.
fn proxy(project: &Project) -> (Server, u16, PathBuf) {
    let (port, log) = (free_port(), project.path().join("proxy.log"));
    let config = project.path().join("proxy.conf");
    let text = format!(
        "Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 64\nBasicAuth hb secret\n\
         LogFile \"{}\"\nLogLevel Connect\n",
        log.display()
    );
    fs::write(&config, text).unwrap();
    (serve(Command::new("tinyproxy").arg("-d").arg("-c").arg(config), port), port, log)
}

/// Builds with variables in the environment; gives what was said.
fn build_with(project: &Project, variables: &[(&str, &str)]) -> String {
    let mut hb = project.hb(["build", "recipe.hb", "--no-link"]);
    let output = hb.envs(variables.iter().copied()).output().unwrap();
    explain(&output)
}

#[test]
fn proxies_are_asked_for_servers_that_no_proxy_does_not_name() {
    let builder = Builder::pushed();
    let authority = Authority::new(&builder.project.path());
    let (_server, port) = authority.serve(&builder.project);
    let address = format!("https://127.0.0.1:{port}/cache/");
    let other = || {
        let other = builder.other(&[&address]);
        settings(&other, &format!("certificates = [{:?}]\n", authority.certificate()));
        other
    };
    let (_proxy, by, log) = proxy(&builder.project);
    let asked =
        || fs::read_to_string(&log).unwrap_or_default().contains(&format!("127.0.0.1:{port}"));

    let through = format!("http://hb:secret@127.0.0.1:{by}");
    let without = [("https_proxy", &*through), ("no_proxy", "elsewhere.example, 127.0.0.0/8")];
    let said = build_with(&other(), &without);
    assert!(said.contains("pulled upper") && !asked(), "{said}");
    let said = build_with(&other(), &[("http_proxy", "http://127.0.0.1:9")]);
    assert!(said.contains("pulled upper") && !asked(), "{said}");

    let said = build_with(&other(), &[("HTTPS_PROXY", &through), ("no_proxy", "127.0.1.0/24")]);
    assert!(said.contains("pulled upper") && !said.contains("warning"), "{said}");
    assert!(asked(), "{}", fs::read_to_string(&log).unwrap());

    // One that wants to know who asks.
    let other = other();
    other.recipe(&builder.recipe);
    let refusing = format!("http://127.0.0.1:{by}");
    let said = build_with(&other, &[("ALL_PROXY", &refusing)]);
    assert!(said.contains("warning: the cache") && said.contains("built upper"), "{said}");
    let output = other.hb(["build", "recipe.hb"]).env("https_proxy", "http://a:secret@").output();
    let output = output.unwrap();
    let said = explain(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("https_proxy") && !said.contains("secret"), "{said}");
}

#[test]
fn plain_servers_and_origins_are_reached_through_a_proxy() {
    let builder = Builder::new();
    let (_server, port) = plain_server(&builder.project);
    let origin = format!("file://{}/origin", builder.project.path().display());
    let recipe = builder.recipe.replace(&origin, &format!("http://127.0.0.1:{port}/origin"));
    let (_proxy, by, log) = proxy(&builder.project);
    let other = Project::with_recipe(&recipe);
    let through = format!("http://hb:secret@127.0.0.1:{by}");
    let said = build_with(&other, &[("http_proxy", &through)]);
    assert!(said.contains("built upper"), "{said}");
    let log = fs::read_to_string(log).unwrap();
    assert!(log.contains(&format!("127.0.0.1:{port}")), "{log}");
}
