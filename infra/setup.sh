#!/usr/bin/env bash
# Environments from locks with hashes; the Makefile calls it, each part can be run again at any time.
#   infra/setup.sh jobs|airflow     sync .venv or .venv-airflow with its lock
#   infra/setup.sh uv               bring uv, unless it is on this machine
#   infra/setup.sh lock             resolve the locks anew
#   infra/setup.sh bench            add the benchmarks' peers to .venv
set -euo pipefail
cd "$(dirname "$0")/.."

# uv reads none of pip's settings: hand them on, from the environment or pip's own files.
pip_setting() { python3 -m pip config get "global.$1" 2>/dev/null || true; }
hand_on() { # UV_NAME PIP_NAME pip-key
  local value="${!2:-$(pip_setting "$3")}"
  [ -n "${!1:-}" ] || [ -z "$value" ] || export "$1=$value"
}
hand_on UV_DEFAULT_INDEX PIP_INDEX_URL index-url
hand_on UV_INDEX PIP_EXTRA_INDEX_URL extra-index-url
hand_on UV_FIND_LINKS PIP_FIND_LINKS find-links
hand_on UV_HTTP_TIMEOUT PIP_DEFAULT_TIMEOUT timeout
hand_on SSL_CERT_FILE PIP_CERT cert
if [ -n "${PIP_NO_INDEX:-$(pip_setting no-index)}" ]; then export UV_NO_INDEX=1; fi
export UV_PYTHON_DOWNLOADS="${UV_PYTHON_DOWNLOADS:-never}"  # the Python of this machine, not one from elsewhere
unset VIRTUAL_ENV

say() { printf 'setup: %s\n' "$*" >&2; }

python311() {
  local candidate
  for candidate in python3.11 python3 python; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
      "$candidate" -c 'import sys; print(sys.executable)'
      return
    fi
  done
  say "no Python 3.11 on PATH; install it (Debian 12: apt-get install python3.11-venv) and try again"
  return 1
}

# uv as found, else by pip into an environment of its own.
uv_command() {
  type -P uv || echo .venv-uv/bin/uv
}
bring_uv() {
  "$(uv_command)" --version >/dev/null 2>&1 && return
  say "uv is not here: fetching it by pip into .venv-uv"
  "$(python311)" -m venv --clear .venv-uv
  .venv-uv/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r infra/locks/uv.txt
}
uv() { "$(uv_command)" "$@"; }

sum_of() { python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$1"; }

# An environment in step with its lock; `.setting-up` in it tells of a run that was interrupted.
sync() { # folder lock
  local folder="$1" lock="$2" python
  python="$(python311)"
  if [ -e "$folder/.setting-up" ] || ! "$folder/bin/python" --version >/dev/null 2>&1; then
    rm -rf "$folder"
    uv venv --quiet --python "$python" "$folder"
  fi
  touch "$folder/.setting-up"
  say "$folder from $lock"
  uv pip sync --quiet --compile-bytecode --require-hashes --python "$folder/bin/python" "$lock"
  if [ "$folder" = .venv ]; then
    uv pip install --quiet --no-deps --no-build-isolation --no-index --python .venv/bin/python --editable .
  fi
  sum_of "$lock" > "$folder/.lock-in-step"
  rm "$folder/.setting-up"
}

compile() { # lock option…
  local lock="$1"
  shift
  say "resolving $lock"
  uv pip compile pyproject.toml --quiet --python-version 3.11 --generate-hashes --no-emit-find-links --no-emit-index-url \
    --custom-compile-command 'make lock' "$@" -o "$lock"
}

case "${1:-}" in
  uv) bring_uv ;;
  jobs) sync .venv infra/locks/jobs.txt ;;
  airflow) sync .venv-airflow infra/locks/airflow.txt ;;
  bench) uv pip install --quiet --require-hashes --python .venv/bin/python -r infra/locks/bench.txt ;;
  lock)
    compile infra/locks/jobs.txt --group jobs --group dev
    compile infra/locks/airflow.txt --group airflow
    compile infra/locks/bench.txt --group bench -c infra/locks/jobs.txt
    echo uv | uv pip compile - --quiet --generate-hashes --no-emit-find-links --no-emit-index-url \
      --custom-compile-command 'make lock' -o infra/locks/uv.txt
    ;;
  *) say "say uv, jobs, airflow, bench or lock"; exit 2 ;;
esac
