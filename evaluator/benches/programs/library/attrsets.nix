/**
  Functions of attribute sets.
*/
{ lists, strings }:
let
  inherit (builtins)
    all attrNames attrValues catAttrs concatMap elem elemAt filter foldl' hasAttr head
    intersectAttrs isAttrs isFunction length listToAttrs map mapAttrs removeAttrs tail
    zipAttrsWith;
in
rec {
  inherit (builtins) attrNames attrValues catAttrs hasAttr intersectAttrs listToAttrs mapAttrs removeAttrs zipAttrsWith;

  nameValue = name: value: { inherit name value; };

  /** The value at a path of names, or a default. */
  attrByPath = path: default: set:
    if path == [ ] then set
    else if isAttrs set && set ? ${head path} then attrByPath (tail path) default set.${head path}
    else default;
  hasAttrByPath = path: set:
    path == [ ] || isAttrs set && set ? ${head path} && hasAttrByPath (tail path) set.${head path};
  setAttrByPath = path: value: lists.foldr (name: inner: { ${name} = inner; }) value path;
  getAttrFromPath = path: attrByPath path (throw "there is no ${strings.concatStringsSep "." path}");

  genAttrs = names: f: listToAttrs (map (name: nameValue name (f name)) names);
  mapAttrs' = f: set: listToAttrs (map (name: f name set.${name}) (attrNames set));
  mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
  attrsToList = mapAttrsToList nameValue;
  filterAttrs = holds: set:
    removeAttrs set (filter (name: !holds name set.${name}) (attrNames set));
  foldAttrs = combine: start: sets:
    foldl'
      (result: set: foldl'
        (result: name: result // { ${name} = combine set.${name} (result.${name} or start); })
        result
        (attrNames set))
      { }
      sets;
  concatMapAttrs = f: set: foldl' (a: b: a // b) { } (mapAttrsToList f set);
  optionalAttrs = condition: set: if condition then set else { };

  /** What is no set, at any depth, with its path. */
  mapAttrsRecursive = f:
    let
      go = path: mapAttrs (name: value:
        if isAttrs value then go (path ++ [ name ]) value else f (path ++ [ name ]) value);
    in
    go [ ];
  collect = holds: value:
    if holds value then [ value ]
    else if isAttrs value then concatMap (collect holds) (attrValues value)
    else [ ];

  /** The second over the first, within sets of both too. */
  recursiveUpdateUntil = stop: first: second:
    let
      go = path: zipAttrsWith (name: values:
        let here = path ++ [ name ]; in
        if length values == 1 || stop here (elemAt values 1) (head values)
        then head values
        else go here values);
    in
    go [ ] [ second first ];
  recursiveUpdate = recursiveUpdateUntil (_: first: second: !(isAttrs first && isAttrs second));

  /** Changes at paths of names. */
  updateManyAttrsByPath = updates: set:
    foldl'
      (set: update: recursiveUpdate set
        (setAttrByPath update.path (update.update (getAttrFromPath update.path set))))
      set
      updates;

  invert = set: mapAttrs' (name: value: nameValue value name) set;
  groupAttrs = key: set:
    builtins.groupBy (name: key set.${name}) (attrNames set);

  matchAttrs = pattern: set:
    all (name: set ? ${name} && (
      if isAttrs pattern.${name}
      then isAttrs set.${name} && matchAttrs pattern.${name} set.${name}
      else pattern.${name} == set.${name})) (attrNames pattern);
}
