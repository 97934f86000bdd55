"""The source of positions that a command is given, as a shell completes it."""

import click
from click.shell_completion import CompletionItem


class SourceLocation(click.types.StringParamType):
    """A click type; the text as it is, which `open_source` understands."""

    name = "source"

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - as click has it
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """The words that are sources, and files."""
        from ptn_backtest.sources.locate import WORDS  # noqa: PLC0415 - slow to import

        words = [CompletionItem(word) for word in WORDS if word.startswith(incomplete)]
        # files first: bash forgets what came before them
        return [CompletionItem(incomplete, type="file"), *words]
