# A module system: options are declared with types, defined in many places, and merged.
let
  inherit (builtins)
    all any attrNames attrValues concatLists concatMap concatStringsSep elem elemAt filter
    foldl' functionArgs groupBy head intersectAttrs isAttrs isBool isFunction isInt isList
    isString length listToAttrs map mapAttrs tail zipAttrsWith;

  showOption = concatStringsSep ".";
  fail = location: text: throw "the option `${showOption location}' ${text}";

  # Properties of definitions.
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkMerge = contents: { _type = "merge"; inherit contents; };
  mkOverride = priority: content: { _type = "override"; inherit priority content; };
  mkDefault = mkOverride 1000;
  mkForce = mkOverride 50;
  mkOption = attributes: attributes // { _type = "option"; };
  isType = type: value: isAttrs value && value._type or null == type;

  # What is left of a definition: a list of values without `mkIf` and `mkMerge`.
  discharge = definition:
    if isType "if" definition.value then
      (if definition.value.condition
      then discharge (definition // { value = definition.value.content; })
      else [ ])
    else if isType "merge" definition.value then
      concatMap (value: discharge (definition // { inherit value; })) definition.value.contents
    else [ definition ];

  # The same one level up, so that conditions do not hide which options are defined.
  pushDown = value:
    if isType "if" value then
      map (mapAttrs (_: content: mkIf value.condition content)) (pushDown value.content)
    else if isType "merge" value then concatMap pushDown value.contents
    else if isType "override" value then
      map (mapAttrs (_: content: mkOverride value.priority content)) (pushDown value.content)
    else [ value ];

  priorityOf = definition:
    if isType "override" definition.value then definition.value.priority else 100;
  strip = definition:
    if isType "override" definition.value
    then definition // { value = definition.value.content; }
    else definition;
  strongest = definitions:
    let
      priorities = map priorityOf definitions;
      least = foldl' (a: b: if a < b then a else b) 9999 priorities;
    in
    map strip (filter (definition: priorityOf definition == least) definitions);

  # Types.
  mkType = { name, check, merge ? mergeOne, nested ? null }: { inherit name check merge nested; };
  mergeOne = location: definitions:
    if length definitions == 1 then (head definitions).value
    else fail location "is defined in ${concatStringsSep " and " (map (d: d.file) definitions)}";
  mergeEqual = location: definitions:
    let first = (head definitions).value; in
    if all (definition: definition.value == first) definitions then first
    else fail location "has definitions that differ";

  types = {
    int = mkType { name = "integer"; check = isInt; merge = mergeEqual; };
    bool = mkType { name = "Boolean"; check = isBool; merge = mergeEqual; };
    str = mkType { name = "string"; check = isString; merge = mergeEqual; };
    lines = mkType {
      name = "lines";
      check = isString;
      merge = _: definitions: concatStringsSep "\n" (map (definition: definition.value) definitions);
    };
    port = mkType {
      name = "port";
      check = value: isInt value && value > 0 && value < 65536;
      merge = mergeEqual;
    };
    enum = values: mkType {
      name = "one of ${concatStringsSep ", " values}";
      check = value: elem value values;
      merge = mergeEqual;
    };
    nullOr = type: mkType {
      name = "null or ${type.name}";
      check = value: value == null || type.check value;
      merge = location: definitions:
        if any (definition: definition.value == null) definitions then null
        else type.merge location definitions;
    };
    listOf = type: mkType {
      name = "list of ${type.name}";
      check = isList;
      merge = location: definitions: concatLists (map
        (definition: map
          (value: mergeDefinitions (location ++ [ "*" ]) type [ (definition // { inherit value; }) ])
          definition.value)
        definitions);
    };
    attrsOf = type: mkType {
      name = "attributes of ${type.name}";
      check = isAttrs;
      merge = location: definitions: zipAttrsWith
        (name: mergeDefinitions (location ++ [ name ]) type)
        (map
          (definition: mapAttrs (_: value: { inherit (definition) file; inherit value; })
            definition.value)
          definitions);
    };
    submodule = module: mkType {
      name = "submodule";
      check = value: isAttrs value || isFunction value;
      merge = location: definitions: (evalModules {
        prefix = location;
        modules = [ module ] ++ map (definition: definition.value) definitions;
        arguments = { name = elemAt location (length location - 1); };
      }).config;
    };
  };

  # The value of an option from all its definitions.
  mergeDefinitions = location: type: definitions:
    let
      kept = strongest (concatMap discharge definitions);
      wrong = filter (definition: !type.check definition.value) kept;
    in
    if kept == [ ] then fail location "is used but not defined"
    else if wrong != [ ] then
      fail location "is not of type ${type.name}, as (${(head wrong).file}) has it"
    else type.merge location kept;

  # Modules as sets of `imports`, `options` and `config`.
  normalise = arguments: file: module:
    let
      value =
        if isFunction module
        then module (intersectAttrs (functionArgs module) arguments // arguments)
        else if isAttrs module then module
        else import module;
      body = if isFunction value then normalise arguments file value else value;
    in
    if body ? options || body ? config || body ? imports then {
      file = body._file or file;
      imports = body.imports or [ ];
      options = body.options or { };
      config = body.config or { };
    } else {
      file = body._file or file;
      imports = [ ];
      options = { };
      config = removeAttrs body [ "_file" ];
    };

  collect = arguments: modules: concatMap
    (module:
      let body = normalise arguments "a module" module; in
      [ body ] ++ collect arguments body.imports)
    modules;

  # Declarations and definitions, both grouped by name, level by level.
  mergeLevel = prefix: declared: defined:
    let
      declarations = zipAttrsWith (_: values: values) declared;
      definitions = zipAttrsWith (_: values: values) (concatMap
        (definition: map
          (mapAttrs (_: value: { inherit (definition) file; inherit value; }))
          (pushDown definition.value))
        defined);
      unknown = filter (name: !(declarations ? ${name})) (attrNames definitions);
    in
    if unknown != [ ] then fail (prefix ++ [ (head unknown) ]) "does not exist"
    else mapAttrs
      (name: declarations:
        let
          location = prefix ++ [ name ];
          here = definitions.${name} or [ ];
          options = filter (isType "option") declarations;
        in
        if options == [ ] then mergeLevel location declarations here
        else if length options > 1 then fail location "is declared twice"
        else evalOption location (head options) here)
      declarations;

  evalOption = location: option: definitions:
    let
      all =
        if option ? default
        then [ { file = "the default"; value = mkOverride 1500 option.default; } ] ++ definitions
        else definitions;
      value = mergeDefinitions location option.type all;
    in
    option // { inherit location value; isDefined = definitions != [ ]; };

  values = options: mapAttrs
    (_: option: if isType "option" option then option.apply or (x: x) option.value else values option)
    options;

  evalModules = { modules, prefix ? [ ], arguments ? { } }:
    let
      given = { inherit config options; } // arguments;
      bodies = collect given modules;
      options = mergeLevel prefix
        (map (body: body.options) bodies)
        (map (body: { inherit (body) file; value = body.config; }) bodies);
      config = values options;
    in
    { inherit config options; };
in
{ inherit evalModules mkDefault mkForce mkIf mkMerge mkOption mkOverride types; }
