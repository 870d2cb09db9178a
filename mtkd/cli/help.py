"""How help is laid out: commands grouped by purpose, examples on lines of their own."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup


class _Layout:
    """What commands and groups of commands have in common."""

    epilog: str | None
    get_params: Any

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Write ``FILE`` and ``FILE...`` for required arguments, as most programs do; Typer writes ``{FILE}``."""
        pieces: list[str] = super().collect_usage_pieces(ctx)  # type: ignore[misc]
        return [piece.replace("{", "").replace("}", "") for piece in pieces]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments without their Python types, then options."""
        records = [(param.param_type_name, param.get_help_record(ctx)) for param in self.get_params(ctx)]
        arguments = [(row[0].split(" <")[0], row[1]) for kind, row in records if row and kind == "argument"]
        options = [row for kind, row in records if row and kind == "option"]
        for title, rows in (("Arguments", arguments), ("Options", options)):
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the epilog as commands to copy: long lines are not wrapped."""
        if self.epilog:
            lines = self.epilog.splitlines()
            with formatter.section("Example" if len(lines) == 1 else "Examples"):
                formatter.write("".join(f"{'':{formatter.current_indent}}{line}\n" for line in lines))


class Command(_Layout, TyperCommand):
    """A command whose ``epilog`` holds example command lines."""


class Group(_Layout, TyperGroup):
    """Commands listed under their ``rich_help_panel``; the ``epilog`` holds example command lines."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the commands first: most people look for one."""
        self.format_commands(ctx, formatter)
        super().format_options(ctx, formatter)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section for each panel, in the order of the first command of each."""
        names = self.list_commands(ctx)
        width = max(map(len, names))
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in names:
            command: Any = self.get_command(ctx, name)
            text = command.get_short_help_str(formatter.width - width - 6)
            sections.setdefault(command.rich_help_panel or "Commands", []).append((f"{name:{width}}", text))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)
