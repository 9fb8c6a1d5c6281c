"""The exchange's official SDK, through its synchronous stream."""

from __future__ import annotations

import os

from upbit import Upbit

from benchmarks.clients.base import Meter, Task


def run(task: Task) -> None:
    """Iterate over the stream for ever."""
    if task.cafile:
        os.environ["SSL_CERT_FILE"] = task.cafile  # its stream takes no TLS options
    client = Upbit(base_url=task.url)
    meter = Meter(task)
    counter = meter.counter
    with client.ws_stream.subscribe(ticker=task.codes, trade=task.codes, orderbook=task.codes) as stream:
        meter.start()
        for _event in stream:
            counter[0] += 1
