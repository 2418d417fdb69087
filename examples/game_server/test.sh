#!/bin/sh
# Runs the game server against a Redis of its own, with another process adding
# to the same logs; stops Redis for a while, and then looks at what the game
# reports.
#
# usage: test.sh path/to/game_server [ticks]
# GAME_WRAPPER: what to run it under, such as "valgrind -q --error-exitcode=9"
set -eu

game=$1
ticks=${2:-180}
dir=$(mktemp -d)
socket=$dir/redis.sock
redis='' writer='' server=''

# Everything that was started ends, whatever state it is in.
cleanup() {
  trap '' HUP INT TERM
  : > "$dir/done"
  [ -z "$server" ] || kill -KILL "$server" 2> /dev/null || :
  if [ -n "$redis" ]; then
    kill -CONT "$redis" 2> /dev/null || :
    [ -z "$writer" ] || wait "$writer" || :
    kill -TERM "$redis" 2> /dev/null || :
    wait "$redis" || :
  fi
  rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' HUP INT TERM

fail() {
  echo "FAILED: $*"
  cat "$dir/out" "$dir/err" 2> /dev/null
  exit 1
}

cli() {
  redis-cli -s "$socket" "$@"
}

# wait_for WHAT COMMAND...: until the command succeeds. The limit only ends what
# would hang.
wait_for() {
  what=$1
  shift
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || fail "waited too long for $what"
    [ -z "$server" ] || kill -0 "$server" 2> /dev/null || "$@" ||
      fail "the game ended while waiting for $what"
    sleep 0.05
  done
}

answers() {
  [ "$(cli PING 2> /dev/null)" = PONG ]
}

has_entries() {
  [ "$(cli XLEN scores)" -ge 250 ]
}

# The last tick that the game told of.
tick() {
  last=$(sed -n 's/^tick //p' "$dir/out" | tail -n 1)
  echo "${last:-0}"
}

has_ticked() {
  [ "$(tick)" -ge "$1" ]
}

has_reported() {
  grep -q '^report frames' "$dir/out"
}

# Adds one event to each log, over and over, until told to end. The first ones
# come at once: more than one batch of a follower.
write() {
  n=0
  while [ ! -e "$dir/done" ] && [ "$n" -lt 5000 ]; do
    n=$((n + 1))
    for log in moves chat scores; do
      echo "XADD $log * from bot n $n"
    done
    [ "$n" -lt 250 ] || sleep 0.01
  done
}

redis-server --port 0 --unixsocket "$socket" --save '' --dir "$dir" \
  --logfile "$dir/redis.log" &
redis=$!
wait_for "Redis" answers

write | redis-cli -s "$socket" > "$dir/written" &
writer=$!
wait_for "the first events" has_entries

: > "$dir/out"
${GAME_WRAPPER:-} "$game" "unix://$socket" "$ticks" > "$dir/out" 2> "$dir/err" &
server=$!

# Redis is stopped, and goes on only when the game has ticked on for a second.
wait_for "the game" has_ticked 30
kill -STOP "$redis"
stopped_at=$(tick)
wait_for "ticks while Redis is stopped" has_ticked $((stopped_at + 60))
kill -CONT "$redis"

wait_for "the game's end" has_reported
status=0
wait "$server" || status=$?
server=''
[ "$status" = 0 ] || fail "the game ended with status $status"
[ ! -s "$dir/err" ] || fail "the game complained"
: > "$dir/done"
wait "$writer"
writer=''

# report LINE KEY: a value of the game's report
report() {
  sed -n "s/^report $1 .*$2=\\([^ ]*\\).*/\\1/p" "$dir/out"
}

# in_redis LOG LAST_ID FROM: how many of a sender's events the log has up to an
# id; of all senders, where FROM is *
in_redis() {
  cli EVAL "
    local n = 0
    for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', ARGV[1])) do
      for i = 1, #entry[2], 2 do
        local from = entry[2][i] == 'from' and entry[2][i + 1]
        if from and (ARGV[2] == '*' or from == ARGV[2]) then n = n + 1 end
      end
    end
    return n" 1 "$1" "$2" "$3"
}

me=$(report sender name)
reports=$(grep '^report' "$dir/out")
written=$(($(grep -c '^[0-9]*-[0-9]*$' "$dir/written") / 3))
for log in moves chat scores; do
  seen=$(report $log seen)
  added=$(report $log added)
  last_id=$(report $log last_id)
  # Numbered events, each the next of its sender, and as many as there are:
  # each once, and in order.
  [ "$(report $log wrong)" = 0 ] || fail "$log: events not in order"
  [ "$seen" = "$(in_redis $log "$last_id" '*')" ] || fail "$log: saw $seen events"
  [ "$(in_redis $log "$last_id" bot)" -gt 0 ] || fail "$log: none of the bot's"
  [ "$added" -gt 0 ] || fail "$log: added nothing"
  [ "$added" = "$(in_redis $log + "$me")" ] || fail "$log: added $added"
  [ "$(cli XLEN $log)" = $((added + written)) ] || fail "$log: adds are missing"
done
[ "$(report moves added)" = "$ticks" ] || fail "not an add a tick"
# What gathered while Redis was stopped went as one.
[ "$(report moves largest)" -gt 1 ] || fail "no tick waited for another's add"

# A frame that waits for Redis puts the process to sleep, as does now and then
# a page that comes from a disk.
count=$(report frames count)
[ "$count" -ge "$ticks" ] || fail "only $count ticks"
[ $(($(report frames slept_in) * 4)) -lt "$count" ] || fail "frames slept"

# Another run on the same logs sees all that is there, and nothing wrong in it.
"$game" "unix://$socket" 30 > "$dir/out" 2> "$dir/err" || fail "the second run"
for log in moves chat scores; do
  [ "$(report $log wrong)" = 0 ] || fail "$log: the second run takes events for wrong"
  [ "$(report $log seen)" = "$(cli XLEN $log)" ] || fail "$log: the second run missed some"
done

# Without a Redis it says so, in one line.
! "$game" "unix://$dir/none.sock" 30 > "$dir/out" 2> "$dir/err" || fail "no Redis, no error"
[ "$(wc -l < "$dir/err")" = 1 ] || fail "no Redis, and not one line"
grep -q 'redis-server starts one' "$dir/err" || fail "no Redis, and no word of how to start one"

printf '%s\n' "$reports"
echo "passed: Redis was stopped from tick $stopped_at on, for 60 ticks"
