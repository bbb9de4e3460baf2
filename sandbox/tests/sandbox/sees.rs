//! What a build sees: its inputs, its outputs, and fixed surroundings.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};

use hb_sandbox::{Root, StoreEntry, User};

use crate::harness::build;

#[test]
fn output_and_errors_arrive_in_the_order_written() {
    assert_eq!(build("echo one; echo two >&2; echo three").succeed(), "one\ntwo\nthree\n");
}

#[test]
fn all_of_a_long_output_arrives() {
    let output = build("seq 1 60000").succeed();
    assert_eq!(output.lines().count(), 60000);
    assert!(output.ends_with("\n60000\n"));
}

#[test]
fn user_host_name_umask_time_zone_and_processes_are_fixed() {
    let script = "id -u; id -g; hostname; umask; date +%Z; pwd; echo $$";
    assert_eq!(build(script).succeed(), "1000\n1000\nhb\n0022\nUTC\n/build\n2\n");
}

#[test]
fn another_user_can_be_asked_for() {
    let mut build = build("id -u; id -g; touch f; stat -c %u f");
    build.spec.user = User { uid: 4321, gid: 987 };
    assert_eq!(build.succeed(), "4321\n987\n4321\n");
}

#[test]
fn the_environment_is_the_given_one_and_no_more() {
    let mut build = build("busybox env | busybox grep -v -e ^PWD= -e ^SHLVL= | busybox sort");
    build.spec.env.insert("GREETING".into(), "a \n b".into());
    build.spec.env.insert("PATH".into(), "/bin".into());
    let expected = " b\nGREETING=a \nHOME=/homeless\nLC_ALL=C\nPATH=/bin\n\
                    SOURCE_DATE_EPOCH=315619200\nTERM=dumb\nTMPDIR=/build\nTZ=UTC\n";
    assert_eq!(build.succeed(), expected);
}

#[test]
fn the_root_shows_its_entries_and_the_fixed_ones() {
    let build = build("cd /; ls -A; readlink lib");
    symlink("usr/lib", build.path("root/lib")).expect("a link");
    fs::write(build.path("root/file"), "").expect("a file");
    assert_eq!(
        build.succeed(),
        "bin\nbuild\ndev\nfile\nhb\nlib\nproc\ntmp\nusr/lib\n".replace("usr/lib\n", "")
            + "usr/lib\n"
    );
}

#[test]
fn an_empty_root_runs_a_static_builder_of_the_store() {
    let mut build = build("");
    build.spec.store.closure.push(StoreEntry {
        path: "/hb/store/busybox".to_owned(),
        physical: build.path("root/bin/busybox"),
    });
    build.spec.root = Root::Empty;
    build.spec.argv = ["/hb/store/busybox", "ls", "/"].map(Into::into).to_vec();
    assert_eq!(build.succeed(), "build\ndev\nhb\nproc\ntmp\n");
}

#[test]
fn outputs_can_be_a_file_a_folder_and_a_link() {
    let build = build(
        "cd /hb/store; echo text > s-file; mkdir s-dir; touch s-dir/inner; ln -s s-file s-link; ls",
    );
    assert_eq!(build.succeed(), "s-dir\ns-file\ns-link\n");
    assert_eq!(fs::read_to_string(build.path("outputs/s-file")).expect("a file"), "text\n");
    assert!(build.path("outputs/s-dir/inner").is_file());
    let link = fs::read_link(build.path("outputs/s-link")).expect("a link");
    assert_eq!(link.to_str(), Some("s-file"));
}

#[test]
fn inputs_of_every_kind_are_shown_read_only() {
    let mut build = build(
        "cd /hb/store; cat a-file b-dir/inner c-link
         echo x > a-file || echo kept; touch b-dir/new || echo kept; rm -f a-file || echo kept",
    );
    build.add_input("a-file", "file\n");
    let inputs = build.path("inputs");
    fs::create_dir(inputs.join("b-dir")).expect("a folder");
    fs::write(inputs.join("b-dir/inner"), "inner\n").expect("a file");
    symlink("a-file", inputs.join("c-link")).expect("a link");
    for name in ["b-dir", "c-link"] {
        let entry = StoreEntry { path: format!("/hb/store/{name}"), physical: inputs.join(name) };
        build.spec.store.closure.push(entry);
    }
    let output = build.succeed();
    assert!(output.starts_with("file\ninner\nfile\n"), "{output}");
    assert_eq!(output.matches("kept\n").count(), 3, "{output}");
}

#[test]
fn many_inputs_are_shown_read_only_beside_a_writable_output() {
    let mut build = build(
        "cd /hb/store; ls | wc -l; cat *-input | sort -n | tail -n 1
         for f in *-input; do echo x > $f; done 2>/dev/null; cat 7-input; echo out > s-out",
    );
    (0..300).for_each(|n| build.add_input(&format!("{n}-input"), &format!("{n}\n")));
    symlink("7-input", build.path("inputs/link")).expect("a link");
    let physical = build.path("inputs/link");
    build.spec.store.closure.push(StoreEntry { path: "/hb/store/link".to_owned(), physical });
    assert_eq!(build.succeed(), "301\n299\n7\n");
    assert_eq!(fs::read_to_string(build.path("outputs/s-out")).expect("an output"), "out\n");
    assert_eq!(fs::read_to_string(build.path("inputs/7-input")).expect("an input"), "7\n");
}

#[test]
fn placed_files_have_fixed_mode_and_time() {
    let mut build = build("cat attrs.json sub/f; stat -c '%a %Y' attrs.json");
    build.spec.files.insert("attrs.json".to_owned(), b"{}\n".to_vec());
    build.spec.files.insert("sub/f".to_owned(), b"f\n".to_vec());
    assert_eq!(build.succeed(), "{}\nf\n644 315619200\n");
}

#[test]
fn folders_have_fixed_modes() {
    let build = build("stat -c '%a %n' / /bin /build /hb /hb/store /tmp");
    assert_eq!(build.succeed(), "755 /\n755 /bin\n755 /build\n755 /hb\n755 /hb/store\n1777 /tmp\n");
}

#[test]
fn temporary_files_can_be_made_beside_a_read_only_root() {
    let script = "echo kept > /tmp/file; echo shared > /dev/shm/file; cat /tmp/file /dev/shm/file
        touch /file 2>/dev/null || echo refused; test -e /dev/file || echo apart";
    assert_eq!(build(script).succeed(), "kept\nshared\nrefused\napart\n");
}

#[test]
fn standard_input_is_empty() {
    assert_eq!(build("cat; echo end").succeed(), "end\n");
}

#[test]
fn processes_can_be_numbered_from_elsewhere() {
    let mut build = build("echo $$; sh -c 'echo $$'; :");
    build.spec.first_process = Some(4321);
    assert_eq!(build.succeed(), "4321\n4322\n");
}

#[test]
fn the_number_of_processors_can_be_limited() {
    let mut build = build("nproc");
    build.spec.processors = Some(1);
    assert_eq!(build.succeed(), "1\n");
}

#[test]
fn resource_limits_do_not_come_from_the_user() {
    assert_eq!(build("ulimit -c; ulimit -s; ulimit -n").succeed(), "0\n8192\n1024\n");
}

#[test]
fn files_belong_to_the_user_who_runs_hb() {
    let build = build("touch /hb/store/s-out");
    build.succeed();
    let made = fs::metadata(build.path("outputs/s-out")).expect("an output");
    let own = fs::metadata(build.folder.path()).expect("a folder");
    assert_eq!((made.uid(), made.gid()), (own.uid(), own.gid()));
}
