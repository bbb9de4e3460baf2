# 50,000 sets, each the one before with one more attribute or a new value for one.
let
  inherit (builtins) attrNames bitAnd foldl' genList length;
  step = set: i: set // { "key-${toString (bitAnd i 511)}" = i; last = i; };
  result = foldl' step { } (genList (i: i) 50000);
in
[ (length (attrNames result)) result.last result.key-7 ]
