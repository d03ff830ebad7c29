"""TCP proxies that can be told to misbehave: one between each agent and the IMS, and one in front of the registry."""
import asyncio
import threading

# What a proxy does to the bytes of all its connections, old and new:
PASS = "pass"
STALL = "stall"    # keeps them, and delivers them when it is over: requests arrive late
HOLE = "hole"      # swallows them, both ways; the connections break when it is over
DEAF = "deaf"      # passes requests and swallows answers; the connections break when it is over
CUT = "cut"        # breaks every connection, and those that are made
FAULTS = (STALL, HOLE, DEAF, CUT)


class Proxy:
    """Its methods may be called by any thread."""

    def __init__(self, network, port, target_port):
        self.network, self.port, self.target_port = network, port, target_port
        self.mode, self.flowing, self.writers = PASS, asyncio.Event(), set()
        self.flowing.set()

    def set(self, mode):
        asyncio.run_coroutine_threadsafe(self.change(mode), self.network.loop).result(10)

    async def change(self, mode):
        if mode == CUT or self.mode in (HOLE, DEAF):
            self.break_all()
        self.mode = mode
        self.flowing.clear() if mode == STALL else self.flowing.set()

    def break_all(self):
        for writer in list(self.writers):
            writer.transport.abort()

    async def serve(self):
        self.server = await asyncio.start_server(self.connected, "127.0.0.1", self.port)

    async def connected(self, reader, writer):
        self.writers.add(writer)
        other = None
        try:
            if self.mode == CUT:
                return
            await self.flowing.wait()
            there, other = await asyncio.open_connection("127.0.0.1", self.target_port)
            self.writers.add(other)
            done, rest = await asyncio.wait([asyncio.ensure_future(self.pump(reader, other, answers=False)),
                                             asyncio.ensure_future(self.pump(there, writer, answers=True))])
        except OSError:
            pass  # nobody listens there now
        finally:
            for end in filter(None, (writer, other)):
                self.writers.discard(end)
                end.transport.abort()

    async def pump(self, reader, writer, answers):
        try:
            while data := await reader.read(65536):
                await self.flowing.wait()
                if self.mode == HOLE or (self.mode == DEAF and answers):
                    continue
                writer.write(data)
                await writer.drain()
            await self.flowing.wait()
            writer.write_eof()
        except (OSError, RuntimeError):  # RuntimeError: it was aborted meanwhile
            writer.transport.abort()


class Network:
    """The thread that runs all proxies."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.proxies = []

    def proxy(self, port, target_port):
        async def make():
            proxy = Proxy(self, port, target_port)
            await proxy.serve()
            return proxy

        self.proxies.append(asyncio.run_coroutine_threadsafe(make(), self.loop).result(10))
        return self.proxies[-1]

    def close(self):
        async def end():
            for proxy in self.proxies:
                proxy.server.close()
                proxy.break_all()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()
