"""Type 1 and type 2, and what lies between, as pictures that can be taken apart.

`two_types` is the plain picture of the two. `Layers` is the box of bricks: choose a way to build it, then look at the
layers, at the place where it is decided who runs, or follow one disk write down, step by step.
"""

from __future__ import annotations

import html
from typing import Any

import ipywidgets as widgets

from labkit.views.passings import Passed, played
from labkit.views.picture import Picture
from labkit.views.said import Said
from labkit.views.stackdrawing import drawing, label
from labkit.views.stacks import STACKS, Stack

__all__ = ["Layers", "two_types"]

_SHOWS = (("Layers", "layers"), ("Who schedules", "scheduler"), ("One disk write", "write"))
_WHOLE = ("all", 0)
_CAPTION = {
    "layers": "From the bottom up: what stands on what.",
    "scheduler": "The box with the clock decides which guest runs on a CPU.",
    "write": "Follow the numbers from the guest's program down to the real disk.",
}


def two_types() -> Picture:
    """The two types side by side, with their text twin."""
    pair = STACKS[:2]
    drawn = "".join(
        f'<figure style="flex:1 1 300px;max-width:520px;margin:0"><figcaption style="font-weight:700;margin:0 0 4px">'
        f"{html.escape(stack.name)}</figcaption>{drawing(stack)}</figure>"
        for stack in pair
    )
    text = "\n".join(f"{label(stack)} {stack.says}" for stack in pair)
    return Picture(f'<div style="display:flex;flex-wrap:wrap;gap:16px 28px">{drawn}</div>', text)


class _Reading(Said):
    """What has just been chosen, in a sentence; it also keeps arrow keys from JupyterLab's own shortcuts."""

    _esm = Said._esm.replace(
        "show();",
        """show();
      // The box comes onto the page after its parts.
      setTimeout(() => {
        const box = el.closest(".labkit-layers");
        if (!box || box.dataset.lmSuppressShortcuts) return;
        box.setAttribute("data-lm-suppress-shortcuts", "true");
        box.addEventListener("keydown", (event) => event.stopPropagation());
      }, 0);""",
        1,
    )


def _buttons(description: str, options: list[tuple[str, Any]], width: str, tips: list[str]) -> widgets.ToggleButtons:
    return widgets.ToggleButtons(
        description=description,
        options=options,
        tooltips=tips,
        style={"button_width": width, "description_width": "76px"},
        layout=widgets.Layout(width="auto", max_width="100%"),
    )


class Layers(widgets.VBox):
    """Six ways to put a hypervisor between machines and hardware, to be taken apart.

    Parameters
    ----------
    counted : mapping of str to Passed, optional
        What the simulated host counted, by place; it is asked where not given.

    Attributes
    ----------
    built, show, step : ipywidgets.ToggleButtons
        Which way to build it, what of it to look at, and which step of the write. All work by keyboard.
    """

    def __init__(self, counted: dict[str, Passed] | None = None) -> None:
        self._counted = played() if counted is None else counted
        self.built = _buttons("Built as:", [(s.name, s.key) for s in STACKS], "84px", [s.says for s in STACKS])
        self.show = _buttons("Look at:", list(_SHOWS), "124px", [_CAPTION[key] for _, key in _SHOWS])
        self.step = _buttons("Step:", [_WHOLE], "44px", [])
        self._drawn, self._said = widgets.HTML(), _Reading()
        self._fit_steps()
        self._draw()
        for choice in (self.built, self.show):
            choice.observe(self._chosen, names="value")
        self.step.observe(lambda _change: self._draw(), names="value")
        super().__init__([self.built, self.show, self.step, self._drawn, self._said])
        self.add_class("labkit-layers")

    @property
    def stack(self) -> Stack:
        """What is shown."""
        return next(stack for stack in STACKS if stack.key == self.built.value)

    def _fit_steps(self) -> None:
        self.step.options = [_WHOLE, *((str(n), n) for n in range(1, len(self.stack.moves) + 1))]
        self.step.layout.display = "" if self.show.value == "write" else "none"

    def _chosen(self, _change: object) -> None:
        self._fit_steps()
        self._draw()

    def _draw(self) -> None:
        self._drawn.value = f"{self._caption()}{drawing(self.stack, self.show.value, self.step.value or None)}"
        self._said.value = "".join(
            f"<p style='max-width:44em;margin:6px 0'>{html.escape(line)}</p>" for line in self.lines()
        )

    def _caption(self) -> str:
        return f'<p style="margin:4px 0 8px">{html.escape(_CAPTION[self.show.value])}</p>'

    def lines(self) -> list[str]:
        """What is to be said about what is shown."""
        stack, step = self.stack, self.step.value
        if self.show.value == "layers":
            return [stack.says, f"Source: {stack.sources}."]
        if self.show.value == "scheduler":
            return [stack.schedules]
        if step:
            return [f"{step} of {len(stack.moves)}. {_move(stack, step)}"]
        return [_way(stack), self._count()]

    def _count(self) -> str:
        """What the simulated host counted for it, or that it has no numbers."""
        if not self.stack.place:
            return "The simulated host has no published numbers for this one, so nothing is counted."
        passed = self._counted.get(self.stack.place)
        return passed.words() if passed else "The simulated host did not count."

    def __repr__(self) -> str:
        drawn = label(self.stack, self.show.value, self.step.value or None)
        return "\n".join([drawn, *self.lines(), "", *self._every_way()])

    def _every_way(self) -> list[str]:
        """All six in words, as nobody can press a button in a text."""
        said = []
        for stack in STACKS:
            said.append(f"{stack.name}: {stack.says} {stack.schedules}")
            said += [f"  {n}. {_move(stack, n)}" for n in range(1, len(stack.moves) + 1)]
            passed = self._counted.get(stack.place)
            said += [f"  {_way(stack)}", *([f"  {passed.words()}"] if passed else []), f"  Source: {stack.sources}."]
        return said

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        bundle = super()._repr_mimebundle_(**kwargs)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        if data:
            data["text/plain"] = repr(self)
            data["text/html"] = self._page()
        return bundle

    def _page(self) -> str:
        """All six on a page on which nothing runs: each with its write, folded but for the first two."""
        parts = []
        for place, stack in enumerate(STACKS):
            steps = "".join(f"<li>{html.escape(_move(stack, n))}</li>" for n in range(1, len(stack.moves) + 1))
            passed = self._counted.get(stack.place)
            counted = f"<p>{html.escape(passed.words())}</p>" if passed else ""
            parts.append(
                f"<details{' open' * (place < 2)}><summary>{html.escape(stack.name)}</summary>"
                f"<p>{html.escape(stack.says)} {html.escape(stack.schedules)}</p>{drawing(stack, 'write')}"
                f"<ol>{steps}</ol><p>{html.escape(_way(stack))}</p>{counted}"
                f'<p style="font-size:smaller">{html.escape(stack.sources)}.</p></details>'
            )
        return f'<div class="labkit-layers-page">{"".join(parts)}</div>'


def _move(stack: Stack, step: int) -> str:
    """A step in a sentence."""
    return stack.moves[step - 1].words


def _way(stack: Stack) -> str:
    """How long the way is."""
    by = ", ".join(move.by for move in stack.moves[1:])
    return (
        f"One write passes from one box into another {stack.crossings} times ({by}), "
        f"and {stack.layers_touched} boxes take part."
    )
