#!/usr/bin/env bash
# Runs all tests, against the release binary that `make build` made.
set -euo pipefail
cd "$(dirname "$0")/.."
export TURNOUTD="$PWD/target/release/turnoutd"
if command -v cargo-nextest >/dev/null; then
    cargo nextest run --locked --workspace --no-fail-fast
    cargo test --locked --workspace --doc --quiet
else
    cargo test --locked --workspace --no-fail-fast
fi
