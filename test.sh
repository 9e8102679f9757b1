#!/bin/sh
# Installs what the tests need (skips what is there), builds, and runs every test. Last line: "N passed, N failed".
# With arguments only the named suites run: ./test.sh Mooring.Tests node format
# Suites: Mooring.Tests, Mooring.EndToEndTests, node, format, and rounds: each round of eng/chaos.sh in its short form, one test each, and kill once more on DynamoDB.
set -u

cd -- "$(dirname -- "$0")" || exit 1
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
passed=0
failed=0

say() { printf '\n== %s\n' "$*"; }

finish() {
    if [ -s "$results/unsteady" ]; then
        printf '\nFailed once and passed alone:\n'
        sed 's/^/  /' "$results/unsteady"
    fi
    if [ -s "$results/skipped" ]; then
        printf '\nSkipped, for what the machine does not have or allow:\n'
        sed 's/^/  /' "$results/skipped"
    fi
    if [ -s "$results/broken" ]; then
        printf '\nFailed:\n'
        sed 's/^/  /' "$results/broken"
    fi
    printf '\n%s passed, %s failed\n' "$passed" "$failed"
    [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
    exit
}

fail() {
    printf 'FAILED: %s\n' "$*" >&2
    printf '%s\n' "$*" >> "$results/broken"
    failed=$((failed + 1))
}

# Whether a suite was asked for; without arguments all are.
wanted() {
    suite=$1
    shift
    [ $# -eq 0 ] && return 0
    for name in "$@"; do
        [ "$name" = "$suite" ] && return 0
    done
    return 1
}

# For suites that start many programs for a few seconds each: methods stay as they were compiled first or ahead of time. To count their calls and
# compile them once more takes more than half of the processor then, and nothing lives long enough to gain by it.
brief() { DOTNET_TieredPGO=0 DOTNET_TC_CallCounting=0 "$@"; }

# A runner that hangs must not hang the whole run; the longest suite takes a few minutes.
limited() {
    if command -v timeout > /dev/null 2>&1; then
        timeout -k 30 "${TEST_TIMEOUT:-1500}" "$@"
    else
        "$@"
    fi
}

install_packages() {
    missing=''
    # command:package
    for need in nginx:nginx haproxy:haproxy chromium:chromium wrk:wrk busybox:busybox setpriv:util-linux pgbouncer:pgbouncer faketime:faketime sqlite3:sqlite3 node:nodejs npm:npm curl:curl openssl:openssl; do
        command -v "${need%%:*}" > /dev/null 2>&1 || missing="$missing ${need##*:}"
    done
    # Its programs are not on the path.
    postgres=''
    ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 || command -v initdb > /dev/null 2>&1 || postgres='postgresql'
    [ -n "$postgres" ] && missing="$missing $postgres"
    [ -z "$missing" ] && return 0
    if ! command -v apt-get > /dev/null 2>&1; then
        printf 'Missing:%s. Install them by hand; tests that need them fail.\n' "$missing" >&2
        return 0
    fi
    run=''
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo > /dev/null 2>&1 && sudo -n true 2> /dev/null; then
            run='sudo'
        else
            printf 'Missing:%s. Run as root: apt-get install -y --no-install-recommends%s\nTests that need them fail.\n' "$missing" "$missing" >&2
            return 0
        fi
    fi
    say "installing$missing"
    log="$results/apt.log"
    # Word splitting is meant: $missing is a list, $run may be empty.
    # shellcheck disable=SC2086
    if ! { $run env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing > "$log" 2>&1 ||
        { $run apt-get update > "$log" 2>&1 && $run env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing >> "$log" 2>&1; }; }; then
        tail -n 20 "$log" >&2
        printf 'Could not install%s; tests that need them fail.\n' "$missing" >&2
    fi
    # The tests start servers of their own; what came up with the packages is not needed.
    case $missing in
        *' pgbouncer'*) $run service pgbouncer stop < /dev/null > /dev/null 2>&1 ;;
    esac
    if [ -n "$postgres" ] && command -v pg_lsclusters > /dev/null 2>&1; then
        pg_lsclusters -h | while read -r version name _; do
            $run pg_ctlcluster "$version" "$name" stop -m fast < /dev/null > /dev/null 2>&1
        done
    fi
}

# Every folder below tests with a lock file, unless what it names is installed already.
install_node_modules() {
    find tests dashboard -name node_modules -prune -o -name package-lock.json -print 2> /dev/null > "$results/locks"
    while IFS= read -r lock; do
        folder=$(dirname "$lock")
        stamp="$folder/node_modules/.installed"
        if [ -f "$stamp" ] && cmp -s "$lock" "$stamp"; then
            continue
        fi
        say "npm ci in $folder"
        if (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error < /dev/null); then
            cp "$lock" "$stamp"
        else
            fail "npm ci in $folder"
        fi
    done < "$results/locks"
}

# The value of one attribute of the <assembly> elements of an xunit result file, summed.
attribute() {
    grep -o '<assembly [^>]*>' "$2" | sed -n "s/.* $1=\"\([0-9][0-9]*\)\".*/\1/p" | awk '{ n += $1 } END { print n + 0 }'
}

run_dotnet_suite() {
    name=$1
    say "$name"
    exe="tests/$name/bin/Release/net10.0/$name"
    xml="$results/$name.xml"
    limited "$exe" -noLogo -noColor -xml "$xml" < /dev/null
    code=$?
    if [ ! -s "$xml" ]; then
        fail "$name ended with code $code and left no results"
        return
    fi
    ok=$(attribute passed "$xml")
    bad=$(($(attribute failed "$xml") + $(attribute errors "$xml")))
    if [ "$bad" -gt 0 ] && [ "$bad" -le "${TEST_AGAIN:-3}" ] && [ "$(attribute errors "$xml")" -eq 0 ] && passes_alone "$xml"; then
        ok=$((ok + bad))
        bad=0
        code=0
    fi
    [ "$bad" -gt 0 ] && failed_methods "$xml" >> "$results/broken"
    passed=$((passed + ok))
    failed=$((failed + bad))
    grep -o '<test [^>]*result="Skip"[^>]*>' "$xml" | sed -n 's/.* type="\([^"]*\)".* method="\([^"]*\)".*/\1.\2/p' | sort -u >> "$results/skipped"
    if [ "$code" -ne 0 ] && [ "$bad" -eq 0 ]; then
        fail "$name ended with code $code"
    fi
}

# The tests of an xunit result file that failed, as -method takes them.
failed_methods() {
    grep -o '<test [^>]*result="Fail"[^>]*>' "$1" | sed -n 's/.* type="\([^"]*\)".* method="\([^"]*\)".*/\1.\2/p' | sort -u
}

# A few tests that failed beside all others run once more by themselves. What passes then depends on what the machine does besides, or on luck: it is
# named, here and in the last lines, and is a defect of the test or of what it tests. TEST_AGAIN=0 counts it as failed.
passes_alone() {
    failed_methods "$1" > "$results/again"
    [ -s "$results/again" ] || return 1
    set --
    while IFS= read -r method; do
        set -- "$@" -method "$method"
    done < "$results/again"
    printf 'once more, alone: %s\n' "$(tr '\n' ' ' < "$results/again")"
    limited "$exe" -noLogo -noColor "$@" -xml "$results/again.xml" < /dev/null || return 1
    [ "$(attribute passed "$results/again.xml")" -gt 0 ] || return 1
    cat "$results/again" >> "$results/unsteady"
}

run_node_suite() {
    find tests dashboard -name node_modules -prune -o \( -name '*.test.mjs' -o -name '*.test.js' \) -print 2> /dev/null > "$results/node-tests"
    [ -s "$results/node-tests" ] || return 0
    say 'node'
    tap="$results/node.tap"
    # One process per file, so that a file that kills its process costs only itself.
    while IFS= read -r file; do
        play_node "$file"
        if [ "$bad" -gt 0 ] && [ "$bad" -le "${TEST_AGAIN:-3}" ]; then
            printf 'once more: %s\n' "$file"
            not_ok "$file" > "$results/again"
            play_node "$file"
            [ "$code" -eq 0 ] && cat "$results/again" >> "$results/unsteady"
        fi
        printf '%s: %s passed, %s failed\n' "$file" "${ok:-0}" "$bad"
        passed=$((passed + ${ok:-0}))
        failed=$((failed + bad))
        not_ok "$file" >> "$results/broken"
        [ "$code" -ne 0 ] && [ "$bad" -eq 0 ] && fail "$file ended with code $code"
    done < "$results/node-tests"
}

play_node() {
    limited node --test --test-reporter=tap "$1" < /dev/null > "$tap" 2>&1
    code=$?
    ok=$(sed -n 's/^# pass \([0-9][0-9]*\)$/\1/p' "$tap" | tail -n 1)
    bad=$(sed -n -e "s/^# fail \([0-9][0-9]*\)$/\1/p" -e "s/^# cancelled \([0-9][0-9]*\)$/\1/p" "$tap" | awk '{ n += $1 } END { print n + 0 }')
    [ "$code" -eq 0 ] || cat "$tap" >&2
}

not_ok() { sed -n "s|^ *not ok [0-9]* - |$1: |p" "$tap"; }

# Every fault of eng/chaos.sh for a few seconds, several at a time; what each lost and did twice is in its line. What breaks is played once more alone,
# as a test that fails is.
run_rounds() {
    say 'rounds'
    count_rounds '' ''
    # The gateways of all those share a PostgreSQL; these share a DynamoDB table.
    count_rounds ', dynamodb' kill --store dynamodb --replicas 2 --sessions 8
}

# What to say of them beside their name, their names (all without one), and options.
count_rounds() {
    kind=$1
    names=$2
    shift 2
    rounds="$results/rounds"
    # Word splitting is meant: $names and $again are lists.
    # shellcheck disable=SC2086
    play --short "$@" $names
    bad=$(grep -c '^[a-z-]*: \*\*broken' "$rounds")
    ok=$(grep -c '^[a-z-]*: kept in ' "$rounds")
    if [ "$bad" -gt 0 ] && [ "$bad" -le "${TEST_AGAIN:-3}" ]; then
        again=$(sed -n 's/^\([a-z-]*\): \*\*broken.*/\1/p' "$rounds" | tr '\n' ' ')
        printf 'once more, alone: %s%s\n' "$again" "$kind"
        # shellcheck disable=SC2086
        play --short --parallel 1 "$@" $again
        bad=$(grep -c '^[a-z-]*: \*\*broken' "$rounds")
        ok=$((ok + $(grep -c '^[a-z-]*: kept in ' "$rounds")))
        sed -n "s/^\([a-z-]*\): kept in .*/rounds: \1$kind/p" "$rounds" >> "$results/unsteady"
    fi
    sed -n "s/^\([a-z-]*\): \*\*broken.*/rounds: \1$kind/p" "$rounds" >> "$results/broken"
    passed=$((passed + ok))
    failed=$((failed + bad))
    if [ "$bad" -eq 0 ] && { [ "$code" -ne 0 ] || [ "$ok" -eq 0 ]; }; then
        fail "rounds$kind ended with code $code after $ok of them"
    fi
}

play() {
    { brief limited bench/Mooring.Chaos/bin/Release/net10.0/Mooring.Chaos "$@" < /dev/null; echo $? > "$rounds.code"; } | tee "$rounds"
    code=$(cat "$rounds.code")
}

if ! command -v dotnet > /dev/null 2>&1; then
    fail 'the .NET SDK is missing (version in global.json): https://dot.net'
    finish
fi

install_packages
install_node_modules

say 'build'
if ! dotnet build Mooring.slnx -c Release --nologo -v quiet < /dev/null; then
    fail 'the build'
    finish
fi

# The gateway that later suites start. What is compiled ahead takes a minute, in which other things can be tested.
./mooring version < /dev/null > "$results/gateway" 2>&1 &
gateway=$!

# Style and analyzers are part of the build; only layout is left.
if wanted format "$@"; then
    say 'format'
    if dotnet format whitespace . --folder --verify-no-changes --exclude .build < /dev/null; then
        passed=$((passed + 1))
    else
        fail 'layout; repair with: dotnet format whitespace . --folder'
    fi
fi

if wanted Mooring.Tests "$@"; then
    run_dotnet_suite Mooring.Tests
fi

if ! wait "$gateway"; then
    cat "$results/gateway" >&2
    fail 'the build of the gateway'
    finish
fi

if wanted Mooring.EndToEndTests "$@"; then
    brief run_dotnet_suite Mooring.EndToEndTests
fi

if wanted node "$@"; then
    run_node_suite
fi

if wanted rounds "$@"; then
    run_rounds
fi

finish
