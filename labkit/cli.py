"""The `labkit` command: one thing you can ask of the kit a command.

Every command takes ``--json`` and then prints one JSON document on standard output and nothing else.
Exit 0: done. 1: it ran and could not give all that was asked. 2: wrong use. An error is one line on
standard error, with the remedy. This file reads the command line and prints the answer; what a command
does lies in `labkit.commands`, imported only once it is asked for, so that a simulation starts at once.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from labkit.commands import Answer, UsageError, as_document, one_line
from labkit.experiments import SettingError
from labkit.host import HostError

__all__ = ["command_names", "main"]

EXIT_DONE, EXIT_NOT_ALL, EXIT_WRONG_USE, EXIT_INTERRUPTED = 0, 1, 2, 130


class _Parser(argparse.ArgumentParser):
    """An argument parser whose complaint is one line that names the remedy."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.strip().rstrip('.')}.", f"'{self.prog} --help' shows how it is used.")


def _whole(text: str) -> int:
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"a port is a whole number up to 65535, not {text!r:.40}")
    return number


def _parser() -> _Parser:
    parser = _Parser(
        prog="labkit", description="Virtualisation: predict, simulate, run it for real.", allow_abbrev=False
    )
    from labkit import __version__

    parser.add_argument("--version", action="version", version=f"labkit {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", parser_class=_Parser)

    def command(name: str, where: str, about: str, within: argparse._SubParsersAction = commands) -> _Parser:
        made = within.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.", allow_abbrev=False)
        made.add_argument("--json", action="store_true", help="print one JSON document instead of text")
        made.set_defaults(where=where)
        return made

    command("doctor", "machine:doctor", "what this machine can do, and what would let it do more")
    command("hosts", "hosts:hosts", "which hypervisors this machine's libvirt can manage, and what the others lack")
    command("experiments", "experiment:experiments", "the experiments and their settings")

    run = command("run", "experiment:run", "an experiment: theory, simulation and measurement side by side")
    run.add_argument("name", metavar="NAME", help="the experiment, as 'labkit experiments' lists it")
    run.add_argument("--host", choices=("simulated", "live", "both"), default="simulated", help="where it runs")
    run.add_argument(
        "--set", action="append", default=[], metavar="K=V", dest="pairs", help="a setting, as in shares=256,512,1024"
    )
    run.add_argument("--journal", action="store_true", help="also show the plain commands behind a live run")

    lab = command("open", "lab:open_lab", "JupyterLab on your own copy of the course")
    lab.add_argument("lesson", nargs="?", metavar="LESSON", help="a lesson's number, such as 02")
    lab.add_argument("--no-browser", action="store_true", help="print the address only")
    lab.add_argument("--port", type=_whole, default=8888, help="the first port to try (8888)")
    lab.add_argument("--copy", metavar="DIR", help="where your copy lies (~/labkit-course)")

    clean = command("clean", "machine:clean", "remove what labkit created, and say what")
    clean.add_argument("--dry-run", action="store_true", help="only say what would be removed")

    image = command("image", "machine:image_status", "the guest's image").add_subparsers(
        metavar="build|status", parser_class=_Parser, dest="action", required=True
    )
    command("build", "machine:image_build", "make the guest from the distribution's own packages", image)
    command("status", "machine:image_status", "what there is of the guest, and from what it was made", image)

    bench = command("bench", "machine:bench", "how fast it is here, each figure beside its peer's")
    bench.add_argument("--quick", action="store_true", help="three rounds instead of ten")
    bench.add_argument("--browser", action="store_true", help="also time a slider in a real browser")

    progress = command("progress", "learner:progress_show", "what you predicted and did so far").add_subparsers(
        metavar="show|reset", parser_class=_Parser
    )
    command("show", "learner:progress_show", "what you predicted and did so far", progress)
    command("reset", "learner:progress_reset", "forget it and start again", progress)

    edition = command("edition", "learner:edition", "a copy of the course for learners or instructors")
    edition.add_argument("kind", choices=("learner", "instructor"), help="whose copy")
    edition.add_argument("target", metavar="DIR", help="the folder to make; what is in it already is kept")
    return parser


def command_names() -> set[str]:
    """The commands there are, such as ``doctor``."""
    (commands,) = [action for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return set(commands.choices)


def _carry_out(words: Sequence[str]) -> int:
    args = _parser().parse_args(words)
    if not hasattr(args, "where"):
        raise UsageError(
            "say what to do, such as 'labkit doctor' or 'labkit run cpu-shares'.", "'labkit --help' lists all."
        )
    module, _, function = args.where.partition(":")
    answer: Answer = getattr(importlib.import_module(f"labkit.commands.{module}"), function)(args)
    if args.json:
        print(as_document(answer.document))
    elif text := answer.text():
        print(text)
    sys.stdout.flush()
    if answer.complaint:
        _complain(answer.complaint)
    if answer.then:
        answer.then()
    return answer.status


def _complain(message: str, remedy: str = "", *, as_json: bool = False) -> None:
    if as_json:
        print(as_document({"error": one_line(message), "remedy": one_line(remedy)}), flush=True)
    print(f"labkit: {one_line(f'{message} {remedy}')}", file=sys.stderr)


def _reported(error: Exception, *, as_json: bool) -> int:
    """Say what went wrong in one line, and return the exit code for it."""
    if isinstance(error, (UsageError, HostError)):
        _complain(error.message, error.remedy, as_json=as_json)
    elif isinstance(error, SettingError):
        _complain(str(error), "'labkit experiments' lists them.", as_json=as_json)
    elif isinstance(error, OSError) and error.strerror:
        place = f" ({error.filename})" if error.filename else ""
        _complain(f"{error.strerror}{place}.", "See to that, then try again.", as_json=as_json)
    else:
        what = f"something happened that labkit does not know: {type(error).__name__}: {error}".rstrip(".: ")
        _complain(f"{what}.", "With LABKIT_DEBUG=1 it shows where; please report that.", as_json=as_json)
    return EXIT_WRONG_USE if isinstance(error, (UsageError, SettingError)) else EXIT_NOT_ALL


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command and return its exit code.

    Parameters
    ----------
    argv : sequence of str, optional
        The words after ``labkit``; those of the command line where not given.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        return _carry_out(words)
    except KeyboardInterrupt:
        _complain("interrupted; what was started has been ended.")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has left, as `| head` does; the interpreter's last flush must not complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_NOT_ALL
    except Exception as error:  # noqa: BLE001 - the last line of defence: a learner sees a sentence, not a traceback
        if os.environ.get("LABKIT_DEBUG"):
            raise
        return _reported(error, as_json="--json" in words)


if __name__ == "__main__":
    sys.exit(main())
