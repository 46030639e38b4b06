"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const stage = byId("stage");
const views = new Map([...document.querySelectorAll(".view")].map((view) => [view.dataset.state, view]));
let whole = data.start === "all";
const opened = new Set();
let scale = 1;
let hits = [];
let next = 0;

// All unfolded, or the folded graph and below it the layers that are open.
const shown = () => [...views].filter(([state]) => whole ? state === "all" : state === "folded" || opened.has(state)).map(([, view]) => view);
const sizes = () => shown().map((view) => view.querySelector("svg").viewBox.baseVal);

function zoom(to, at) {
  const box = stage.getBoundingClientRect();
  const [x, y] = at || [box.width / 2, box.height / 2];
  const before = scale;
  scale = Math.min(4, Math.max(0.1, to));
  for (const view of shown()) {
    const svg = view.querySelector("svg");
    svg.setAttribute("width", svg.viewBox.baseVal.width * scale);
    svg.setAttribute("height", svg.viewBox.baseVal.height * scale);
  }
  stage.scrollLeft = (stage.scrollLeft + x) * scale / before - x;
  stage.scrollTop = (stage.scrollTop + y) * scale / before - y;
}

// As large as the window allows, which the stage follows; letters stay legible, and the rest is there to be scrolled to.
const LETTERS = 11;
const LEGIBLE = 10;

function fit() {
  const split = stage.parentElement;
  const beside = getComputedStyle(split).flexDirection === "row" ? byId("panel").offsetWidth : 0;
  const wide = (split.clientWidth - beside - 4) / Math.max(...sizes().map((each) => each.width));
  const high = (parseFloat(getComputedStyle(stage).maxHeight) - 4) / sizes()[0].height;
  zoom(Math.min(1.5, Math.max(Math.min(wide, high), Math.min(wide, 1), LEGIBLE / LETTERS)));
}

function show(toWhole, layers) {
  whole = toWhole || !views.has("folded");
  opened.clear();
  layers.forEach((layer) => opened.add(layer));
  const seen = new Set(shown());
  views.forEach((view) => { view.hidden = !seen.has(view); });
  document.querySelectorAll(".layer[data-fold]").forEach((each) => each.setAttribute("aria-expanded", opened.has(each.dataset.fold)));
  zoom(scale);
  mark();
}

function within(selector, value) {
  for (const view of shown().reverse()) {
    const found = [...view.querySelectorAll(`[data-${selector}]`)].find((each) => each.dataset[selector] === value);
    if (found) return found;
  }
  return undefined;
}

function reveal(element) {
  if (!element) return;
  element.focus({ preventScroll: true });
  center(element);
}

function center(element) {
  const box = element.getBoundingClientRect();
  const frame = stage.getBoundingClientRect();
  stage.scrollLeft += box.left + box.width / 2 - frame.left - frame.width / 2;
  stage.scrollTop += box.top + box.height / 2 - frame.top - frame.height / 2;
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function choose(key) {
  const detail = data.details[key];
  const panel = byId("panel");
  panel.tabIndex = 0;
  panel.replaceChildren(element("h2", detail.name));
  for (const edge of stage.querySelectorAll("[data-edge]")) edge.classList.toggle("chosen", edge.dataset.edge === key);
  if (detail.where) panel.append(element("code", `${detail.where}  ${detail.source}`));
  if (detail.kind) panel.append(element("p", detail.kind));
  const table = element("table");
  const heads = [["", ""], ["value", ""], ["rule", "rule"], ["jax.grad", "jax.grad"], ["difference", "differences"]];
  if (detail.yours) heads.push([detail.yours, "yours"]);
  const row = table.createTHead().insertRow();
  for (const [name, witness] of heads) {
    const wrong = detail.wrong.includes(witness);
    const head = element("th", wrong ? `${name} ✗` : name || (detail.kind ? "at" : ""), wrong ? "wrong" : "");
    head.scope = "col";
    row.append(head);
  }
  const body = table.createTBody();
  for (const cells of detail.rows) {
    const line = body.insertRow();
    cells.forEach((cell, place) => line.append(element("td", cell, detail.wrong.includes(heads[place][1]) ? "wrong" : "")));
  }
  const wide = element("div", undefined, "wide");
  wide.tabIndex = 0;
  wide.setAttribute("role", "region");
  wide.setAttribute("aria-label", "Numbers");
  wide.append(table);
  panel.append(wide);
  if (detail.hidden > 0) panel.append(element("p", `${detail.hidden} more elements, of smaller gradients`, "hint"));
  keepInSight(within("edge", key));
  panel.firstChild.scrollIntoView({ block: "nearest" });
}

// The panel takes its room from the stage.
function keepInSight(edge) {
  if (!edge) return;
  const label = edge.querySelector(".ground");
  const box = label.getBoundingClientRect();
  const frame = stage.getBoundingClientRect();
  if (box.left < frame.left || box.right > frame.right || box.top < frame.top || box.bottom > frame.bottom) center(label);
}

function act(target) {
  const chosen = target.closest("[data-edge], [data-fold]");
  if (!chosen) return false;
  if (chosen.dataset.edge) {
    choose(chosen.dataset.edge);
    return true;
  }
  const layer = chosen.dataset.fold;
  const open = chosen.dataset.key.startsWith("l") && !opened.has(layer);
  show(false, open ? [...opened, layer] : [...opened].filter((each) => each !== layer));
  reveal(open ? first(layer) : views.get("folded").querySelector(`[data-key=l${layer}]`));
  return true;
}

function first(layer) {
  return [...views.get(layer).querySelectorAll("[data-key]")].find((each) => data.layers[each.dataset.key] === layer);
}

function mark() {
  const layers = new Set(hits.map((key) => `l${data.layers[key]}`));
  for (const vertex of shown().flatMap((view) => [...view.querySelectorAll(".vertex")])) {
    vertex.classList.toggle("hit", hits.includes(vertex.dataset.key) || layers.has(vertex.dataset.key));
  }
}

function search() {
  const wanted = byId("search").value.trim().toLowerCase();
  hits = wanted ? Object.keys(data.names).filter((key) => data.names[key].toLowerCase().includes(wanted)) : [];
  next = 0;
  byId("found").textContent = wanted ? `${hits.length} found` : "";
  mark();
}

function go() {
  if (!hits.length) return;
  byId("found").textContent = `${next % hits.length + 1} of ${hits.length}`;
  center(visit(hits[next % hits.length]));
  next += 1;
}

function visit(key) {
  if (!within("key", key)) unfold(data.layers[key]);
  return within("key", key);
}

function unfold(layer) {
  show(false, layer ? [...opened, layer] : [...opened]);
}

byId("search").addEventListener("input", search);
byId("search").addEventListener("keydown", (event) => { if (event.key === "Enter") go(); });
byId("larger").addEventListener("click", () => zoom(scale * 1.25));
byId("smaller").addEventListener("click", () => zoom(scale / 1.25));
byId("fit").addEventListener("click", fit);
byId("fold").addEventListener("click", () => { show(false, []); fit(); });
byId("unfold").addEventListener("click", () => { show(true, []); fit(); });
byId("folding").hidden = !views.has("folded");
byId("first").hidden = !data.first;
byId("first").addEventListener("click", () => {
  const [key, layer] = data.first;
  if (!within("edge", key)) unfold(layer);
  choose(key);
  reveal(within("edge", key));
});

byId("mistake").hidden = !data.mistake;
byId("mistake").addEventListener("click", () => reveal(visit(data.mistake)));

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey) return;
  if ((event.key === "Enter" || event.key === " ") && event.target.closest("#stage g") && act(event.target)) event.preventDefault();
  else if (event.key === "/") { byId("search").focus(); event.preventDefault(); }
  else if (event.key === "+" || event.key === "=") zoom(scale * 1.25);
  else if (event.key === "-") zoom(scale / 1.25);
  else if (event.key === "0") fit();
});

let drag = null;
stage.addEventListener("pointerdown", (event) => {
  if (event.pointerType === "mouse" && event.button === 0) drag = [event.clientX, event.clientY, stage.scrollLeft, stage.scrollTop, false];
});
addEventListener("pointermove", (event) => {
  if (!drag) return;
  const [x, y, left, top] = drag;
  if (Math.hypot(event.clientX - x, event.clientY - y) > 4) drag[4] = true;
  if (!drag[4]) return;
  stage.classList.add("dragged");
  stage.scrollLeft = left + x - event.clientX;
  stage.scrollTop = top + y - event.clientY;
});
addEventListener("pointerup", () => {
  stage.classList.remove("dragged");
  setTimeout(() => { drag = null; });
});
stage.addEventListener("click", (event) => { if (!drag || !drag[4]) act(event.target); });
stage.addEventListener("wheel", (event) => {
  if (!event.ctrlKey && !event.metaKey) return;
  event.preventDefault();
  const box = stage.getBoundingClientRect();
  zoom(scale * Math.exp(-event.deltaY / 300), [event.clientX - box.left, event.clientY - box.top]);
}, { passive: false });
fit();
