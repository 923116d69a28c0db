# Sourced by tools/run and tools/test: packages, configuration, build. $root is the checkout.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# install GROUP...: the packages of those groups that are missing.
install() {
  local wanted missing=()
  wanted=$(awk -v groups=" $* " '$1 !~ /^#/ && index(groups, " " $1 " ") { print $2 }' "$root/tools/packages.txt")
  command -v dpkg-query >/dev/null || die "needs Debian 12: there is no dpkg here; see tools/packages.txt for what to install by hand"
  for package in $wanted; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "these packages are missing and neither root nor sudo is here to install them: ${missing[*]}"
    as_root=(sudo)
  fi
  say "Installing ${#missing[@]} packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -q
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"
}

# build PRESET TARGET...: in build/PRESET. A checkout that moved, or came from another machine, is configured anew.
build() {
  local preset=$1 folder="$root/build/$1"
  shift
  if [ -f "$folder/CMakeCache.txt" ] && ! grep -q "^CMAKE_HOME_DIRECTORY:INTERNAL=$root$" "$folder/CMakeCache.txt"; then
    rm -rf "$folder"
  fi
  if [ ! -f "$folder/build.ninja" ]; then
    say "Configuring build/$preset"
    (cd "$root" && cmake --preset "$preset" >"$root/build.log" 2>&1) || { cat "$root/build.log" >&2; rm -f "$root/build.log"; exit 1; }
    rm -f "$root/build.log"
  fi
  say "Building build/$preset"
  NINJA_STATUS='[%f/%t %es] ' ninja -C "$folder" "$@"
}
