"""Three ways to show one thing: as a widget, as HTML on a static page, as plain text.

Whatever a lesson shows has all three. A running notebook shows the widget; a static page the HTML; a
screen reader, a terminal and nbval read the text. The widget is made at the first showing, with all its
parts, and later only its values and its visibility change: callbacks run in other threads, in which
nothing new can be displayed.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipywidgets import HTML, Widget

__all__ = [
    "STYLE",
    "Shown",
    "WIDGET_VIEW",
    "as_html_and_text",
    "card",
    "escaped",
    "html_widget",
    "marked",
    "spoken",
    "unfolded",
]

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

STYLE = """<style>
.labkit-card { border-left: 4px solid #0072b2; padding: 0.3em 0.9em; margin: 0.3em 0; max-width: 52em; }
.labkit-card:has(.labkit-figure) { max-width: none; }
.labkit-card .widget-html-content { line-height: 1.5; }
.labkit-card .widget-html-content p { margin: 0.3em 0; }
.labkit-card .labkit-announcement { margin: 2px; line-height: 1.5; }
.labkit-card .widget-html { height: auto; }
.labkit-form { margin: 2px; line-height: 1.5; height: auto; overflow: visible; }
.labkit-form .labkit-field { display: flex; flex-wrap: wrap; align-items: center; gap: 0.2em 0.8em; margin: 0.3em 0; }
.labkit-form .labkit-field label { flex: 0 0 24em; max-width: 100%; }
.labkit-form input[type=text], .labkit-form select { flex: 0 1 14em; font: inherit; padding: 0.15em 0.4em;
  color: var(--jp-ui-font-color0, #000); background: var(--jp-layout-color0, #fff); border: 1px solid #767676; }
.labkit-form .labkit-field .labkit-why { flex: 1 1 20em; }
.labkit-form [aria-invalid=true] { border: 2px solid #c62828; }
.labkit-form button { font: inherit; margin: 0.3em 0; padding: 0.25em 1em;
  color: #fff; background: #0067a1; border: 0; }
.labkit-form button:disabled { color: #fff; background: #5f6368; }
.labkit-form fieldset { border: 0; margin: 0.6em 0 0; padding: 0; min-width: 0; }
.labkit-form legend { padding: 0; margin-bottom: 0.3em; }
.labkit-form .labkit-option { display: flex; align-items: flex-start; gap: 0.5em; margin: 0 0 0.4em; }
.labkit-form .labkit-option input { flex: none; margin: 0.35em 0 0; }
.labkit-form .labkit-error:not(:empty)::before { content: "⚠ "; }
.labkit-form [hidden] { display: none; }
.labkit-form :focus-visible { outline: 2px solid #0072b2; outline-offset: 2px; }
.labkit-card table { border-collapse: collapse; }
.labkit-card th, .labkit-card td { padding: 0.15em 0.8em; text-align: left; }
</style>"""

_CARD = "border-left: 4px solid #0072b2; padding: 0.3em 0.9em; margin: 0.3em 0; max-width: 52em"


def card(kind: str, inside: str) -> str:
    """HTML in a card of its own, on a page without our style sheet."""
    return f'<div class="labkit-{kind}" style="{_CARD}">{inside}</div>'


def unfolded(text: str) -> str:
    """Text without the line breaks of the file it was written in; a blank line stays."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n")).strip()


def escaped(text: object) -> str:
    """Text made safe to stand in HTML, whatever a person typed."""
    return html.escape(str(text))


def marked(text: str) -> str:
    """Escaped text in which `code` and **strong** words show as such, and a blank line parts paragraphs."""
    safe = escaped(text.strip())
    safe = re.sub(r"`([^`\n]+)`", r"<code>\1</code>", safe)
    safe = re.sub(r"\*\*([^*\n]+)\*\*", r"<strong>\1</strong>", safe)
    return re.sub(r"\n\s*\n", "<br><br>", safe)


def as_html_and_text(thing: Any) -> tuple[str, str]:
    """What an object looks like in HTML and in plain text, by the rules that a notebook shows it by."""
    if isinstance(thing, str):
        return f"<p>{marked(thing)}</p>", thing
    data = _bundle(thing)
    text = data.get("text/plain", repr(thing))
    if "text/html" in data:
        return data["text/html"], text
    if "image/svg+xml" in data:
        return data["image/svg+xml"], text
    if "image/png" in data:
        return f'<img alt="{escaped(text)}" src="data:image/png;base64,{data["image/png"].strip()}">', text
    return f"<pre>{escaped(text)}</pre>", text


def _bundle(thing: Any) -> dict[str, Any]:
    from IPython import get_ipython
    from IPython.core.formatters import DisplayFormatter

    shell = get_ipython()
    data, _ = (shell.display_formatter if shell else DisplayFormatter()).format(thing)
    return data or thing._repr_mimebundle_()


def html_widget(value: str) -> HTML:
    """A piece of HTML as a part of a widget."""
    from ipywidgets import HTML

    return HTML(value=value, layout={"height": "auto", "width": "auto"})


def spoken(value: str) -> str:
    """HTML that a screen reader reads out when it appears; nothing where there is nothing to say."""
    return f'<div role="status" aria-live="polite">{value}</div>' if value else ""


class Shown:
    """Something a learner sees. A subclass says how it reads, how it looks, and how its widget is made."""

    _made: Widget | None = None

    def text(self) -> str:
        """The plain text twin."""
        raise NotImplementedError

    def html(self) -> str:
        """How it looks on a page on which nothing runs."""
        raise NotImplementedError

    def build(self) -> Widget:
        """Make the widget with all its parts."""
        raise NotImplementedError

    @property
    def widget(self) -> Widget:
        """The widget, made when first asked for."""
        if self._made is None:
            self._made = self.build()
        return self._made

    def __repr__(self) -> str:
        return self.text()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        data: dict[str, Any] = {"text/plain": self.text(), "text/html": self.html()}
        try:
            view = self.widget
        except ImportError:  # no ipywidgets here: the page and the text remain
            return data
        data[WIDGET_VIEW] = {"version_major": 2, "version_minor": 0, "model_id": view.model_id}
        return data
