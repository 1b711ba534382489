"""`./course` itself, as far as it can be tried without setting anything up."""

import os
import shutil
import subprocess

import pytest

from .tree import TOP

COURSE = TOP / "course"


def course(*words, cwd=None):
    return subprocess.run([COURSE, *words], capture_output=True, text=True, cwd=cwd, timeout=60)


@pytest.mark.parametrize("script", ["course", ".ci/run"])
def test_it_is_posix_sh(script):
    assert os.access(TOP / script, os.X_OK)
    assert (TOP / script).read_text().startswith("#!/bin/sh\n")
    subprocess.run(["sh", "-n", TOP / script], check=True)


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
@pytest.mark.parametrize("script", ["course", ".ci/run"])
def test_shellcheck_is_content(script):
    subprocess.run(["shellcheck", TOP / script], check=True)


@pytest.mark.parametrize("words", [(), ("help",), ("--help",), ("open", "--help"), ("test", "-h")])
def test_help(words, tmp_path):
    done = course(*words, cwd=tmp_path)
    assert done.returncode == 0
    assert "./course open" in done.stdout and "./course test" in done.stdout and done.stderr == ""


@pytest.mark.parametrize(
    "words",
    [
        ("launch",),
        ("open", "--fast"),
        ("open", "--port"),
        ("open", "--port", "eighty"),
        ("open", "02", "03"),
        ("test", "--lesson"),
        ("test", "02"),
        ("rebuild", "everything"),
        ("open", "--port=80; echo oh"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(words):
    done = course(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("course: ") and done.stderr.count("\n") == 1
