"""Runs the `labkit` command as a person does: as a program of its own."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Reply:
    code: int
    out: str
    err: str

    @property
    def json(self):
        """The one document on standard output; anything else there is an error, and so is NaN."""
        return json.loads(self.out, parse_constant=lambda word: 1 / 0)


def labkit(*words, timeout=120, **variables):
    environment = {**os.environ, "LABKIT_NO_LIVE": "1", **variables}
    environment = {name: value for name, value in environment.items() if value is not None}
    done = subprocess.run(
        [sys.executable, "-m", "labkit.cli", *words],
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=timeout,
        env=environment,
        cwd=TOP,
    )
    reply = Reply(done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in reply.err + reply.out, reply
    return reply


def refused(reply):
    """Wrong use: exit 2, and one line that says what is wrong and what to do."""
    assert reply.code == 2, reply
    assert reply.err.startswith("labkit: ") and reply.err.count("\n") == 1, reply
    assert 20 < len(reply.err) < 600 and reply.err.removesuffix("\n").isprintable(), reply
    return reply.err
