"""The same as bench/latency.lua, on asyncio:  latency.py [SECONDS [MAXSIZE]]

Python library reference, "Queues", "Coroutines and Tasks", "Event Loop" (add_reader). A sleep may
end early here by the clock's resolution, so lateness may be slightly negative.
"""
import asyncio
import math
import os
import struct
import subprocess
import sys
import time

now = time.monotonic


async def produce(q):
    i = 0
    while True:
        i += 1
        await q.put(i)


def read_stamps(late):
    aqlua = os.environ.get("AQLUA", "./aqlua")
    writer = subprocess.Popen([aqlua, "bench/stamps.lua"], stdout=subprocess.PIPE, bufsize=0)
    pipe = writer.stdout.fileno()
    os.set_blocking(pipe, False)

    def on_readable():
        stamps, at = os.read(pipe, 65536), now()
        late.extend((at - sent) * 1e6 for (sent,) in struct.iter_unpack("<d", stamps))

    asyncio.get_running_loop().add_reader(pipe, on_readable)

    def stop():
        asyncio.get_running_loop().remove_reader(pipe)
        writer.kill()
        writer.wait()

    return stop


def summary(late):
    late.sort()
    return '{"count":%d,"p50_us":%.1f,"p99_us":%.1f,"max_us":%.1f}' % (
        len(late), late[(len(late) - 1) // 2], late[math.ceil(len(late) * 0.99) - 1], late[-1])


async def main(seconds, maxsize):
    q, items, timer, io = asyncio.Queue(maxsize), 0, [], []

    async def consume():
        nonlocal items
        while True:
            await q.get()
            items += 1

    tasks = [asyncio.create_task(produce(q)), asyncio.create_task(consume())]
    stop = read_stamps(io)
    start = now()
    while now() - start < seconds:
        due = now() + 0.001
        await asyncio.sleep(0.001)
        timer.append((now() - due) * 1e6)
    rate = items / (now() - start)
    stop()
    for task in tasks:
        task.cancel()
    print('{"timer":%s,"io":%s,"items_per_s":%.0f}' % (summary(timer), summary(io), rate))


asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 2,
                 int(sys.argv[2]) if len(sys.argv) > 2 else 100))
