# Debian's packages, pinned, and the root filesystems that are made of them.
#
# All are of Debian 12 (bookworm) for amd64. Nothing of a package is run to install
# it: a root is what its archives hold, and the links named here.
let
  pin = version: size: sha256: { inherit version size sha256; };

  describe =
    package:
    { version, size, sha256 }:
    {
      name = "${package}.deb";
      inherit size sha256;
      origins = [
        {
          debian = {
            inherit package version;
            arch = "amd64";
            suite = "bookworm";
          };
        }
      ];
    };

  /** The pinned packages by name, each as `hb.fetch` takes it. */
  pins = builtins.mapAttrs describe {
    # Static: enough for every build in pure Go.
    bash-static =
      pin "5.2.15-2+b13" 1079448 "f62e37fc6c2c14417f270323066b4c621db5dc151a26f7a1f58e3fc24111d1c8";
    busybox-static =
      pin
        "1:1.35.0-4+deb12u1+b1"
        928188
        "3d3fdbe91d4660c873e14b092c213fe81c1da6362daa236eb25d0171eb108744";

    # Static too: runs programs of other processors.
    qemu-user-static =
      pin
        "1:7.2+dfsg-7+deb12u18+b3"
        62603724
        "c3e3ba2bd87f8c5b9a5da5ef21b5a3b82d7c63b89dd448d9ddaa4eabc5b6e402";

    # A shell and its tools, and what they need.
    bash =
      pin "5.2.15-2+b13" 1490652 "82130bb6a560cd2a7234d8018baf73f188f5dd56413d5aa0accc987b2197a6a1";
    coreutils =
      pin "9.1-1" 2896560 "61038f857e346e8500adf53a2a0a20859f4d3a3b51570cc876b153a2d51a3091";
    sed =
      pin "4.9-1+deb12u1" 329092 "fd557efeee8aae4619c2cb7f68aadccb804322ad4a99ab048aaae5901d253885";
    grep = pin "3.8-5" 421444 "3264acea728df3c48a54f20e9291b965130e306b9d00adac76647049da7196df";
    tar =
      pin
        "1.34+dfsg-1.2+deb12u1"
        836288
        "24fb92e98c2969171f81a8b589263d705f6b1670f95d121cd74c810d4605acc3";
    gzip = pin "1.12-1" 140364 "eabec1dde2834f72540d7b93fc5df2625f52611c06d93d61f5cdb12480e0e6a3";
    xz-utils =
      pin "5.4.1-1+deb12u1" 471212 "cc6dc501e0c06be3f89e9a7f8dfd7a97f92aadfd9daa60fad19b90d6a5558b80";
    patch = pin "2.7.6-7" 127848 "8c6d49b771530dbe26d7bd060582dc7d2b4eeb603a20789debc1ef4bbbc4ef67";
    libc6 =
      pin "2.36-9+deb12u14" 2759320 "ba4f88f73dbc3ae9055f3c20f4523bfdbaf1ad13ff95e258924f77d20b4fbedf";
    libtinfo6 =
      pin "6.4-4" 331352 "072d908f38f51090ca28ca5afa3b46b2957dc61fe35094c0b851426859a49a51";
    libselinux1 =
      pin "3.4-1+b6" 73720 "2b07f5287b9105f40158b56e4d70cc1652dac56a408f3507b4ab3d061eed425f";
    libpcre2-8-0 =
      pin "10.42-1" 260776 "030db54f4d76cdfe2bf0e8eb5f9efea0233ab3c7aa942d672c7b63b52dbaf935";
    libacl1 =
      pin "2.3.1-3" 31488 "8be9df5795114bfe90e2be3d208ef47a5edd3fc7b3e20d387a597486d444e5e2";
    libattr1 =
      pin "1:2.5.1-4" 22164 "c4945123d66d0503ba42e2fc0585abc76d0838978c6d277b9cc37a4da25d1a34";
    libgmp10 =
      pin "2:6.2.1+dfsg1-1.1" 562588 "187aedef2ed763f425c1e523753b9719677633c7eede660401739e9c893482bd";
    liblzma5 =
      pin "5.4.1-1+deb12u1" 205732 "f96d8876b53ec89d76a992bc199679b818cf518225a768954d9451fb556a4eb7";

    # GCC's compilers for Go and C, and what they need.
    gccgo-12 =
      pin "12.2.0-14+deb12u1" 12856980 "835d9d3b9e80e9dbd47b35ffc675504316392aaf78208f5ab421b55f43c951db";
    gcc-12 =
      pin "12.2.0-14+deb12u1" 19268852 "b46f33cc2ec245e435e043807038cecf4b201ef004800e9dfc1455240360e49d";
    cpp-12 =
      pin "12.2.0-14+deb12u1" 9767788 "fedbb98e877adde83c983c6071537ea25ac52b277ac6e4637d85025949ca1454";
    libgo21 =
      pin "12.2.0-14+deb12u1" 13039240 "53b3697dfb77d9aae59475687dbda9da392417c32636d8fabd83ee0b1d15bbb4";
    libgo-12-dev =
      pin "12.2.0-14+deb12u1" 16724308 "b2387be308e15984336d223ed5d3c2486a7070950e8fa951d5ebe57db0f63d38";
    libgcc-12-dev =
      pin "12.2.0-14+deb12u1" 2437204 "d720259380a84f2ffc6fe516eff5cbe9c8a005138e8d6a5748747ba4b3404a82";
    libgcc-s1 =
      pin "12.2.0-14+deb12u1" 49856 "3016e62cb4b7cd8038822870601f5ed131befe942774d0f745622cc77d8a88f7";
    libc6-dev =
      pin "2.36-9+deb12u14" 1903668 "0218fc2befcd784c1b0c6292c0a137ce89fad054efaa579ad083bee0f2c01aae";
    "libstdc++6" =
      pin "12.2.0-14+deb12u1" 612604 "5cd3171216d4ab0fc911cfe9c35509bf2dd8f47761c43b7f6a4296701551a24d";
    binutils =
      pin "2.40-2" 64980 "83c3e20b53e1fbd84d764c3ba27d26a0376e361ae5d7fb37120196934dd87424";
    binutils-common =
      pin "2.40-2" 2486664 "ab314134f43a0891a48f69a9bc33d825da748fa5e0ba2bebb7a5c491b026f1a0";
    binutils-x86-64-linux-gnu =
      pin "2.40-2" 2245848 "2d7ea8a570d768224d7f2424abbe6f373d2154865a1fa7f56c80d43ecf492521";
    libbinutils =
      pin "2.40-2" 572104 "fcf55b99e5f8a78f3c8ce9b6957f1024f394cf20c196b100d308a57e43547710";
    libctf0 = pin "2.40-2" 89796 "3fb7b6f326be3fae4a87a3d33b9269bd06c1e4346a24bd737f265067e3b7427f";
    libctf-nobfd0 =
      pin "2.40-2" 153384 "ef1dfcf22de41ea90ebd3d505447ccccd999e96b85aa777a1d7d981dc3b347aa";
    libgprofng0 =
      pin "2.40-2" 812120 "a3c4092d84f19d13caf90f3c96eec53db8819f0e3a5247434944d71ed75fa53d";
    libjansson4 =
      pin "2.14-2" 40788 "3fc9742f9f1a37bcb9931df6074b4d1483419ef832ad5349f47323e75fc27864";
    libmpc3 =
      pin "1.3.1-1" 51480 "d7f79544790e44f9b0c8cb9034a18c58d37f8702a15f32539050718679e52f80";
    libmpfr6 =
      pin "4.2.0-1" 700900 "37b7a2b4e78890b6a074777f27b96c84f58e81558ba08410c2b6c0ca4a4ad77b";
    libisl23 =
      pin "0.25-1.1" 683060 "ebff0b2f8b220c74224197523019366e97ee4770d464bebc48e4865114e4da0e";
    libzstd1 =
      pin "1.5.4+dfsg2-5" 290036 "6315b5ac38b724a710fb96bf1042019398cb656718b1522279a5185ed39318fa";
    zlib1g =
      pin "1:1.2.13.dfsg-1" 86684 "d7dd1d1411fedf27f5e27650a6eff20ef294077b568f4c8c5e51466dc7c08ce4";
  };

  /** The archives of the packages of these names. */
  select = names: map (name: hb.fetch pins.${name}) names;

  /** The links `bin/NAME` to `target` for each of these names. */
  linkEach =
    target: names:
    builtins.listToAttrs (
      map
        (name: {
          name = "bin/${name}";
          value = target;
        })
        names
    );

  staticRootPackages = [ "bash-static" "busybox-static" ];

  shellTools = [
    "bash"
    "coreutils"
    "grep"
    "gzip"
    "patch"
    "sed"
    "tar"
    "xz-utils"
    "libacl1"
    "libattr1"
    "libc6"
    "libgmp10"
    "liblzma5"
    "libpcre2-8-0"
    "libselinux1"
    "libtinfo6"
  ];

  gccgo = [
    "gccgo-12"
    "gcc-12"
    "cpp-12"
    "libgo21"
    "libgo-12-dev"
    "libgcc-12-dev"
    "libgcc-s1"
    "libc6-dev"
    "libstdc++6"
    "binutils"
    "binutils-common"
    "binutils-x86-64-linux-gnu"
    "libbinutils"
    "libctf0"
    "libctf-nobfd0"
    "libgprofng0"
    "libjansson4"
    "libmpc3"
    "libmpfr6"
    "libisl23"
    "libzstd1"
    "zlib1g"
  ];
in
{
  inherit pins staticRootPackages;

  /**
    The smallest root that builds Go: a shell and busybox, both static. It holds no
    C library and no C compiler.
  */
  staticRoot = hb.root {
    name = "static-root";
    packages = select staticRootPackages;
    links =
      linkEach "bash-static" [ "bash" "sh" ]
      // linkEach "busybox" [
        "awk"
        "basename"
        "cat"
        "chmod"
        "cmp"
        "cp"
        "cut"
        "date"
        "diff"
        "dirname"
        "env"
        "expr"
        "find"
        "grep"
        "gunzip"
        "gzip"
        "head"
        "hostname"
        "id"
        "kill"
        "ln"
        "ls"
        "mkdir"
        "mkfifo"
        "mktemp"
        "mv"
        "nc"
        "nproc"
        "od"
        "patch"
        "readlink"
        "realpath"
        "rm"
        "rmdir"
        "sed"
        "seq"
        "sha256sum"
        "sleep"
        "sort"
        "stat"
        "tail"
        "tar"
        "tee"
        "touch"
        "tr"
        "uname"
        "uniq"
        "wc"
        "wget"
        "xargs"
      ];
  };

  /**
    GCC 12 with its Go front end, a C library and a shell: where Go is built when
    there is no Go yet. `/usr/bin/go` is gccgo's.
  */
  gccgoRoot = hb.root {
    name = "gccgo-root";
    packages = select (shellTools ++ gccgo);
    links = {
      "bin/sh" = "bash";
      "usr/bin/gcc" = "gcc-12";
      "usr/bin/gccgo" = "gccgo-12";
      "usr/bin/go" = "go-12";
    };
  };

  /**
    The folder with `qemu-loongarch64-static`, which runs a loong64 program without
    the kernel's help.
  */
  qemu = hb.unpack {
    name = "qemu-loongarch64";
    archive = hb.fetch pins.qemu-user-static;
    subdir = "usr/bin";
    # The package brings an emulator for each of thirty processors.
    exclude = map (letter: "qemu-${letter}*") [ "a" "c" "h" "i" "m" "n" "o" "p" "r" "s" "x" ];
  };
}
