// Shows what changed, and wires up what the reader does.

function notice(words) {
  $("notice").append(make("span", {}, words, " "));
}

const clearNotice = () => $("notice").replaceChildren();

/** Draws what differs from the view `before`. */
function showChanges(before) {
  const other = (...names) => names.some((name) => view[name] !== before[name]);
  if (other("theme")) showTheme();
  if (other("checkpoint")) showCheckpoint();
  if (other("checkpoint", ...FILTERS)) {
    showFilters();
    applyFilters();
  }
  if (other("checkpoint", "dialogue")) {
    showDialogue();
    markList();
  } else if (other("search")) watch();
  if (other("checkpoint", "dialogue", "turn")) showTurn();
}

function showCheckpoint() {
  $("checkpoint").value = view.checkpoint;
  for (const part of document.querySelectorAll("[data-checkpoint]")) {
    part.hidden = Number(part.dataset.checkpoint) !== view.checkpoint;
  }
  document.querySelector(".columns .lanes").replaceChildren(...lanesOf().map((name) => make("span", {}, spaced(name))));
  const always = data.checkpoints[view.checkpoint].own_only.map(spaced).join(", ");
  $("hint").textContent = "Select a turn, with the mouse or ↑ ↓ and Enter; Escape closes it, n and p lead to the " +
    "next and the previous error. A line marks the earlier turns that a route can see; a bar and a number, how many " +
    "times more than evenly it attended to the turn." +
    (always ? ` No lane for ${always}: it always looks at the turn itself.` : "") +
    " Turns count from 1 here, from 0 as position in predictions.csv.";
}

/** Brings the selected turn into view, with the focus; without one, the heading of the dialogue. */
function landOnTurn() {
  const button = items[view.turn]?.querySelector("button");
  if (!button) {
    const { top, bottom } = $("heading").getBoundingClientRect();
    if (top < 60 || bottom > 0.8 * innerHeight) $("heading").scrollIntoView();
    return;
  }
  button.focus({ preventScroll: true });
  const land = () => {
    const { top, bottom } = button.getBoundingClientRect();
    if (top < 80 || bottom > innerHeight) button.closest("li").scrollIntoView({ block: "start" });
  };
  land();
  requestAnimationFrame(() => requestAnimationFrame(land)); // again when turns on the way have their true heights
}

// ---- what the reader does

function selectTurn(t, step, focus) {
  go({ turn: t }, step);
  if (focus) items[t].querySelector("button").focus();
}

$("turns").addEventListener("click", (event) => {
  act(event);
  const button = event.target.closest(".turn > button");
  if (!button) return;
  const t = Number(button.parentElement.dataset.turn);
  selectTurn(view.turn === t ? -1 : t, true);
});

$("turns").addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const button = event.target.closest(".turn > button");
  if (!step || !button) return;
  const next = Number(button.parentElement.dataset.turn) + step;
  if (!items[next]) return;
  event.preventDefault();
  selectTurn(next, false, true);
});

document.querySelector(".explorer").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input:not([type=checkbox]), select, textarea")) return; // where letters are typed
  const step = { n: 1, p: -1 }[event.key];
  if (step) {
    event.preventDefault();
    goToError(step);
  } else if (event.key === "Escape" && view.turn >= 0) {
    const button = items[view.turn].querySelector("button");
    selectTurn(-1, true);
    button.focus();
  }
});

for (const id of ["search", "label", "predicted", "speaker", "outcome", "group", "sort"]) {
  $(id).addEventListener("input", () => go(filtersAsked()));
}
$("filters").addEventListener("submit", (event) => {
  event.preventDefault();
  if (!matches.length) return;
  go({ dialogue: matches[0].d, turn: matches[0].turn }, true);
  landOnTurn();
});
$("bin").addEventListener("click", () => go({ bin: null }));
$("clear").addEventListener("click", () => go(none));
$("more").addEventListener("click", extendList);
$("list").addEventListener("keydown", moveInList);
$("previous").addEventListener("click", () => goToError(-1));
$("next").addEventListener("click", () => goToError(1));
$("all").addEventListener("change", showAll);
$("to-turns").addEventListener("click", (event) => {
  event.preventDefault();
  (items[Math.max(view.turn, 0)]?.querySelector("button") ?? $("turns")).focus();
});
$("checkpoint").addEventListener("change", () => go({ checkpoint: Number($("checkpoint").value) }));

document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const href = link.getAttribute("href");
  if (link.dataset.turn !== undefined) { // to a turn of this dialogue: filters stay as they are
    event.preventDefault();
    go({ turn: Number(link.dataset.turn) }, true);
    landOnTurn();
  } else if (href === location.hash && href.includes("=")) landOnTurn(); // shown already: it changes no address
});
addEventListener("hashchange", () => follow(true));

/** All that waits to come into view is made before it is printed. */
const beforePrint = () => items.forEach(fill);
addEventListener("beforeprint", beforePrint);
matchMedia("print").addEventListener("change", ({ matches: prints }) => prints && beforePrint());

// ---- the theme

$("theme").hidden = false;
const darkSystem = matchMedia("(prefers-color-scheme: dark)");
const isDark = () => (view.theme ?? (darkSystem.matches ? "dark" : "light")) === "dark";
function showTheme() {
  if (view.theme) document.documentElement.dataset.theme = view.theme;
  $("theme").setAttribute("aria-pressed", isDark());
}
$("theme").addEventListener("click", () => go({ theme: isDark() ? "light" : "dark" }));
darkSystem.addEventListener("change", showTheme);

// ---- the start

makeControls();
$("legend").append(...classes.map((_, k) => make("li", {}, emotion(k))));
showTheme();
Object.assign(view, { checkpoint: -1 }); // so that all is drawn once
const [opening] = performance.getEntriesByType("navigation");
follow(!opening || opening.type === "navigate"); // a reload stays where the reader was
