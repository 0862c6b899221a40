"""The hello of bench/asyncio on uvloop's loop (its README, "Using uvloop": install)."""
import os
import runpy

import uvloop

uvloop.install()
asyncio_dir = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "asyncio")
runpy.run_path(os.path.join(asyncio_dir, "hello.py"), run_name="__main__")
