"""The forms in which a learner answers: everything that was answered travels in one message.

A busy kernel takes what is typed late, and a widget then holds back what comes after the first letters, while
a click goes out at once. So nothing travels while it is typed, and the click carries it all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from labkit.course.announcement import GUARD

__all__ = ["PredictionForm", "QuestionForm"]

_PARTS = (
    GUARD
    + """
let made = 0;
const fresh = (word) => `labkit-${word}-${++made}-${Math.random().toString(36).slice(2, 8)}`;
function part(parent, tag, properties = {}, attributes = {}) {
  const element = Object.assign(document.createElement(tag), properties);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  parent.appendChild(element);
  return element;
}
"""
)

_PREDICTION = (
    _PARTS
    + """
function readNumber(text) {
  let typed = text.trim();
  if (typed.split(",").length === 2 && !typed.includes(".")) typed = typed.replace(",", ".");
  return typed === "" ? NaN : Number(typed);
}
function render({ model, el }) {
  el.classList.add("labkit-form");
  guard(el);
  const form = part(el, "div", { className: "labkit-predict-form" });
  const field = (tag, words, properties, attributes) => {
    const id = fresh("field");
    const row = part(form, "div", { className: "labkit-field" });
    part(row, "label", { textContent: words, htmlFor: id });
    return part(row, tag, { id, ...properties }, attributes);
  };
  const number = field("input", `Your answer (${model.get("range")}):`,
    { type: "text", autocomplete: "off" }, { inputmode: "decimal" });
  const sure = field("select", "How sure are you?");
  for (const [percent, words] of model.get("steps")) part(sure, "option", { value: percent, textContent: words });
  sure.value = "50";
  const why = field("input", "Why, in one line:",
    { type: "text", maxLength: 200, className: "labkit-why", autocomplete: "off" });
  const wrong = part(form, "div", { id: fresh("error"), className: "labkit-error" }, { role: "alert" });
  const button = part(form, "button", { type: "button", textContent: "Lock my answer" });
  const status = part(el, "div", { className: "labkit-locked", tabIndex: -1 }, { role: "status" });
  const controls = [number, sure, why, button];
  let waiting = false;

  const wait = (yes) => {
    waiting = yes;
    for (const control of controls) control.disabled = yes;
    status.textContent = yes ? "Locking… This waits until the notebook has run what it is running." : "";
  };
  const complain = (words) => {
    wrong.textContent = words;
    if (words) {
      number.setAttribute("aria-invalid", "true");
      number.setAttribute("aria-describedby", wrong.id);
      number.focus();
    } else {
      number.removeAttribute("aria-invalid");
      number.removeAttribute("aria-describedby");
    }
  };
  button.addEventListener("click", () => {
    const value = readNumber(number.value);
    if (!(value >= model.get("low") && value <= model.get("high"))) {
      complain(`Please give a number ${model.get("range")}.`);
      return;
    }
    complain("");
    wait(true);
    status.focus();
    model.send({ lock: { value: number.value, sure: Number(sure.value), why: why.value } });
  });
  const onError = () => {
    if (!model.get("error") || !waiting) return;
    wait(false);
    complain(model.get("error"));
  };
  const onLocked = () => {
    if (!model.get("locked")) return;
    const inside = form.contains(document.activeElement) || waiting;
    waiting = false;
    form.hidden = true;
    status.textContent = model.get("locked");
    const elsewhere = document.activeElement !== document.body && !el.contains(document.activeElement);
    if (inside && !elsewhere) status.focus();
  };
  model.on("change:error", onError);
  model.on("change:locked", onLocked);
  onLocked();
  return () => { model.off("change:error", onError); model.off("change:locked", onLocked); };
}
export default { render };
"""
)

_QUESTION = (
    _PARTS
    + """
function render({ model, el }) {
  el.classList.add("labkit-form");
  guard(el);
  const title = fresh("question"), shared = fresh("choice");
  const group = part(el, "fieldset", {}, { role: "radiogroup", "aria-labelledby": title });
  part(group, "legend", { id: title, innerHTML: model.get("ask") });
  const radios = model.get("choices").map((words, index) => {
    const label = part(group, "label", { className: "labkit-option" });
    const radio = part(label, "input", { type: "radio", name: shared, value: index });
    part(label, "span", { innerHTML: words });
    return radio;
  });
  const button = part(el, "button", { type: "button", textContent: `Check question ${model.get("number")}` });
  const says = part(el, "div", { className: "labkit-explained" }, { role: "status", "aria-live": "polite" });
  button.addEventListener("click", () => {
    const chosen = radios.findIndex((radio) => radio.checked);
    says.textContent = chosen < 0 ? "Please choose an answer first." : "Checking…";
    if (chosen >= 0) model.send({ check: chosen });
  });
  const onAnswered = () => {
    const { chosen, said } = model.get("answered");
    if (radios[chosen]) radios[chosen].checked = true;
    says.innerHTML = said || "";
  };
  model.on("change:answered", onAnswered);
  onAnswered();
  return () => model.off("change:answered", onAnswered);
}
export default { render };
"""
)


class PredictionForm(anywidget.AnyWidget):
    """A number, how sure, why, and a button that sends all three together.

    Parameters
    ----------
    on_lock : callable
        Called with value and sure, as they came, and why; a ``ValueError`` that it raises is shown in the form.
    unit, range : str
        The number's unit, and its range in words.
    low, high : float
        The range.
    steps : list
        Pairs of percent and words.
    """

    _esm = _PREDICTION

    unit = traitlets.Unicode("").tag(sync=True)
    range = traitlets.Unicode("").tag(sync=True)
    low = traitlets.Float(0.0).tag(sync=True)
    high = traitlets.Float(1.0).tag(sync=True)
    steps = traitlets.List().tag(sync=True)
    error = traitlets.Unicode("").tag(sync=True)
    locked = traitlets.Unicode("").tag(sync=True)

    def __init__(self, on_lock: Callable[[Any, Any, str], Any], **traits: Any) -> None:
        super().__init__(**traits)
        self._on_lock = on_lock
        self.on_msg(self._on_message)

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        given = content.get("lock") if isinstance(content, dict) else None
        if not isinstance(given, dict):
            return
        self.error = ""  # so that the same complaint once more is a change
        try:
            why = given.get("why", "")
            self._on_lock(given.get("value", ""), given.get("sure", 50), why if isinstance(why, str) else "")
        except ValueError as error:
            self.error = str(error)


class QuestionForm(anywidget.AnyWidget):
    """A question, its options, a button and room for the explanation.

    Parameters
    ----------
    on_check : callable
        Called with the number of the option, from 0; returns the explanation as HTML.
    number : int
        The question's number.
    ask : str
        The question, as HTML.
    choices : list of str
        The options, as HTML.
    answered : dict
        ``chosen`` and ``said``, where there is an answer.
    """

    _esm = _QUESTION

    number = traitlets.Int(1).tag(sync=True)
    ask = traitlets.Unicode("").tag(sync=True)
    choices = traitlets.List().tag(sync=True)
    answered = traitlets.Dict().tag(sync=True)

    def __init__(self, on_check: Callable[[int], str], **traits: Any) -> None:
        super().__init__(**traits)
        self._on_check = on_check
        self._times = 0
        self.on_msg(self._on_message)

    def _on_message(self, _widget: Any, content: Any, _buffers: Any) -> None:
        chosen = content.get("check") if isinstance(content, dict) else None
        if isinstance(chosen, int) and not isinstance(chosen, bool) and 0 <= chosen < len(self.choices):
            self._times += 1  # so that the same answer once more is a change
            self.answered = {"chosen": chosen, "said": self._on_check(chosen), "times": self._times}
