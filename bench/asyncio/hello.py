import asyncio


async def main():
    q = asyncio.Queue()
    task = asyncio.create_task(q.put("hello"))
    print(await q.get())
    await task


asyncio.run(main())
