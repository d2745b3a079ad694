"use strict";
// Elements, numbers, tables, bars and strips; the other scripts follow. What is data becomes text nodes and attributes,
// never markup.

const SVG_TAGS = new Set(["svg", "g", "rect", "path", "line", "text"]);

/** An element; of SVG where the tag is one of SVG_TAGS. */
function make(tag, attributes = {}, ...children) {
  if (SVG_TAGS.has(tag)) return draw(tag, attributes, ...children);
  return filled(document.createElement(tag), attributes, children);
}

/** An element of SVG, also where HTML has one of that name. */
function draw(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const $ = (id) => document.getElementById(id);
const spaced = (name) => name.replaceAll("_", " ");
const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
const number = (value, digits = 3) => value.toFixed(digits).replace("-", "−");
const signed = (value, digits = 3) => (value > 0 ? "+" : "") + number(value, digits);
const percent = (share) => `${number(100 * share, 1)} %`;
const times = (multiple) => `${number(multiple, 2)}×`;
const isolated = (text) => make("bdi", {}, text); // right-to-left text must not move what stands beside it
const clamped = (value, most) => Math.min(Math.max(value, -most), most);

function row(name, ...cells) {
  const place = (cell) => (cell.tagName === "svg" ? { class: "bars" } : {});
  return make("tr", {}, make("th", { scope: "row" }, name), ...cells.map((cell) => make("td", place(cell), cell)));
}

/** A table with one head; a head of no letters is the column of bars. `name`: what its file is called. */
function table(caption, head, rows, name) {
  const cells = head.map((text) => (text ? make("th", { scope: "col" }, text) : make("td", { class: "bars" })));
  const thead = make("thead", {}, make("tr", {}, ...cells));
  return make("table", { "data-name": name }, make("caption", {}, caption), thead, make("tbody", {}, ...rows));
}

/** One path of rectangles [x, y, width, height]: far fewer elements than one for each. */
function boxes(name, list, more = {}) {
  const short = (value) => Math.round(100 * value) / 100;
  const box = ([x, y, w, h]) => `M${short(x)} ${short(y)}h${short(w)}v${short(h)}h${-short(w)}z`;
  return make("path", { class: name, d: list.map(box).join(""), ...more });
}

function chart(width, height, shown, parts) {
  const box = { viewBox: `0 0 ${width} ${height}`, height: shown, preserveAspectRatio: "none" };
  return make("svg", { class: "bar", "aria-hidden": "true", ...box }, ...parts);
}

/** Bars below each other, values in 0..1; each in its color where there are `colors`. */
function bars(values, colors = []) {
  const parts = [boxes("track", values.map((_, k) => [0, 8 * k, 100, 6]))];
  values.forEach((value, k) => {
    const box = [[0, 8 * k, 100 * value, 6]];
    parts.push(colors[k] ? boxes("colored", box, { fill: colors[k] }) : boxes("fill", box));
  });
  return chart(100, 8 * values.length - 2, values.length > 1 ? 6 * values.length : 8, parts);
}

/** Bars from zero in the middle, to the right for values above; `most` fills a half, and what is beyond ends there. */
function signedBars(values, most) {
  const above = [], below = [];
  values.forEach((value, k) => {
    const width = (50 * Math.abs(clamped(value, most))) / most;
    (value < 0 ? below : above).push([value < 0 ? 50 - width : 50, 8 * k, width, 6]);
  });
  const height = 8 * values.length - 2;
  const parts = [boxes("track", values.map((_, k) => [0, 8 * k, 100, 6]))];
  if (below.length) parts.push(boxes("fill below", below));
  if (above.length) parts.push(boxes("fill", above));
  parts.push(boxes("tick", [[49.5, 0, 1, height]]));
  return chart(100, height, values.length > 1 ? 6 * values.length : 8, parts);
}

/** A multiple of uniform attention as a bar from 1 in the middle: a half is 8 times as much, or an eighth. */
const multipleBar = (multiple) => signedBars([multiple > 0 ? Math.log2(multiple) : -3], 3);

/**
 * A strip of a dialogue in the colors of the classes: labels above predictions (positions in the classes, -1: unknown),
 * and a line below each turn that is wrong. A turn is CELL wide, in units of the strip.
 */
const CELL = 28;
function strip(labels, predictions, colors) {
  const gap = labels.length > 60 ? 0 : 2;
  const parts = new Map();
  const add = (kind, x, y, height) => {
    if (!parts.has(kind)) parts.set(kind, []);
    parts.get(kind).push([CELL * x, y, CELL - gap, height]);
  };
  labels.forEach((label, x) => {
    add(label, x, 0, 5);
    add(predictions[x], x, 5.6, 5);
    if (label >= 0 && label !== predictions[x]) add("wrong", x, 11.4, 1.6);
  });
  const paths = [...parts].map(([kind, list]) => {
    if (kind === "wrong") return boxes("wrong-mark", list);
    return kind < 0 ? boxes("unknown", list) : boxes("emotion", list, { fill: colors[kind] });
  });
  const box = { viewBox: `0 0 ${CELL * labels.length} 13`, preserveAspectRatio: "none" };
  return make("svg", { class: "strip", "aria-hidden": "true", "shape-rendering": "crispEdges", ...box }, ...paths);
}

/** The name of a class beside a swatch of its color. */
function emotion(k) {
  const swatch = make("svg", { class: "swatch", viewBox: "0 0 10 10", "aria-hidden": "true" },
    make("rect", { width: 10, height: 10, fill: data.colors[k] }));
  return make("span", { class: "emotion" }, swatch, isolated(data.classes[k]));
}
