#!/usr/bin/env bash
# Checks licences, bans and sources of all dependencies: by cargo-deny where it is installed, else by the rules of
# deny.toml that `cargo metadata` can show (licences and sources).
set -euo pipefail
cd "$(dirname "$0")/.."
if command -v cargo-deny >/dev/null; then
    exec cargo deny --offline check licenses bans sources
fi
cargo metadata --format-version 1 --locked --offline | python3 scripts/deny.py deny.toml
