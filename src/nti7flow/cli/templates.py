"""``nti7flow templates``."""

from __future__ import annotations

from typing import Annotated

import typer

from nti7flow.cli.terminal import plain, say

app = typer.Typer(
    help="List, show and check gating templates.",
    epilog="Examples: nti7flow templates list; nti7flow templates show tbnk; nti7flow templates check my.yaml",
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

    for reference, path in released_templates().items():
        say(f"{reference:<16} {load_template(path).spec.title}")


@app.command("show")
def show(template: Annotated[str, typer.Argument(help="Released template or path of a YAML file.")]) -> None:
    """Print a template as it is written, comments included: a copy is where a template of one's own begins."""
    from nti7flow.gating.template import template_path

    text = template_path(template).read_text(encoding="utf-8")
    print("\t".join(map(plain, text.split("\t"))), end="")


@app.command("check")
def check(template: Annotated[str, typer.Argument(help="Path of a YAML file, or a released template.")]) -> None:
    """Check a template; every mistake is listed with its line."""
    from nti7flow.gating.template import load_template

    loaded = load_template(template)
    pooled = f", fitted in {loaded.n_waves} waves" if loaded.n_waves > 1 else ""
    say(f"{loaded.reference} is in order: {len(loaded.populations)} populations{pooled}.")
    for population in loaded.populations:
        say(f"  {population.parent or 'all events':<20} > {population.id:<20} {population.label}")
