// The filters, and the list of the conversations that pass them.
const PAGE = 100; // dialogues added to the list at a time
let matches = []; // {d, fitting: turns that the filters are about, turn: the one to open, -1: none} in the list's order

// ---- which turns pass

/** The words looked for as a pattern: the same one finds and marks them. Null where there are none. */
function searched() {
  const words = (view.search ?? "").trim();
  if (!words) return null;
  if (words.length > longest) return /(?!)/gu; // nothing is that long, and a pattern may not be of any length
  return new RegExp(words.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"), "giu");
}

const longest = Math.max(0, ...dialogues.map(({ id, turns }) =>
  turns.reduce((most, { speaker, sentence }) => Math.max(most, speaker.length, sentence.length), id.length)));

/** The position [table, row] of a group that is named as in the address, "TITLE: ROW"; null where there is none. */
function groupOf(name) {
  for (const [table, { title, rows }] of data.groups.entries()) {
    const at = rows.findIndex((words) => `${title}: ${words}` === name);
    if (at >= 0) return [table, at];
  }
  return null;
}

/** The position [when, bin] of a bin that is named as in the address; null where there is none. */
function binOf(name) {
  const [, when, k] = /^(before|after)-([1-9]\d*)$/.exec(name) ?? [];
  return when ? [when === "before" ? 0 : 1, Number(k) - 1] : null;
}

/** Whether the checkpoints of a run together, its ensemble, predict the label. */
function isRunRight(run, d, t) {
  const { ensemble, checkpoints } = runs[run];
  const predicted = ensemble ? ensemble.predictions[dialogues[d].first + t] : prediction(d, t, checkpoints[0]);
  return predicted === dialogues[d].turns[t].label;
}

/** A test for turns with a label that the first run has right or not, and the second. */
const ofRuns = (first, second) => (d, t) => runs.length > 1 && isLabelled(d, t) &&
  isRunRight(0, d, t) === first && isRunRight(1, d, t) === second;

const rightCount = (d, t) => runOf().checkpoints.filter((c) => !isWrong(d, t, c)).length;
const OUTCOME_TESTS = {
  wrong: isWrong,
  right: (d, t) => isLabelled(d, t) && !isWrong(d, t),
  "all-wrong": (d, t) => isLabelled(d, t) && rightCount(d, t) === 0,
  mixed: (d, t) => isLabelled(d, t) && rightCount(d, t) > 0 && rightCount(d, t) < runOf().checkpoints.length,
  "all-right": (d, t) => isLabelled(d, t) && rightCount(d, t) === runOf().checkpoints.length,
  "both-right": ofRuns(true, true),
  "first-only": ofRuns(true, false),
  "second-only": ofRuns(false, true),
  "both-wrong": ofRuns(false, false),
  disagree: (d, t) => runOf().checkpoints.some((c) => prediction(d, t, c) !== prediction(d, t)),
};

/** A test of (d, t) for each filter but the search, and the filters that nothing here answers to. */
function tests() {
  const said = (d, t) => dialogues[d].turns[t];
  const label = classes.indexOf(view.label);
  const predicted = classes.indexOf(view.predicted);
  const group = groupOf(view.group);
  const bin = binOf(view.bin);
  const known = {
    label: label >= 0 && ((d, t) => said(d, t).label === label),
    predicted: predicted >= 0 && ((d, t) => prediction(d, t) === predicted),
    speaker: speakers.includes(view.speaker) && ((d, t) => said(d, t).speaker === view.speaker),
    outcome: OUTCOMES.includes(view.outcome) && ((d, t) => OUTCOME_TESTS[view.outcome](d, t)),
    group: group && ((d, t) => said(d, t).groups[group[0]] === group[1]),
    bin: bin && ((d, t) => result("bins", d, t)[bin[0]] === bin[1]),
  };
  const asked = Object.keys(known).filter((name) => view[name] !== null);
  return [asked.filter((name) => known[name]).map((name) => known[name]), asked.filter((name) => !known[name])];
}

/** How the list is sorted: the key of a match, lowest first. Equal ones stay in the order of the file. */
const SORT_KEYS = {
  errors: ({ d }) => -errorsOf(d)[0],
  share: ({ d }) => {
    const [wrong, labelled] = errorsOf(d);
    return labelled ? -wrong / labelled : 1;
  },
  sure: ({ d, turn }) => -confidence(d, turn),
  unsure: ({ d, turn }) => confidence(d, turn),
};

/** Where the sort is about turns, the one of `turns` that comes first in it, else the first. */
function bestOf(d, turns) {
  if (!["sure", "unsure"].includes(view.sort)) return turns[0];
  const key = SORT_KEYS[view.sort];
  return turns.reduce((best, turn) => (key({ d, turn }) < key({ d, turn: best }) ? turn : best));
}

function findMatches() {
  const [needed, unknown] = tests();
  const words = searched();
  const aboutTurns = needed.length > 0 || ["sure", "unsure"].includes(view.sort);
  matches = [];
  dialogues.forEach(({ id, turns }, d) => {
    const named = !words || id.search(words) >= 0; // then any of its turns will do
    const fitting = [];
    turns.forEach(({ speaker, sentence }, t) => {
      if (needed.every((test) => test(d, t)) &&
          (named || sentence.search(words) >= 0 || speaker.search(words) >= 0)) fitting.push(t);
    });
    if (fitting.length) matches.push({ d, fitting, turn: aboutTurns || !named ? bestOf(d, fitting) : -1 });
  });
  if (SORTS.includes(view.sort)) {
    const keys = new Map(matches.map((match) => [match, SORT_KEYS[view.sort](match)]));
    matches.sort((a, b) => keys.get(a) - keys.get(b));
  } else if (view.sort !== null) unknown.push("sort");
  return unknown;
}

// ---- the list

function applyFilters() {
  const unknown = findMatches();
  for (const name of unknown) notice(`Nothing here has the ${name} “${view[name]}”; it is left out.`);
  const turns = matches.reduce((sum, { fitting }) => sum + fitting.length, 0);
  const some = FILTERS.some((name) => name !== "sort" && view[name] !== null);
  $("found").textContent = `${matches.length} of ${plural(dialogues.length, "conversation")}` +
    (some ? `, ${plural(turns, "turn")} that fit${turns === 1 ? "s" : ""}` : "");
  $("clear").disabled = !some && view.sort === null;
  $("list").replaceChildren();
  extendList();
}

function extendList() {
  const shown = $("list").children.length;
  $("list").append(...matches.slice(shown, shown + PAGE).map(listItem));
  $("more").hidden = $("list").children.length >= matches.length;
  markList();
}

function listItem({ d, turn }) {
  const { id, turns, first } = dialogues[d];
  const predicted = column("prediction").slice(first, first + turns.length);
  const link = make("a", { href: address({ dialogue: d, turn, theme: null }), "data-dialogue": d, tabindex: -1 },
    make("b", {}, isolated(id)), " ",
    make("span", {}, `${plural(turns.length, "turn")}, ${errorsInWords(d)}`),
    strip(turns.map(({ label }) => label), predicted, data.colors));
  return make("li", {}, link);
}

/** Marks the link of what is shown; one link of the list is a stop of the tab key, arrows lead to the others. */
function markList() {
  const links = [...$("list").querySelectorAll("a")];
  const current = links.find((link) => Number(link.dataset.dialogue) === view.dialogue);
  for (const link of links) {
    if (link === current) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    link.tabIndex = -1;
  }
  const stop = current ?? links[0];
  if (stop) stop.tabIndex = 0;
}

function moveInList(event) {
  const links = [...$("list").querySelectorAll("a")];
  const at = links.indexOf(event.target.closest("a"));
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
  if (at < 0 || !links[to]) return;
  event.preventDefault();
  links[at].tabIndex = -1;
  links[to].tabIndex = 0;
  links[to].focus();
}

/** The wrong turn that fits the filters and comes next in the list (`step` 1) or before (-1); null where none does. */
function errorFrom(step) {
  const all = matches.flatMap(({ d, fitting }) => fitting.filter((t) => isWrong(d, t)).map((t) => [d, t]));
  const places = new Map(matches.map(({ d }, k) => [d, k]));
  const here = places.get(view.dialogue) ?? (step > 0 ? -1 : matches.length);
  const order = ([d, t]) => places.get(d) - here || t - view.turn;
  return (step > 0 ? all.find((at) => order(at) > 0) : all.findLast((at) => order(at) < 0)) ?? null;
}

function goToError(step) {
  const found = errorFrom(step);
  if (!found) {
    clearNotice();
    notice(step > 0 ? "No error after this one fits the filters." : "No error before this one fits the filters.");
    return;
  }
  go({ dialogue: found[0], turn: found[1] }, true);
  landOnTurn();
}

// ---- the controls of the filters

const speakers = [...new Set(dialogues.flatMap(({ turns }) => turns.map(({ speaker }) => speaker)))].sort();

function makeControls() {
  const option = (value, words) => make("option", { value, dir: "auto" }, words);
  $("speaker").append(...speakers.map((name) => option(`=${name}`, name || "(no name)"))); // = : a name may be empty
  $("group").append(...data.groups.map(({ title, rows }) =>
    make("optgroup", { label: title }, ...rows.map((name) => option(`${title}: ${name}`, `${title}: ${name}`)))));
  const several = runs.some(({ checkpoints }) => checkpoints.length > 1);
  if (!several) $("outcome").querySelectorAll(".several").forEach((one) => one.remove());
  if (runs.length > 1) {
    const [first, second] = runs.map(({ name }) => name);
    const ways = { "first-only": `only ${first} right`, "second-only": `only ${second} right`,
      "both-right": "both runs right", "both-wrong": "both runs wrong" };
    $("outcome").append(...Object.entries(ways).map(([way, words]) => option(way, words)));
  }
}

/** Controls say what the address asked for. */
function showFilters() {
  if ($("search").value.trim() !== (view.search ?? "")) $("search").value = view.search ?? "";
  const choose = (name, value) => {
    $(name).value = value;
    if ($(name).selectedIndex < 0) $(name).value = ""; // there is no such choice, as a notice says
  };
  for (const name of ["label", "predicted", "outcome", "group", "sort"]) choose(name, view[name] ?? "");
  choose("speaker", view.speaker === null ? "" : `=${view.speaker}`);
  const [when, k] = binOf(view.bin) ?? [];
  $("bin").hidden = when === undefined;
  if (when !== undefined) {
    $("bin").textContent = `bin ${k + 1} ${when ? "after" : "before"} temperature scaling`;
    $("bin").append(make("span", { class: "hidden" }, ", take this filter away"));
  }
}

/** What the controls ask for. */
function filtersAsked() {
  const asked = { search: $("search").value.trim() || null, speaker: $("speaker").value.slice(1) };
  if ($("speaker").value === "") asked.speaker = null;
  for (const name of ["label", "predicted", "outcome", "group", "sort"]) asked[name] = $(name).value || null;
  return asked;
}
