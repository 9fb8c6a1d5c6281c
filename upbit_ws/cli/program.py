"""From arguments to an exit status. Whatever goes wrong becomes one line on stderr."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

import click

from upbit_ws.cli.commands import commands
from upbit_ws.exceptions import UpbitWebSocketError

__all__ = ["run"]

FAILED = 1
USED_WRONGLY = 2
INTERRUPTED = 130


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    # Nothing that a library logs may tear the table or mix with the lines; without a handler Python prints warnings.
    if not logging.getLogger().handlers:
        logging.getLogger().addHandler(logging.NullHandler())
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        # Not `commands.main`, which prints on Ctrl-C and makes an error of a reader that leaves.
        with commands.make_context("upbit-ws", words) as context:
            commands.invoke(context)
    except click.exceptions.Exit as done:
        return done.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_left()
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else "upbit-ws"
        return _fail(f"{error.format_message()} (see `{where} --help`)", USED_WRONGLY)
    except click.ClickException as error:
        return _fail(error.format_message(), FAILED)
    except (UpbitWebSocketError, OSError) as error:
        return _fail(str(error), FAILED)
    except Exception as error:
        if os.environ.get("UPBIT_WS_DEBUG"):
            raise
        return _fail(f"unexpected {type(error).__name__}: {error} (UPBIT_WS_DEBUG=1 shows where)", FAILED)
    return 0


def _fail(message: str, status: int) -> int:
    print("upbit-ws:", " ".join(message.split()), file=sys.stderr)
    return status


def _reader_left() -> int:
    """`upbit-ws watch KRW-BTC | head -1` is no error. What is still buffered goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
    return 0
