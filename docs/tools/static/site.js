// What theme and widgets leave to be done.

document.addEventListener("DOMContentLoaded", () => {
  // Widgets typeset their labels with version 2 of MathJax, where the pages have version 3.
  if (window.MathJax) {
    window.MathJax.Hub ??= { Queue() {} };
  }
  // These names hide from a screen reader what is written on the button.
  for (const named of document.querySelectorAll("summary[aria-label], .search-button-field")) {
    named.removeAttribute("aria-label");
  }
  // No kernel runs behind a page: a slider must not look as if it would answer, nor take the keyboard's focus.
  const outputs = document.querySelectorAll(".cell_output");
  const still = () => {
    for (const widget of document.querySelectorAll(".cell_output .jupyter-widgets:not([inert])")) {
      widget.inert = true;
    }
  };
  for (const output of outputs) {
    new MutationObserver(still).observe(output, { childList: true, subtree: true });
  }
  still();
});
