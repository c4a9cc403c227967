#!/bin/sh
# Sourced by run, test and reeve: finds the .NET SDK, and builds only what is older than its sources.
# Usage: . .ci/build.sh; need_sdk; build_if_stale OUTPUT PROJECT FOLDER...

export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1

fail() {
  echo "$1" >&2
  exit 1
}

need_sdk() {
  if ! command -v dotnet >/dev/null 2>&1 && [ -x "$HOME/.dotnet/dotnet" ]; then
    PATH="$HOME/.dotnet:$PATH"
    export PATH
  fi
  command -v dotnet >/dev/null 2>&1 ||
    fail "Reeve needs the .NET SDK 10, which is not installed: https://dotnet.microsoft.com/download/dotnet/10.0"
  dotnet --list-sdks | grep -q '^10\.' ||
    fail "Reeve needs the .NET SDK 10; only another version is here: https://dotnet.microsoft.com/download/dotnet/10.0"
}

# A stamp is written after a build that succeeded. Anything newer than it, or a file that went away (which makes its
# folder newer), means that the output is stale; then the incremental build decides what really has to be done.
build_if_stale() {
  stamp=$1
  project=$2
  shift 2
  if [ -f "$stamp" ] && [ -z "$(find "$@" ./*.props ./*.json ./*.txt .editorconfig -newer "$stamp" -print 2>/dev/null |
    head -n 1)" ]; then
    return 0
  fi
  rm -f "$stamp"
  started=$(mktemp)
  if ! dotnet build "$project" -c Release --nologo -v quiet -clp:NoSummary >"$started.log" 2>&1; then
    cat "$started.log" >&2
    rm -f "$started" "$started.log"
    fail "The build failed."
  fi
  mkdir -p "$(dirname "$stamp")"
  touch -r "$started" "$stamp"
  rm -f "$started" "$started.log"
}

build_reeve() {
  build_if_stale artifacts/reeve.stamp src/Reeve.Cli/Reeve.Cli.csproj src
}
