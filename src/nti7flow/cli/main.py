"""``nti7flow``: the commands, and how errors leave the program."""

from __future__ import annotations

import io
import logging
import sys

import typer

from nti7flow._version import __version__
from nti7flow.cli import (
    check,
    compare,
    count,
    deidentify,
    explain,
    export,
    gate,
    inspect,
    qc,
    replay,
    simulate,
    templates,
)
from nti7flow.cli.terminal import complain, log_to_stderr
from nti7flow.errors import Nti7flowError

app = typer.Typer(
    name="nti7flow",
    help="From FCS files to CD4, CD8 and CD19 counts, each with a status and a way to replay it.",
    epilog="Example: nti7flow gate tubes/ --template tbnk --out runs/first",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("check", epilog=check.EPILOG)(check.check)
app.command("deidentify", epilog=deidentify.EPILOG)(deidentify.deidentify)
app.command("qc", epilog=qc.EPILOG)(qc.qc)
app.command("gate", epilog=gate.EPILOG)(gate.gate)
app.command("count", epilog=count.EPILOG)(count.count)
app.command("explain", epilog=explain.EPILOG)(explain.explain)
app.command("compare", epilog=compare.EPILOG)(compare.compare)
app.command("replay", epilog=replay.EPILOG)(replay.replay)
app.command("inspect", epilog=inspect.EPILOG)(inspect.inspect)
app.command("export", epilog=export.EPILOG)(export.export)
app.command("simulate", epilog=simulate.EPILOG)(simulate.simulate)
app.add_typer(templates.app, name="templates")


def _version(value: bool) -> None:
    if value:
        print(f"nti7flow {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and exit."
    ),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Log what is done to standard error."),
) -> None:
    log_to_stderr(level=logging.INFO if verbose else logging.WARNING)


def main() -> None:
    """Run the command line: exit 0 clean, 1 user error, 2 usage, 3 finished with something to look at."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal or pipe without Unicode shows "?" for "−"
    try:
        app(prog_name="nti7flow")
    except (Nti7flowError, OSError) as error:
        complain(f"nti7flow: {error}")
        sys.exit(1)
