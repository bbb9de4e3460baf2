# Sets of 10,000 attributes: made, mapped, intersected, filtered, zipped, compared.
let
  inherit (builtins)
    attrNames attrValues foldl' genList intersectAttrs length listToAttrs mapAttrs
    removeAttrs zipAttrsWith;
  count = 10000;
  name = i: "attribute-${toString i}";
  numbers = listToAttrs (genList (i: { name = name i; value = i; }) count);
  even = listToAttrs (genList (i: { name = name (2 * i); value = true; }) (count / 2));
  doubled = mapAttrs (_: value: value * 2) numbers;
  sum = set: foldl' builtins.add 0 (attrValues set);
in
[
  (sum doubled)
  (sum (intersectAttrs even numbers))
  (sum (removeAttrs numbers (attrNames even)))
  (sum (numbers // mapAttrs (_: _: 1) even))
  (sum (zipAttrsWith (_: foldl' builtins.add 0) [ numbers doubled numbers ]))
  (numbers == mapAttrs (_: value: value / 2) doubled)
  (length (attrNames (numbers // even)))
]
