/**
  Functions of strings.
*/
{ lists }:
let
  inherit (builtins)
    concatStringsSep elem elemAt filter foldl' genList head isString length map match
    replaceStrings split stringLength substring;
in
rec {
  inherit (builtins) concatStringsSep replaceStrings stringLength substring;

  concatStrings = concatStringsSep "";
  concatMapStrings = f: list: concatStrings (map f list);
  concatMapStringsSep = separator: f: list: concatStringsSep separator (map f list);
  optionalString = condition: text: if condition then text else "";

  /** The same text `n` times. */
  repeat = n: text: concatStrings (lists.replicate n text);

  /** A string's characters. */
  characters = text: genList (i: substring i 1 text) (stringLength text);

  hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
  hasSuffix = suffix: text:
    let
      size = stringLength text;
      suffixSize = stringLength suffix;
    in
    size >= suffixSize && substring (size - suffixSize) suffixSize text == suffix;
  hasInfix = infix: text: match ".*${escapeRegex infix}.*" text != null;

  removePrefix = prefix: text:
    if hasPrefix prefix text then substring (stringLength prefix) (-1) text else text;
  removeSuffix = suffix: text:
    if hasSuffix suffix text
    then substring 0 (stringLength text - stringLength suffix) text
    else text;

  /** A backslash before each of some characters. */
  escape = list: replaceStrings list (map (c: "\\${c}") list);
  escapeRegex = escape [ "\\" "^" "$" "." "*" "+" "?" "(" ")" "[" "{" "|" ];

  /** A text as one word of a shell. */
  escapeShellArg = argument:
    let text = toString argument; in
    if match "[[:alnum:],._+:@%/-]+" text != null then text
    else "'${replaceStrings [ "'" ] [ "'\\''" ] text}'";

  lowerCharacters = characters "abcdefghijklmnopqrstuvwxyz";
  upperCharacters = characters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  toLower = replaceStrings upperCharacters lowerCharacters;
  toUpper = replaceStrings lowerCharacters upperCharacters;
  capitalise = text: toUpper (substring 0 1 text) + substring 1 (-1) text;

  /** The parts between separators. */
  splitString = separator: text: filter isString (split (escapeRegex separator) text);

  /** Without blanks at its ends. */
  trim = text:
    let inner = match "[ \t\r\n]*(.*[^ \t\r\n])[ \t\r\n]*" text; in
    if inner == null then "" else head inner;

  /** `helloWorld` as `hello_world`. */
  toSnake = text: concatMapStrings
    (c: if elem c upperCharacters then "_${toLower c}" else c)
    (characters text);

  /** `hello-world` as `helloWorld`. */
  toCamel = text:
    let parts = splitString "-" text; in
    head parts + concatMapStrings capitalise (builtins.tail parts);

  /** A number with zeros before it. */
  fixedWidth = width: filler: text:
    if stringLength text >= width then text else fixedWidth width filler (filler + text);

  /** An integer in another base. */
  toBase = base: n:
    let
      digits = characters "0123456789abcdef";
      go = n: if n < base then [ (elemAt digits n) ] else go (n / base) ++ [ (elemAt digits (n - n / base * base)) ];
    in
    concatStrings (go n);
  fromBase = base: text:
    let
      digits = builtins.listToAttrs (lists.imap0 (i: c: { name = c; value = i; }) (characters "0123456789abcdef"));
    in
    foldl' (n: c: n * base + digits.${c}) 0 (characters text);

  /** How many insertions, deletions and replacements lie between two texts. */
  distance = a: b:
    let
      as = characters a;
      bs = characters b;
      step = previous: i:
        foldl'
          (row: j: row ++ [
            (lists.min
              (lists.min (lists.last row + 1) (elemAt previous (j + 1) + 1))
              (elemAt previous j + (if elemAt as i == elemAt bs j then 0 else 1)))
          ])
          [ (i + 1) ]
          (lists.range 0 (length bs - 1));
    in
    lists.last (foldl' step (lists.range 0 (length bs)) (lists.range 0 (length as - 1)));

  /** Versions by their parts. */
  versionAtLeast = a: b: builtins.compareVersions a b >= 0;
  majorMinor = version: concatStringsSep "." (lists.take 2 (builtins.splitVersion version));

  /** Lines with blanks before each that has text. */
  indent = by: text: concatMapStringsSep "\n"
    (line: if line == "" then "" else repeat by " " + line)
    (splitString "\n" text);
}
