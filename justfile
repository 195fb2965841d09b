# A few words for what is done often. Each is a command that works without `just`, too.

# What there is.
default:
    @just --list --unsorted

# Everything that CI checks before the tests: format, lints, what is linked.
check:
    .ci/run format lints dependencies

# All tests.
test *arguments:
    cargo test --workspace {{ arguments }}

# The whole house on this machine.
local *arguments:
    cargo run -- {{ arguments }}

# Figures, by hand: timings are no tests.
bench *arguments:
    cargo run --release -p bench -- {{ arguments }}

# The functions as AWS gets them (needs aws-sam-cli, cargo-lambda and zig).
build:
    sam build

# To AWS; a stage of samconfig.toml may be named.
deploy stage="default": build
    sam deploy --config-env {{ stage }}

# All that CI does.
ci:
    .ci/run
