#!/usr/bin/env bash
# Evaluates the repository's flake.nix with no network, against the stand-in for nixpkgs beside this file. Needs nix (Debian:
# nix-bin; root or not, without a daemon) and git. What that proves and what not: ../README.md.
#
#   deploy/nix/stub/check.sh
set -euo pipefail
stub=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(cd "$stub/../../.." && pwd)
work=$(mktemp -d)
# The store's files are read-only.
trap 'chmod -R u+w "$work" && rm -rf "$work"' EXIT

mkdir "$work/home" "$work/stub"
export HOME=$work/home NIX_REMOTE=
# Nothing is fetched, built or looked up in a registry.
export NIX_CONFIG="experimental-features = nix-command flakes
build-users-group =
sandbox = false
substitute = false
flake-registry =
warn-dirty = false
store = $work/store"
cp "$stub"/{flake.nix,packages.txt} "$work/stub/"

# As a clone would have it, without what is built in it.
copy() {
  local to=$1
  mkdir "$to"
  git -C "$repository" ls-files -z --cached --others --exclude-standard |
    while IFS= read -r -d '' file; do if [[ -e $repository/$file || -L $repository/$file ]]; then printf '%s\0' "$file"; fi; done |
    tar --directory="$repository" --null --files-from=- --create | tar --directory="$to" --extract
}

# Prints what nix says about the flake in $1 with the stub in $2; fails where nix does, and where it only warns.
evaluate() {
  local flake=$1 nixpkgs=$2 said
  # flake.lock has all inputs of flake.nix, for the references that flake.nix gives, and no others.
  said=$(nix flake metadata --offline --no-update-lock-file "path:$flake" 2>&1) || { echo "$said"; return 1; }
  # Every output for every system that the flake has.
  said=$(nix flake check --no-build --offline --no-write-lock-file --override-input nixpkgs "path:$nixpkgs" "path:$flake" 2>&1) ||
    { echo "$said"; return 1; }
  # Nix only warns of a misspelt output, and of what the flake itself warns.
  if grep -E 'unknown flake output|evaluation warning' <<<"$said"; then return 1; fi
  # Again, one by one, since a newer nix checks the machine's own system alone unless told otherwise; and what apps point to.
  local output
  for output in packages devShells checks formatter apps; do
    nix eval --offline --no-write-lock-file --override-input nixpkgs "path:$nixpkgs" --raw "path:$flake#$output" --apply "
      outputs:
      let
        names = builtins.attrNames;
        what = value: value.drvPath or value.program;
        line = system: name: value: \"\${system} $output \${name} \${what value}\\n\";
        lines = system: values:
          if values ? drvPath then [ (line system \"-\" values) ] else map (name: line system name values.\${name}) (names values);
      in
      builtins.concatStringsSep \"\" (builtins.concatMap (system: lines system outputs.\${system}) (names outputs))" 2>"$work/said" ||
      { cat "$work/said"; return 1; }
  done
}

copy "$work/flake"
echo "evaluating $repository/flake.nix with $(nix --version)"
evaluate "$work/flake" "$work/stub" >"$work/outputs" || { cat "$work/outputs"; exit 1; }
for system in x86_64-linux aarch64-linux; do
  for output in "packages default" "packages image" "devShells default" "checks tests" "formatter -" \
    "apps stack" "apps pipeline" "apps loadgen" "apps latency"; do
    grep -q "^$system $output /" "$work/outputs" || { echo "no $output for $system"; exit 1; }
  done
done
echo "evaluated $(wc -l <"$work/outputs") outputs"

# lastModified and narHash belong to the commit: of the three none may be changed alone.
python3 - "$work/flake/flake.lock" <<'LOCK'
import json, re, sys
lock = json.load(open(sys.argv[1]))
inputs = lock["nodes"]["root"]["inputs"]
assert list(inputs) == ["nixpkgs"], f"flake.lock has inputs besides nixpkgs: {inputs}"
locked = lock["nodes"]["nixpkgs"]["locked"]
assert re.fullmatch("[0-9a-f]{40}", locked["rev"]), f"flake.lock pins no commit: {locked}"
assert re.fullmatch("sha256-[0-9A-Za-z+/]{43}=", locked["narHash"]), f"flake.lock has no hash: {locked}"
print("flake.lock: nixpkgs", lock["nodes"]["nixpkgs"]["original"]["ref"], locked["rev"])
LOCK

# The check itself is checked: each of these must be refused, and for the reason that is meant.
refuses() {
  local what=$1 reason=$2 file=$3 from=$4 to=$5 flake=$work/flake nixpkgs=$work/stub said
  rm -rf "$work/broken"
  if [[ $file == stub/* ]]; then
    cp -r "$work/stub" "$work/broken" && nixpkgs=$work/broken
  else
    cp -r "$work/flake" "$work/broken" && flake=$work/broken
  fi
  python3 - "$work/broken/${file#stub/}" "$from" "$to" <<'EDIT'
import pathlib, sys
path, old, new = pathlib.Path(sys.argv[1]), *sys.argv[2:]
text = path.read_text()
assert old in text, f"{path.name} does not hold {old!r}"
path.write_text(text.replace(old, new, 1))
EDIT
  if said=$(evaluate "$flake" "$nixpkgs"); then
    echo "not refused: $what"
    exit 1
  fi
  grep -q "$reason" <<<"$said" || { echo "$what was refused for another reason:"; echo "$said"; exit 1; }
  echo "refused: $what"
}
refuses "a misspelt output" "unknown flake output" flake.nix "devShells =" "devShels ="
refuses "a package that is not listed" "nosuchpackage" flake.nix "pkgs.kcat" "pkgs.nosuchpackage"
refuses "a source that does not exist" "nosuchfolder does not exist" flake.nix "./loadgen" "./nosuchfolder"
refuses "a rustc that is too old" "Cargo.toml wants" stub/flake.nix '"1.95.0"' '"1.94.1"'
refuses "a rustc other than rustup's" "rust-toolchain.toml names" stub/flake.nix '"1.95.0"' '"1.96.0"'
refuses "a lock for another branch" "nixos-25.11\\|lock file" flake.nix "nixpkgs/nixos-26.05" "nixpkgs/nixos-25.11"
echo "done after $SECONDS s"
