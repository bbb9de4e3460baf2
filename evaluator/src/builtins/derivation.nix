# What `derivation` makes of the strict part: a set for each output, all of them in each.
arguments@{ outputs ? [ "out" ], ... }:
let
  strict = derivationStrict arguments;
  forOutput = outputName: {
    name = outputName;
    value = common // {
      inherit outputName;
      inherit (strict) drvPath;
      outPath = strict.${outputName};
      type = "derivation";
    };
  };
  sets = map forOutput outputs;
  common = arguments // builtins.listToAttrs sets // {
    all = map (set: set.value) sets;
    drvAttrs = arguments;
  };
in
(builtins.head sets).value
