"""The works on CPython's asyncio:  works.py WORK N

The idiom is that of the Python library reference, "Queues" (put, get, put_nowait,
get_nowait), "Coroutines and Tasks" (create_task, wait_for, sleep) and "Runners" (run).
What each work means: bench/README.md.
"""
import asyncio
import gc
import sys
import time

now = time.perf_counter


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


async def nowait(n):
    q, total = asyncio.Queue(), 0
    start = now()
    for i in range(1, n + 1):
        q.put_nowait(i)
        total += q.get_nowait()
    return now() - start, total


async def await_(n):
    q, total = asyncio.Queue(), 0
    start = now()
    for i in range(1, n + 1):
        await q.put(i)
        total += await q.get()
    return now() - start, total


async def echo(n, ping, pong):
    for _ in range(n):
        await pong.put(await ping.get())


async def pingpong(n):
    ping, pong, total = asyncio.Queue(1), asyncio.Queue(1), 0
    task = asyncio.create_task(echo(n, ping, pong))
    start = now()
    for i in range(1, n + 1):
        await ping.put(i)
        total += await pong.get()
    seconds = now() - start
    await task
    return seconds, total


async def produce(first, n, step, q):
    for i in range(first, n + 1, step):
        await q.put(i)


async def pipe(n, maxsize):
    q, total = asyncio.Queue(maxsize), 0
    task = asyncio.create_task(produce(1, n, 1, q))
    start = now()
    for _ in range(n):
        total += await q.get()
    seconds = now() - start
    await task
    return seconds, total


async def pipe100(n):
    return await pipe(n, 100)


async def pipe1(n):
    return await pipe(n, 1)


async def consume(n, q):
    total = 0
    for _ in range(n):
        total += await q.get()
    return total


async def mpmc(n):
    q = asyncio.Queue(10)
    start = now()
    producers = [asyncio.create_task(produce(p, n, 10, q)) for p in range(1, 11)]
    consumers = [asyncio.create_task(consume(n // 10, q)) for _ in range(10)]
    totals = await asyncio.gather(*consumers)
    seconds = now() - start
    await asyncio.gather(*producers)
    return seconds, sum(totals)


async def spawn_batches(n, batch):
    q, total = asyncio.Queue(), 0
    start = now()
    for first in range(1, n + 1, batch):
        # The reference asks to keep a reference to each task.
        tasks = [asyncio.create_task(q.put(i)) for i in range(first, first + batch)]
        for _ in tasks:
            total += await q.get()
    return now() - start, total


async def spawn100(n):
    return await spawn_batches(n, 100)


async def spawn(n):
    return await spawn_batches(n, 100000)


async def ready(n):
    q, total = asyncio.Queue(), 0
    start = now()
    for i in range(1, n + 1):
        await q.put(i)
        total += await asyncio.wait_for(q.get(), 1)
    return now() - start, total


async def timeout(n):
    ping, pong, total = asyncio.Queue(1), asyncio.Queue(1), 0
    task = asyncio.create_task(echo(n, ping, pong))
    start = now()
    for i in range(1, n + 1):
        await ping.put(i)
        total += await asyncio.wait_for(pong.get(), 1)
    seconds = now() - start
    await task
    return seconds, total


async def ring(n, size):
    queues, finished, total = [asyncio.Queue(1) for _ in range(size)], asyncio.Queue(), 0

    async def member(source, target):
        nonlocal total
        while True:
            hops = await source.get()
            total += hops
            if hops == 1:
                await finished.put(True)
            else:
                await target.put(hops - 1)

    tasks = [asyncio.create_task(member(queues[i], queues[(i + 1) % size])) for i in range(size)]
    await queues[0].put(size)  # one lap before the clock starts
    await finished.get()
    total = 0
    start = now()
    await queues[0].put(n)
    await finished.get()
    seconds = now() - start
    for task in tasks:
        task.cancel()
    return seconds, total


async def ring100(n):
    return await ring(n, 100)


async def ring10000(n):
    return await ring(n, 10000)


async def ring100000(n):
    return await ring(n, 100000)


async def memory(n):
    q, total = asyncio.Queue(), 0

    async def blocked():
        nonlocal total
        i = await q.get()
        total += i

    gc.collect()
    before, start = resident(), now()
    tasks = [asyncio.create_task(blocked()) for _ in range(n)]
    await asyncio.sleep(0)
    gc.collect()
    size = (resident() - before) / n
    for i in range(1, n + 1):
        await q.put(i)
    await asyncio.gather(*tasks)
    return now() - start, total, ',"bytes_per_op":%.1f' % size


async def sleepers(n):
    total = last = 0

    async def sleeper(i):
        nonlocal total, last
        if i == n:  # tasks start in order of creation
            last = now()
        await asyncio.sleep(1)
        total += i

    start, cpu = now(), time.process_time()
    await asyncio.gather(*[asyncio.create_task(sleeper(i)) for i in range(1, n + 1)])
    stop, us = now(), (time.process_time() - cpu) / n * 1e6
    return stop - start, total, ',"cpu_us_per_op":%.3f,"wall_s":%.4f' % (us, stop - last)


WORKS = (nowait, pingpong, pipe100, pipe1, mpmc, spawn100, spawn, ready, timeout,
         ring100, ring10000, ring100000, memory, sleepers)


def main():
    work, n = sys.argv[1], int(sys.argv[2])
    function = {f.__name__: f for f in WORKS}.get(work, await_)
    seconds, total, *extra = asyncio.run(function(n))
    assert total == n * (n + 1) // 2, "checksum"
    print('{"work":"%s","ops":%d,"ns_per_op":%.3f,"checksum":%d%s}'
          % (work, n, seconds / n * 1e9, total, "".join(extra)))


if __name__ == "__main__":
    main()
