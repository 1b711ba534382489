"""The button that seals a prediction, and takes along what was typed.

While a kernel is busy, ipywidgets holds back what changes in a text field, and a click overtakes it: the answer sealed
would be the first letters of it. So the click itself carries the fields as they stand on the page.
"""

from __future__ import annotations

import anywidget

from labkit.course.announcement import KEYS_STAY_HERE

__all__ = ["LockButton"]


class LockButton(anywidget.AnyWidget):
    """Sends ``{"value", "sure", "why"}`` from the form around it: the number's text, the chosen line, the reason."""

    _esm = (
        KEYS_STAY_HERE
        + """
    function render({ model, el }) {
      const button = document.createElement("button");
      button.className = "jupyter-button mod-primary";
      button.style.width = "12em";
      button.textContent = "Lock my answer";
      const click = () => {
        const form = el.closest(".labkit-predict-form");
        const [value, why] = form.querySelectorAll("input[type=text]");
        const sure = form.querySelector("select").selectedIndex;
        model.send({ value: value.value, sure, why: why.value });
      };
      button.addEventListener("click", click);
      el.appendChild(button);
      keysStayHere(el);
    }
    export default { render };
    """
    )
