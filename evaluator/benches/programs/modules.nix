# A module system with 2,500 options in 100 modules, and 200 submodules with ten more each.
let
  inherit (builtins) attrValues deepSeq filter foldl' genList length listToAttrs mapAttrs;
  inherit (import ./library/modules.nix)
    evalModules mkDefault mkForce mkIf mkMerge mkOption types;

  service = index:
    let name = "service-${toString index}"; in
    { config, ... }:
    let this = config.services.${name}; in
    {
      _file = "${name}.nix";
      options.services.${name} = {
        enable = mkOption { type = types.bool; default = false; };
        port = mkOption { type = types.port; default = 8000 + index; };
        host = mkOption { type = types.str; default = "localhost"; };
        level = mkOption { type = types.enum [ "debug" "info" "error" ]; default = "info"; };
        user = mkOption { type = types.nullOr types.str; default = null; };
        extra = mkOption { type = types.lines; default = ""; };
        settings = listToAttrs (genList
          (i: {
            name = "setting-${toString i}";
            value = mkOption {
              type = types.attrsOf types.int;
              default = { };
              description = "Setting ${toString i} of ${name}.";
            };
          }) 16);
        command = mkOption { type = types.str; apply = text: "exec ${text}"; };
        after = mkOption { type = types.listOf types.str; default = [ ]; };
        address = mkOption { type = types.str; };
      };
      config = mkMerge [
        {
          services.${name} = {
            address = "${this.host}:${toString this.port}";
            command = mkDefault "${name} --listen ${this.address} --level ${this.level}";
            settings.setting-3 = { a = index; b = this.port; };
          };
        }
        (mkIf this.enable {
          services.${name} = {
            extra = "enabled";
            after = [ "network" ];
            settings.setting-3.c = 1;
          };
          users.${name} = { id = 1000 + index; shell = mkForce "/bin/false"; };
        })
        (mkIf (index > 0 && this.enable) {
          services.${name}.after = [ "service-${toString (index - 1)}" ];
        })
      ];
    };

  users = {
    options.users = mkOption {
      default = { };
      type = types.attrsOf (types.submodule ({ name, config, ... }: {
        options = {
          name = mkOption { type = types.str; default = name; };
          id = mkOption { type = types.int; };
          shell = mkOption { type = types.str; default = "/bin/sh"; };
          home = mkOption { type = types.str; };
          groups = mkOption { type = types.listOf types.str; default = [ ]; };
          keys = mkOption { type = types.attrsOf types.str; default = { }; };
          quota = mkOption { type = types.nullOr types.int; default = null; };
          system = mkOption { type = types.bool; default = false; };
          note = mkOption { type = types.lines; default = ""; };
          label = mkOption { type = types.str; default = "${config.name} (${toString config.id})"; };
        };
        config.home = mkDefault "/home/${config.name}";
      }));
    };
  };

  machine = { config, ... }: {
    services = listToAttrs (genList
      (i: {
        name = "service-${toString i}";
        value = { enable = true; extra = "more"; };
      }) 100);
    users = listToAttrs (genList
      (i: {
        name = "person-${toString i}";
        value = {
          id = 2000 + i;
          groups = [ "people" "group-${toString i}" ];
          keys.main = "key of ${toString i}";
        };
      }) 100);
  };

  inherit (evalModules { modules = genList service 100 ++ [ users machine ]; }) config;
in
deepSeq config [
  (length (attrValues config.users))
  config.services.service-42
  config.users.service-7.label
  config.users.person-9.home
  (foldl' (sum: s: sum + length s.after) 0 (attrValues config.services))
]
