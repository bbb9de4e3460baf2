//! What a build is kept from. Each test fails when its wall is taken down.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use hb_sandbox::Maker;

use crate::harness::{Build, build, maker};

/// Runs `script`, in which each line must be refused.
fn check_refused(build: &mut Build, lines: &[&str]) {
    let script: String = lines
        .iter()
        .map(|line| {
            format!("if {{ {line}; }} >/dev/null 2>&1; then echo 'went through: {line}'; fi\n")
        })
        .collect();
    build.spec.argv = ["/bin/sh".into(), "-c".into(), script.into()].to_vec();
    assert_eq!(build.succeed(), "");
}

#[test]
fn the_network_is_loopback_only() {
    let output = build("busybox ip -o link | busybox wc -l; busybox ip route").succeed();
    assert_eq!(output, "1\n");
    check_refused(&mut build(""), &["nc -w 1 1.1.1.1 80 </dev/null", "wget -T 1 http://1.1.1.1/"]);
}

#[test]
fn loopback_works() {
    let script =
        "(echo answer | nc -l -p 8080 -w 5) & sleep 0.2; nc -w 2 127.0.0.1 8080 </dev/null";
    assert_eq!(build(script).succeed(), "answer\n");
}

#[test]
fn a_listener_of_the_host_is_out_of_reach() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("its address").port();
    check_refused(&mut build(""), &[&format!("nc -w 1 127.0.0.1 {port} </dev/null")]);
}

#[test]
fn files_of_the_host_are_invisible() {
    let mut build = build("");
    let secret = build.path("secret");
    fs::write(&secret, "secret").expect("a file");
    let line = format!("ls {}", secret.display());
    check_refused(
        &mut build,
        &[
            &line,
            "ls /usr",
            "ls /etc/passwd",
            "ls /root",
            "ls /home",
            "ls /sys",
            "ls /var",
            "ls /run",
        ],
    );
}

#[test]
fn another_builds_folders_are_invisible() {
    let other = build("");
    fs::write(other.path("work/theirs"), "").expect("a file");
    fs::write(other.path("outputs/theirs"), "").expect("a file");
    let output = build("find / -name theirs 2>/dev/null").run().expect("the sandbox starts").output;
    assert_eq!(output, "");
}

#[test]
fn processes_of_the_host_are_invisible() {
    let output = build("ls -d /proc/[0-9]* | wc -l").succeed();
    assert!(output.trim().parse::<u32>().expect("a number") <= 4, "{output}");
}

#[test]
fn the_root_is_read_only() {
    check_refused(
        &mut build(""),
        &["touch /new", "mkdir /hb/new", "touch /bin/new", "rm /bin/sh", "mount -o remount,rw /"],
    );
}

#[test]
fn inputs_cannot_be_linked_into_outputs() {
    let mut build = build("");
    build.add_input("abc-input", "input");
    check_refused(&mut build, &["ln /hb/store/abc-input /hb/store/s-out", "ln /bin/sh /build/sh"]);
}

#[test]
fn set_id_bits_are_refused() {
    let mut build = build("");
    check_refused(
        &mut build,
        &[
            "touch f; chmod u+s f",
            "touch g; chmod 2755 g",
            "mkdir d; chmod g+s d",
            "install -m 4755 /bin/sh s",
        ],
    );
    for made in fs::read_dir(build.path("work")).expect("the working folder") {
        let mode = made.expect("an entry").metadata().expect("its mode").permissions().mode();
        assert_eq!(mode & 0o6000, 0);
    }
}

#[test]
fn plain_modes_are_free() {
    assert_eq!(build("touch f; chmod 751 f; chmod +t /build; stat -c %a f").succeed(), "751\n");
}

#[test]
fn no_capability_and_no_new_privilege_is_left() {
    let script = "grep -e ^Cap -e ^NoNewPrivs -e ^Seccomp: /proc/self/status | cut -f 2 | uniq";
    assert_eq!(build(script).succeed(), "0000000000000000\n1\n2\n");
}

#[test]
fn namespaces_mounts_and_devices_are_refused() {
    check_refused(
        &mut build(""),
        &[
            "unshare -U true",
            "unshare -r true",
            "unshare -m true",
            "unshare -n true",
            "mount -t tmpfs none /tmp",
            "mount --bind /tmp /build",
            "umount /proc",
            "mknod /build/disk b 8 0",
            "mknod /build/null c 1 3",
            "chroot /build /bin/sh",
            "hostname other",
            "dmesg",
        ],
    );
}

#[test]
fn only_the_given_descriptors_are_open() {
    // This one would be inherited, as those of hb's own parent may be.
    let leaked = fs::File::open("/etc/passwd").expect("a file");
    let leaked = rustix::io::dup(&leaked).expect("a copy that is not closed on exec");
    let output = build("ls /proc/self/fd").succeed();
    drop(leaked);
    // The fourth is the folder that `ls` reads.
    assert_eq!(output, "0\n1\n2\n3\n");
}

#[test]
fn signals_that_hb_ignores_or_blocks_are_not_so_inside() {
    let mut build = build("");
    // Without a shell, which ignores signals of its own.
    build.spec.argv = ["/bin/busybox", "grep", "-e", "SigBlk", "-e", "SigIgn", "/proc/self/status"]
        .map(Into::into)
        .to_vec();
    assert_eq!(build.succeed(), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

#[test]
fn the_clock_cannot_be_set() {
    let output = build("date -s 2001-01-01 2>&1").succeed();
    assert!(output.contains("can't set date: Operation not permitted"), "{output}");
}

#[test]
fn there_is_no_terminal() {
    check_refused(&mut build(""), &["echo x > /dev/tty", "tty"]);
}

#[test]
fn how_the_kernel_was_started_and_what_it_drives_is_invisible() {
    let names = "cmdline diskstats interrupts iomem ioports kallsyms key-users keys kpagecount \
                 modules partitions slabinfo swaps timer_list vmallocinfo";
    let script = format!("cd /proc; for name in {names}; do cat $name 2>/dev/null; done; echo end");
    assert_eq!(build(&script).succeed(), "end\n");
    assert_eq!(
        build("cat /proc/sys/kernel/random/boot_id").succeed().trim_matches(['0', '-']),
        "\n"
    );
}

#[test]
fn the_kind_of_processor_is_invisible_and_their_number_is_that_of_the_build() {
    let mut build = build("cat /proc/cpuinfo; nproc");
    build.spec.processors = Some(1);
    let seen = build.succeed();
    assert_eq!(seen.matches("processor\t:").count(), 1, "{seen}");
    assert!(seen.ends_with("\n1\n"), "{seen}");
    let of_host = fs::read_to_string("/proc/cpuinfo").expect("the host's");
    let telling = of_host.lines().filter(|line| line.len() >= 8 && !line.starts_with("processor"));
    let told: Vec<_> = telling.filter(|line| seen.contains(line)).collect();
    assert_eq!(told, Vec::<&str>::new());
}

#[test]
fn no_mount_of_the_host_is_there_but_what_is_shown() {
    let mut build = build("cut -d ' ' -f 5 /proc/self/mountinfo | sort -u");
    build.add_input("abc-input", "");
    let seen = build.succeed();
    let shown = ["/bin", "/build", "/dev", "/hb/store", "/proc", "/tmp"];
    let strange: Vec<_> = seen
        .lines()
        .filter(|mount| *mount != "/" && !shown.iter().any(|path| mount.starts_with(path)))
        .collect();
    assert_eq!(strange, Vec::<&str>::new());
    assert!(seen.contains("/hb/store/abc-input\n"), "{seen}");
}

#[test]
fn settings_of_the_machine_cannot_be_changed() {
    // Opened for writing, nothing written: an open that succeeds is the hole.
    check_refused(
        &mut build(""),
        &[
            "true > /proc/sys/kernel/core_pattern",
            "true > /proc/sys/vm/swappiness",
            "true > /proc/sys/kernel/domainname",
            "true > /proc/sysrq-trigger",
            "true > /proc/irq/default_smp_affinity",
            "true > /proc/pressure/cpu",
            "true > /proc/self/oom_score_adj",
            "true > /proc/self/comm",
        ],
    );
}

#[test]
fn streams_can_be_opened_again_by_their_names() {
    let output = build("echo out > /dev/stdout; echo errors > /proc/self/fd/2").succeed();
    assert_eq!(output, "out\nerrors\n");
}

#[test]
fn the_first_process_cannot_be_looked_into() {
    if maker() == Maker::Bubblewrap {
        return; // Its own first process can be; it holds nothing of hb's.
    }
    check_refused(
        &mut build(""),
        &[
            "ls /proc/1/fd/0",
            "readlink /proc/1/exe",
            "readlink /proc/1/root",
            "cat /proc/1/environ",
            "cat /proc/1/maps",
            "head -c 1 /proc/1/mem",
        ],
    );
}
