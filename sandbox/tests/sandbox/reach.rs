//! What a build can reach beyond itself: sockets and listeners of the host, descriptors
//! handed over, the files below a mount, an input by a descriptor of it.
//!
//! The builder is this test program again, running `reacher`.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};

use hb_sandbox::{Access, Bind, StoreEntry, SyscallPolicy};

use crate::calls::running;

/// Where the builder is told what to try.
const ABSTRACT: &str = "HB_TEST_ABSTRACT";
const PATH: &str = "HB_TEST_PATH";
const PORTS: &str = "HB_TEST_PORTS";

/// Prints what of the host it reached; nothing, if its walls stand.
#[test]
#[ignore = "run inside the sandbox by the other tests"]
#[allow(clippy::print_stdout, reason = "the test outside reads what it prints")]
fn reacher() {
    let told = |name: &str| std::env::var(name).ok();
    let reached = |what: &str, result: io::Result<()>| {
        if result.is_ok() {
            println!("reached {what}");
        }
    };
    if let Some(name) = told(ABSTRACT) {
        let address = SocketAddr::from_abstract_name(&name).expect("a name");
        reached("the abstract socket", UnixStream::connect_addr(&address).map(hand_over));
    }
    if let Some(path) = told(PATH) {
        reached("the socket in a folder", UnixStream::connect(path).map(hand_over));
    }
    for port in told(PORTS).iter().flat_map(|ports| ports.split(' ')) {
        let port = port.parse().expect("a port");
        reached("IPv4", TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map(drop));
        reached("IPv6", TcpStream::connect((Ipv6Addr::LOCALHOST, port)).map(drop));
    }
    if let Ok(input) = File::open("/hb/store/abc-input") {
        reached("another name of an input", link_by_descriptor(&input, c"/build/linked"));
        reached("another name of an input", link_by_descriptor(&input, c"/hb/store/out"));
        let again = format!("/proc/self/fd/{}", input.as_raw_fd());
        reached("writing to an input", File::options().write(true).open(&again).map(drop));
        let mode = fs::Permissions::from_mode(0o600);
        reached("the mode of an input", fs::set_permissions(&again, mode));
        reached("the time of an input", input.set_modified(std::time::UNIX_EPOCH));
        let shortened =
            fs::OpenOptions::new().write(true).truncate(true).open("/hb/store/abc-input");
        reached("the content of an input", shortened.map(drop));
    }
}

/// Hands a descriptor over, as a build would to whoever waits outside.
fn hand_over(stream: UnixStream) {
    let file = File::create("/build/handed").expect("a file");
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut handed = rustix::net::SendAncillaryBuffer::new(&mut space);
    let files = [std::os::fd::AsFd::as_fd(&file)];
    handed.push(rustix::net::SendAncillaryMessage::ScmRights(&files));
    let bytes = [io::IoSlice::new(b"x")];
    let _ = rustix::net::sendmsg(&stream, &bytes, &mut handed, rustix::net::SendFlags::empty());
}

/// Gives an open file another name.
fn link_by_descriptor(file: &File, name: &std::ffi::CStr) -> io::Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    let again = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(CWD, again, CWD, name, AtFlags::SYMLINK_FOLLOW)
        .or_else(|_| linkat(file, c"", CWD, name, AtFlags::EMPTY_PATH))?)
}

/// A name that no other run of these tests uses.
fn own_name() -> String {
    format!("hb-test-{}", std::process::id())
}

fn reached(policy: SyscallPolicy, told: [(&str, &str); 1]) -> String {
    let mut build = running(policy, "reach::reacher");
    build.spec.env.extend(told.map(|(name, value)| (name.into(), value.into())));
    reports(&build.succeed())
}

fn reports(output: &str) -> String {
    output.lines().filter(|line| line.contains("reached ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn abstract_sockets_of_the_host_are_out_of_reach() {
    let name = own_name();
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let listener = UnixListener::bind_addr(&address).expect("a listener");
    assert!(UnixStream::connect_addr(&address).is_ok(), "the host reaches it");
    assert_eq!(reached(SyscallPolicy::Build, [(ABSTRACT, &name)]), "");
    drop(listener);
}

#[test]
fn sockets_in_the_hosts_folders_are_out_of_reach() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("socket");
    let _listener = UnixListener::bind(&path).expect("a listener");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("a mode");
    assert!(UnixStream::connect(&path).is_ok(), "the host reaches it");
    let path = path.to_str().expect("text");
    assert_eq!(reached(SyscallPolicy::Build, [(PATH, path)]), "");
}

#[test]
fn neither_protocol_of_the_internet_leads_to_the_host() {
    let listeners = [
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener"),
        TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).expect("a listener"),
    ];
    let ports = listeners.each_ref().map(|it| it.local_addr().expect("an address").port());
    assert!(TcpStream::connect((Ipv6Addr::LOCALHOST, ports[1])).is_ok(), "the host reaches it");
    let ports = ports.map(|port| port.to_string()).join(" ");
    assert_eq!(reached(SyscallPolicy::Build, [(PORTS, &ports)]), "");
}

/// A client of a fetch shares the host's network, and with it the names of sockets: what
/// keeps it from handing a descriptor to somebody is that it can make no such socket.
#[test]
fn a_client_can_hand_no_descriptor_to_anyone() {
    let name = own_name() + "-client";
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let _listener = UnixListener::bind_addr(&address).expect("a listener");
    let reach = |policy| {
        let mut build = running(policy, "reach::reacher");
        build.spec.network = hb_sandbox::Network::Host;
        build.spec.env.insert(ABSTRACT.into(), name.clone().into());
        reports(&build.succeed())
    };
    assert_eq!(reach(SyscallPolicy::Fetch), "");
    assert_eq!(reach(SyscallPolicy::Unfiltered), "reached the abstract socket");
}

/// Where the program that runs the tests may itself be told of inputs.
#[test]
fn an_input_cannot_be_changed_or_named_anew_by_a_descriptor_of_it() {
    let mut build = running(SyscallPolicy::Build, "reach::reacher");
    build.add_input("abc-input", "input\n");
    assert_eq!(reports(&build.succeed()), "");
    let kept = fs::read_to_string(build.path("inputs/abc-input")).expect("the input");
    assert_eq!(kept, "input\n");
}

/// The same file, not shown as an input but in a folder that may be written to: then all of
/// it goes through, and the test above would notice.
#[test]
fn without_its_wall_an_input_can_be_changed() {
    let mut build = running(SyscallPolicy::Build, "reach::reacher");
    build.spec.store.outputs = None;
    build.add_input("abc-input", "input\n");
    let StoreEntry { path, physical } = build.spec.store.closure.remove(0);
    let mode = fs::Permissions::from_mode(0o644);
    fs::set_permissions(&physical, mode).expect("a mode");
    build.spec.binds.push(Bind { source: physical, target: path.into(), access: Access::Writable });
    let reached = reports(&build.succeed());
    assert!(reached.contains("writing to an input") && reached.contains("the mode"), "{reached}");
}
