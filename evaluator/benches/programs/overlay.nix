# 600 packages, which refer to each other, through a fixpoint of ten overlays, which
# change half of them, with functions to override their arguments.
let
  inherit (builtins)
    attrNames attrValues concatStringsSep deepSeq filter foldl' functionArgs genList
    intersectAttrs length listToAttrs mapAttrs stringLength;

  fix = f: let final = f final; in final;
  extend = base: overlay: final: let previous = base final; in previous // overlay final previous;

  # A package: a set with what it needs, and how to make it of other arguments.
  mkPackage = attributes@{ name, version, inputs ? [ ], flags ? { }, ... }:
    let
      closure = foldl' (found: input: found // input.closure) { ${name} = version; } inputs;
      text = concatStringsSep " " (
        [ "${name}-${version}" ]
        ++ map (input: input.label) inputs
        ++ map (flag: "${flag}=${toString flags.${flag}}") (attrNames flags)
      );
    in
    attributes // {
      inherit closure text;
      label = "${name}-${version}";
      overrideAttrs = change: mkPackage (attributes // change attributes);
    };

  overridable = f: arguments:
    f arguments // { override = more: overridable f (arguments // more); };
  callPackage = scope: f: more:
    overridable f (intersectAttrs (functionArgs f) scope // more);

  count = 600;
  name = i: "package-${toString i}";
  packages = final: {
    inherit mkPackage;
    callPackage = callPackage final;
    stdenv = { system = "x86_64-linux"; optimise = true; };
  } // listToAttrs (genList
    (i: {
      name = name i;
      value = final.callPackage
        ({ mkPackage, stdenv, enableDocs ? false, withTests ? i - i / 3 * 3 == 0 }: mkPackage {
          name = name i;
          version = "1.${toString i}";
          inputs = filter (input: input != null) [
            (if i > 2 then final.${name (i / 2)} else null)
            (if i > 8 then final.${name (i / 3)} else null)
            (if withTests && i > 9 then final.${name (i - 7)} else null)
          ];
          flags = { inherit enableDocs withTests; inherit (stdenv) system; };
        }) { };
    }) count);

  overlay = n: final: previous: listToAttrs (map
    (i: {
      name = name i;
      value = (previous.${name i}.override { enableDocs = n > 4; }).overrideAttrs (old: {
        version = "${old.version}.${toString n}";
        flags = old.flags // { overlay = n; };
      });
    }) (genList (i: i * 10 + n) (count / 20))) // {
      "extra-${toString n}" = final.callPackage
        ({ mkPackage, package-1, package-599 }: mkPackage {
          name = "extra-${toString n}";
          version = "0.${toString n}";
          inputs = [ package-1 package-599 ];
        }) { };
    };

  all = fix (foldl' extend packages (genList overlay 10));
  built = filter (package: package ? text) (attrValues all);
in
[
  (length built)
  (foldl' (sum: package: sum + stringLength package.text) 0 built)
  (foldl' (sum: package: sum + length (attrNames package.closure)) 0 built)
  all.package-242.text
  (all.package-417.override { withTests = true; }).text
]
