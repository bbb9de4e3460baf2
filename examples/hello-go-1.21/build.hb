# Builds the program in hello/ with the Go that hb.lock pins.
{ pins }:
let
  go = import ../../recipes/lib/go.hb;
in
{
  default = go.goProgram {
    name = "hello";
    toolchain = pins.go;
    src = ./hello;
  };
}
