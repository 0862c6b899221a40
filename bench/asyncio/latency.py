"""The same as bench/latency.lua, on asyncio:  latency.py [SECONDS [MAXSIZE]]

Python library reference, "Queues" and "Coroutines and Tasks". A sleep may end early here
by the clock's resolution, so lateness may be slightly negative.
"""
import asyncio
import math
import sys
import time

now = time.perf_counter


async def produce(q):
    i = 0
    while True:
        i += 1
        await q.put(i)


async def main(seconds, maxsize):
    q, items, late = asyncio.Queue(maxsize), 0, []

    async def consume():
        nonlocal items
        while True:
            await q.get()
            items += 1

    tasks = [asyncio.create_task(produce(q)), asyncio.create_task(consume())]
    start = now()
    while now() - start < seconds:
        due = now() + 0.001
        await asyncio.sleep(0.001)
        late.append((now() - due) * 1e6)
    rate = items / (now() - start)
    for task in tasks:
        task.cancel()
    late.sort()
    print('{"ticks":%d,"p50_us":%.1f,"p99_us":%.1f,"max_us":%.1f,"items_per_s":%.0f}' % (
        len(late), late[(len(late) - 1) // 2], late[math.ceil(len(late) * 0.99) - 1], late[-1], rate))


asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 2,
                 int(sys.argv[2]) if len(sys.argv) > 2 else 100))
