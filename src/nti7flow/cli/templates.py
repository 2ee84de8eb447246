"""``nti7flow templates``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nti7flow.cli.gate import MARKER_HELP, parse_markers
from nti7flow.cli.terminal import plain, say

app = typer.Typer(
    help="List, show and check gating templates.",
    epilog="Examples: nti7flow templates list; nti7flow templates show tbnk; "
    "nti7flow templates new --from tube.fcs --out my.yaml; nti7flow templates check my.yaml",
    rich_markup_mode=None,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def _default(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_templates()


@app.command("list")
def list_templates() -> None:
    """List the released templates."""
    from nti7flow.gating.template import load_template, released_templates

    released = released_templates()
    width = max(16, *(len(reference) for reference in released))
    for reference, path in released.items():
        say(f"{reference:<{width}} {load_template(path).spec.title}")


@app.command("show")
def show(template: Annotated[str, typer.Argument(help="Released template or path of a YAML file.")]) -> None:
    """Print a template as it is written, comments included: a copy is where a template of one's own begins."""
    from nti7flow.gating.template import template_path

    text = template_path(template).read_text(encoding="utf-8")
    print("\t".join(map(plain, text.split("\t"))), end="")


@app.command("new")
def new(
    source: Annotated[Path, typer.Option("--from", help="An FCS file with the panel.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Where to write it; nothing is overwritten. [default: print it]")
    ] = None,
    marker: Annotated[list[str] | None, typer.Option("--marker", help=MARKER_HELP)] = None,
    data_set: Annotated[int, typer.Option(min=0, help="Data set of a file that holds several, from 0.")] = 0,
) -> None:
    """Draft a template from the panel of a tube: a place to begin, with a comment for every block."""
    from nti7flow.events.fcs import read_fcs
    from nti7flow.gating.draft import SCHEMA_PATH, draft_template

    _check_free(out)
    sample, markers = read_fcs(source, data_set=data_set), parse_markers(marker or ())
    if out is None:
        print(plain(draft_template(sample, markers=markers)), end="")
        return
    schema = _schema_seen_from(out) or SCHEMA_PATH
    text = draft_template(sample, name=out.stem, markers=markers, schema=schema)
    _check_free(out)
    with out.open("x", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
    say(f"{out}: written. Look at its gates: nti7flow gate {source} --template {out} --out runs/{out.stem}")


def _check_free(out: Path | None) -> None:
    """Refuse to overwrite, or to write what would not be taken for the path of a template."""
    from nti7flow.errors import ConfigError

    if out is None:
        return
    if out.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"{out}: a template is a YAML file; end its name in .yaml.")
    if out.exists():
        raise ConfigError(f"{out}: exists already; choose another --out.")
    if not out.parent.is_dir():
        raise ConfigError(f"{out.parent}: no such folder.")


def _schema_seen_from(out: Path) -> str | None:
    """Path of the JSON schema relative to a template; None where there is no way from the one to the other."""
    import os

    from nti7flow.gating.template import library_folder

    schema = library_folder() / "schema" / "template-1.schema.json"
    try:
        return Path(os.path.relpath(schema, out.resolve().parent)).as_posix()
    except ValueError:  # another drive
        return None


@app.command("check")
def check(template: Annotated[str, typer.Argument(help="Path of a YAML file, or a released template.")]) -> None:
    """Check a template; every mistake is listed with its line."""
    from nti7flow.gating.template import load_template

    loaded = load_template(template)
    pooled = f", fitted in {loaded.n_waves} waves" if loaded.n_waves > 1 else ""
    say(f"{loaded.reference} is in order: {len(loaded.populations)} populations{pooled}.")
    for population in loaded.populations:
        say(f"  {population.parent or 'all events':<20} > {population.id:<20} {population.label}")
