"""Touches the network: the only folder that imports `socket`, `ssl`, `requests` and `websocket`.

Reading order: `wakeup` and `poller` (waiting), `tls`, `proxy`, `connect`, `target`, `dial` (opening), `transport` (an
open connection), `rest`. Nothing here makes a thread or a lock, and each object belongs to the thread that uses it.
"""
