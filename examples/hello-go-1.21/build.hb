# Builds the program in hello/ with the Go that hb.lock pins. The go command is one
# static program, so that the build needs no root.
{ system, pins }:
{
  default = hb.build {
    name = "hello";
    inherit system;
    builder = "${pins.go}/bin/go";
    args = [
      "build" "-C" "${./hello}" "-trimpath" "-buildvcs=false"
      "-ldflags=-s -w -buildid=" "-o" "${placeholder "out"}/bin/" "."
    ];
    env = {
      HOME = "/build/home";
      GOPATH = "/build/gopath";
      GOCACHE = "/build/cache";
      GOENV = "off";
      GOTOOLCHAIN = "local";
      GOPROXY = "off";
      CGO_ENABLED = "0";
    };
  };
}
