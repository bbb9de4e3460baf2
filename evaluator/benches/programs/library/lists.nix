/**
  Functions of lists.
*/
let
  inherit (builtins)
    add all any concatLists concatMap elem elemAt filter foldl' genList head isInt isList
    length lessThan listToAttrs map partition sort tail trace;
in
rec {
  inherit (builtins) all any concatLists concatMap elem elemAt filter head length map partition sort tail;

  /** A list of one element. */
  singleton = x: [ x ];

  /** Combine from the right: `foldr f z [ a b ] == f a (f b z)`. */
  foldr = combine: start: list:
    let
      count = length list;
      go = i: if i == count then start else combine (elemAt list i) (go (i + 1));
    in
    go 0;

  /** Combine from the left. */
  foldl = combine: start: list:
    let
      go = i: if i == -1 then start else combine (go (i - 1)) (elemAt list i);
    in
    go (length list - 1);

  /** Each element with its index, from 0. */
  imap0 = f: list: genList (i: f i (elemAt list i)) (length list);

  /** Each element with its index, from 1. */
  imap1 = f: list: genList (i: f (i + 1) (elemAt list i)) (length list);

  /** A list or a single element as a list. */
  toList = x: if isList x then x else [ x ];

  /** All integers from the first to the last. */
  range = first: last: if first > last then [ ] else genList (i: first + i) (last - first + 1);

  /** A list of `n` times the same. */
  replicate = n: x: genList (_: x) n;

  /** The first `n` elements. */
  take = n: list: sublist 0 n list;

  /** All but the first `n` elements. */
  drop = n: list: sublist n (length list) list;

  /** At most `count` elements from an index on. */
  sublist = start: count: list:
    let
      total = length list;
      kept =
        if start >= total then 0
        else if start + count > total then total - start
        else count;
    in
    genList (i: elemAt list (i + start)) kept;

  /** The longest beginning whose elements all hold. */
  takeWhile = holds: list:
    let
      count = length list;
      go = i: if i < count && holds (elemAt list i) then go (i + 1) else i;
    in
    take (go 0) list;

  /** What `takeWhile` leaves. */
  dropWhile = holds: list: drop (length (takeWhile holds list)) list;

  /** The last element. */
  last = list:
    if list == [ ] then throw "lists.last: the list is empty" else elemAt list (length list - 1);

  /** All but the last element. */
  init = list:
    if list == [ ] then throw "lists.init: the list is empty" else take (length list - 1) list;

  /** The elements from the last to the first. */
  reverse = list:
    let count = length list; in genList (i: elemAt list (count - i - 1)) count;

  /** Lists within lists become one list. */
  flatten = x: if isList x then concatMap flatten x else [ x ];

  /** Without what is equal to `x`. */
  remove = x: filter (y: y != x);

  /** The first element that holds, or a default. */
  findFirst = holds: default: list:
    let found = dropWhile (x: !holds x) list; in if found == [ ] then default else head found;

  /** How many elements hold. */
  count = holds: foldl' (n: x: if holds x then n + 1 else n) 0;

  /** An element or nothing. */
  optional = condition: x: if condition then [ x ] else [ ];

  /** A list or nothing. */
  optionals = condition: list: if condition then list else [ ];

  /** Two lists, element by element. */
  zipListsWith = f: a: b:
    genList (i: f (elemAt a i) (elemAt b i)) (min (length a) (length b));

  /** Two lists, as sets of `fst` and `snd`. */
  zipLists = zipListsWith (fst: snd: { inherit fst snd; });

  /** Each combination. */
  cartesian = f: a: b: concatMap (x: map (f x) b) a;

  /** Each element once, the first of those that are equal. */
  unique = foldl' (found: x: if elem x found then found else found ++ [ x ]) [ ];

  /** Elements that are in both. */
  intersect = a: filter (x: elem x a);

  /** Elements that are in the second but not in the first. */
  subtract = a: filter (x: !elem x a);

  sum = foldl' add 0;
  product = foldl' builtins.mul 1;
  min = a: b: if a < b then a else b;
  max = a: b: if a > b then a else b;
  maximum = list: foldl' max (head list) (tail list);

  /** -1, 0 or 1: lists by their first element that differs. */
  compareLists = compare: a: b:
    if a == [ ] then (if b == [ ] then 0 else -1)
    else if b == [ ] then 1
    else
      let order = compare (head a) (head b); in
      if order == 0 then compareLists compare (tail a) (tail b) else order;

  compare = a: b: if a < b then -1 else if a > b then 1 else 0;

  /** The order of people: numbers within texts by their value. */
  naturalSort = list:
    let
      key = text: map
        (part: if isList part then builtins.fromJSON (stripZeros (head part)) else part)
        (builtins.split "([0-9]+)" text);
      stripZeros = digits: let m = builtins.match "0*([1-9][0-9]*|0)" digits; in head m;
      prepared = map (text: { inherit text; key = key text; }) list;
      before = a: b: compareLists compareParts a.key b.key < 0;
      compareParts = a: b:
        if isInt a == isInt b then compare a b else compare (toString a) (toString b);
    in
    map (x: x.text) (sort before prepared);

  /** Elements in an order in which each comes after those that are before it. */
  toposort = before: list:
    let
      go = rest:
        if rest == [ ] then [ ]
        else
          let
            free = partition (x: !any (y: x != y && before y x) rest) rest;
          in
          if free.right == [ ] then throw "lists.toposort: there is a cycle"
          else free.right ++ go free.wrong;
    in
    go list;

  /** Neighbours that belong together, by a key. */
  groupRuns = key: list:
    foldl'
      (runs: x:
        if runs != [ ] && (last runs).key == key x
        then init runs ++ [ { key = key x; items = (last runs).items ++ [ x ]; } ]
        else runs ++ [ { key = key x; items = [ x ]; } ])
      [ ]
      list;
}
