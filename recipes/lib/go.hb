# Building Go, and building with Go.
let
  debian = import ./debian.hb;

  system = "x86_64-linux";

  /** What a wheel's folder `go/` holds beside the Go that it packs. */
  wheelOnly = [ "__init__.py" ];

  /** What upstream's build writes into a tree of Go's source, in any version. */
  generated = [
    "bin"
    "pkg"
    "src/cmd/cgo/zdefaultcc.go"
    "src/cmd/go/internal/cfg/zdefaultcc.go"
    "src/cmd/internal/objabi/zbootstrap.go"
    "src/go/build/zcgo.go"
    "src/internal/buildcfg/zbootstrap.go"
    "src/internal/runtime/sys/zversion.go"
    "src/runtime/internal/sys/zversion.go"
    "src/time/tzdata/zzipdata.go"
  ];
in
{
  /** The tree in a release's source archive. */
  releaseTree =
    { version, archive }:
    hb.unpack {
      name = "go-${version}-source";
      inherit archive;
      strip = 1;
    };

  /** The compiled Go in a wheel, ready to run. */
  wheelTree =
    { version, archive }:
    hb.unpack {
      name = "go-${version}-prebuilt";
      inherit archive;
      subdir = "go";
      exclude = wheelOnly;
    };

  /**
    The source alone in a wheel: without what was compiled or generated.
  */
  wheelSource =
    { version, archive }:
    hb.unpack {
      name = "go-${version}-source";
      inherit archive;
      subdir = "go";
      exclude = wheelOnly ++ generated;
    };

  /**
    Builds Go itself.

    - `source`: the tree of its source
    - `bootstrap`: the tree of the Go that compiles it
    - `target`: the processor, as Go calls it, of the Go to make. Without one it is
      this machine's, and the only output is `out`, which runs here.
    - `root`: where it is built
    - `env`: more variables

    With a target there are three outputs: `out` runs here and compiles for the
    target as well, the one named after the target runs there, and `dist` holds
    upstream's release archives.
  */
  buildGo =
    {
      version,
      source,
      bootstrap,
      target ? "",
      root ? debian.staticRoot,
      env ? { },
    }:
    hb.build {
      name = "go-${version}";
      inherit system root;
      builder = "/bin/bash";
      args = [ "-eu" "/build/build-go.sh" ];
      files."build-go.sh" = ./build-go.sh;
      env =
        {
          PATH = "/bin:/usr/bin";
          source = "${source}";
          bootstrap = "${bootstrap}";
          inherit target;
        }
        // env;
      outputs = if target == "" then [ "out" ] else [ "out" target "dist" ];
    };

  /**
    Builds the program in the module `src` to `$out/bin`, linked statically, with no
    build id, path or time in it. Modules that it needs are in its `vendor` folder.

    There is no root: the go command is static and is the builder itself.

    - `toolchain`: the tree of the Go to use
    - `arch`: the processor, as Go calls it, that the program is for
    - `package`: the package in the module
    - `emulator`: a program that runs the toolchain, when this machine cannot
  */
  goProgram =
    {
      name,
      toolchain,
      src,
      arch ? "amd64",
      package ? ".",
      emulator ? null,
    }:
    let
      go = "${toolchain}/bin/go";
      emulated = emulator != null;
    in
    hb.build {
      inherit name system;
      builder = if emulated then emulator else go;
      args =
        (if emulated then [ go ] else [ ])
        ++ [ "build" "-C" "${src}" ]
        # The go command starts the compilers: they need the emulator too.
        ++ (if emulated then [ "-toolexec" emulator "-p" "2" ] else [ ])
        ++ [ "-trimpath" "-buildvcs=false" "-ldflags=-s -w -buildid=" ]
        ++ [ "-o" "${placeholder "out"}/bin/" package ];
      env = {
        # No home, and so no counters of the go command's own use.
        HOME = "/nowhere";
        GOPATH = "/build/gopath";
        GOCACHE = "/build/cache";
        GOENV = "off";
        GOTOOLCHAIN = "local";
        GOPROXY = "off";
        GOSUMDB = "off";
        GOOS = "linux";
        GOARCH = arch;
        CGO_ENABLED = "0";
      };
    };

  /** The file `file` under the name `name`, provided that its sha256 is the one given. */
  checkedFile =
    { name, file, sha256 }:
    hb.build {
      inherit name system;
      root = debian.staticRoot;
      builder = "/bin/bash";
      args = [
        "-eu"
        "-c"
        ''
          actual=$(sha256sum < "$file")
          actual=''${actual%% *}
          if [ "$actual" != "$sha256" ]; then
            echo "''${file##*/} is not the published one:" >&2
            echo "  published sha256: $sha256" >&2
            echo "  built here:       $actual" >&2
            exit 1
          fi
          cp "$file" "$out"
        ''
      ];
      env = {
        PATH = "/bin";
        inherit file sha256;
      };
    };
}
