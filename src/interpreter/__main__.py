from __future__ import annotations

import asyncio

from .contexts import Contexts
from .server import PORT, serve

asyncio.run(serve(Contexts(), lambda: print(f"the code interpreter is ready on port {PORT}", flush=True)))
