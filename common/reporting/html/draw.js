"use strict";
// Elements, numbers, tables and bars of the explorer; start.js follows. What is data becomes text nodes and attributes,
// never markup.

function make(tag, attributes = {}, ...children) {
  const svg = tag === "svg" || tag === "rect";
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

const $ = (id) => document.getElementById(id);
const spaced = (name) => name.replaceAll("_", " ");
const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;
// all numbers in the data have three decimals, and all of them are shown
const number = (value, digits = 3) => value.toFixed(digits).replace("-", "−");
const percent = (share) => `${number(100 * share, 1)} %`;

function row(name, ...cells) {
  return make("tr", {}, make("th", { scope: "row" }, name), ...cells.map((cell) => make("td", {}, cell)));
}

function table(caption, head, rows) {
  const cells = head.map((name) => (name ? make("th", { scope: "col" }, name) : make("td")));
  const thead = make("thead", {}, make("tr", {}, ...cells));
  return make("table", {}, make("caption", {}, caption), thead, make("tbody", {}, ...rows));
}

function chart(rows, height) {
  const box = { viewBox: `0 0 100 ${rows}`, height, preserveAspectRatio: "none" };
  return make("svg", { class: "bar", "aria-hidden": "true", ...box });
}

const rect = (name, x, width, y = 0) => make("rect", { class: name, x, width, y, height: 6 });

/** Bars below each other, values in 0..1, with a tick where `ticks` has a value. */
function bars(values, ticks = []) {
  const drawn = chart(8 * values.length - 2, values.length > 1 ? 6 * values.length : 8);
  values.forEach((value, k) => {
    drawn.append(rect("track", 0, 100, 8 * k), rect("fill", 0, 100 * value, 8 * k));
    if (ticks[k] !== undefined) drawn.append(rect("tick", 100 * ticks[k] - 1, 2, 8 * k));
  });
  return drawn;
}

/** A bar from zero in the middle, to the right for values above; `most` fills a half. */
function signedBar(value, most) {
  const width = (50 * Math.abs(value)) / most;
  const fill = value < 0 ? rect("fill below", 50 - width, width) : rect("fill", 50, width);
  const drawn = chart(6, 8);
  drawn.append(rect("track", 0, 100), fill, rect("tick", 49.5, 1));
  return drawn;
}
