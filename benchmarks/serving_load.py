"""Sends one gRPC request again and again over some connections; prints JSON.

    python serving_load.py PORT MODEL FILE CONNECTIONS SECONDS [PAUSE]

Writes HTTP/2 frames by hand, as h2load does: a client made with grpcio takes more
time than a server that is to be measured. A connection has one request on its way.
"""

import asyncio
import json
import struct
import sys
import time

import numpy as np

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
LARGEST = 2**31 - 1
FRAME = 16_384
REFUSED_PAUSE = 0.01  # as a client would that backs off


def frame(kind, flags, stream, payload):
    head = struct.pack(">I", len(payload))[1:] + bytes([kind, flags])
    return head + struct.pack(">I", stream) + payload


def text(value):
    return bytes([len(value)]) + value


def headers(path, port):
    """HPACK without a table: indexed where the standard has it, else literals."""
    return (
        b"\x83\x86\x04" + text(path) + b"\x01" + text(f"127.0.0.1:{port}".encode())
        + b"\x0f\x10" + text(b"application/grpc") + b"\x00" + text(b"te")
        + text(b"trailers")
    )  # fmt: skip


class Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, path, port, message, until, pause):
        body = b"\0" + struct.pack(">I", len(message)) + message
        self._headers = headers(path, port)
        self._parts = [body[n : n + FRAME] for n in range(0, len(body), FRAME)]
        self._size, self._window = len(body), 65_535
        self._until, self._pause = until, pause
        self._buffer, self._stream, self._waits = b"", 1, False
        self._answered = False
        self.times, self.statuses = [], {}
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self._transport = transport
        settings = struct.pack(">HIHI", 1, 0, 4, LARGEST)
        grown = struct.pack(">I", LARGEST - 65_535)
        transport.write(
            PREFACE + frame(SETTINGS, 0, 0, settings) + frame(WINDOW, 0, 0, grown)
        )
        self._send()

    def _send(self):
        if time.monotonic() >= self._until:
            self._transport.close()
            return
        self._waits = self._window < self._size
        if self._waits:
            return
        self._window -= self._size
        out = [frame(HEADERS, END_HEADERS, self._stream, self._headers)]
        for place, part in enumerate(self._parts):
            last = END_STREAM if place == len(self._parts) - 1 else 0
            out.append(frame(DATA, last, self._stream, part))
        self._answered = False
        self._begin = time.monotonic()
        self._transport.write(b"".join(out))

    def data_received(self, data):
        self._buffer += data
        while len(self._buffer) >= 9:
            size = int.from_bytes(self._buffer[:3], "big")
            if len(self._buffer) < 9 + size:
                return
            kind, flags = self._buffer[3], self._buffer[4]
            stream = int.from_bytes(self._buffer[5:9], "big")
            payload, self._buffer = self._buffer[9 : 9 + size], self._buffer[9 + size :]
            self._frame(kind, flags, stream, payload)

    def _frame(self, kind, flags, stream, payload):
        if kind == DATA:
            self._answered = True
        elif kind == SETTINGS and not flags & ACK:
            self._transport.write(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self._transport.write(frame(PING, ACK, 0, payload))
        elif kind == WINDOW and stream == 0:
            self._window += int.from_bytes(payload, "big")
            if self._waits:
                self._send()
        elif kind == GOAWAY:
            self._transport.close()
        if kind == HEADERS and flags & END_STREAM:
            self._ended(payload)

    def _ended(self, trailers):
        now = time.monotonic()
        pause = self._pause
        if self._answered:
            self.times.append((self._begin, now - self._begin))
        else:
            place = trailers.find(b"grpc-status") + len(b"grpc-status")
            status = trailers[place + 1 : place + 1 + trailers[place]].decode()
            self.statuses[status] = self.statuses.get(status, 0) + 1
            pause = REFUSED_PAUSE
        self._stream += 2
        if pause:
            asyncio.get_running_loop().call_later(pause, self._send)
        else:
            self._send()

    def connection_lost(self, error):
        if not self.done.done():
            self.done.set_result(None)


async def load(port, path, message, connections, seconds, pause):
    loop = asyncio.get_running_loop()
    until = time.monotonic() + seconds
    callers = [Caller(path, port, message, until, pause) for _ in range(connections)]
    for caller in callers:
        await loop.create_connection(lambda caller=caller: caller, "127.0.0.1", port)
    await asyncio.gather(*(caller.done for caller in callers))
    statuses = {}
    for caller in callers:
        for status, count in caller.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    return [one for caller in callers for one in caller.times], statuses


def main():
    port, model, file, connections, seconds, *more = sys.argv[1:]
    pause = float(more[0]) if more else 0.0
    with open(file, "rb") as opened:
        message = opened.read()
    begin = time.monotonic()
    times, statuses = asyncio.run(
        load(
            int(port),
            b"/tensorflow.serving.PredictionService/Predict",
            message,
            int(connections),
            float(seconds),
            pause,
        )
    )
    spent = time.monotonic() - begin
    milliseconds = np.array([one[1] for one in times]) * 1000
    answer = {
        "requests": len(times),
        "per_second": round(len(times) / spent, 1),
        "refused": statuses,
        "model": model,
    }
    if len(times):
        for name, q in (("p50_ms", 50), ("p99_ms", 99), ("max_ms", 100)):
            answer[name] = round(float(np.percentile(milliseconds, q)), 3)
    if pause:
        answer["times"] = [[round(b, 4), round(s * 1000, 3)] for b, s in times]
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
