"""``streamhub users``: accounts, for operators."""

from __future__ import annotations

from typing import Annotated

import typer

from infra.cli.console import JsonOption, out, print_json, run
from infra.settings import Settings

app = typer.Typer(no_args_is_help=True)


@app.command("set-role")
def users_set_role(
    email: Annotated[str, typer.Argument(help="Whose role.")],
    role: Annotated[str, typer.Argument(help="viewer, creator or admin")],
    json: JsonOption = False,
) -> None:
    """Give an account another role; it holds from the next sign-in on.

    Example: streamhub users set-role ada@example.org admin
    """
    from events.users import Role
    from infra.everything import set_role

    try:
        wanted = Role(role)
    except ValueError:
        raise typer.BadParameter(f"'{role}' is not one of {', '.join(Role)}") from None
    run(set_role(Settings(), email, wanted))
    done = {"email": email, "role": wanted}
    print_json(done) if json else out.print(f"{email} is {wanted}", highlight=False)
