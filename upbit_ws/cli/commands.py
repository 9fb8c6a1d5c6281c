"""The commands and their options."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click
from attrs import evolve
from rich.console import Console
from rich.table import Table

from upbit_ws._version import __version__
from upbit_ws.cli.feed import Feed
from upbit_ws.cli.lines import print_lines, write_line
from upbit_ws.cli.screen import show
from upbit_ws.cli.table import KOREAN, WESTERN, Palette
from upbit_ws.config import ConnectionConfig, WebSocketConfig
from upbit_ws.exceptions import InvalidArgumentError
from upbit_ws.symbols import is_pattern, normalize_symbols, quote_currency
from upbit_ws.types import DataType, Endpoint, WireFormat
from upbit_ws.wire.rest import RestClient

if TYPE_CHECKING:
    from upbit_ws.sandbox import Sandbox

__all__ = ["commands"]

_DEMO_MARKETS = ("KRW-BTC", "KRW-ETH", "KRW-XRP", "KRW-SOL", "KRW-DOGE", "KRW-SHIB", "BTC-ETH", "USDT-BTC")
_PALETTES = {"western": WESTERN, "korean": KOREAN}

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _data_type(context: click.Context, parameter: click.Parameter, value: str) -> DataType:
    """A public data type by its name at Upbit."""
    try:
        data_type = DataType.parse(value)
    except InvalidArgumentError:
        data_type = None
    if data_type is None or data_type.endpoint is not Endpoint.PUBLIC:
        names = ", ".join(member.wire_name for member in DataType if member.endpoint is Endpoint.PUBLIC)
        raise click.BadParameter(f"{value!r} is none of {names}.", context, parameter)
    return data_type


def _watching(command: _Command) -> _Command:
    """The options that `demo` and `watch` share."""
    for option in (
        click.option("--colours", "--colors", type=click.Choice(list(_PALETTES)), default="western", show_default=True,
                     help="Colours of a rise and a fall: green and red, or red and blue as on Korean screens."),
        click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="End by itself after so long."),
        click.option("--type", "data_type", callback=_data_type, metavar="TYPE", default="ticker", show_default=True,
                     help="ticker, trade, orderbook, candle.1s, candle.1m, ... candle.240m."),
        click.option("--format", "wire_format", default="DEFAULT", show_default=True,
                     type=click.Choice([member.value for member in WireFormat], case_sensitive=False),
                     help="How the exchange is asked to write its messages. What is shown does not depend on it."),
    ):  # fmt: skip
        command = option(command)
    return command


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "UPBIT_WS"},
)
@click.version_option(__version__, "-V", "--version", message="upbit-ws %(version)s")
@click.pass_context
def commands(context: click.Context) -> None:
    """Live Upbit prices in the terminal: a table on a screen, one JSON object a line in a pipe."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@commands.command()
@click.argument("markets", nargs=-1, metavar="[MARKET]...")
@click.option(
    "--rate",
    type=click.FloatRange(0, 5000),
    default=200.0,
    show_default=True,
    help="Messages a second that the simulated exchange sends.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed is another market.")
@_watching
def demo(
    markets: tuple[str, ...],
    rate: float,
    seed: int,
    data_type: DataType,
    wire_format: str,
    seconds: float | None,
    colours: str,
) -> None:
    """Watch a simulated exchange that runs on this machine. Needs no network."""
    symbols = _symbols(markets or _DEMO_MARKETS)
    listed = None if any(is_pattern(symbol) for symbol in symbols) else symbols
    with _sandbox(rate=rate, seed=seed, markets=listed) as sandbox:
        title = f"Simulated exchange at {sandbox.url} - the prices are invented"
        _watch(data_type, symbols, _config(sandbox.url, wire_format), title, _PALETTES[colours], seconds)


@commands.command()
@click.argument("markets", nargs=-1, required=True, metavar="MARKET...")
@click.option("--base-url", help="Another host: a region, or a sandbox.  [default: UPBIT_BASE_URL, else api.upbit.com]")
@_watching
def watch(
    markets: tuple[str, ...],
    base_url: str | None,
    data_type: DataType,
    wire_format: str,
    seconds: float | None,
    colours: str,
) -> None:
    """Watch markets of the real exchange: `upbit-ws watch KRW-BTC KRW-ETH`, or "KRW-*" for all of a currency."""
    config = _config(base_url, wire_format)
    title = f"Upbit {data_type.wire_name} from {config.connection.base_url}"
    _watch(data_type, _symbols(markets), config, title, _PALETTES[colours], seconds)


@commands.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="0 takes a free one.")
@click.option("--rate", type=click.FloatRange(0, 5000), default=200.0, show_default=True, help="Messages a second.")
@click.option("--markets", help="Markets, separated by commas, or how many to make up.  [default: 30 well-known ones]")
@click.option("--seed", type=int, default=1, show_default=True, help="Another seed is another market.")
@click.option("--seconds", type=click.FloatRange(min=0, min_open=True), help="End by itself after so long.")
def sandbox(host: str, port: int, rate: float, markets: str | None, seed: int, seconds: float | None) -> None:
    """Serve the simulated exchange until Ctrl-C, for your own programs and tests."""
    settings: dict[str, Any] = {"host": host, "port": port, "rate": rate, "seed": seed}
    if markets is not None:
        settings |= {"market_count": int(markets)} if markets.isdigit() else {"markets": _symbols(markets.split(","))}
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # `docker stop` and `kill` end it as Ctrl-C does
    with _sandbox(**settings) as server:
        _announce(server.url)
        try:
            _wait(seconds)
        except KeyboardInterrupt:
            return


@commands.command()
@click.option("--quote", help="Only those traded against this currency: KRW, BTC, USDT.")
@click.option("--base-url", help="Another host: a region, or a sandbox.  [default: UPBIT_BASE_URL, else api.upbit.com]")
def markets(quote: str | None, base_url: str | None) -> None:
    """List the markets that the exchange has now."""
    config = _config(base_url)
    rest = RestClient(config.connection.rest_url)
    try:
        found = [market for market in rest.markets() if quote is None or _is_quoted_in(market, quote)]
    finally:
        rest.close()
    if not found:
        raise click.ClickException(f"{config.connection.base_url} has no markets in {quote}")
    names = ("market", "korean_name", "english_name")
    if not sys.stdout.isatty():
        for market in found:
            write_line({name: market.get(name) for name in names})
        return
    table = Table("Market", "Korean name", "English name", box=None, pad_edge=False, header_style="dim")
    for market in found:
        table.add_row(*(str(market.get(name, "")) for name in names))
    Console().print(table)


def _is_quoted_in(market: Mapping[str, Any], quote: str) -> bool:
    return quote_currency(str(market["market"])) == quote.upper()


def _watch(
    data_type: DataType,
    symbols: Sequence[str],
    config: WebSocketConfig,
    title: str,
    palette: Palette,
    seconds: float | None,
) -> None:
    with Feed(data_type, symbols, config) as feed:
        if not sys.stdout.isatty():
            print_lines(feed, seconds)
        elif not show(feed, title, palette, seconds, Console()):
            raise click.ClickException(feed.why_nothing_came())


def _symbols(markets: Sequence[str]) -> tuple[str, ...]:
    try:
        return normalize_symbols(markets, "MARKET")
    except InvalidArgumentError as error:
        raise click.UsageError(str(error)) from None


def _config(base_url: str | None, wire_format: str = "DEFAULT") -> WebSocketConfig:
    connection = ConnectionConfig(base_url=base_url) if base_url else ConnectionConfig()
    return WebSocketConfig(connection=evolve(connection, wire_format=wire_format))


def _sandbox(**settings: Any) -> Sandbox:
    try:
        from upbit_ws.sandbox import Sandbox, SandboxConfig
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f'the simulated exchange needs {error.name}: pip install "upbit-ws[sandbox]"'
        ) from None
    return Sandbox(SandboxConfig(**settings))


def _announce(url: str) -> None:
    if not sys.stdout.isatty():
        write_line({"url": url})
        return
    click.echo(f"The simulated exchange is at {url}")
    click.echo(f"In another terminal: upbit-ws watch KRW-BTC --base-url {url}")
    click.echo("Ctrl-C ends it.")


def _wait(seconds: float | None) -> None:
    never = threading.Event()
    if seconds is not None:
        never.wait(seconds)
        return
    while not never.wait(1.0):  # in steps, because a wait without end cannot be interrupted on Windows
        pass
