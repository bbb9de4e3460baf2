# 200,000 strings: interpolated, cut, replaced, split, joined, and compared.
let
  inherit (builtins)
    concatStringsSep foldl' genList length replaceStrings split stringLength substring;
  count = 20000;
  word = i: "item-${toString i}";
  words = genList word count;
  line = concatStringsSep "," words;
  cut = map (substring 0 6) words;
  dashed = map (replaceStrings [ "-" "item" ] [ "_" "thing" ]) words;
  quoted = map (w: "\"" + w + "\"") words;
  paths = map (w: "/srv/${w}/share/doc/${w}.txt") words;
  ends = map (w: substring (stringLength w - 1) 1 w) words;
  sum = foldl' (total: text: total + stringLength text) 0;
  numbers = map (w: length (split "-" w)) words;
  sevens = builtins.filter (e: e == "7") ends;
  same = builtins.filter (w: builtins.match "item-[0-9]*0" w != null) words;
in
[
  (stringLength line)
  (sum cut)
  (sum dashed)
  (sum quoted)
  (sum paths)
  (foldl' builtins.add 0 numbers)
  (length sevens)
  (length same)
  (length (split "," line))
  (stringLength (builtins.toJSON words))
  (builtins.hashString "sha256" line)
]
