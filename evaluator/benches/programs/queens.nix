# The 92 ways of putting eight queens on a board: short lists, closures, comparisons.
let
  inherit (builtins) all concatMap elemAt filter genList length;
  size = 8;
  columns = genList (i: i) size;
  # A board is the columns of the queens so far, the newest first.
  safe = board: column:
    all (i: let other = elemAt board i; in
      other != column && other - column != i + 1 && column - other != i + 1)
      (genList (i: i) (length board));
  place = rows:
    if rows == 0 then [ [ ] ]
    else concatMap (board: map (column: [ column ] ++ board) (filter (safe board) columns))
      (place (rows - 1));
in
length (place size)
