//! Sandboxes for people and for clients: views of the host, looks inside a failed
//! build, fetches.

use std::fs;

use hb_sandbox::{
    Access, Bind, ClientHost, Exit, Isolation, SandboxSpec, Stdio, User, fetch_client,
};
use rustix::process::{getegid, geteuid};

use crate::harness::{Build, build};

/// A view of the host that runs `script` with the host's shell.
fn host_view(script: &str) -> Build {
    let mut build = build("");
    let user = User { uid: geteuid().as_raw(), gid: getegid().as_raw() };
    let folder = build.folder.path().to_owned();
    let argv = ["sh", "-c", script].map(Into::into).to_vec();
    let env = [("PATH".into(), "/usr/bin:/bin".into()), ("GREETING".into(), "hello".into())].into();
    build.spec = SandboxSpec::host_view(user, folder.join("work"), env, argv);
    build.spec.stdio = Stdio::Captured;
    build.spec.binds =
        vec![Bind { source: folder.clone(), target: folder, access: Access::Writable }];
    build
}

#[test]
fn a_view_of_the_host_adds_the_store_and_keeps_the_rest() {
    let mut view =
        host_view("id -u; echo $GREETING; ls /hb/store; cat /hb/store/abc-tool; ls -d /usr");
    view.add_input("abc-tool", "tool\n");
    let expected = format!("{}\nhello\nabc-tool\ntool\n/usr\n", geteuid().as_raw());
    assert_eq!(view.succeed(), expected);
}

#[test]
fn a_view_of_the_host_writes_only_where_it_may() {
    let view = host_view("echo text > here; touch /usr/hb-was-here 2>/dev/null || echo refused");
    assert_eq!(view.succeed(), "refused\n");
    assert_eq!(fs::read_to_string(view.path("work/here")).expect("a file"), "text\n");
}

#[test]
fn a_view_of_the_host_is_recorded_as_no_more_than_that() {
    let ended = host_view("true").run().expect("it starts").ended;
    assert_eq!((ended.exit, ended.isolation), (Exit::Code(0), Isolation::View));
}

#[test]
fn a_look_inside_a_failed_build_finds_what_it_left() {
    for inputs in [1, 40] {
        let mut failed = build("echo part > left; echo half > /hb/store/s-out; exit 3");
        failed.spec.files.insert("given".to_owned(), b"given\n".to_vec());
        (0..inputs).for_each(|n| failed.add_input(&format!("{n}-input"), "input\n"));
        assert_eq!(failed.run().expect("it starts").ended.exit, Exit::Code(3));

        let script = "cat left given /hb/store/s-out /hb/store/0-input; id -u";
        let argv = ["/bin/sh", "-c", script].map(Into::into).to_vec();
        failed.spec = failed.spec.clone().interactive(argv);
        failed.spec.stdio = Stdio::Captured;
        assert_eq!(failed.succeed(), "part\ngiven\nhalf\ninput\n1000\n");
    }
}

/// A client that runs `script` with the host's shell.
fn client(host: &ClientHost, script: &str) -> Build {
    let mut build = build("");
    let argv = ["/bin/sh", "-c", script].map(Into::into).to_vec();
    build.spec = fetch_client(host, build.path("work"), argv);
    build
}

#[test]
fn a_client_sees_programs_and_its_configuration_but_not_the_users_files() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let home = folder.path().join("home");
    fs::create_dir_all(home.join(".config/pip")).expect("a folder");
    fs::write(home.join(".config/pip/pip.conf"), "[global]\n").expect("a file");
    fs::write(home.join("letter"), "private").expect("a file");
    let packages = folder.path().join("packages");
    fs::create_dir(&packages).expect("a folder");
    let env = [
        ("PIP_FIND_LINKS".into(), packages.clone().into()),
        ("https_proxy".into(), "http://proxy:1".into()),
        ("AWS_SECRET".into(), "secret".into()),
    ];
    let host = ClientHost { home: Some(home.clone()), env: env.into() };
    let script = format!(
        "cat {home}/.config/pip/pip.conf; ls {home}; test -d {packages} && echo packages
         echo $https_proxy; echo secret: $AWS_SECRET; echo $HOME
         touch /usr/new 2>/dev/null || echo read-only; test -e /hb/store/* || echo no store",
        home = home.display(),
        packages = packages.display(),
    );
    let expected = "[global]\npackages\nhttp://proxy:1\nsecret:\n/build\nread-only\nno store\n";
    assert_eq!(client(&host, &script).succeed(), expected);
}

#[test]
fn a_client_installed_elsewhere_is_shown_with_its_installation_and_no_more() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = |name: &str| folder.path().join(name);
    for name in ["opt/tool/bin", "opt/tool/lib", "home"] {
        fs::create_dir_all(path(name)).expect("a folder");
    }
    fs::write(path("opt/tool/lib/words"), "from its library\n").expect("a file");
    fs::write(path("home/letter"), "private").expect("a file");
    fs::copy("/bin/busybox", path("opt/tool/bin/busybox")).expect("busybox-static");
    let script = format!(
        "#!{} sh\ncat {}; cat {} || echo unseen\n",
        path("opt/tool/bin/busybox").display(),
        path("opt/tool/lib/words").display(),
        path("home/letter").display(),
    );
    // By a process of its own: what is open for writing here cannot be executed.
    let client_path = path("opt/tool/bin/client");
    let write = r#"printf %s "$1" > "$2" && chmod 755 "$2""#;
    let written = std::process::Command::new("/bin/sh")
        .args(["-c", write, "-", &script])
        .arg(&client_path)
        .status();
    assert!(written.expect("a shell").success());
    let host = ClientHost { home: Some(path("home")), ..ClientHost::default() };
    let mut build = build("");
    build.spec = fetch_client(&host, build.path("work"), vec![client_path.into()]);
    let output = build.succeed();
    assert!(output.starts_with("from its library\n") && output.ends_with("unseen\n"), "{output}");
}

#[test]
fn a_client_sees_no_other_build_and_no_store() {
    let other = build("");
    fs::write(other.path("work/theirs"), "").expect("a file");
    fs::write(other.path("outputs/theirs"), "").expect("a file");
    let script = "find / -xdev -name theirs 2>/dev/null; ls -A /hb/store";
    assert_eq!(client(&ClientHost::default(), script).run().expect("it starts").output, "");
}

#[test]
fn a_client_has_the_hosts_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    let script = format!("/bin/busybox nc -w 5 127.0.0.1 {port} </dev/null && echo connected");
    let answer = std::thread::spawn(move || listener.accept().map(drop));
    assert_eq!(client(&ClientHost::default(), &script).succeed(), "connected\n");
    answer.join().expect("the listener").expect("a connection");
}
