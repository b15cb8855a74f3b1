# A stand-in for nixpkgs, with which `check.sh` evaluates the project's flake.nix without any network: every package is an empty
# derivation, and only the names of packages.txt exist, so a misspelt or unlisted one fails. It builds nothing of use.
#
# It has what flake.nix uses of nixpkgs, and is as strict as nixpkgs where that is cheap: inputs must be packages, files must exist,
# images are for Linux.
{
  outputs =
    _:
    let
      inherit (builtins)
        all
        attrNames
        compareVersions
        concatStringsSep
        deepSeq
        filter
        fromTOML
        hashFile
        isAttrs
        isString
        listToAttrs
        match
        pathExists
        readFile
        removeAttrs
        split
        toJSON
        trace
        ;

      genAttrs =
        names: make:
        listToAttrs (
          map (name: {
            inherit name;
            value = make name;
          }) names
        );

      lib = {
        inherit genAttrs;
        optionalAttrs = condition: attrs: if condition then attrs else { };
        throwIf =
          condition: message: value:
          if condition then throw message else value;
        # nixpkgs prints it in the same way.
        warnIf =
          condition: message: value:
          if condition then trace "evaluation warning: ${message}" value else value;
        versionOlder = a: b: compareVersions a b < 0;
        importTOML = file: fromTOML (readFile file);
        getExe = package: "${package}/bin/${package.meta.mainProgram}";
        getExe' = package: program: "${package}/bin/${program}";
        makeLibraryPath = packages: concatStringsSep ":" (map (package: "${package}/lib") packages);
        licenses.asl20 = "asl20";
        fileset = {
          unions = map (path: if pathExists path then path else throw "${toString path} does not exist");
          toSource =
            { root, fileset }:
            deepSeq fileset (
              builtins.path {
                path = root;
                name = "source";
              }
            );
        };
      };

      names = filter (name: isString name && name != "") (split "[[:space:]]+" (readFile ./packages.txt));

      # What flake.nix looks at of a version. nixos-26.05 has this rustc.
      versions.rustc = "1.95.0";

      packagesFor =
        system:
        let
          isPackage = value: isAttrs value && value.type or "" == "derivation";
          package =
            attrs:
            let
              inputs = [
                "buildInputs"
                "contents"
                "inputsFrom"
                "nativeBuildInputs"
                "packages"
              ];
              foreign = filter (input: !all isPackage (attrs.${input} or [ ])) inputs;
              name = attrs.name or "${attrs.pname}-${attrs.version}";
              drv = derivation {
                inherit name system;
                builder = "/bin/sh";
                args = [
                  "-c"
                  "mkdir $out"
                ];
                # Everything that was passed is evaluated by this, and what it refers to becomes an input.
                attributes = toJSON (removeAttrs attrs [ "meta" ]);
              };
            in
            if foreign != [ ] then
              throw "${name}: ${toString foreign} holds something that is not a package"
            else
              drv
              // {
                meta = attrs.meta or { };
                version = attrs.version or "0";
              };
          known = genAttrs names (
            pname:
            package {
              inherit pname;
              version = versions.${pname} or "0";
            }
          );
          isLinux = match ".*-linux" system != null;
          # The attributes that a function of nixpkgs takes, and no others.
          only =
            allowed: attrs:
            let
              unknown = attrNames (removeAttrs attrs allowed);
            in
            if unknown == [ ] then attrs else throw "unknown attributes: ${toString unknown}";
        in
        known
        // {
          stdenv = {
            cc.cc.lib = known.gcc;
            hostPlatform = { inherit isLinux system; };
          };
          mkShell = attrs: package ({ name = "nix-shell"; } // attrs);
          rustPlatform.buildRustPackage =
            attrs:
            package (
              attrs
              // {
                cargoLock = hashFile "sha256" attrs.cargoLock.lockFile;
              }
            );
          runCommand =
            name: environment: text:
            package ({ inherit name text; } // environment);
          writeShellApplication =
            attrs:
            package {
              inherit (only [ "name" "runtimeInputs" "text" ] attrs) name text;
              buildInputs = attrs.runtimeInputs or [ ];
              meta.mainProgram = attrs.name;
            };
          dockerTools.buildLayeredImage =
            attrs:
            if !isLinux then
              throw "dockerTools is for Linux"
            else
              package (only [ "config" "contents" "name" "tag" ] attrs // { name = "${attrs.name}.tar.gz"; });
        };
    in
    {
      inherit lib;
      legacyPackages = genAttrs [
        "aarch64-darwin"
        "aarch64-linux"
        "x86_64-darwin"
        "x86_64-linux"
      ] packagesFor;
    };
}
