#!/bin/sh
# firmware/gap9 as a user of the GAP SDK configures it: what it refuses, and that it builds. The SDK is a
# stand-in that sets clang as the compiler and our declarations as PMSIS; it links, but cannot run.
#   test_gap9_project.sh FIRMWARE_DIRECTORY WORK_DIRECTORY
set -eu
firmware=$1
work=$2

for tool in clang-19 ld.lld-19 llvm-nm-19 ninja; do
    if ! command -v $tool > /dev/null; then
        echo "skipped: $tool is not installed"
        [ "${BIOTRAIN_REQUIRE_TOOLS:-}" != 1 ] || exit 1
        exit 77
    fi
done

rm -rf "$work"
mkdir -p "$work/sdk/utils/cmake"
cat > "$work/sdk/utils/cmake/setup.cmake" << EOF
file(STRINGS \$ENV{KCONFIG_CONFIG} kconfig REGEX "^CONFIG_PLATFORM_")
message(STATUS "stand-in SDK: \${kconfig}")
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(flags "--target=riscv32-unknown-elf -march=rv32imc_zicsr_zfinx_zhinx -mabi=ilp32")
set(CMAKE_C_COMPILER clang-19)
set(CMAKE_C_FLAGS "\${flags} -ffreestanding -Os -std=gnu99 -funsigned-char -Wall -Wextra -Werror")
set(CMAKE_ASM_COMPILER clang-19)
set(CMAKE_ASM_FLAGS "\${flags}")
set(CMAKE_EXE_LINKER_FLAGS "-nostdlib -static -fuse-ld=lld-19 -Wl,--gc-sections -Wl,-e,main
    -Wl,--image-base=0x1C010000 -Wl,--unresolved-symbols=ignore-all")
string(REPLACE "\n" " " CMAKE_EXE_LINKER_FLAGS "\${CMAKE_EXE_LINKER_FLAGS}")
function(setupos target)
  target_include_directories(\${target} PRIVATE $firmware/pmsis)
endfunction()
EOF

failed=0

# refuses SDK SENTENCE OPTION...: configuring fails with the sentence.
refuses() {
    sdk=$1 sentence=$2
    shift 2
    if GAP_SDK_HOME=$sdk cmake -G Ninja -S "$firmware/gap9" -B "$work/refused" "$@" > "$work/log" 2>&1; then
        echo "FAILED: accepted with GAP_SDK_HOME=$sdk $*"
        failed=1
    elif ! tr -s ' \n' '  ' < "$work/log" | grep -qF "$sentence"; then
        echo "FAILED: GAP_SDK_HOME=$sdk $* does not say \"$sentence\" but:"
        cat "$work/log"
        failed=1
    fi
    rm -rf "$work/refused"
}

refuses "" "GAP_SDK_HOME is not set: source the environment script"
refuses "$work" "where utils/cmake/setup.cmake is missing"
refuses "$work/sdk" 'BT_PLATFORM is "moon"; use board or gvsoc' -DBT_PLATFORM=moon
refuses "$work/sdk" 'BT_OPERATING_POINT is "warp"; use fast or efficient' -DBT_OPERATING_POINT=warp
refuses "$work/sdk" 'BT_FREQUENCY_HZ is "400000000"' -DBT_FREQUENCY_HZ=400000000
refuses "$work/sdk" 'BT_FREQUENCY_HZ is "370MHz"' -DBT_FREQUENCY_HZ=370MHz
refuses "$work/sdk" 'BT_MILLIVOLTS is "600"' -DBT_MILLIVOLTS=600

# builds DIRECTORY EXPECTED... -- OPTION...: expected are texts of the configuration or the build.
builds() {
    directory=$work/$1 expected=
    shift
    while [ "$1" != -- ]; do
        expected="$expected $1"
        shift
    done
    shift
    if ! { GAP_SDK_HOME=$work/sdk cmake -G Ninja -S "$firmware/gap9" -B "$directory" "$@" &&
        ninja -v -C "$directory"; } > "$work/log" 2>&1; then
        echo "FAILED: $* does not build:"
        cat "$work/log"
        failed=1
        return
    fi
    for text in $expected; do
        if ! grep -qF -e "$text" "$work/log"; then
            echo "FAILED: $* builds without $text"
            failed=1
        fi
    done
    for symbol in bt_gap9_mailbox bt_gap9_status; do
        if ! llvm-nm-19 "$directory/biotrain-gap9" | grep -qE " [BDbd] $symbol\$"; then
            echo "FAILED: the ELF has no $symbol"
            failed=1
        fi
    done
}

builds board CONFIG_PLATFORM_BOARD=y BT_FREQUENCY_HZ=370000000u BT_MILLIVOLTS=800u -ffp-contract=off --
builds gvsoc CONFIG_PLATFORM_GVSOC=y BT_FREQUENCY_HZ=240000000u BT_MILLIVOLTS=650u -O1 -- \
    -DBT_PLATFORM=gvsoc -DBT_OPERATING_POINT=efficient -DBT_OPTIMIZATION=-O1

exit $failed
