# A library's own tests: each case once for every size.
let
  lib = import ./library;
  inherit (lib) range;

  cases = n:
    let
      numbers = range 1 n;
      words = map (i: "word-${toString i}") numbers;
      set = lib.genAttrs words lib.stringLength;
      nested = lib.genAttrs words (word: { ${word} = { size = lib.stringLength word; }; flat = n; });
    in
    {
      foldr = { expr = lib.foldr (x: list: [ x ] ++ list) [ ] numbers; expected = numbers; };
      foldl = { expr = lib.foldl (a: b: a - b) 0 numbers; expected = -lib.sum numbers; };
      imap = { expr = lib.imap1 (i: x: i - x) numbers; expected = lib.replicate n 0; };
      take = { expr = lib.take 3 numbers ++ lib.drop 3 numbers; expected = numbers; };
      takeWhile = {
        expr = lib.takeWhile (x: x < 5) numbers ++ lib.dropWhile (x: x < 5) numbers;
        expected = numbers;
      };
      last = { expr = lib.init numbers ++ [ (lib.last numbers) ]; expected = numbers; };
      reverse = { expr = lib.reverse (lib.reverse words); expected = words; };
      flatten = { expr = lib.flatten [ numbers [ [ numbers ] ] ]; expected = numbers ++ numbers; };
      remove = { expr = lib.length (lib.remove n numbers); expected = n - 1; };
      findFirst = { expr = lib.findFirst (x: x > 2) null numbers; expected = 3; };
      count = { expr = lib.count (x: lib.mod x 2 == 0) numbers; expected = n / 2; };
      zip = { expr = lib.catAttrs "snd" (lib.zipLists numbers words); expected = words; };
      cartesian = {
        expr = lib.length (lib.cartesian (a: b: a + b) numbers [ 1 2 3 ]);
        expected = 3 * n;
      };
      unique = { expr = lib.unique (words ++ words); expected = words; };
      subtract = { expr = lib.subtract words (lib.intersect words words); expected = [ ]; };
      maximum = { expr = lib.maximum numbers; expected = n; };
      naturalSort = { expr = lib.naturalSort (lib.reverse words); expected = words; };
      compareLists = { expr = lib.compareLists lib.compare numbers (numbers ++ [ 1 ]); expected = -1; };
      toposort = { expr = lib.toposort (a: b: a < b) (lib.reverse (lib.take 9 numbers)); expected = lib.take 9 numbers; };
      groupRuns = {
        expr = lib.length (lib.groupRuns (x: x / 10) numbers);
        expected = n / 10 + 1;
      };
      partition = { expr = (lib.partition (x: x > 2) numbers).wrong; expected = [ 1 2 ]; };
      sortDown = { expr = lib.sort (a: b: a > b) numbers; expected = lib.reverse numbers; };

      concat = { expr = lib.splitString "/" (lib.concatStringsSep "/" words); expected = words; };
      characters = { expr = lib.concatStrings (lib.characters (toString words)); expected = toString words; };
      prefix = { expr = map (lib.removePrefix "word-") words; expected = map toString numbers; };
      suffix = { expr = lib.all (lib.hasSuffix (toString n)) [ (lib.last words) ]; expected = true; };
      infix = { expr = lib.all (lib.hasInfix "rd-") words; expected = true; };
      escapeShell = { expr = lib.escapeShellArg "it's ${toString n}"; expected = "'it'\\''s ${toString n}'"; };
      upper = { expr = lib.toLower (lib.toUpper (toString words)); expected = toString words; };
      trim = { expr = map lib.trim (map (w: "  ${w}\n") words); expected = words; };
      camel = { expr = lib.toCamel "one-two-three"; expected = "oneTwoThree"; };
      snake = { expr = lib.toSnake "oneTwoThree"; expected = "one_two_three"; };
      base = { expr = map (i: lib.fromBase 16 (lib.toBase 16 i)) numbers; expected = numbers; };
      width = { expr = lib.fixedWidth 6 "0" (toString n); expected = lib.repeat (6 - lib.stringLength (toString n)) "0" + toString n; };
      distance = { expr = lib.distance "kitten ${toString n}" "sitting ${toString n}"; expected = 3; };
      versions = { expr = lib.versionAtLeast "1.${toString n}" "1.2"; expected = true; };
      majorMinor = { expr = lib.majorMinor "4.${toString n}.1"; expected = "4.${toString n}"; };
      indent = { expr = lib.indent 2 "a\n\nb"; expected = "  a\n\n  b"; };

      attrByPath = { expr = lib.attrByPath [ (lib.last words) (lib.last words) "size" ] 0 nested; expected = lib.stringLength (lib.last words); };
      attrByNoPath = { expr = lib.attrByPath [ "a" "b" ] 7 nested; expected = 7; };
      setAttrByPath = { expr = (lib.setAttrByPath words n) ? word-1.word-2; expected = true; };
      mapAttrs = { expr = lib.attrValues (lib.mapAttrs (_: lib.const 1) set); expected = lib.replicate n 1; };
      mapNames = { expr = lib.attrNames (lib.mapAttrs' (name: lib.nameValue "x-${name}") set); expected = map (name: "x-${name}") (lib.attrNames set); };
      filterAttrs = { expr = lib.attrNames (lib.filterAttrs (name: _: name == "word-1") set); expected = [ "word-1" ]; };
      foldAttrs = { expr = lib.foldAttrs (a: b: a + b) 0 [ set set ]; expected = lib.mapAttrs (_: size: 2 * size) set; };
      recursive = { expr = (lib.recursiveUpdate nested { word-1.flat = -1; }).word-1; expected = nested.word-1 // { flat = -1; }; };
      updateMany = {
        expr = (lib.updateManyAttrsByPath [ { path = [ "word-2" "flat" ]; update = x: x + 1; } ] nested).word-2.flat;
        expected = n + 1;
      };
      collect = { expr = lib.length (lib.collect builtins.isInt nested); expected = 2 * n; };
      paths = { expr = lib.length (lib.collect builtins.isString (lib.mapAttrsRecursive (path: _: lib.concatStringsSep "." path) nested)); expected = 2 * n; };
      invert = { expr = lib.invert (lib.invert (lib.genAttrs words lib.id)); expected = lib.genAttrs words lib.id; };
      matchAttrs = { expr = lib.matchAttrs nested nested; expected = true; };
      groupAttrs = { expr = lib.sum (map lib.length (lib.attrValues (lib.groupAttrs toString set))); expected = n; };

      fix = { expr = (lib.fix (self: { a = n; b = self.a + 1; })).b; expected = n + 1; };
      extend = {
        expr = ((lib.makeExtensible (self: { a = 1; b = self.a + n; })).extend (final: previous: { a = previous.a + 1; })).b;
        expected = n + 2;
      };
      compose = {
        expr = lib.composeMany (lib.replicate 5 (final: previous: { a = previous.a + 1; })) { } { a = n; };
        expected = { a = n + 5; };
      };
      converge = { expr = lib.converge (x: if x > 9 then x / 2 else x) (n * 1000) < 10; expected = true; };
      pipe = { expr = lib.pipe numbers [ lib.reverse lib.length (x: x + 1) ]; expected = n + 1; };
    };
  sizes = range 3 72;
in
{
  tests = lib.length (lib.attrNames (cases 3)) * lib.length sizes;
  failures = lib.concatMap (n: map (failure: failure // { inherit n; }) (lib.runTests (cases n))) sizes;
}
