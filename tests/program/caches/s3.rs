//! Caches in buckets of S3-compatible servers.

use super::{
    Builder, check_built, check_pulled, credentials,
    servers::{Server, free_port, python, serve},
};
use crate::support::{Project, explain};

/// A server that checks signatures, and the address of a cache there.
pub(super) fn server(project: &Project) -> (Server, String) {
    let port = free_port();
    let mut command = python("s3_server.py", include_str!("s3_server.py"), project);
    let server = serve(command.arg(port.to_string()), port);
    (server, format!("s3://bucket/team/a b?endpoint=http://127.0.0.1:{port}/&region=eu-test-1"))
}

#[test]
fn an_s3_server_takes_and_gives_who_signs() {
    let mut builder = Builder::new();
    let (_server, address) = server(&builder.project);
    let push = |builder: &Builder| {
        let arguments = ["cache", "push", &builder.built, "--to", &address, "--sign", "builder"];
        builder.project.hb(arguments).output().unwrap()
    };
    assert_eq!(push(&builder).status.code(), Some(4), "without credentials");
    credentials(&builder.project, "s3://bucket", "another");
    let said = explain(&push(&builder));
    assert!(said.contains("refuses the credentials") && !said.contains("another"), "{said}");
    credentials(&builder.project, "s3://bucket", "secret");
    let pushed = push(&builder);
    assert!(pushed.status.success(), "{}", explain(&pushed));
    let other = builder.other(&[&address]);
    credentials(&other, "s3://bucket", "secret");
    check_pulled(&builder, &other, &[]);
    let listed = other.succeeds(["cache", "ls", "--from", &address]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    check_built(&builder, &builder.other(&[&address]), "refuses the credentials");

    // What a name may have that an address must not.
    builder.project.recipe(r#"run "c++?=1_2.3" "echo > $out""#);
    builder.built = builder.project.succeeds(["build", "recipe.hb", "--no-link"]);
    let pushed = push(&builder);
    assert!(pushed.status.success(), "{}", explain(&pushed));
    let name = builder.built.rsplit('/').next().unwrap();
    let listed = other.succeeds(["cache", "ls", "--from", &address]);
    assert!(listed.contains(name), "{listed}");
    other.succeeds(["cache", "pull", "--from", &address, name]);
}
