//! Caches in OCI registries: Debian's, with passwords and with tokens.

use std::{fs, path::Path, process::Command};

use super::{
    Builder, check_built, check_pulled, credentials,
    network::Authority,
    servers::{Server, free_port, python, serve},
    settings,
};
use crate::support::explain;

/// A line for users and passwords: `hb` and `secret`.
const HTPASSWD: &str = "hb:$2b$04$7L2psznm8imEKoMn1FR7yO7slIR.VehJBC8VxstMmeaDMCXVFKKzO\n";

/// Debian's registry, with what else it is to be told.
fn registry(folder: &Path, port: u16, tls: &str, auth: &str) -> Server {
    fs::create_dir_all(folder).unwrap();
    let config = format!(
        "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
         http: {{addr: '127.0.0.1:{port}'{tls}}}\nauth: {auth}\n",
        folder.join("data").display(),
    );
    let file = folder.join("config.yml");
    fs::write(&file, config).unwrap();
    serve(Command::new("docker-registry").arg("serve").arg(file), port)
}

#[test]
fn a_registry_takes_and_gives_who_has_its_password() {
    let builder = Builder::new();
    let port = free_port();
    let users = builder.project.path().join("users");
    fs::write(&users, HTPASSWD).unwrap();
    let auth = format!("{{htpasswd: {{realm: hb, path: {}}}}}", users.display());
    let _server = registry(&builder.project.path().join("registry"), port, "", &auth);
    let address = format!("oci+http://127.0.0.1:{port}/team/cache");
    let push = || {
        let arguments = ["cache", "push", &builder.built, "--to", &address, "--sign", "builder"];
        builder.project.hb(arguments).output().unwrap()
    };
    let refused = push();
    assert_eq!(refused.status.code(), Some(4), "{}", explain(&refused));
    credentials(&builder.project, &address, "another");
    let said = explain(&push());
    assert!(said.contains("refuses the credentials") && !said.contains("another"), "{said}");
    credentials(&builder.project, "oci+http://127.0.0.1:1/", "secret");
    assert_eq!(push().status.code(), Some(4));
    credentials(&builder.project, &address, "secret");
    let pushed = push();
    assert!(pushed.status.success(), "{}", explain(&pushed));
    let again = explain(&push());
    assert!(again.contains("0 chunks were sent, 0 B"), "{again}");

    let other = builder.other(&[&address]);
    credentials(&other, &address, "secret");
    check_pulled(&builder, &other, &[]);
    let listed = other.succeeds(["cache", "ls", "--from", &address]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    check_built(&builder, &builder.other(&[&address]), "refuses the credentials");
}

/// As large registries are: with certificates, and tokens that another server gives for just
/// what is to be done.
#[test]
fn a_registry_with_tokens_lets_its_user_write_and_everybody_read() {
    let builder = Builder::new();
    let authority = Authority::new(&builder.project.path());
    let [certificate, key] = authority.server();
    let (port, tokens) = (free_port(), free_port());
    let _tokens = serve(
        python("token_server.py", include_str!("token_server.py"), &builder.project)
            .arg(tokens.to_string())
            .args([&certificate, &key]),
        tokens,
    );
    let tls = format!(", tls: {{certificate: {}, key: {}}}", certificate.display(), key.display());
    let auth = format!(
        "{{token: {{realm: 'https://127.0.0.1:{tokens}/token', service: registry, \
         issuer: issuer, rootcertbundle: {}}}}}",
        authority.certificate().display()
    );
    let _server = registry(&builder.project.path().join("registry"), port, &tls, &auth);
    let address = format!("oci://127.0.0.1:{port}/team/cache");
    let believe = format!("certificates = [{:?}]\n", authority.certificate());
    settings(&builder.project, &believe);
    let push = || {
        let arguments = ["cache", "push", &builder.built, "--to", &address, "--sign", "builder"];
        builder.project.hb(arguments).output().unwrap()
    };
    // Anybody gets a token, but only for reading.
    let refused = push();
    assert_eq!(refused.status.code(), Some(4), "{}", explain(&refused));
    assert!(explain(&refused).contains("refuses the credentials"), "{}", explain(&refused));
    credentials(&builder.project, &address, "another");
    assert_eq!(push().status.code(), Some(4));
    credentials(&builder.project, &address, "secret");
    let pushed = push();
    assert!(pushed.status.success(), "{}", explain(&pushed));

    let other = builder.other(&[&address]);
    settings(&other, &believe);
    check_pulled(&builder, &other, &[]);
    let listed = other.succeeds(["cache", "ls", "--from", &address]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
}
