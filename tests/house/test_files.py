"""What holds for every file that is kept."""

import ast
import re

from .tree import TOP, kept, name, python_files

LONGEST = 400
MADE_BY_PROGRAMS = ("package-lock.json", "labkit/views/static/", "constraints.txt", "notebooks/")
WRITTEN_BY_HAND = {".py", ".js", ".mjs", ".css", ".sh", ".toml", ".yml"}
NO_NAMES_FOR_THINGS = {"utils", "util", "helpers", "helper", "misc", "common", "stuff"}

# In pieces, so that this file does not find itself.
HOSTS = ["deb." + "debian.org", "pypi." + "org", "files.python" + "hosted.org", "registry." + "npmjs.org"]
LOOK_FOR_THEM = ("tests/notebooks/counting.py",)
PLACES = [r"(?<![\w.$~-])/" + r"(?:work|root|opt/pypi|home/\w+)/"]


def texts():
    for path in kept():
        try:
            yield path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue


def test_no_file_is_long():
    long = [
        f"{name(path)}: {text.count(chr(10))} lines"
        for path, text in texts()
        if (path.suffix in WRITTEN_BY_HAND or path.name == "course")
        and not any(mark in name(path) for mark in MADE_BY_PROGRAMS)
        and text.count("\n") >= LONGEST
    ]
    assert long == []


def test_names_say_what_a_thing_is():
    assert [name(path) for path in kept() if path.stem.lower() in NO_NAMES_FOR_THINGS] == []


def test_no_registry_and_no_place_of_one_machine():
    wrong = [
        f"{name(path)}: {found[0]}"
        for path, text in texts()
        if name(path) not in LOOK_FOR_THEM
        for pattern in [*map(re.escape, HOSTS), *PLACES]
        if (found := re.search(pattern, text))
    ]
    assert wrong == []


def test_a_module_says_what_it_is():
    mute = [
        name(path)
        for path in python_files("labkit/")
        if path.read_text(encoding="utf-8").strip()
        and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert mute == []


def test_nothing_is_swallowed():
    """No bare `except:`, and none that catches everything and passes."""
    wrong = [
        f"{name(path)}:{node.lineno}"
        for path in python_files("labkit/")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in ("Exception", "BaseException"))
        and [type(statement) for statement in node.body] == [ast.Pass]
    ]
    assert wrong == []


def test_every_room_has_tests():
    for room in ("model", "live", "views", "course", "experiments", "cli", "house", "notebooks", "browser"):
        assert list((TOP / "tests" / room).glob("test_*.py")), f"tests/{room} has no tests"
