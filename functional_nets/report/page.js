// The confusion matrix: a number shows its cell's images below the table; again, and they go.
for (const matrix of document.querySelectorAll(".confusion")) {
  const chosen = matrix.querySelector(".chosen");
  const buttons = matrix.querySelectorAll("button[data-cell]");
  for (const button of buttons) {
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      const opening = button.getAttribute("aria-pressed") === "false";
      for (const each of buttons) each.setAttribute("aria-pressed", String(opening && each === button));
      const images = matrix.querySelector(`#${button.dataset.cell}`).cloneNode(true);
      images.removeAttribute("id");
      chosen.replaceChildren(...(opening ? [images] : []));
    });
  }
  const numbers = [...matrix.querySelectorAll("button.wrong")];  // The commonest mistake, so that nobody meets a blank.
  numbers.sort((a, b) => parseInt(b.ariaLabel) - parseInt(a.ariaLabel))[0]?.click();
}

// The decision surface: one frame at a time.
for (const surface of document.querySelectorAll(".surface")) {
  const frames = surface.querySelectorAll(".frame");
  const slider = surface.querySelector("input");
  slider.addEventListener("input", () => {
    frames.forEach((frame, number) => { frame.hidden = number !== Number(slider.value); });
    const step = frames[slider.value].dataset.step;
    surface.querySelector("output").value = step;
    slider.setAttribute("aria-valuetext", `step ${step}`);
  });
}
