"""redis-py with its parser in C (hiredis), as its users write it.

redis_py.py WORK PORT KEY COUNT [SIZE]; prints one line of name=value.
"""
import math
import os
import subprocess
import sys
import time

import redis

work, port, key, count = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
size = int(sys.argv[5]) if len(sys.argv) > 5 else 0
client = redis.Redis(host="127.0.0.1", port=port)
began = {}


def now():
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def server_cpu():
    info = client.info("cpu")
    return info["used_cpu_sys"] + info["used_cpu_user"]


def start():
    began["server"] = server_cpu()
    began["cpu"] = time.process_time()
    began["now"] = now()


def peak():
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])


def stop(entries, times=None, since=None):
    seconds = now() - (since or began["now"])
    cpu = time.process_time() - began["cpu"]
    line = (f"entries={entries} seconds={seconds:.9f} cpu={cpu:.6f} "
            f"server_cpu={server_cpu() - began['server']:.6f} peak={peak()}")
    if times:
        times.sort()
        line += (f" p50={times[len(times) // 2] * 1e6:.1f}"
                 f" p99={times[int(len(times) * 0.99)] * 1e6:.1f}")
    print(line)


def entry(number):
    names = ("event", "player", "room", "value")
    return {name: f"{number * 4 + i:016d}" for i, name in enumerate(names)}


def stamp_of(fields):
    return int(fields[b"event"]) / 1e7


def spawn_writer(what):
    return subprocess.Popen([os.environ["BENCH_WRITER"], what, str(port), key, str(count)])


def add():
    entries = [entry(i) for i in range(1000)]

    def calls(n):
        if size == 1:
            for i in range(n):
                client.xadd(key, entries[i % 1000])
            return
        for _ in range(0, n, size):
            pipeline = client.pipeline(transaction=False)
            for fields in entries[:size]:
                pipeline.xadd(key, fields)
            pipeline.execute()

    calls(count // 10)
    start()
    calls(count)
    stop(count)


def pages(limit, block=None):
    """The pages of the log, until there were so many entries, or it ends."""
    seen, last = 0, "0-0"
    while seen < limit:
        reply = client.xread({key: last}, count=1000, block=block)
        if reply:
            entries = reply[0][1]
            seen += len(entries)
            last = entries[-1][0]
            yield entries
        elif block is None:
            return


def follow():
    def read(limit):
        return sum(len(entries) for entries in pages(limit))

    read(min(20000, count))
    start()
    stop(read(count))


def tail_n():
    times = []

    def calls(n):
        times.clear()
        for _ in range(n):
            before = now()
            entries = client.xrevrange(key, count=100)
            times.append(now() - before)
            assert len(entries) == 100

    calls(math.ceil(count / 10))
    start()
    calls(count)
    stop(count * 100, times)


def latency():
    times = []
    start()
    writer = spawn_writer("ticks")
    for entries in pages(count, block=0):
        arrived = now()
        times += [arrived - stamp_of(fields) for _, fields in entries]
    stop(len(times), times)
    writer.wait()


def throughput():
    seen, first = 0, None
    start()
    writer = spawn_writer("batches")
    for entries in pages(count, block=0):
        first = first or stamp_of(entries[0][1])
        seen += len(entries)
    stop(seen, since=first)
    writer.wait()


works = {f.__name__: f for f in (add, follow, tail_n, latency, throughput)}
works[work]()
