// ipywidgets draws sliders whose handle has no name for a screen reader. Those of our own panel get one here.

/** Names each slider's handle after its label, and lets it say the value that the person sees. */
export function nameSliders(root) {
  const panel = root.closest(".labkit-panel");
  if (!panel) return;
  for (const slider of panel.querySelectorAll(".widget-slider, .widget-hslider")) {
    const handle = slider.querySelector(".noUi-handle");
    if (!handle || handle.dataset.labkit) continue;
    handle.dataset.labkit = "named";
    const label = slider.querySelector(".widget-label");
    const readout = slider.querySelector(".widget-readout");
    handle.setAttribute("aria-label", label?.getAttribute("title") || label?.textContent || "value");
    if (!readout) continue;
    readout.setAttribute("aria-label", `${label?.textContent ?? ""}, value`);
    const tell = () => {
      if (handle.getAttribute("aria-valuetext") !== readout.textContent)
        handle.setAttribute("aria-valuetext", readout.textContent);
    };
    tell();
    new MutationObserver(tell).observe(readout, { childList: true, characterData: true, subtree: true });
    new MutationObserver(tell).observe(handle, { attributeFilter: ["aria-valuetext"] });
  }
}
