"""The doubles that this package is tested with, for your own tests: a server that follows a script to the byte, a proxy
with a bad network inside, a clock that moves when told, and certificates good and bad.

All of them work on the loopback interface and leave neither thread nor descriptor behind when closed.
"""

from __future__ import annotations

from upbit_ws.testing.certificates import CertificateAuthority
from upbit_ws.testing.conversation import Conversation, ReceivedFrame, Request, server_frame
from upbit_ws.testing.fault_proxy import FaultProxy, ProxyCounters
from upbit_ws.testing.manual_clock import ManualClock
from upbit_ws.testing.scripted_server import ScriptedServer

__all__ = [
    "CertificateAuthority",
    "Conversation",
    "FaultProxy",
    "ManualClock",
    "ProxyCounters",
    "ReceivedFrame",
    "Request",
    "ScriptedServer",
    "server_frame",
]
