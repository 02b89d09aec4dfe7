"""The ``e2v`` command: one module for each verb, loaded when the verb is called.

Results go to stdout, everything else to stderr. Exit codes: 0 all well · 1 some inputs failed, or
a result could not be written · 2 usage · 3 bad audio · 4 bad model or bundle · 5 provider
unavailable · 130 interrupted, by Ctrl-C, SIGTERM or SIGHUP.
"""

from __future__ import annotations

import importlib
import sys

import click

from ..errors import E2VError
from ..version import __version__
from .signals import signals_interrupt
from .stdio import flush_stdout, prepare_streams

VERBS = {
    "recognize": ("emotion2vec_edge.engine.cli.recognize", "Recognize the emotion in recordings."),
    "batch": (
        "emotion2vec_edge.engine.cli.batch.command",
        "Recognize folders and lists of recordings.",
    ),
    "stream": ("emotion2vec_edge.engine.cli.stream", "Recognize live audio, window by window."),
    "serve": ("emotion2vec_edge.engine.cli.serve", "Serve recognition over HTTP, with a page."),
    "embed": (
        "emotion2vec_edge.engine.cli.similarity.embed",
        "Keep embeddings in a store, or fit a space to compare them.",
    ),
    "search": (
        "emotion2vec_edge.engine.cli.similarity.search",
        "Find recordings that sound alike.",
    ),
    "similar": (
        "emotion2vec_edge.engine.cli.similarity.search",
        "Tell if two recordings share an emotion.",
    ),
    "cluster": ("emotion2vec_edge.engine.cli.similarity.cluster", "Group what is in a store."),
    "map": ("emotion2vec_edge.engine.cli.similarity.map", "Draw a store as a page with a map."),
    "drift": (
        "emotion2vec_edge.engine.cli.similarity.cluster",
        "Tell if what is heard has changed.",
    ),
    "fuse": ("emotion2vec_edge.engine.cli.fuse", "Fuse the scores of speech, face and text."),
    "export": ("emotion2vec_edge.export.cli", "Export a FunASR checkpoint to an ONNX bundle."),
    "triton": (
        "emotion2vec_edge.export.model_repository.cli",
        "Write a bundle as a model repository of Triton.",
    ),
    "quantize": (
        "emotion2vec_edge.quantize.cli",
        "Add a small and fast variant to a bundle.",
    ),
    "finetune": (
        "emotion2vec_edge.export.finetune.cli",
        "Fit a model, or a new head, to labelled speech.",
    ),
    "distill": (
        "emotion2vec_edge.export.distill.cli",
        "Teach a small model what a large one hears.",
    ),
    "feedback": ("emotion2vec_edge.engine.cli.feedback", "Keep corrected answers to learn from."),
    "bench": ("emotion2vec_edge.benchmarks.cli", "Measure speed and accuracy."),
    "warmup": (
        "emotion2vec_edge.engine.cli.machine.warmup",
        "Make ready what the first use would wait for.",
    ),
    "info": ("emotion2vec_edge.engine.cli.machine.info", "Describe a model bundle."),
    "push": ("emotion2vec_edge.engine.cli.machine.push", "Send a bundle to Hugging Face's hub."),
    "doctor": ("emotion2vec_edge.engine.cli.machine.doctor", "Check what this machine can run."),
}
"""Verb → module and line of the help, so that the help imports no verb."""


class Verbs(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Names of the verbs, in the order of a first use."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of a verb."""
        if cmd_name not in VERBS:
            return None
        command: click.Command = getattr(importlib.import_module(VERBS[cmd_name][0]), cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that is called; of one that is misspelt, the error names the nearest."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            if near := get_close_matches(args[0], VERBS, n=1):
                text = f"{error.message} Did you mean {near[0]!r}?"
                raise click.UsageError(text, ctx) from None
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in VERBS.items()])


@click.command(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="e2v")
def cli() -> None:
    """Speech emotion recognition with emotion2vec on ONNX Runtime, without torch."""


def main() -> None:
    """Entry point of ``e2v``: turns every foreseeable failure into a message and an exit code."""
    prepare_streams()
    sys.exit(flush_stdout(_exit_code()))


def _exit_code() -> int:
    try:
        with signals_interrupt():
            code = cli.main(prog_name="e2v", standalone_mode=False)
    except click.exceptions.Exit as exit_request:
        code = exit_request.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except E2VError as error:
        code = fail(error)
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        # An interrupt that has passed through exec() of a text stays noted: under "python -m" the
        # interpreter would end by SIGINT and not with this code. The next exec() clears the note.
        exec("")  # noqa: S102
        code = 130
    except OSError as error:
        text = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        click.echo(f"e2v: {text}", err=True)
        code = 1
    return code or 0


def fail(error: E2VError) -> int:
    """Show an error.

    Returns:
        its exit code.
    """
    click.echo(f"e2v: {error}", err=True)
    return error.exit_code
