#!/bin/sh
# redis-benchmark with one connection: redis_benchmark.sh add PORT KEY COUNT SIZE
# SIZE commands in a pipeline. Prints one line of name=value; its CPU time is
# known to 10 ms only.
set -eu

port=$2 key=$3 count=$4 size=$5
value=0000000000001234

file=$(mktemp)
trap 'rm -f "$file"' EXIT

# Seconds of CPU that the server has taken.
server() {
  redis-cli -p "$port" info cpu | tr -d '\r' |
    awk -F : '/^used_cpu_(sys|user):/ { s += $2 } END { printf "%.6f", s }'
}

before=$(server)
{
  times
  redis-benchmark -p "$port" -c 1 -P "$size" -n "$count" --csv XADD "$key" '*' \
    event $value player $value room $value value $value
  times
} >"$file"
echo "$count $before $(server)" >>"$file"

# Of what times prints, every second line is of the shell's children.
awk -F '","' '
  /XADD/ { rate = $2 }
  /^[0-9]+m/ {
    gsub(/[ms]/, " ")
    split($0, t, " ")
    cpu[++lines] = t[1] * 60 + t[2] + t[3] * 60 + t[4]
  }
  { last = $0 }
  END {
    split(last, n, " ")
    printf "entries=%d seconds=%.9f cpu=%.2f server_cpu=%.6f\n", n[1], n[1] / rate,
      cpu[4] - cpu[2], n[3] - n[2]
  }' "$file"
