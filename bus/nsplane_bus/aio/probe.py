"""Whether somebody listens at an endpoint, as an event loop asks: over tcp the answer may take seconds."""

import asyncio

from ..errors import BusError
from ..protocol import TCP_SECONDS, is_ipc, why_unreachable
from ..reach import no_answer


class Probe:
    """Looks in another thread where it takes time: once at a time, for all who ask meanwhile."""

    def __init__(self) -> None:
        self._under_way: asyncio.Future[str | None] | None = None

    def start(self, endpoint: str) -> "asyncio.Future[str | None]":
        """The look that is under way, or one that begins now. It gives why nobody is to be reached, or None."""
        if self._under_way is None or self._under_way.done():
            loop = asyncio.get_running_loop()
            if is_ipc(endpoint):
                self._under_way = loop.create_future()
                self._under_way.set_result(why_unreachable(endpoint))
            else:
                self._under_way = loop.run_in_executor(None, why_unreachable, endpoint)
        return self._under_way

    async def why_unreachable(self, endpoint: str) -> str | None:
        """Why nobody is to be reached; None where somebody is, or where that is not known in time: names may be slow to be found,
        and the loop's threads busy."""
        look = self.start(endpoint)
        await asyncio.wait([look], timeout=TCP_SECONDS + 1)  # whoever is cancelled leaves it to the others
        return look.result() if look.done() and not look.cancelled() else None

    async def timed_out(self, endpoint: str, seconds: float) -> BusError:
        """What nsplane_bus.reach.timed_out() gives."""
        return no_answer(endpoint, seconds, await self.why_unreachable(endpoint))

    def close(self) -> None:
        if self._under_way is not None:
            self._under_way.cancel()
