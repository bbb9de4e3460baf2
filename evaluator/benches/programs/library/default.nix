/**
  A library of pure functions, as projects write them.
*/
let
  lists = import ./lists.nix;
  strings = import ./strings.nix { inherit lists; };
  attrsets = import ./attrsets.nix { inherit lists strings; };
  fixedPoints = rec {
    fix = f: let x = f x; in x;
    extends = overlay: f: final: let previous = f final; in previous // overlay final previous;
    composeExtensions = f: g: final: previous:
      let
        first = f final previous;
      in
      first // g final (previous // first);
    composeMany = builtins.foldl' composeExtensions (_: _: { });
    makeExtensible = f: fix (self: f self // {
      extend = overlay: makeExtensible (extends overlay f);
    });
    converge = f: x: let next = f x; in if next == x then x else converge f next;
  };
  debug = {
    /** The tests whose `expr` is not what is `expected`. */
    runTests = tests: builtins.filter (test: test != null) (attrsets.mapAttrsToList
      (name: test:
        if test.expr == test.expected then null
        else { inherit name; inherit (test) expected; result = test.expr; })
      tests);
  };
  trivial = {
    id = x: x;
    const = x: _: x;
    flip = f: a: b: f b a;
    pipe = builtins.foldl' (x: f: f x);
    boolToString = b: if b then "true" else "false";
    mod = a: b: a - a / b * b;
  };
in
{ inherit attrsets debug fixedPoints lists strings trivial; }
// attrsets // debug // fixedPoints // lists // strings // trivial
