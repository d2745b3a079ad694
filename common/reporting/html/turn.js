// One dialogue: its strip, its turns, and which of them the selected one could see and attended to. Of a long dialogue
// only what changes is touched, and what a turn shows beside its words is made when it comes into view.
const LONG = 600; // letters of a sentence that is folded until its turn is selected
let opened = -1; // the turn that is open in the page
let marked = 0; // how many turns have marks of attention
let items = [];

/** The routes that are worth a lane: those that do not always look at the turn itself. */
const lanesOf = (c = view.checkpoint) =>
  runOf(c).routes.filter((route) => !data.checkpoints[c].own_only.includes(route));

/**
 * What a route attended to: how many `keys` it could see, its entropy as an `effective` number of turns, `top` [[turn,
 * multiple of uniform]], and of the `others` the share of all attention (`rest`). Null where it has no history.
 */
function attentionOf(route, d, t) {
  const row = data.checkpoints[view.checkpoint].attention[d][route]?.[t];
  if (!row) return null;
  const [keys, effective, ...rest] = row;
  const top = [];
  for (let k = 0; k < rest.length; k += 2) top.push([rest[k], rest[k + 1]]);
  const share = top.reduce((sum, [, multiple]) => sum + multiple, 0) / keys;
  return { keys, effective, top, others: keys - top.length, rest: Math.max(0, 1 - share) };
}

/** The earlier turns that a route can see: of the same speaker, or of others. Null where its number of keys differs. */
function visibleTo(route, d, t) {
  const { turns } = dialogues[d];
  const own = route.startsWith("self");
  const seen = turns.map(({ speaker }, k) => k < t && (speaker === turns[t].speaker) === own);
  const attention = attentionOf(route, d, t);
  const agrees = attention && seen.filter(Boolean).length === attention.keys && attention.top.every(([k]) => seen[k]);
  return agrees ? seen : null;
}

/** The attributes of a link to a turn: filters may have changed until it is followed, so that they are not in it. */
const toTurn = (d, t) => ({ href: address({ dialogue: d, turn: t, theme: null, ...none }), "data-turn": t });

// ---- the dialogue

function showDialogue() {
  items = [];
  opened = -1;
  marked = 0;
  if (view.dialogue < 0) {
    $("heading").textContent = "No conversation fits the filters";
    for (const id of ["turns", "strip"]) $(id).replaceChildren();
    return;
  }
  const { id, turns } = dialogues[view.dialogue];
  const words = `: ${plural(turns.length, "turn")}, ${errorsInWords(view.dialogue)}`;
  $("heading").replaceChildren("Conversation ", isolated(id), words);
  $("strip").replaceChildren(linkedStrip());
  items = turns.map((_, t) => turnItem(t));
  $("turns").replaceChildren(...items);
  watch();
}

/** The strip of the dialogue, whose cells lead to the turns; the keyboard has the turns themselves. */
function linkedStrip() {
  const { turns, first } = dialogues[view.dialogue];
  const drawn = strip(turns.map(({ label }) => label), column("prediction").slice(first, first + turns.length),
    data.colors);
  drawn.setAttribute("width", CELL * turns.length);
  turns.forEach(({ label }, t) => {
    const words = `turn ${t + 1}: ${label < 0 ? "no label" : `label ${classes[label]}`}, ` +
      `predicted ${classes[prediction(view.dialogue, t)]}`;
    const area = make("rect", { x: CELL * t, width: CELL, height: 13, fill: "none", "pointer-events": "all" });
    drawn.append(draw("a", { ...toTurn(view.dialogue, t), tabindex: -1 }, area, draw("title", {}, words)));
  });
  drawn.append(make("rect", { class: "here", width: CELL, height: 13 }));
  return drawn;
}

/** A turn: lanes of attention, a button with its words and verdict, room for small bars and for details. */
function turnItem(t) {
  const turn = dialogues[view.dialogue].turns[t];
  const given = turn.number === undefined ? "" : ` (utterance ${turn.number})`;
  const who = make("span", { class: "who" }, `${t + 1}${given} · speaker `, isolated(turn.speaker));
  const words = make("bdi", { class: "sentence" }, turn.sentence || "(no sentence)");
  if (turn.sentence.length > LONG) words.classList.add("long");
  const button = make("button", { type: "button", "aria-expanded": $("all").checked, "aria-controls": `details-${t}` },
    who, " ", words, " ", verdict(t));
  const item = make("li", { class: "turn", "data-turn": t },
    make("div", { class: "lanes", "aria-hidden": "true" },
      ...lanesOf().map((route) => make("span", { "data-words": `${spaced(route)}: among others` }))),
    button,
    make("div", { class: "minis", "aria-hidden": "true" }),
    make("div", { class: "details", id: `details-${t}` }));
  if (turn.sentence.length > LONG) {
    button.append(make("span", { class: "folded" }, `… ${turn.sentence.length.toLocaleString("en")} letters`));
  }
  return item;
}

function verdict(t) {
  const { label } = dialogues[view.dialogue].turns[t];
  const { checkpoints } = runOf();
  const parts = label < 0 ? ["no label, "] : ["label ", emotion(label), ", "];
  parts.push("predicted ", make("b", {}, emotion(prediction(view.dialogue, t))),
    ` ${percent(confidence(view.dialogue, t))}`);
  if (isWrong(view.dialogue, t)) parts.push(" ", make("span", { class: "badge" }, "✗ wrong"));
  if (label >= 0 && checkpoints.length > 1) {
    const right = `(${rightCount(view.dialogue, t)} of ${checkpoints.length} right)`;
    parts.push(" ", make("span", { class: "votes" }, right));
  }
  return make("span", { class: "verdict" }, ...parts);
}

/** `text` with the words looked for in <mark>. */
function withMarks(text) {
  const words = searched();
  if (!words) return [text];
  const parts = [];
  let end = 0;
  for (const { 0: found, index } of text.matchAll(words)) {
    parts.push(text.slice(end, index), make("mark", {}, found));
    end = index + found.length;
  }
  return [...parts, text.slice(end)];
}

/** Marks the words looked for in a turn, unless they are marked already. */
function showMarks(item) {
  const asked = view.search ?? "";
  if ((item.dataset.marks ?? "") === asked) return;
  item.dataset.marks = asked;
  const { speaker, sentence } = dialogues[view.dialogue].turns[Number(item.dataset.turn)];
  item.querySelector(".who bdi").replaceChildren(...withMarks(speaker));
  if (sentence) item.querySelector(".sentence").replaceChildren(...withMarks(sentence));
}

// ---- what a turn shows beside its words

/** Marked words, small bars, and details where they are asked for. */
function fill(item) {
  const t = Number(item.dataset.turn);
  showMarks(item);
  const minis = item.querySelector(".minis");
  if (!minis.firstChild) minis.append(...smallBars(t));
  const place = item.querySelector(".details");
  if (!place.firstChild && (t === view.turn || $("all").checked)) place.append(...details(view.dialogue, t));
}

function smallBars(t) {
  const of = (name) => result(name, view.dialogue, t);
  const mini = (words, drawn) => make("div", {}, make("i", {}, words), drawn);
  return [
    mini("lost without", signedBars([...of("route_drop"), ...of("drop")], mostLost(view.dialogue))),
    mini("probabilities", bars(of("probability"), data.colors)),
    mini("gates", signedBars([...of("route_gate_z"), ...of("gate_z")], 3)),
  ];
}

/** The largest loss or gain of a dialogue, nats: the scale of its bars. */
const lost = { key: "", most: 0 };
function mostLost(d) {
  const key = `${d} ${view.checkpoint}`;
  if (lost.key !== key) {
    const all = dialogues[d].turns.flatMap((_, t) => [...result("drop", d, t), ...result("route_drop", d, t)]);
    Object.assign(lost, { key, most: all.reduce((most, value) => Math.max(most, Math.abs(value)), 0.01) });
  }
  return lost.most;
}

const sight = new IntersectionObserver((seen) => {
  for (const { isIntersecting, target } of seen) if (isIntersecting && items.includes(target)) fill(target);
}, { rootMargin: "600px" });

/** Fills the turns in view now, and the others when they come into view. */
function watch() {
  sight.disconnect();
  items.forEach((item) => sight.observe(item));
}

/** Opens or closes the details of all turns. */
function showAll() {
  for (const item of items) {
    const isOpen = $("all").checked || item === items[view.turn];
    item.querySelector("button").setAttribute("aria-expanded", isOpen);
    if (!isOpen) item.querySelector(".details").replaceChildren();
  }
  watch();
}

// ---- the selected turn

/** Opens the selected turn in place of the one that was, and marks what its routes saw. */
function showTurn() {
  const close = items[opened];
  if (close && opened !== view.turn) {
    close.classList.remove("selected");
    if (!$("all").checked) {
      close.querySelector("button").setAttribute("aria-expanded", "false");
      close.querySelector(".details").replaceChildren();
    }
  }
  opened = view.turn;
  const here = $("strip").querySelector(".here");
  if (here) here.setAttribute("x", CELL * Math.max(view.turn, 0));
  $("strip").classList.toggle("none", view.turn < 0);
  const item = items[view.turn];
  if (item) {
    item.classList.add("selected");
    item.querySelector("button").setAttribute("aria-expanded", "true");
    fill(item);
  }
  showLanes();
  $("live").textContent = item ? `Turn ${view.turn + 1} is open: predicted ` +
    `${classes[prediction(view.dialogue, view.turn)]}${isWrong(view.dialogue, view.turn) ? ", wrong" : ""}.` : "";
}

function showLanes() {
  const t = view.turn;
  const routes = lanesOf();
  const seen = t < 0 ? [] : routes.map((route) => visibleTo(route, view.dialogue, t));
  const attention = t < 0 ? [] : routes.map((route) => attentionOf(route, view.dialogue, t));
  const end = Math.max(marked, t + 1);
  for (let k = 0; k < end; k++) {
    const lanes = items[k].firstChild.children;
    routes.forEach((_, r) => {
      const name = seen[r]?.[k] ? "seen" : "";
      if (lanes[r].className !== name) lanes[r].className = name;
      if (lanes[r].firstChild) lanes[r].replaceChildren();
    });
  }
  marked = t + 1;
  routes.forEach((route, r) => {
    for (const [k, multiple] of attention[r]?.top ?? []) {
      const lane = items[k].firstChild.children[r];
      lane.classList.add("most");
      lane.append(make("i", {}, spaced(route)), multipleBar(multiple), make("b", {}, times(multiple)));
    }
    if (t >= 0 && !attention[r]) {
      items[t].firstChild.children[r].append(make("i", {}, spaced(route)), make("em", {}, "no history"));
    }
  });
}
