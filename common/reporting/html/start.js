// The explorer of the report. Its data are JSON in #data; d and t are positions of a dialogue and of a turn in it.
// The address tells what is shown (#dialogue=ID&turn=K&checkpoint=N, turns and checkpoints from 1), so links and the
// back button work.
const data = JSON.parse($("data").textContent);
const { classes, modalities, routes, dialogues } = data;
const PAGE = 100; // dialogues added to the list at a time

let count = 0;
for (const dialogue of dialogues) {
  dialogue.first = count; // its first utterance in the split
  count += dialogue.turns.length;
  const words = dialogue.turns.flatMap(({ speaker, sentence }) => [speaker, sentence]);
  dialogue.words = [dialogue.id, ...words].join("\n").toLowerCase();
}
const view = { dialogue: -1, turn: -1, checkpoint: 0 }; // turn -1: none is selected
let matches = []; // [dialogue, its first turn that the filters are about or -1] for all that pass the filters

const result = (d, t) => data.checkpoints[view.checkpoint].turns[dialogues[d].first + t];
const isWrong = (d, t) => ![-1, result(d, t).prediction].includes(dialogues[d].turns[t].label);

/** How many turns of a dialogue are wrong, in words: of those that have a label. */
function errorsOf(d) {
  const { turns } = dialogues[d];
  const labelled = turns.filter(({ label }) => label >= 0).length;
  const wrong = turns.filter((_, t) => isWrong(d, t)).length;
  if (!labelled) return "no labels";
  return labelled < turns.length ? `${wrong} of ${labelled} labelled wrong` : `${wrong} wrong`;
}

// ---- the list of dialogues

function applyFilters() {
  const words = $("search").value.trim().toLowerCase();
  const [gold, predicted, speaker] = ["gold", "predicted", "speaker"].map((id) => $(id).value);
  const wrong = $("wrong").checked;
  const anyTurn = !gold && !predicted && !speaker && !wrong;
  const fits = (d) => (turn, t) => // all filters but the search are about one and the same turn
    (!gold || turn.label === Number(gold)) &&
    (!predicted || result(d, t).prediction === Number(predicted)) &&
    (!speaker || turn.speaker === speaker.slice(1)) &&
    (!wrong || isWrong(d, t));
  matches = [];
  dialogues.forEach((dialogue, d) => {
    if (!dialogue.words.includes(words)) return;
    const turn = anyTurn ? -1 : dialogue.turns.findIndex(fits(d));
    if (anyTurn || turn >= 0) matches.push([d, turn]);
  });
  $("found").textContent = `${matches.length} of ${plural(dialogues.length, "conversation")}`;
  $("list").replaceChildren();
  extendList();
}

function extendList() {
  const begin = $("list").children.length;
  for (const [d, turn] of matches.slice(begin, begin + PAGE)) {
    const { id, turns } = dialogues[d];
    const link = make("a", { href: address(d, turn), "data-dialogue": d }, make("b", {}, id));
    link.append(make("span", {}, `${plural(turns.length, "turn")}, ${errorsOf(d)}`));
    $("list").append(make("li", {}, link));
  }
  $("more").hidden = $("list").children.length >= matches.length;
  markList();
}

function markList() {
  for (const link of $("list").querySelectorAll("a")) {
    if (Number(link.dataset.dialogue) === view.dialogue) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

// ---- one dialogue

function showDialogue() {
  const { id, turns } = dialogues[view.dialogue];
  $("heading").textContent = `Conversation ${id}: ${plural(turns.length, "turn")}, ${errorsOf(view.dialogue)}`;
  $("turns").replaceChildren(...turns.map(turnItem));
  markList();
}

function turnItem(turn, t) {
  const one = result(view.dialogue, t);
  const { gate_mean: mean } = data.checkpoints[view.checkpoint];
  const verdict = make("span", { class: "verdict" }, turn.label < 0 ? "no label, " : `label ${classes[turn.label]}, `,
    "predicted ", make("b", {}, classes[one.prediction]), ` ${percent(one.probability[one.prediction])} `);
  if (isWrong(view.dialogue, t)) verdict.append(make("span", { class: "badge" }, "✗ wrong"));
  const given = turn.number === undefined ? "" : ` (utterance ${turn.number})`;
  const button = make("button", { type: "button", "aria-expanded": "false", "aria-controls": `details-${t}` },
    make("span", { class: "who" }, `${t + 1}${given} · speaker ${turn.speaker}`), " ",
    make("span", { class: "sentence" }, turn.sentence || "(no sentence)"), verdict);
  button.addEventListener("click", () => {
    location.hash = address(view.dialogue, view.turn === t ? -1 : t);
    show();
  });
  return make("li", { class: "turn", "data-turn": t },
    make("div", { class: "lanes" }, ...routes.map((route) => make("span", { "data-route": route }))),
    button,
    make("div", { class: "minis", "aria-hidden": "true" },
      make("div", {}, make("i", {}, "probabilities"), bars(one.probability)),
      make("div", {}, make("i", {}, "evidence gate"), bars(one.gates, modalities.map((name) => mean[name]))),
      make("div", {}, make("i", {}, "feature gate"), bars(one.route_gates, routes.map((name) => mean[name])))),
    make("div", { class: "details", id: `details-${t}` }));
}

/** Opens the selected turn, and marks the turns that its routes attended to. */
function showTurn() {
  const attention = view.turn < 0 ? {} : data.checkpoints[view.checkpoint].attention[view.dialogue];
  for (const item of $("turns").children) {
    const t = Number(item.dataset.turn);
    item.classList.toggle("selected", t === view.turn);
    item.querySelector("button").setAttribute("aria-expanded", t === view.turn || $("all").checked);
    item.querySelector(".details").replaceChildren(...(t === view.turn || $("all").checked ? details(t) : []));
    for (const lane of item.querySelector(".lanes").children) {
      const weights = attention[lane.dataset.route]?.[view.turn];
      const first = weights ? weights.findIndex((weight) => weight > 0) : Infinity;
      const weight = weights?.[t] ?? 0;
      lane.className = t > first && t <= view.turn ? "line" : t === first && t < view.turn ? "line first" : "";
      lane.replaceChildren();
      const name = make("i", {}, spaced(lane.dataset.route));
      if (weight > 0) lane.append(name, bars([weight]), make("b", {}, percent(weight)));
      else if (t === view.turn && weights === null) lane.append(name, make("em", {}, "none"));
    }
  }
  const words = view.turn < 0 ? [] : attended(view.turn).map((pair) => pair.join(": "));
  $("live").textContent = words.length ? `Turn ${view.turn + 1} attended to: ${words.join("; ")}` : "";
}

/** [route, what it attended to in words] for a turn, highest weight first. */
function attended(t) {
  const looked = { released: "; looked evenly at the whole padded dialogue", strict: "; looked at nothing" };
  return routes.map((route) => {
    const weights = data.checkpoints[view.checkpoint].attention[view.dialogue][route][t];
    if (weights === null) return [spaced(route), `no history${looked[data.empty_history]}`];
    const pairs = weights.map((weight, k) => [weight, k === t ? "this turn" : `turn ${k + 1}`]);
    const sorted = pairs.filter(([weight]) => weight > 0).sort((a, b) => b[0] - a[0]);
    return [spaced(route), sorted.map(([weight, turn]) => `${turn} ${percent(weight)}`).join(", ")];
  });
}

function details(t) {
  const one = result(view.dialogue, t);
  const { label } = dialogues[view.dialogue].turns[t];
  const { gate_mean: mean } = data.checkpoints[view.checkpoint];
  const { first, turns } = dialogues[view.dialogue];
  const inDialogue = data.checkpoints[view.checkpoint].turns.slice(first, first + turns.length);
  const most = Math.max(0.01, ...inDialogue.flatMap((turn) => [...turn.drop, ...turn.route_drop]).map(Math.abs));
  const probabilities = classes.map((name, k) => {
    const marks = [k === label ? "label" : "", k === one.prediction ? "predicted" : ""].filter(Boolean).join(", ");
    return row(marks ? `${name} (${marks})` : name, bars([one.probability[k]]), number(100 * one.probability[k], 1));
  });
  const gateRow = (name, gate, drop) => {
    const numbers = [bars([gate], [mean[name]]), number(gate), number(mean[name])];
    return row(spaced(name), ...numbers, signedBar(drop, most), number(drop));
  };
  const evidence = modalities.map((name, k) => gateRow(name, one.gates[k], one.drop[k]));
  const feature = routes.map((name, k) => gateRow(name, one.route_gates[k], one.route_drop[k]));
  const head = (what) => [what, "", "gate", "average", "", "drop"];
  const words = attended(t).flatMap(([route, text]) => [make("dt", {}, route), make("dd", {}, text)]);
  return [
    table("Probability, %", ["emotion", "", "%"], probabilities),
    make("div", {}, table("Evidence gate, and drop without the modality", head("modality"), evidence),
      table("Feature gate, and drop without the route", head("route"), feature)),
    make("div", { class: "attention" }, make("b", {}, "Attended to"), make("dl", {}, ...words)),
  ];
}

// ---- the address

function address(d, turn) {
  const parts = new URLSearchParams({ dialogue: dialogues[d].id });
  if (turn >= 0) parts.set("turn", turn + 1);
  if (view.checkpoint) parts.set("checkpoint", view.checkpoint + 1);
  return `#${parts}`;
}

/** Shows what the address tells; a place that does not exist, or one of another section, changes nothing. */
function show() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const dialogue = dialogues.findIndex(({ id }) => id === parts.get("dialogue"));
  if (dialogue < 0) return;
  const asked = (name, size) => Math.min(Math.max(Math.trunc(Number(parts.get(name))) || 0, 0), size) - 1;
  const turn = asked("turn", dialogues[dialogue].turns.length);
  const checkpoint = Math.max(asked("checkpoint", data.checkpoints.length), 0);
  const before = { ...view };
  Object.assign(view, { dialogue, turn, checkpoint });
  if (checkpoint !== before.checkpoint) showCheckpoint();
  const other = checkpoint !== before.checkpoint || dialogue !== before.dialogue;
  if (other) showDialogue();
  if (other || turn !== before.turn) showTurn();
}

function showCheckpoint() {
  $("checkpoint").value = view.checkpoint;
  for (const part of document.querySelectorAll("[data-checkpoint]")) {
    part.hidden = Number(part.dataset.checkpoint) !== view.checkpoint;
  }
  applyFilters();
}

// ---- what the reader does

const speakers = [...new Set(dialogues.flatMap(({ turns }) => turns.map(({ speaker }) => speaker)))].sort();
$("speaker").append(...speakers.map((name) => make("option", { value: `=${name}` }, name))); // = : a name may be empty
document.querySelector(".columns .lanes").append(...routes.map((name) => make("span", {}, spaced(name))));
for (const id of ["search", "gold", "predicted", "speaker", "wrong"]) $(id).addEventListener("input", applyFilters);
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("more").addEventListener("click", extendList);
$("all").addEventListener("change", showTurn);
$("checkpoint").addEventListener("change", () => {
  view.checkpoint = Number($("checkpoint").value);
  const at = address(Math.max(view.dialogue, 0), view.turn);
  view.checkpoint = -1; // so that it is drawn again
  location.replace(at);
  show();
});
$("turns").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const item = event.target.closest("li");
  const next = step === 1 ? item.nextElementSibling : item.previousElementSibling;
  if (!step || !next) return;
  event.preventDefault();
  location.replace(address(view.dialogue, Number(next.dataset.turn))); // no step of the back button
  show();
  next.querySelector("button").focus();
});
$("list").addEventListener("click", () => setTimeout(() => $("heading").scrollIntoView({ block: "nearest" })));
document.querySelector(".errors").addEventListener("click", (event) => {
  if (!event.target.closest("a") || event.ctrlKey || event.metaKey || event.shiftKey) return;
  setTimeout(() => { // when the address has changed
    show();
    $("turns").querySelector(".selected button").focus();
  });
});
addEventListener("hashchange", show);

$("theme").hidden = false;
const darkSystem = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (document.documentElement.dataset.theme ?? (darkSystem.matches ? "dark" : "light")) === "dark";
const showTheme = () => $("theme").setAttribute("aria-pressed", isDark());
$("theme").addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  showTheme();
});
darkSystem.addEventListener("change", showTheme);
showTheme();

showCheckpoint();
show();
if (view.dialogue >= 0) {
  ($("turns").querySelector(".selected") ?? $("turns")).scrollIntoView({ block: view.turn < 0 ? "start" : "center" });
} else if (dialogues.length) { // nothing asked for: begin with the most confident error
  const link = document.querySelector(".errors a");
  location.replace(link ? link.hash : address(0, -1));
  show();
}
