const paper = document.getElementById("paper");
const pen = document.getElementById("pen");
const trouble = document.getElementById("trouble");
const label = document.getElementById("label");
const gradient = document.getElementById("gradient");
const ink = paper.getContext("2d", { willReadFrequently: true });
const SIZE = paper.width;
const STEP = 10;  // Pixels that an arrow key moves the pen.
let waiting = null;  // What is to be sent next: a function that gives a file, or nothing.
let busy = false;
let sent = null;  // What was sent last, to ask again for another label.

ink.lineWidth = 20;
ink.lineCap = ink.lineJoin = "round";
ink.strokeStyle = "#fff";

const percent = (share) => `${(100 * share).toFixed(1)}%`;

// --- Drawing ---

function clear() {
  ink.fillStyle = "#000";
  ink.fillRect(0, 0, SIZE, SIZE);
  waiting = sent = null;
  trouble.textContent = "";
  showNothing();
}

function line(from, to) {
  ink.beginPath();
  ink.moveTo(...from);
  ink.lineTo(...to);
  ink.stroke();
  ask(() => new Promise((done) => paper.toBlob(done)));
}

const strokes = new Map();  // Where each pointer that is down was last.

function place(event) {
  const box = paper.getBoundingClientRect();
  return [(event.clientX - box.left) * SIZE / box.width, (event.clientY - box.top) * SIZE / box.height];
}

paper.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  paper.setPointerCapture(event.pointerId);
  pen.hidden = true;
  const at = place(event);
  strokes.set(event.pointerId, at);
  line(at, at);
});
paper.addEventListener("pointermove", (event) => {
  if (!strokes.has(event.pointerId)) return;
  const at = place(event);
  line(strokes.get(event.pointerId), at);
  strokes.set(event.pointerId, at);
});
for (const end of ["pointerup", "pointercancel"]) {
  paper.addEventListener(end, (event) => strokes.delete(event.pointerId));
}

// --- Keys ---

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let cursor = [SIZE / 2, SIZE / 2];
let down = false;

function showPen() {
  pen.hidden = false;
  pen.classList.toggle("down", down);
  pen.style.left = `${100 * cursor[0] / SIZE}%`;
  pen.style.top = `${100 * cursor[1] / SIZE}%`;
}

paper.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const arrow = ARROWS[event.key];
  if (arrow) {
    const next = cursor.map((each, axis) => Math.min(SIZE, Math.max(0, each + STEP * arrow[axis])));
    if (down) line(cursor, next);
    cursor = next;
  } else if (event.key === " ") {
    down = !down;
    if (down) line(cursor, cursor);
  } else if (event.key === "Escape") {
    down = false;
    clear();
  } else {
    return;
  }
  event.preventDefault();
  showPen();
});
paper.addEventListener("focus", () => { if (paper.matches(":focus-visible")) showPen(); });
paper.addEventListener("blur", () => { pen.hidden = true; });

// --- Files ---

document.getElementById("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  event.target.value = "";
  if (!file) return;
  clear();
  if (file.size > FACTS.mostBytes) {
    const megabytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MB`;
    trouble.textContent = `Expected an image file of at most ${megabytes(FACTS.mostBytes)}, `
      + `found ${megabytes(file.size)}: make it smaller.`;
    return;
  }
  ask(() => file);
});
document.getElementById("clear").addEventListener("click", clear);

// --- Asking: one question at a time, and then the newest ---

async function ask(give) {
  waiting = give;
  if (busy) return;
  busy = true;
  while (waiting) {
    const now = waiting;
    waiting = null;
    sent = now;
    try {
      await answer(await now());
    } catch {
      trouble.textContent = "Expected an answer, found none: is the server still running?";
    }
  }
  busy = false;
}

async function answer(file) {
  const wanted = label.value === "" ? "" : `?label=${label.value}`;
  const response = await fetch(`look${wanted}`, { method: "POST", body: file });
  const found = await response.json();
  if (!sent) return;  // Cleared in the meantime.
  trouble.textContent = response.ok ? "" : found.error;
  if (response.ok) show(found);
  else showNothing();
}

// --- Showing ---

const body = document.querySelector("#bars tbody");
for (const name of FACTS.classes) {
  const row = body.insertRow();
  row.append(Object.assign(document.createElement("th"), { scope: "row", textContent: name }));
  row.insertCell().append(Object.assign(document.createElement("div"), { className: "bar" }));
  row.insertCell();
}
label.append(new Option("what it says", ""), ...FACTS.classes.map((name, number) => new Option(name, number)));

function paint(canvas, colours, width, height) {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  colours.forEach((colour, number) => image.data.set([...colour, 255], 4 * number));
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const grey = (share) => Array(3).fill(Math.round(255 * Math.min(1, Math.max(0, share))));

function signed(value) {
  const [low, middle, high] = FACTS.map;
  const [from, to, share] = value < 0 ? [middle, low, -value] : [middle, high, value];
  return from.map((each, channel) => Math.round(each + share * (to[channel] - each)));
}

function showNothing() {
  document.getElementById("answer").textContent = "Nothing yet.";
  [...body.rows].forEach((row) => {
    row.className = "";
    row.querySelector(".bar").style.width = "0";
    row.cells[2].textContent = "";
  });
  for (const name of ["seen", "pixels"]) paint(document.getElementById(name), Array(784).fill([0, 0, 0]), 28, 28);
  document.querySelectorAll("#hidden figure").forEach((figure) => figure.remove());
  document.querySelector("#slope figcaption").textContent = "Draw something first.";
}

function show(found) {
  const best = found.probabilities.indexOf(Math.max(...found.probabilities));
  const verdict = `${FACTS.classes[best]}, ${percent(found.probabilities[best])}`;
  document.getElementById("answer").textContent = verdict;
  [...body.rows].forEach((row, number) => {
    row.className = number === best ? "best" : "";
    row.querySelector(".bar").style.width = `${100 * found.probabilities[number]}%`;
    row.cells[2].textContent = percent(found.probabilities[number]);
  });
  const seen = document.getElementById("seen");
  paint(seen, found.image.map((pixel) => grey(pixel / 255)), 28, 28);
  seen.ariaLabel = `Your drawing as the network sees it; it says ${verdict}`;
  showHidden(found.hidden);
  showGradient(found);
}

function showHidden(layers) {
  const hidden = document.getElementById("hidden");
  layers.forEach((layer, number) => {
    const figure = hidden.querySelectorAll("figure")[number] ?? hidden.appendChild(newFigure());
    const most = Math.max(...layer.values) || 1;
    const [values, width, height] = layer.shape.length === 3 ? maps(layer) : units(layer.values);
    const canvas = figure.querySelector("canvas");
    paint(canvas, values.map((value) => grey(value / most)), width, height);
    canvas.style.width = `${Math.min(20, Math.max(8, width * .62))}rem`;
    const active = layer.values.filter((value) => value > 0).length;
    const words = `${layer.name}: ${active} of ${layer.values.length} units active, the strongest gives ${most.toFixed(2)}`;
    canvas.ariaLabel = words;
    figure.querySelector("figcaption").textContent = words;
  });
}

function newFigure() {
  const figure = document.createElement("figure");
  const canvas = document.createElement("canvas");
  canvas.setAttribute("role", "img");
  figure.append(canvas, document.createElement("figcaption"));
  return figure;
}

function units(values) {  // In whole rows, if their number allows it, two to four times as many across as down.
  const usual = Math.max(1, Math.round(Math.sqrt(values.length / 2)));
  let height = usual;
  while (values.length % height && values.length <= 4 * height * height) height--;
  if (values.length % height || values.length > 4 * height * height) height = usual;
  const width = Math.ceil(values.length / height);
  return [[...values, ...Array(width * height - values.length).fill(0)], width, height];
}

function maps({ shape: [height, width, channels], values }) {  // One map beside the other, eight in a row.
  const across = Math.min(8, channels);
  const [wide, high] = [across * (width + 1) - 1, Math.ceil(channels / across) * (height + 1) - 1];
  const picture = Array(wide * high).fill(0);
  for (let channel = 0; channel < channels; channel++) {
    const [left, top] = [channel % across * (width + 1), Math.floor(channel / across) * (height + 1)];
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        picture[(top + y) * wide + left + x] = values[(y * width + x) * channels + channel];
      }
    }
  }
  return [picture, wide, high];
}

function showGradient(found) {
  const words = `The loss, if it is ${FACTS.classes[found.label]}, is ${found.loss.toPrecision(3)} nats. `
    + `Ink on yellow pixels would raise it, ink on blue ones lower it; the steepest changes it by `
    + `${found.limit.toPrecision(2)} nats per full pixel.`;
  const pixels = document.getElementById("pixels");
  paint(pixels, found.gradient.map(signed), 28, 28);
  pixels.ariaLabel = words;
  document.querySelector("#slope figcaption").textContent = words;
}

gradient.addEventListener("click", () => {
  const shown = gradient.getAttribute("aria-pressed") === "false";
  gradient.setAttribute("aria-pressed", String(shown));
  document.getElementById("slope").hidden = !shown;
});
label.addEventListener("change", () => { if (sent) ask(sent); });
clear();
