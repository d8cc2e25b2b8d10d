"""``streamhub gdpr``: what is held of a person, and forgetting it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from infra.cli.console import JsonOption, out, print_json, run
from infra.settings import Settings

if TYPE_CHECKING:
    from infra.gdpr.erasure import Erasure

app = typer.Typer(no_args_is_help=True)

User = Annotated[str, typer.Argument(help="Id, email or username.")]


@app.command("erase")
def gdpr_erase(
    user: User,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    json: JsonOption = False,
) -> None:
    """Forget a person for ever, and prove it: exit code 1 if anything of theirs is found.

    Example: streamhub gdpr erase ada@example.org --yes
    """
    person_id = run(_person(user))
    if not yes:
        typer.confirm(
            f"Erase {user} (id {person_id}) for ever, with every film and comment of theirs?",
            abort=True,
            err=True,
        )
    report = run(_erase(person_id, quiet=json))
    print_json(report.as_data()) if json else _show(report)
    if not report.is_complete:
        raise typer.Exit(1)


async def _person(user: str) -> str:
    from infra.bootstrap.core import open_core
    from infra.gdpr.people import person_named

    async with open_core(Settings()) as core:
        return await person_named(core, user)


async def _erase(person_id: str, *, quiet: bool) -> Erasure:
    from infra.bootstrap.core import open_core
    from infra.gdpr.erasure import Eraser

    def tell(what: str) -> None:
        if not quiet:
            out.print(f"  {what}", highlight=False)

    async with open_core(Settings()) as core:
        return await Eraser(core, person_id, tell).run()


def _show(report: Erasure) -> None:
    changes = ", ".join(f"{count} {name}" for name, count in sorted(report.commands.items()))
    out.print(f"person {report.person_id}: {changes or 'nothing left to change'}")
    out.print(
        f"key {'destroyed' if report.key_destroyed else 'was gone before'}, "
        f"{report.media_removed} media files removed, {report.claims_released} names released"
    )
    table = Table("searched", "records, rows, keys, documents", title=f"{report.texts} texts")
    for place, count in report.searched.items():
        table.add_row(place, str(count))
    out.print(table)
    if report.shared:
        kinds = ", ".join(report.shared)
        out.print(f"not told apart from what others wrote: {kinds}", highlight=False)
    for finding in report.findings:
        out.print(f"FOUND {finding.sentence()}", style="red", highlight=False)
    out.print("nothing was found" if report.is_complete else "NOT erased everywhere")


@app.command("export")
def gdpr_export(
    user: User,
    to: Annotated[Path, typer.Option("--to", help="The ZIP file to write.")],
    json: JsonOption = False,
) -> None:
    """Write all that is held of a person to a ZIP of JSON files.

    Example: streamhub gdpr export ada@example.org --to ada.zip
    """
    written = run(_export(user, to))
    if json:
        print_json(written)
        return
    for name, count in written.items():
        out.print(f"  {name:<28} {count}", highlight=False)
    out.print(f"wrote {to}", highlight=False)


async def _export(user: str, to: Path) -> dict[str, int]:
    from infra.bootstrap.core import open_core
    from infra.gdpr.export import export_person
    from infra.gdpr.people import person_named

    async with open_core(Settings()) as core:
        return dict(await export_person(core, await person_named(core, user), to))


@app.command("rotate-keys")
def gdpr_rotate_keys(json: JsonOption = False) -> None:
    """Wrap every personal key anew under STREAMHUB_MASTER_KEY; STREAMHUB_MASTER_KEY_OLD opens them.

    Example: streamhub gdpr rotate-keys
    """
    done = run(_rotate())
    print_json({"keys": done}) if json else out.print(f"{done} keys are under the new master key")


async def _rotate() -> int:
    from infra.bootstrap.core import open_core
    from infra.gdpr.rotation import rotate_keys

    async with open_core(Settings()) as core:
        return await rotate_keys(core.pool, core.wrapper, lambda _done: None)
