# `<nix/fetchurl.nix>`: the derivation that fetches one file. Each of its attributes is part
# of the derivation's text, so they are those that Nix's own has.
{
  system ? "",
  url,
  hash ? "",
  md5 ? "",
  sha1 ? "",
  sha256 ? "",
  sha512 ? "",
  outputHash ? builtins.head (builtins.filter (text: text != "") [ hash sha512 sha1 md5 sha256 ] ++ [ "" ]),
  outputHashAlgo ?
    if hash != "" then ""
    else if sha512 != "" then "sha512"
    else if sha1 != "" then "sha1"
    else if md5 != "" then "md5"
    else "sha256",
  executable ? false,
  unpack ? false,
  name ? baseNameOf (toString url),
  impure ? false,
}:
let
  content = if impure then { __impure = true; } else { inherit outputHash outputHashAlgo; };
in
derivation (content // {
  inherit name url executable unpack;
  system = "builtin";
  builder = "builtin:fetchurl";
  urls = [ url ];
  outputHashMode = if executable || unpack then "recursive" else "flat";
  preferLocalBuild = true;
  impureEnvVars = map (protocol: protocol + "_proxy") [ "http" "https" "ftp" "all" "no" ];
})
