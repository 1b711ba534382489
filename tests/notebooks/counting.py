"""What can be counted in a lesson by reading it, without running it."""

import ast
import re
from pathlib import Path

import nbformat

from labkit.course.content import content

EXPLORATION = re.compile(r"^\*\*Explore (\d+)\.\*\*", re.MULTILINE)
MINUTES = re.compile(r"\bAbout (\d+) minutes\b")
MARKDOWN_PICTURE = re.compile(r"!\[([^\]]*)\]\(")
DRAWN_PICTURE = re.compile(r"<(?:img|svg)\b[^>]*>")
NAMED = re.compile(r"""\b(?:alt|aria-label|aria-labelledby)\s*=\s*["'][^"']+["']""")
HEADING = re.compile(r"^(#+) (.+)")
FURTHER = "Go further"
MACHINE_PATH = re.compile(r"/home/\w|/root/|/Users/\w|/work/\w|site-packages|[A-Z]:\\\\?Users")


class Counted:
    """A lesson, read.

    Parameters
    ----------
    path : Path
        The notebook; its name begins with the lesson's number.
    """

    def __init__(self, path: Path) -> None:
        self.notebook = nbformat.read(path, as_version=4)
        self.number = path.name[:2]
        self.content = content(self.number)
        self.code = [cell for cell in self.notebook.cells if cell.cell_type == "code"]
        self.prose = "\n\n".join(cell.source for cell in self.notebook.cells if cell.cell_type == "markdown")

    def calls(self, name):
        """The calls of a method of that name, over all cells."""
        trees = [ast.parse(re.sub(r"^\s*[%!].*$", "", cell.source, flags=re.MULTILINE)) for cell in self.code]
        return [
            node
            for tree in trees
            for node in ast.walk(tree)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == name
        ]

    def names(self, method):
        """The first arguments of those calls: the names of predictions, of exercises."""
        return [
            call.args[0].value for call in self.calls(method) if call.args and isinstance(call.args[0], ast.Constant)
        ]

    @property
    def minutes(self):
        """The minutes it says it takes; None where it does not say."""
        found = MINUTES.search(self.prose)
        return int(found[1]) if found else None

    @property
    def parts(self):
        """The cells of the core lesson, of the head of *Go further*, and of each of its sections, by its heading."""
        core, head, sections = [], [], {}
        where = core
        for cell in self.notebook.cells:
            heading = HEADING.match(cell.source) if cell.cell_type == "markdown" else None
            if heading and len(heading[1]) <= 2:
                where = head if heading[2].strip() == FURTHER else core
            elif heading and where is not core:
                where = sections.setdefault(heading[2].strip(), [])
            where.append(cell)
        return core, head, sections

    @property
    def explorations(self):
        """The numbers of its explorations, in order."""
        return [int(number) for number in EXPLORATION.findall(self.prose)]

    @property
    def hints(self):
        """How many hints each exercise has, in the call or in the lesson's file."""
        counted = {}
        for call in self.calls("exercise"):
            name = call.args[0].value
            written = next((key.value for key in call.keywords if key.arg == "hints"), None)
            in_file = self.content.exercises[name].hints if name in self.content.exercises else ()
            counted[name] = len(written.elts) if isinstance(written, (ast.List, ast.Tuple)) else len(in_file)
        return counted

    @property
    def explained_questions(self):
        """How many questions it asks whose every wrong answer explains itself."""
        if not self.calls("quiz"):
            return 0
        return sum(all(option.why.strip() for option in q.options if not option.right) for q in self.content.questions)

    @property
    def outputs(self):
        """All outputs, as (cell's source, output)."""
        return [(cell.source, output) for cell in self.code for output in cell.outputs]

    @property
    def unnamed_pictures(self):
        """Pictures without words: in the prose and in the outputs."""
        pages = [self.prose, *(output.get("data", {}).get("text/html", "") for _, output in self.outputs)]
        pages += [output.get("data", {}).get("image/svg+xml", "") for _, output in self.outputs]
        drawn = [tag for page in pages for tag in DRAWN_PICTURE.findall(page)]
        unnamed = [tag for tag in drawn if not NAMED.search(tag) and "aria-hidden" not in tag]
        return unnamed + ["![](" for words in MARKDOWN_PICTURE.findall(self.prose) if not words.strip()]
