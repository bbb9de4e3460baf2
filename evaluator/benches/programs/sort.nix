# 300,000 numbers in no order, sorted by a function.
let
  inherit (builtins) bitAnd elemAt genList sort;
  count = 300000;
  # Neighbours of the multiplication lie far apart.
  number = i: bitAnd (i * 7919 + i * i * 31) 1048575;
  sorted = sort (a: b: a < b) (genList number count);
in
map (elemAt sorted) [ 0 1000 150000 299999 ]
