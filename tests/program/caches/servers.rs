//! Caches on servers: real ones, and such that misbehave.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use super::{Builder, check_built, check_pulled, credentials};
use crate::support::Project;

/// A server of a real kind, ended with the test.
pub(super) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nothing listens on.
pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Start a program that listens on a port, and wait until it does.
pub(super) fn serve(command: &mut Command, port: u16) -> Server {
    let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let server = Server(child);
    for _ in 0..600 {
        if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return server;
        }
        thread::sleep(Duration::from_millis(50));
    }
    panic!("{command:?} does not listen on {port}");
}

/// A program in Python, which lies in a project's folder.
pub(super) fn python(name: &str, text: &str, project: &Project) -> Command {
    project.write(name, text);
    let mut command = Command::new("python3");
    command.arg(project.path().join(name));
    command
}

/// Serves the files in a project's folder.
pub(super) fn plain_server(project: &Project) -> (Server, u16) {
    let port = free_port();
    let mut python = Command::new("python3");
    python.args(["-m", "http.server", "--bind", "127.0.0.1", &port.to_string()]);
    (serve(python.current_dir(project.path()), port), port)
}

#[test]
fn a_plain_server_serves_what_was_pushed_to_its_folder() {
    let builder = Builder::pushed();
    let (_server, port) = plain_server(&builder.project);
    let address = format!("http://127.0.0.1:{port}/cache/");
    let other = builder.other(&[&address]);
    check_pulled(&builder, &other, &[]);
    let listed = other.succeeds(["cache", "ls", "--from", &address, &builder.built]);
    assert!(listed.contains("-upper "), "{listed}");
    let said = other.fails(4, ["cache", "ls", "--from", &address]);
    assert!(said.contains("no list"), "{said}");
    let said = builder.project.fails(4, ["cache", "push", "--to", &address, &builder.built]);
    assert!(said.contains("can only be read"), "{said}");
}

#[test]
fn credentials_that_others_can_read_are_refused() {
    let builder = Builder::pushed();
    let address = "https://127.0.0.1:9/";
    let other = builder.other(&[address]);
    credentials(&other, address, "secret");
    let file = other.path().join("../home/.config/hb/credentials.toml");
    fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let said = other.fails(2, ["build", "recipe.hb"]);
    assert!(said.contains("can be read by others") && said.contains("chmod 600"), "{said}");
}

#[test]
fn a_cache_that_is_gone_costs_a_warning_and_a_build() {
    let builder = Builder::pushed();
    let address = format!("http://127.0.0.1:{}/", free_port());
    check_built(&builder, &builder.other(&[&address]), "warning: the cache http");
}

#[test]
fn a_cache_that_hangs_or_never_ends_costs_a_warning_and_a_build() {
    let builder = Builder::pushed();
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b"endless"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request);
                    if answer != b"endless" {
                        let _ = stream.write_all(answer);
                        thread::sleep(Duration::from_secs(60));
                        return;
                    }
                    let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
                    let _ = stream.write_all(head);
                    // A frame begins, and is fed for ever.
                    while stream.write_all(&[0x28; 1 << 16]).is_ok() {}
                });
            }
        });
        check_built(&builder, &builder.other(&[&address]), "warning: the cache http");
    }
}
