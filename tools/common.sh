# Sourced by tools/run and tools/test: packages, configuration, build. $root is the checkout.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# install GROUP...: the packages of those groups that are missing.
install() {
  local wanted missing=()
  wanted=$(awk -v groups=" $* " '$1 !~ /^#/ && index(groups, " " $1 " ") { print $2, $3 }' "$root/tools/packages.txt")
  command -v dpkg-query >/dev/null || die "needs Debian 12: there is no dpkg here; see tools/packages.txt for what to install by hand"
  while read -r package brings; do
    [ -n "$brings" ] && command -v "$brings" >/dev/null && continue
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done <<<"$wanted"
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

# python_packages: build/python, a Python with the packages that tests/python.txt pins. Without a package index the tests
# that need them are skipped, which is said.
python_packages() {
  local folder="$root/build/python" pinned="$root/tests/python.txt"
  cmp -s "$pinned" "$folder/installed.txt" && return
  say "Installing Python packages into build/python"
  rm -rf "$folder"
  if /usr/bin/python3 -m venv "$folder" &&
    "$folder/bin/pip" install -q --disable-pip-version-check --no-input -r "$pinned"; then
    cp "$pinned" "$folder/installed.txt"
  else
    rm -rf "$folder"
    say "These packages could not be had: the tests of the OpenAPI document, of ONNX models and with a newer nats-server are skipped"
  fi
}

# node_packages: build/segment, the clients of npm that tests/e2e/segment pins. Without the registry their tests are skipped,
# which is said.
node_packages() {
  local folder="$root/build/segment" pinned="$root/tests/e2e/segment"
  cmp -s "$pinned/package-lock.json" "$folder/installed.json" && return
  say "Installing npm packages into build/segment"
  rm -rf "$folder"
  mkdir -p "$folder"
  cp "$pinned/package.json" "$pinned/package-lock.json" "$folder"
  if (cd "$folder" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error); then
    cp "$pinned/package-lock.json" "$folder/installed.json"
  else
    rm -rf "$folder"
    say "These packages could not be had: the tests with Segment's clients are skipped"
  fi
}

# configure PRESET ON|OFF: build/PRESET, with or without tests; what is configured with tests stays so. A checkout that
# moved, or came from another machine, starts anew.
configure() {
  local preset=$1 tests=$2 folder="$root/build/$1" log
  if [ -f "$folder/CMakeCache.txt" ] && ! grep -q "^CMAKE_HOME_DIRECTORY:INTERNAL=$root$" "$folder/CMakeCache.txt"; then
    rm -rf "$folder"
  fi
  if [ -f "$folder/build.ninja" ] && { [ "$tests" = OFF ] || grep -q '^CX_TESTS:BOOL=ON$' "$folder/CMakeCache.txt"; }; then
    return
  fi
  say "Configuring build/$preset"
  log=$(cd "$root" && cmake --preset "$preset" -DCX_TESTS="$tests" 2>&1) || die "$log"
}

# build PRESET TARGET...
build() {
  say "Building build/$1"
  NINJA_STATUS='[%f/%t %es] ' ninja -C "$root/build/$1" "${@:2}"
}
