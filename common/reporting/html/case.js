// The case figure of a turn as one SVG that stands by itself: its history with what each route attended to, what the
// prediction loses, gates and probabilities. Always dark on white, since it is made to be taken out.
const FIGURE = { width: 980, left: 20, lane: 72, size: 12, line: 16, font: "Helvetica, Arial, sans-serif" };
const INK = "#1d2125", MUTED = "#5c646c", RULE = "#dfe2e5", MORE = "#2b6cb0", LESS = "#8a929a";
const RECENT = 8; // earlier turns that are in the figure besides those attended to most

const ruler = document.createElement("canvas").getContext("2d");
function widthOf(text, weight = "normal") {
  ruler.font = `${weight} ${FIGURE.size}px ${FIGURE.font}`;
  return ruler.measureText(text).width;
}

/** `text` in lines of at most `width`, broken between words where that goes; more than `most` end in an ellipsis. */
function wrapped(text, width, most, weight) {
  const lines = [];
  let line = "";
  for (const word of text.trim().split(/\s+/)) {
    const longer = line ? `${line} ${word}` : word;
    if (widthOf(longer, weight) <= width) {
      line = longer;
      continue;
    }
    if (line) lines.push(line);
    line = "";
    for (const letter of word) { // a word that is longer than a line is broken anywhere
      if (widthOf(line + letter, weight) > width) {
        lines.push(line);
        line = "";
      }
      line += letter;
      if (lines.length > most) break;
    }
    if (lines.length > most) break;
  }
  if (line) lines.push(line);
  if (lines.length <= most) return lines.length ? lines : [""];
  let last = lines[most - 1];
  while (last && widthOf(`${last} …`, weight) > width) last = [...last].slice(0, -1).join("");
  return [...lines.slice(0, most - 1), `${last} …`];
}

const cut = (text, width) => wrapped(text, width, 1)[0];

function say(x, y, text, more = {}) {
  const style = { "font-size": FIGURE.size, "font-family": FIGURE.font, fill: INK, "unicode-bidi": "plaintext" };
  return make("text", { x, y, ...style, ...more }, text);
}

const bar = (x, y, width, fill, height = 10) => make("rect", { x, y, width: Math.max(width, 0), height, fill });
const rule = (x1, y1, x2, y2, more = {}) => make("line", { x1, y1, x2, y2, stroke: RULE, ...more });

function caseFigure(d, t) {
  const { id, turns } = dialogues[d];
  const said = turns[t];
  const svg = make("svg", { role: "img", class: "case-figure" });
  svg.setAttribute("aria-label", `Case figure of conversation ${id}, turn ${t + 1}: the numbers of the tables above`);
  const given = said.number === undefined ? "" : ` (utterance ${said.number})`;
  const label = said.label < 0 ? "no label" : `label ${classes[said.label]}`;
  const title = `Conversation ${id}, turn ${t + 1}${given}: ${label}, predicted ${classes[prediction(d, t)]} ` +
    percent(confidence(d, t));
  let y = 26;
  for (const line of wrapped(title, FIGURE.width - 2 * FIGURE.left, 3, "bold")) {
    svg.append(say(FIGURE.left, y, line, { "font-weight": "bold" }));
    y += FIGURE.line;
  }
  svg.append(say(FIGURE.left, y, cut(nameOf(view.checkpoint), 900), { fill: MUTED }));
  y = historyPart(svg, d, t, y + 30) + 34;
  const x = [0, 1, 2].map((k) => FIGURE.left + (k * (FIGURE.width - 2 * FIGURE.left + 24)) / 3);
  const ends = [lossPanel(svg, d, t, x[0], y), probabilityPanel(svg, d, t, x[1], y), gatePanel(svg, d, t, x[2], y)];
  const height = Math.max(...ends) + 16;
  svg.prepend(make("rect", { width: FIGURE.width, height, fill: "#ffffff" }));
  for (const [name, value] of [["viewBox", `0 0 ${FIGURE.width} ${height}`], ["width", FIGURE.width],
    ["height", height]]) svg.setAttribute(name, value);
  return svg;
}

/** The turns of the figure: the last ones before it, those attended to most, and itself. */
function turnsOf(d, t) {
  const shown = new Set([t]);
  for (let k = Math.max(0, t - RECENT); k < t; k++) shown.add(k);
  for (const route of lanesOf()) for (const [k] of attentionOf(route, d, t)?.top ?? []) shown.add(k);
  return [...shown].sort((a, b) => a - b);
}

/** The words of the turns, and a column for each route; returns where it ends. */
function historyPart(svg, d, t, top) {
  const routes = lanesOf();
  const { width, left, lane, line } = FIGURE;
  const begin = width - left - lane * routes.length;
  const middle = (r) => begin + lane * (r + 0.5);
  const centered = { "text-anchor": "middle", "font-size": 11, fill: MUTED };
  svg.append(say(left, top, "Attention to earlier turns, as multiples of even attention", { fill: MUTED }));
  routes.forEach((route, r) => spaced(route).split(" ").forEach((word, k) =>
    svg.append(say(middle(r), top - 13 + 13 * k, word, centered))));
  let y = top + 10, before = -1;
  for (const k of turnsOf(d, t)) {
    if (k > before + 1) {
      svg.append(say(left, y + 13, `… ${plural(k - before - 1, "turn")} left out`, { fill: MUTED }));
      y += line + 6;
    }
    const height = words(svg, d, k, k === t, y, begin - left - 16) + 8;
    if (k < t) routes.forEach((route, r) => cell(svg, route, d, t, k, begin + lane * r, y, height));
    svg.append(rule(left, y + height, width - left, y + height));
    y += height;
    before = k;
  }
  routes.forEach((route, r) => summary(svg, attentionOf(route, d, t), middle(r), y, centered));
  svg.append(say(left, y + 15, "others together; spread over the equivalent of … turns", { fill: MUTED }));
  const key = "striped: the route cannot see the turn; ·: it is among the others";
  svg.append(say(left, y + 31, key, { fill: MUTED }));
  return y + 31;
}

/** Who said what, wrapped; returns its height. */
function words(svg, d, k, isThis, y, width) {
  const { speaker, sentence, label } = dialogues[d].turns[k];
  const weight = isThis ? "bold" : "normal";
  const name = label < 0 ? "" : cut(classes[label], 0.25 * width);
  const who = `${k + 1} · speaker ${cut(speaker, 0.3 * width)}`;
  svg.append(say(FIGURE.left, y + 14, who, { fill: MUTED }));
  if (name) {
    const at = FIGURE.left + widthOf(who) + 12;
    svg.append(make("rect", { x: at, y: y + 5, width: 10, height: 10, fill: data.colors[label] }));
    svg.append(say(at + 15, y + 14, name, { fill: MUTED }));
  }
  const lines = wrapped(sentence || "(no sentence)", width, isThis ? 12 : 3, weight);
  lines.forEach((text, n) => svg.append(say(FIGURE.left, y + 30 + FIGURE.line * n, text, { "font-weight": weight })));
  return 18 + FIGURE.line * lines.length;
}

/** What a route gave turn `k`: a number on a shade, a dot among the others, stripes where it cannot see it. */
function cell(svg, route, d, t, k, x, y, height) {
  const attention = attentionOf(route, d, t);
  const seen = visibleTo(route, d, t);
  const [wide, high] = [FIGURE.lane - 6, height - 6];
  const multiple = attention?.top.find(([turn]) => turn === k)?.[1];
  const middle = { "text-anchor": "middle", "font-size": 11 };
  if (multiple !== undefined) {
    const share = multiple > 0 ? clamped(Math.log2(multiple), 3) / 3 : -1;
    const shade = { fill: share < 0 ? LESS : MORE, "fill-opacity": 0.08 + 0.3 * Math.abs(share), stroke: RULE };
    svg.append(make("rect", { x: x + 3, y: y + 3, width: wide, height: high, ...shade }));
    svg.append(say(x + FIGURE.lane / 2, y + height / 2 + 4, times(multiple), middle));
  } else if (!attention || (seen && !seen[k])) {
    const middleOf = y + height / 2;
    for (let at = x + 4; at + 8 <= x + 3 + wide; at += 8) {
      svg.append(rule(at, middleOf + 5, at + 8, middleOf - 5, { stroke: "#b9c0c7" }));
    }
  } else if (seen) svg.append(say(x + FIGURE.lane / 2, y + height / 2 + 4, "·", middle));
}

function summary(svg, attention, x, y, style) {
  if (!attention) {
    svg.append(say(x, y + 15, "no history", style));
    return;
  }
  svg.append(say(x, y + 15, attention.others ? `≈ ${number(100 * attention.rest, 0)} %` : "none", style));
  svg.append(say(x, y + 31, `${number(attention.effective, 2)} of ${attention.keys}`, style));
}

// ---- the three panels below: a line of name, bar and number each

function panel(svg, x, y, caption, lines) {
  wrapped(caption, 290, 2).forEach((text, k) => svg.append(say(x, y + 14 * k, text, { fill: MUTED })));
  lines.forEach(([name, from, to, fill, text], k) => {
    const at = y + 26 + 18 * k;
    svg.append(say(x, at + 10, cut(name, 88)));
    svg.append(bar(x + 94, at, 70, "#eef0f2"));
    svg.append(bar(x + 94 + 70 * Math.min(from, to), at, 70 * Math.abs(to - from), fill));
    svg.append(say(x + 170, at + 10, cut(text, 150), { "font-size": 11 }));
  });
  return y + 26 + 18 * lines.length;
}

/** A line of a panel whose bar starts in the middle. */
const fromMiddle = (name, value, most, text) =>
  [name, 0.5, 0.5 + clamped(value, most) / (2 * most), value < 0 ? LESS : MORE, text];

function lossPanel(svg, d, t, x, y) {
  const lines = parts().map(([name, k, kind]) => {
    const loss = result(`${kind}drop`, d, t)[k];
    const without = result(`${kind}without`, d, t)[k];
    const becomes = without === prediction(d, t) ? "" : ` → ${classes[without]}`;
    return fromMiddle(spaced(name), loss, mostLost(d), signed(loss) + becomes);
  });
  return panel(svg, x, y, "Log-probability lost without, nats (→ what is predicted then)", lines);
}

function gatePanel(svg, d, t, x, y) {
  const { gates } = data.checkpoints[view.checkpoint];
  const lines = parts().map(([name, k, kind]) => {
    const z = result(`${kind}gate_z`, d, t)[k];
    return fromMiddle(spaced(name), z, 3, `${signed(z, 2)} sd (≈ ${number(gates[name][0] + z * gates[name][1])})`);
  });
  return panel(svg, x, y, "Gates, in standard deviations from their average over the split", lines);
}

function probabilityPanel(svg, d, t, x, y) {
  const { label } = dialogues[d].turns[t];
  const lines = result("probability", d, t).map((probability, k) => {
    const marks = [k === label ? "label" : "", k === prediction(d, t) ? "predicted" : ""].filter(Boolean);
    return [classes[k], 0, probability, data.colors[k], [percent(probability), ...marks].join(", ")];
  });
  return panel(svg, x, y, "Probabilities", lines);
}
