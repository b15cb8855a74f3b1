{
  description = "Tillflow: sales orders over HTTP into Kafka, Cassandra and ClickHouse";

  # The only input. flake.lock says which commit of that branch.
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;

      # Linux alone: the load generator waits on timerfd, and the stack's commands read /proc.
      supportedSystems = [
        "x86_64-linux"
        "aarch64-linux"
      ];
      forEachSystem = make: lib.genAttrs supportedSystems (system: make nixpkgs.legacyPackages.${system});

      workspace = (lib.importTOML ./Cargo.toml).workspace.package;
      toolchain = (lib.importTOML ./rust-toolchain.toml).toolchain.channel;

      # What the binaries are built from, so that a change of a document or of the deployment builds nothing anew.
      source = lib.fileset.toSource {
        root = ./.;
        fileset = lib.fileset.unions [
          ./.cargo
          ./Cargo.lock
          ./Cargo.toml
          ./bench
          ./deploy/schema
          ./deploy/versions.env
          ./loadgen
          ./pipeline
        ];
      };

      # nixpkgs has one stable rustc (1.95.0 in nixos-26.05), and its cargo does not read rust-toolchain.toml, which is for rustup.
      # So the two are compared here: older than Cargo.toml's rust-version cannot build; another than rustup's is said aloud.
      checkedRustc =
        pkgs: value:
        lib.throwIf (lib.versionOlder pkgs.rustc.version workspace.rust-version)
          "nixpkgs has rustc ${pkgs.rustc.version}, and Cargo.toml wants ${workspace.rust-version} or newer: run `nix flake update`"
          (
            lib.warnIf (
              pkgs.rustc.version != toolchain
            ) "nixpkgs has rustc ${pkgs.rustc.version}, rust-toolchain.toml names ${toolchain}" value
          );

      # Attributes that every build of the workspace shares.
      build = pkgs: {
        inherit (workspace) version;
        src = source;
        cargoLock.lockFile = ./Cargo.lock;
        buildFeatures = [ "pipeline/kafka-tls" ];
        # librdkafka's configure finds OpenSSL through pkg-config and looks for `which`; its Makefile runs a Python script.
        nativeBuildInputs = [
          pkgs.pkg-config
          pkgs.python3
          pkgs.which
        ];
        buildInputs = [
          pkgs.openssl
          pkgs.zlib
        ];
        # librdkafka's scripts begin with `#!/usr/bin/env`, which the sandbox does not have. The vendored crate is a link into
        # the store, so it is copied before its scripts are changed.
        postPatch = ''
          for crate in "$NIX_BUILD_TOP"/*/rdkafka-sys-*; do
            cp --recursive --dereference "$crate" "$crate.copy"
            rm --recursive --force "$crate"
            mv "$crate.copy" "$crate"
            chmod --recursive u+w "$crate"
            patchShebangs "$crate/librdkafka"
          done
        '';
        doCheck = false;
      };
      buildRust =
        pkgs: attrs: checkedRustc pkgs (pkgs.rustPlatform.buildRustPackage (build pkgs // attrs));

      # The three binaries: pipeline, loadgen, and bench's demo.
      tillflow =
        pkgs:
        buildRust pkgs {
          pname = "tillflow";
          cargoBuildFlags = [
            "--package=pipeline"
            "--package=loadgen"
            "--package=bench"
            "--bin=pipeline"
            "--bin=loadgen"
            "--bin=demo"
          ];
          meta = {
            inherit (self) description;
            license = lib.licenses.asl20;
            mainProgram = "pipeline";
            platforms = supportedSystems;
          };
        };

      # What `deploy/native/stack` needs besides itself. Kafka, Cassandra, chDB (ClickHouse's engine) and the supervisor are not
      # among it: the stack takes them from Maven and PyPI, with the versions of deploy/versions.env and committed checksums, as it
      # does without Nix, so that all ways of running it run the same programs. From nixpkgs they could not be those: its Cassandra
      # is 4.1 (5.0 is what commit log, tables and schema are set up for), its Kafka, ClickHouse and supervisor are whatever
      # the release has, and its `superset` is another program. A fixed-output derivation for the jars would be a second list of
      # the same checksums, to be kept equal by hand.
      stackTools = pkgs: [
        pkgs.jdk17_headless
        pkgs.maven
        pkgs.python311
      ];
      # Python wheels are linked against these two, which are nowhere that a Nix Python would look.
      wheelLibraries =
        pkgs:
        lib.makeLibraryPath [
          pkgs.stdenv.cc.cc.lib
          pkgs.zlib
        ];

      app = description: program: {
        type = "app";
        inherit program;
        meta = { inherit description; };
      };
    in
    {
      packages = forEachSystem (
        pkgs:
        {
          default = tillflow pkgs;
          tillflow = tillflow pkgs;
        }
        # The same as deploy/compose/Dockerfile's, down to name and user: `docker load` it, and compose finds it built.
        // lib.optionalAttrs pkgs.stdenv.hostPlatform.isLinux {
          image = pkgs.dockerTools.buildLayeredImage {
            name = "tillflow";
            tag = "local";
            contents = [
              (tillflow pkgs)
              # Compose's health check is a line of bash.
              pkgs.bash
              pkgs.cacert
            ];
            config = {
              Entrypoint = [ "pipeline" ];
              Env = [
                "PATH=/bin"
                "SSL_CERT_FILE=${pkgs.cacert}/etc/ssl/certs/ca-bundle.crt"
              ];
              User = "10001:10001";
              ExposedPorts = {
                "8080/tcp" = { };
                "9090/tcp" = { };
              };
            };
          };
        }
      );

      devShells = forEachSystem (pkgs: {
        default = checkedRustc pkgs (
          pkgs.mkShell {
            inputsFrom = [ (tillflow pkgs) ];
            packages = stackTools pkgs ++ [
              pkgs.cargo
              pkgs.clippy
              pkgs.curl
              pkgs.deadnix
              pkgs.docker-compose
              pkgs.jq
              pkgs.kcat
              pkgs.nixfmt
              pkgs.rust-analyzer
              pkgs.rustc
              pkgs.rustfmt
              pkgs.shellcheck
              # Superset, which nixpkgs does not have, comes from PyPI.
              pkgs.uv
            ];
            LD_LIBRARY_PATH = wheelLibraries pkgs;
            # Without this uv would fetch a Python that is made for other systems than NixOS.
            UV_PYTHON_DOWNLOADS = "never";
          }
        );
      });

      apps = forEachSystem (pkgs: {
        default = self.apps.${pkgs.stdenv.hostPlatform.system}.stack;
        stack = app "Kafka, Cassandra and ClickHouse on this machine: nix run .#stack -- up" (
          lib.getExe (
            pkgs.writeShellApplication {
              name = "stack";
              runtimeInputs = stackTools pkgs;
              # The store is read-only, so the data is kept below the folder that it is called from.
              text = ''
                export STACK_HOME="''${STACK_HOME:-$PWD/.stack}"
                export LD_LIBRARY_PATH="${wheelLibraries pkgs}''${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
                exec python3 ${./deploy}/native/stack "$@"
              '';
            }
          )
        );
        pipeline = app "The pipeline: nix run .#pipeline -- embedded" (
          lib.getExe' (tillflow pkgs) "pipeline"
        );
        loadgen = app "The load generator: nix run .#loadgen -- run --url URL" (
          lib.getExe' (tillflow pkgs) "loadgen"
        );
        latency = app "Load, latency of every hop, and the ledger: nix run .#latency -- --rate 5000" (
          lib.getExe' (tillflow pkgs) "demo"
        );
      });

      # What .ci/run runs, as far as a sandbox without network can: not the dependencies' advisories, the replay of the data set, and
      # the stack itself.
      checks = forEachSystem (
        pkgs:
        let
          # These read all of the repository, as the tidy test does.
          command =
            name: tools: text:
            pkgs.runCommand "tillflow-${name}" { nativeBuildInputs = tools; } ''
              cp --recursive ${self} source
              chmod --recursive u+w source
              cd source
              ${text}
              touch $out
            '';
          cargo =
            name: tools: text:
            buildRust pkgs {
              pname = "tillflow-${name}";
              src = self;
              nativeBuildInputs = (build pkgs).nativeBuildInputs ++ tools;
              buildPhase = text;
              installPhase = "touch $out";
            };
        in
        {
          package = tillflow pkgs;
          format = command "format" [ pkgs.cargo pkgs.rustfmt ] "cargo fmt --all --check";
          lints = cargo "lints" [
            pkgs.clippy
          ] "cargo clippy --offline --workspace --all-targets -- -D warnings";
          documentation =
            cargo "documentation" [ ]
              "RUSTDOCFLAGS='-D warnings' cargo doc --offline --workspace --no-deps";
          tests = cargo "tests" [ ] "cargo test --offline --workspace";
          data-set = command "data-set" [
            pkgs.python311
          ] "python3 -m unittest discover loadgen/completejourney";
          deployment = command "deployment" [
            pkgs.docker-compose
            pkgs.hadolint
            pkgs.python311
          ] "cd deploy/tests && CI=true python3 -m unittest test_compose test_image";
          nix =
            command "nix"
              [
                pkgs.deadnix
                pkgs.nixfmt
              ]
              "nixfmt --check flake.nix deploy/nix/stub/flake.nix && deadnix --fail flake.nix deploy/nix/stub/flake.nix";
        }
      );

      formatter = forEachSystem (pkgs: pkgs.nixfmt-tree);
    };
}
