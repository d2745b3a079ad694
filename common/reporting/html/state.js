// What is shown, and its address. Data are JSON in #data; d and t are positions of a dialogue and of a turn in it, c of
// a checkpoint. Turns, checkpoints and bins count from 1 in addresses, from 0 elsewhere.
const data = JSON.parse($("data").textContent);
const { classes, dialogues, runs } = data;
const FILTERS = ["search", "label", "predicted", "speaker", "outcome", "group", "bin", "sort"];
const OUTCOMES = ["wrong", "right", "all-wrong", "mixed", "all-right", "disagree",
  "both-right", "first-only", "second-only", "both-wrong"];
const SORTS = ["errors", "share", "sure", "unsure"];

let utterances = 0;
const positionOf = new Map(); // id of a dialogue to its position
dialogues.forEach((dialogue, d) => {
  dialogue.first = utterances; // its first utterance in the split
  utterances += dialogue.turns.length;
  positionOf.set(dialogue.id, d);
});

const none = Object.fromEntries(FILTERS.map((name) => [name, null]));
// turn -1: none is selected; filters: as in the address, null where they are not asked for
const view = { dialogue: -1, turn: -1, checkpoint: 0, theme: null, ...none };

const column = (name, c = view.checkpoint) => data.checkpoints[c].turns[name];
const result = (name, d, t, c = view.checkpoint) => column(name, c)[dialogues[d].first + t];
const runOf = (c = view.checkpoint) => runs[data.checkpoints[c].run];
const prediction = (d, t, c) => result("prediction", d, t, c);
const confidence = (d, t, c) => result("probability", d, t, c)[prediction(d, t, c)];
const isLabelled = (d, t) => dialogues[d].turns[t].label >= 0;
const isWrong = (d, t, c) => isLabelled(d, t) && dialogues[d].turns[t].label !== prediction(d, t, c);

/** How many turns of a dialogue are wrong, and how many have a label. */
function errorsOf(d) {
  let wrong = 0, labelled = 0;
  dialogues[d].turns.forEach((_, t) => {
    labelled += isLabelled(d, t);
    wrong += isWrong(d, t);
  });
  return [wrong, labelled];
}

function errorsInWords(d) {
  const [wrong, labelled] = errorsOf(d);
  if (!labelled) return "no labels";
  return labelled < dialogues[d].turns.length ? `${wrong} of ${labelled} labelled wrong` : `${wrong} wrong`;
}

// ---- the address

/** The address of what is shown, but for `changes`. */
function address(changes = {}) {
  const { dialogue, turn, checkpoint, theme, ...filters } = { ...view, ...changes };
  const parts = new URLSearchParams();
  if (dialogue >= 0) parts.set("dialogue", dialogues[dialogue].id);
  if (dialogue >= 0 && turn >= 0) parts.set("turn", turn + 1);
  if (checkpoint) parts.set("checkpoint", checkpoint + 1);
  for (const name of FILTERS) if (filters[name] !== null) parts.set(name, filters[name]);
  if (theme) parts.set("theme", theme);
  return `#${parts}`;
}

/** The first thing to see: the conversation that the report holds for worth a look, or the first one. */
function begin() {
  const { dialogue = dialogues.length ? 0 : -1, turn = -1, checkpoint = 0 } = data.highlight ?? {};
  return { dialogue, turn, checkpoint, ...none };
}

/** What an address asks for, as changes of the view; null for one that only names a place of the page. */
function asked(hash) {
  if (hash.length < 2) return begin();
  if (!hash.includes("=")) return null;
  const parts = new URLSearchParams(hash.slice(1));
  const position = (name, size) => {
    const k = Number(parts.get(name));
    return Number.isInteger(k) && k >= 1 && k <= size ? k - 1 : -1;
  };
  const checkpoint = Math.max(position("checkpoint", data.checkpoints.length), 0);
  const theme = ["light", "dark"].includes(parts.get("theme")) ? parts.get("theme") : view.theme;
  const filters = Object.fromEntries(FILTERS.map((name) => [name, parts.get(name)]));
  const dialogue = positionOf.get(parts.get("dialogue")) ?? -1;
  if (dialogue >= 0) {
    return { dialogue, turn: position("turn", dialogues[dialogue].turns.length), checkpoint, theme, ...filters };
  }
  if (FILTERS.some((name) => parts.has(name))) return { dialogue: -1, turn: -1, checkpoint, theme, ...filters };
  if (parts.has("dialogue")) return null; // there is no such one: all stays as it is
  return { ...begin(), ...(parts.has("checkpoint") ? { checkpoint } : {}), theme };
}

/** What an address asks for that is not in this report, in words. */
function missing(hash) {
  const parts = new URLSearchParams(hash.slice(1));
  const id = parts.get("dialogue");
  if (id !== null && !positionOf.has(id)) return [`This report has no conversation ${id}.`];
  const turns = id === null ? 0 : dialogues[positionOf.get(id)].turns.length;
  const sizes = { turn: turns, checkpoint: data.checkpoints.length };
  const isInside = (k, size) => Number.isInteger(k) && k >= 1 && k <= size;
  const isOutside = (name) => parts.has(name) && !isInside(Number(parts.get(name)), sizes[name]);
  return Object.keys(sizes).filter(isOutside).map((name) => `There is no ${name} ${parts.get(name)}.`);
}

/** Writes what is shown to the address, as a new step of the back button or in place of this one. */
function write(step) {
  const hash = address();
  if (hash === location.hash || (hash === "#" && !location.hash)) return;
  history[step ? "pushState" : "replaceState"](null, "", hash === "#" ? location.pathname + location.search : hash);
}

/** Changes the view as the reader asks, and shows it. `step`: the back button leads back. */
function go(changes, step = false) {
  const before = { ...view };
  Object.assign(view, changes);
  clearNotice();
  write(step);
  showChanges(before);
}

/** Shows what the address asks for. With `land`, the turn that it leads to comes into view, with the focus. */
function follow(land) {
  const { hash } = location;
  const changes = asked(hash);
  clearNotice();
  if (!changes) keepBesidePlace();
  else {
    change(changes);
    if (view.dialogue < 0 && matches.length) change({ dialogue: matches[0].d, turn: matches[0].turn });
    if (hash.length > 1) write(false);
    if (land && ["dialogue", ...FILTERS].some((name) => new URLSearchParams(hash.slice(1)).has(name))) landOnTurn();
  }
  missing(hash).forEach(notice);
}

function change(changes) {
  const before = { ...view };
  Object.assign(view, changes);
  showChanges(before);
}

/** An address that names a section has no room for the view: it is kept with the step, so that it survives a reload. */
function keepBesidePlace() {
  if (view.dialogue < 0) change(asked(history.state?.view ?? "") ?? begin());
  history.replaceState({ view: address() }, "", location.hash);
}
