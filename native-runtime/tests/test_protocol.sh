#!/bin/sh
# Model-checks docs/protocol.pml with spin, and shows that the check can fail: with the command posted
# before its argument is written, spin must find a torn command.
#   test_protocol.sh MODEL WORK_DIRECTORY
set -eu
model=$1
work=$2

if ! command -v spin > /dev/null; then
    if [ "${BIOTRAIN_REQUIRE_TOOLS:-0}" = 1 ]; then
        echo "FAILED: spin is not installed, but BIOTRAIN_REQUIRE_TOOLS is 1"
        exit 1
    fi
    echo "skipped: spin is not installed"
    exit 77
fi

# check FILE: prints spin's verdict, "errors: N".
check() {
    rm -rf "$work"
    mkdir -p "$work"
    (
        cd "$work"
        spin -a "$1" > spin.log
        cc -O2 -w -DSAFETY -o pan pan.c
        ./pan -m200000 > pan.log
        grep -o 'errors: [0-9]*' pan.log
        grep 'states, stored' pan.log
    )
}

verdict=$(check "$model")
echo "protocol: $verdict"
case $verdict in "errors: 0"*) ;; *) exit 1 ;; esac

# Swaps the lines that write the argument and post the command.
broken=$work.pml
sed 's/^        argument = value;$/        skip;/; s/^            posts++$/            posts++; }; may_die(); d_step { argument = value/' \
    "$model" > "$broken"
verdict=$(check "$broken")
echo "argument written after posting: $verdict"
case $verdict in "errors: 0"*)
    echo "FAILED: spin did not notice the broken order"
    exit 1
    ;;
esac
