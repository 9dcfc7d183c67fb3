"use strict";
const $ = (id) => document.getElementById(id);
const about = JSON.parse($("about").textContent), form = $("form");
const DASHES = ["", "9 5", "2 4", "12 4 2 4", "5 3", "1 3", "14 6", "8 3 2 3 2 3"];
const NAMESPACE = "http://www.w3.org/2000/svg";
const place = (name) => about.treatments.findIndex((treatment) => treatment.name === name) % DASHES.length;

const make = (tag, text, attributes = {}, children = []) => {
  const element = document.createElement(tag);
  if (text !== undefined && text !== null) element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const draw = (tag, attributes = {}, text) => {
  const element = document.createElementNS(NAMESPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  return element;
};

// ------------------------------------------------------------------------------------------------ the form

const shownPatients = () => [...form.querySelectorAll(".patient")].filter((fields) => !fields.hidden);
const chosen = (fields, name) => {
  const field = fields.querySelector(`[name="${CSS.escape(`${fields.dataset.patient}-${name}`)}"]:checked`)
    || fields.querySelector(`input[type=text][name="${CSS.escape(`${fields.dataset.patient}-${name}`)}"]`);
  return field ? field.value.trim() : "";
};
const patientOf = (fields) => {
  const given = {};
  for (const control of about.covariates) {
    const value = chosen(fields, control.name);
    if (value !== "") given[control.name] = value;
  }
  return given;
};
const question = () => ({
  patients: shownPatients().map(patientOf),
  treatments: [...form.querySelectorAll("[name=treatment]:checked")].map((box) => box.value),
  time: form.time.value, alive_at: form.alive_at.value, who: form.who.value,
  margin_rmst: form.margin_rmst.value, margin_survival: form.margin_survival.value,
});
// what a slider shows: faint where not known, and said where the evidence ends
const tellSlider = (fields) => {
  const slider = fields.querySelector("[type=range]"), field = fields.querySelector("[type=text]");
  const note = fields.querySelector("[data-covered]"), value = Number(field.value.replace(",", "."));
  const known = field.value.trim() !== "" && Number.isFinite(value), low = fields.dataset.low, high = fields.dataset.high;
  note.dataset.plain ??= note.textContent;
  if (known) slider.value = value;
  slider.classList.toggle("unset", !known);
  slider.setAttribute("aria-valuetext", known ? field.value : "not known");
  const beyond = known && low !== "" && (value < Number(low) || value > Number(high));
  note.textContent = beyond ? `Beyond the evidence: ${note.dataset.plain} The model alone carries the number there.` : note.dataset.plain;
  note.className = beyond ? "warn" : "";
};
const compare = (wanted) => {
  const button = $("compare");
  if (!button) return;
  form.querySelector("[data-patient=b]").hidden = !wanted;
  form.querySelector("[data-patient=a] > legend").textContent = wanted ? "Patient A" : "Patient";
  button.setAttribute("aria-pressed", String(wanted));
  button.textContent = wanted ? "Leave out the second patient" : "Compare with a second patient";
};

// ------------------------------------------------------------------------------------------------ the address

const DEFAULTS = { time: form.time.value, alive_at: "0", margin_rmst: "1", margin_survival: "5", who: "new-study" };
const settings = () => {
  const words = new URLSearchParams();
  shownPatients().forEach((fields) => {
    const given = Object.entries(patientOf(fields)).map(([name, value]) => `${name}:${value}`).join(";");
    if (given || fields.dataset.patient === "b") words.set(fields.dataset.patient, given);
  });
  const without = [...form.querySelectorAll("[name=treatment]:not(:checked)")].map((box) => box.value).join(";");
  if (without) words.set("without", without);
  for (const [name, usual] of Object.entries(DEFAULTS)) if (form[name].value !== usual) words.set(name, form[name].value);
  return words.toString();
};
const restore = () => {
  const words = new URLSearchParams(location.hash.slice(1));
  compare(words.has("b"));
  for (const fields of form.querySelectorAll(".patient")) {
    const pairs = (words.get(fields.dataset.patient) || "").split(";").map((pair) => pair.split(":"));
    const given = Object.fromEntries(pairs.filter((pair) => pair.length === 2));
    for (const control of about.covariates) {
      const name = CSS.escape(`${fields.dataset.patient}-${control.name}`), value = given[control.name] ?? "";
      const radios = [...fields.querySelectorAll(`[type=radio][name="${name}"]`)];
      for (const radio of radios) radio.checked = radio.value === value;
      if (radios.length && !radios.some((radio) => radio.checked)) radios[0].checked = true;
      const field = fields.querySelector(`[type=text][name="${name}"]`);
      if (field) field.value = value;
    }
    fields.querySelectorAll(".slider").forEach(tellSlider);
  }
  const without = (words.get("without") || "").split(";");
  for (const box of form.querySelectorAll("[name=treatment]")) box.checked = !without.includes(box.value);
  for (const [name, usual] of Object.entries(DEFAULTS)) form[name].value = words.get(name) ?? usual;
  if (form.who.selectedIndex < 0) form.who.value = DEFAULTS.who;
  $("time-slider").value = form.time.value;
};

// ------------------------------------------------------------------------------------------------ the answer

const table = (content, caption) => {
  const heads = content.head.map((text, index) => make("th", text, { scope: "col", role: "columnheader", class: content.numeric.includes(index) ? "num" : "" }));
  const rows = content.rows.map((texts) => make("tr", null, { role: "row" }, texts.map((text, index) => {
    const last = content.head[index] === "beware" ? "beware" : content.numeric.includes(index) ? "num" : "";
    const attributes = { class: text === "" ? `${last} empty` : last, "data-head": content.head[index] };
    return index === 0 ? make("th", text, { ...attributes, scope: "row", role: "rowheader" }) : make("td", text, { ...attributes, role: "cell" });
  })));
  const body = [make("thead", null, { role: "rowgroup" }, [make("tr", null, { role: "row" }, heads)]), make("tbody", null, { role: "rowgroup" }, rows)];
  return make("table", null, { "aria-label": caption, role: "table" }, body);
};
// columns in which no row says anything are left out
const told = (content) => {
  const kept = content.head.map((_, index) => index).filter((index) => content.rows.some((row) => row[index] !== ""));
  return { head: kept.map((index) => content.head[index]), rows: content.rows.map((row) => kept.map((index) => row[index])),
    numeric: kept.flatMap((index, position) => content.numeric.includes(index) ? [position] : []) };
};
// a number and its sign stay on one line
const joined = (text) => text.replace(/ %/g, "\u00a0%");
const several = (answer) => answer.patients.length > 1;
const title = (answer, index) => several(answer) ? `Patient ${"AB"[index]}: ` : "";

const icons = (treatment, answer) => {
  const color = `var(--t${place(treatment.name)})`, label = `${treatment.label}: ${treatment.words} of 100 ${answer.state} at ${answer.time_words}`;
  const array = draw("svg", { viewBox: "0 0 202 162", role: "img", "aria-label": label });
  for (let index = 0; index < 100; index += 1) {
    const alive = index < treatment.alive, sure = index < treatment.low || index >= treatment.high;
    const person = draw("g", { transform: `translate(${(index % 10) * 20 + 2} ${Math.floor(index / 10) * 16 + 1})`, "data-state": `${alive ? "alive" : "dead"}-${sure ? "sure" : "open"}` });
    const look = alive ? { fill: color, "fill-opacity": sure ? 1 : 0.45, stroke: color } : { fill: "none", stroke: sure ? "var(--line)" : color };
    person.append(draw("circle", { cx: 9, cy: 3, r: 2.6, ...look }), draw("path", { d: "M4 13.5V9.6Q4 6.8 9 6.8T14 9.6V13.5Z", ...look }));
    array.append(person);
  }
  const caption = make("figcaption", null, {}, [make("strong", treatment.label), `: ${treatment.words}`]);
  if (treatment.mark) caption.append(make("span", ` ${treatment.mark}`, { class: "beware" }));
  return make("figure", null, { class: "array" }, [array, caption]);
};
const showIcons = (answer) => {
  const arrays = answer.patients.map((patient, index) => make("div", null, { class: "arrays" }, [
    ...(several(answer) ? [make("h3", title(answer, index) + patient.words)] : []),
    ...patient.treatments.map((treatment) => icons(treatment, answer)),
  ]));
  $("icons").replaceChildren(...arrays);
  $("icons-title").textContent = `Of 100 such patients, ${answer.state} at ${answer.time_words}`;
  $("icons-key").textContent = `Filled: ${answer.state}, by the median. Between the ends of the ${about.level} interval figures are pale if filled, and coloured outlines if not; grey outlines: not ${answer.state}.`;
};

const ticks = (end) => {
  const step = [0.25, 0.5, 1, 2, 3, 6, 12, 24, 60, 120, 240, 365, 730].find((size) => end / size <= 8) || end / 6;
  return Array.from({ length: Math.floor(end / step + 1e-9) + 1 }, (_, index) => index * step);
};
// labels at lines' ends, pushed apart so that none covers another
const spread = (labels, gap) => {
  labels.sort((first, second) => first.y - second.y);
  for (let index = 1; index < labels.length; index += 1) labels[index].y = Math.max(labels[index].y, labels[index - 1].y + gap);
  const excess = labels.length ? Math.max(0, labels[labels.length - 1].y - 300) : 0;
  for (const label of labels) label.y -= excess;
  return labels;
};
// on a narrow screen the names of lines stand below the panel, one a line, where they are never cut
const isNarrow = (box) => box < 520;
const panelHeight = (patient, box) => 376 + (isNarrow(box) ? 20 * patient.treatments.length : 0);
const panel = (answer, patient, index, box, colors) => {
  const group = draw("g", { transform: `translate(${box.x} ${box.y})` }), narrow = isNarrow(box.width), room = narrow ? 58 : 178, width = box.width - room, height = 300;
  const start = 0, end = about.horizon, across = (time) => 44 + (time - start) / (end - start) * width, up = (share) => 10 + (1 - share) * (height - 10);
  for (const share of [0, 0.25, 0.5, 0.75, 1]) {
    group.append(draw("line", { x1: 44, x2: 44 + width, y1: up(share), y2: up(share), stroke: colors.line }));
    group.append(draw("text", { x: 38, y: up(share) + 4, "text-anchor": "end", fill: colors.grey }, String(100 * share)));
  }
  for (const time of ticks(end)) group.append(draw("text", { x: across(time), y: height + 20, "text-anchor": "middle", fill: colors.grey }, String(time)));
  group.append(draw("text", { x: 44 + width / 2, y: height + 40, "text-anchor": "middle", fill: colors.grey }, about.time_unit));
  if (answer.time <= end) group.append(draw("line", { x1: across(answer.time), x2: across(answer.time), y1: 10, y2: height, stroke: colors.grey, "stroke-dasharray": "1 3" }));
  const labels = [];
  for (const treatment of patient.treatments) {
    const curve = treatment.curve, color = colors.treatments[place(treatment.name)], dash = DASHES[place(treatment.name)];
    const line = (values, wanted) => curve.time.map((time, step) => [time, values[step]]).filter(([time]) => wanted(time)).map(([time, share]) => `${across(time).toFixed(1)},${up(share).toFixed(1)}`);
    const whole = () => true, seen = (time) => treatment.follow_up !== null && time <= treatment.follow_up;
    group.append(draw("polygon", { points: [...line(curve.low, whole), ...line(curve.high, whole).reverse()].join(" "), fill: color, "fill-opacity": 0.1 }));
    for (const edge of [curve.low, curve.high]) group.append(draw("polyline", { points: line(edge, whole).join(" "), fill: "none", stroke: color, "stroke-opacity": 0.55, "stroke-width": 1, "stroke-dasharray": dash }));
    group.append(draw("polyline", { points: line(curve.median, whole).join(" "), fill: "none", stroke: color, "stroke-width": 2.6, "stroke-opacity": 0.45, "stroke-dasharray": dash }));
    group.append(draw("polyline", { points: line(curve.median, seen).join(" "), fill: "none", stroke: color, "stroke-width": 2.6, "stroke-dasharray": dash }));
    const last = curve.median[curve.median.length - 1];
    labels.push({ text: treatment.label, color, dash, from: up(last), y: up(last) });
  }
  const placed = narrow ? labels.map((label, row) => ({ ...label, y: height + 62 + 20 * row })) : spread(labels, 18);
  for (const label of placed) {
    const points = narrow ? `44,${label.y} 72,${label.y}` : `${46 + width},${label.from} ${50 + width},${label.y} ${62 + width},${label.y}`;
    const most = Math.floor((narrow ? width : room - 66) / 8), text = label.text.length > most ? `${label.text.slice(0, most - 1)}\u2026` : label.text;
    group.append(draw("polyline", { points, fill: "none", stroke: label.color, "stroke-width": 2, "stroke-dasharray": label.dash }));
    group.append(draw("text", { x: narrow ? 80 : 66 + width, y: label.y + 4, fill: label.color, "font-weight": 600 }, text));
  }
  if (several(answer)) group.append(draw("text", { x: 44, y: -6, fill: colors.ink, "font-weight": 600 }, `Patient ${"AB"[index]}`));
  return group;
};
const curves = (answer, width, colors) => {
  const beside = several(answer) && width >= 820, box = beside ? (width - 16) / 2 : width, rows = beside ? 1 : answer.patients.length, tall = panelHeight(answer.patients[0], box);
  const label = `Curves of ${answer.patients.map((patient, index) => title(answer, index) + patient.treatments.map((treatment) => `${treatment.label}, ${treatment.words} of 100 ${answer.state} at ${answer.time_words}`).join("; ")).join(". ")}`;
  const figure = draw("svg", { viewBox: `0 0 ${width} ${rows * tall}`, role: "img", "aria-label": label, "font-family": "system-ui, DejaVu Sans, sans-serif", "font-size": 13 });
  answer.patients.forEach((patient, index) => {
    figure.append(panel(answer, patient, index, { x: beside ? index * (box + 16) : 0, y: 26 + (beside ? 0 : index * tall), width: box }, colors));
  });
  return figure;
};
const themed = (theme) => {
  const value = (name) => theme.getPropertyValue(name).trim();
  return { ink: value("--ink"), grey: value("--grey"), line: value("--line"), paper: value("--paper"), treatments: DASHES.map((_, index) => value(`--t${index}`)) };
};
const LIGHT = { ink: "#1f2326", grey: "#595f64", line: "#d5d9dc", paper: "#ffffff", treatments: ["#0072B2", "#C24E00", "#00805D", "#A8508B", "#8F6200", "#2C7FB0", "#000000", "#735326"] };

let shown = null;
const showCurves = () => {
  if (!shown) return;
  const width = Math.max(340, Math.min(820, $("curves").clientWidth || 820));
  $("curves").replaceChildren(curves(shown, width, themed(getComputedStyle(document.documentElement))));
};
const show = (answer) => {
  shown = answer;
  $("answer").hidden = false;
  $("headline").replaceChildren(...answer.headline.map((text) => make("p", joined(text))));
  showIcons(answer);
  showCurves();
  $("curves-key").textContent = `Of 100 such patients, ${answer.state}: median and ${about.level} interval of the curve, which more evidence narrows. Faint lines: beyond the follow-up of the evidence, carried on by the model.`;
  $("differences").replaceChildren(answer.differences.rows.length ? table(told(answer.differences), "What a treatment adds") : make("p", "One treatment alone: nothing is compared.", { class: "note" }));
  const single = answer.patients.flatMap((patient, index) => patient.treatments.map((treatment) => [title(answer, index) + treatment.label, ...treatment.single]));
  $("single").replaceChildren(table({ head: ["treatment", ...about.single_heads], numeric: [1, 2, 3, 4, 5], rows: single }, "One such patient"));
  $("basis").replaceChildren(table(told(answer.basis), "What these numbers rest on"));
  $("notes").replaceChildren(...answer.notes.map((text) => make("li", text, { class: /FAILED|Beyond|wrong/.test(text) ? "warn" : "" })));
  $("numbers").replaceChildren(table(told(answer.numbers), "All numbers"));
  $("later").replaceChildren(...(answer.later.rows.length ? [table(told(answer.later), "All differences")] : []));
  $("letter").value = answer.letter;
  $("took").textContent = `Answered in ${answer.milliseconds} ms by the model ${about.name}.`;
};

// one question at a time; of changes that come meanwhile the last is asked
let busy = false, waiting = false;
const ask = async () => {
  if (busy) { waiting = true; return; }
  busy = true;
  const answerAndLead = [$("headline"), $("answer")];
  try {
    const reply = await fetch("answer", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(question()) });
    const answer = await reply.json();
    if (reply.ok) show(answer);
    $("error").textContent = reply.ok ? "" : answer.error;
    for (const element of answerAndLead) element.classList.toggle("stale", !reply.ok);
  } catch (problem) {
    $("error").textContent = "The program that answers is not running any more.";
    for (const element of answerAndLead) element.classList.add("stale");
  }
  busy = false;
  if (waiting) { waiting = false; ask(); }
};
const changed = () => {
  const words = settings();
  history.replaceState(null, "", words ? `#${words}` : location.pathname);
  ask();
};

// ------------------------------------------------------------------------------------------------ to take along

const hand = (name, address) => {
  const link = make("a", null, { href: address, download: name });
  document.body.append(link);
  link.click();
  link.remove();
};
const say = (text) => { $("done").textContent = text; };
const savePng = () => {
  const drawing = curves(shown, several(shown) ? 1100 : 820, LIGHT), [, , width, height] = drawing.getAttribute("viewBox").split(" ").map(Number);
  const lines = [about.question, ...shown.headline.flatMap((text) => joined(text).match(/.{1,120}(?: |$)/g))], top = 18 * lines.length + 14;
  const sheet = draw("svg", { xmlns: NAMESPACE, width, height: height + top, "font-family": "system-ui, DejaVu Sans, sans-serif", "font-size": several(shown) ? 15 : 12 });
  sheet.append(draw("rect", { width: "100%", height: "100%", fill: LIGHT.paper }));
  lines.forEach((text, index) => sheet.append(draw("text", { x: 12, y: 22 + 18 * index, fill: LIGHT.ink, "font-weight": index ? 400 : 600 }, text)));
  drawing.setAttribute("y", top);
  drawing.setAttribute("width", width);
  drawing.setAttribute("height", height);
  sheet.append(drawing);
  const picture = new Image();
  picture.onload = () => {
    const canvas = make("canvas", null, { width: 2 * width, height: 2 * (height + top) });
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => { hand(`${about.name}.png`, URL.createObjectURL(blob)); say("The figure is saved."); });
  };
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(sheet))}`;
};
const copy = async (text, name) => {
  try {
    await navigator.clipboard.writeText(text);
    say(`${name} is copied.`);
  } catch (problem) {
    $("letter").select();
    say("This browser copies nothing by itself: mark the text and copy it.");
  }
};

form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("input", (event) => {
  const fields = event.target.closest(".slider");
  if (fields) {
    if (event.target.type === "range") fields.querySelector("[type=text]").value = event.target.value;
    tellSlider(fields);
  }
  if (event.target.id === "time-slider") form.time.value = event.target.value;
  if (event.target.name === "time") $("time-slider").value = event.target.value.replace(",", ".");
  changed();
});
form.addEventListener("click", (event) => {
  if (event.target.id === "compare") { compare(event.target.getAttribute("aria-pressed") !== "true"); changed(); }
  if (event.target.hasAttribute("data-clear")) {
    const fields = event.target.closest(".slider");
    fields.querySelector("[type=text]").value = "";
    tellSlider(fields);
    changed();
  }
});
$("csv").addEventListener("click", () => { hand(`${about.name}.csv`, URL.createObjectURL(new Blob([shown.csv], { type: "text/csv" }))); say("The numbers are saved."); });
$("png").addEventListener("click", savePng);
$("copy-letter").addEventListener("click", () => copy(shown.letter, "The paragraph"));
$("copy-link").addEventListener("click", () => copy(location.href, "The address"));
addEventListener("hashchange", () => { restore(); ask(); });
addEventListener("resize", showCurves);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", showCurves);
// while the page gets ready, the seconds that the first answer has taken
const opened = performance.now(), clock = setInterval(() => {
  const waited = $("waited");
  if (waited) waited.textContent = ` ${Math.round((performance.now() - opened) / 1000)} s so far.`;
  else clearInterval(clock);
}, 1000);
restore();
ask();
