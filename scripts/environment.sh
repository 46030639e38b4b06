# Sourced by scripts/run and scripts/test: makes sure that the checkout has a virtual environment with the
# locked dependencies, and sets $python to its interpreter. Needs Python 3.11 to 3.14 and nothing else.
# The caller has set $root, the checkout. PYTHON=… names another interpreter to start from.

fail() { printf '%s\n' "$*" >&2; exit 2; }

suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' >/dev/null 2>&1; }

find_python() {
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.14 python; do
        if suits "$candidate"; then printf '%s' "$candidate"; return; fi
    done
    fail "Expected Python 3.11 to 3.14, found none: install one, or name it with PYTHON=/path/to/python."
}

venv="$root/.venv"
python="$venv/bin/python"
stamp="$venv/installed-from"
wanted=$(cat "$root/requirements.lock" "$root/pyproject.toml" | cksum; printf '%s' "$root")

if ! [ -x "$python" ] || [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    printf 'Making the environment %s (once; about 300 MB of packages) …\n' "$venv" >&2
    if ! suits "$python"; then
        base=$(find_python) || exit 2
        "$base" -m venv --clear "$venv" ||
            fail "Expected \`$base -m venv\` to work, found it does not (on Debian: apt install python3-venv)."
    fi
    "$python" -m pip --disable-pip-version-check install --quiet --require-hashes -r "$root/requirements.lock" >&2 &&
        "$python" -m pip --disable-pip-version-check install --quiet --no-deps --no-build-isolation -e "$root" >&2 ||
        fail "The locked packages could not be installed; the lines above say why. Nothing else was changed."
    printf '%s' "$wanted" >"$stamp"
fi
