// What an opened turn shows: what the prediction loses, probabilities, gates, other checkpoints, attention, and what
// can be taken out of it.

function details(d, t) {
  return [lossTable(d, t), probabilityTable(d, t), gateTable(d, t), checkpointTable(d, t),
    attentionTable(d, t)].map((made, k) => withMenu(make("div", { class: `part part-${k}` }, made), made)).concat(
    actions(d, t));
}

/** `box` with the menu that saves the table in it. */
function withMenu(box, made) {
  addMenu(made, "table", [["CSV", (...to) => saveTable(...to, "csv")], ["LaTeX", (...to) => saveTable(...to, "tex")]]);
  return box;
}

/** Routes first, then modalities: [name, position, of which kind]. */
function parts() {
  const { routes, modalities } = runOf();
  return [...routes.map((name, k) => [name, k, "route_"]), ...modalities.map((name, k) => [name, k, ""])];
}

function lossTable(d, t) {
  const now = prediction(d, t);
  const rows = parts().map(([name, k, kind]) => {
    const loss = result(`${kind}drop`, d, t)[k];
    const without = result(`${kind}without`, d, t)[k];
    const saw = kind && lanesOf().includes(name) && !attentionOf(name, d, t) ? ", no history" : "";
    const drawn = row(spaced(name) + saw, signedBars([loss], mostLost(d)), signed(loss),
      without === now ? make("span", { class: "same" }, "stays") : make("b", {}, "becomes ", emotion(without)));
    if (without !== now) drawn.classList.add("changes");
    return drawn;
  });
  return table("Lost without it: log-probability of the prediction, nats", ["without", "", "lost", "prediction"], rows,
    fileName("lost", d, t));
}

function probabilityTable(d, t) {
  const { label } = dialogues[d].turns[t];
  const now = prediction(d, t);
  const rows = result("probability", d, t).map((probability, k) => {
    const marks = [k === label ? "label" : "", k === now ? "predicted" : ""].filter(Boolean).join(", ");
    const name = make("span", {}, emotion(k), marks ? ` (${marks})` : "");
    return row(name, bars([probability], [data.colors[k]]), number(100 * probability, 1));
  });
  return table("Probability, %", ["emotion", "", "%"], rows, fileName("probability", d, t));
}

function gateTable(d, t) {
  const { gates } = data.checkpoints[view.checkpoint];
  const rows = parts().map(([name, k, kind]) => {
    const z = result(`${kind}gate_z`, d, t)[k];
    const [mean, std] = gates[name];
    return row(spaced(name), signedBars([z], 3), signed(z, 2), number(mean + z * std), number(mean, 4));
  });
  const caption = "Gates, in standard deviations (sd) from their average over the split";
  return table(caption, ["gate of", "", "sd", "gate, about", "average"], rows, fileName("gates", d, t));
}

/** What each checkpoint of each run, and each ensemble, predicts. */
function checkpointTable(d, t) {
  const { label } = dialogues[d].turns[t];
  const u = dialogues[d].first + t;
  const judged = (k) => (label < 0 ? "–" : k === label ? "✓ right" : make("span", { class: "badge" }, "✗ wrong"));
  const rows = runs.flatMap((run) => {
    const named = (name) => (run.name ? `${run.name}: ${name}` : name);
    const lines = run.checkpoints.map((c) => {
      const probability = result("probability", d, t, c);
      const k = prediction(d, t, c);
      const line = row(isolated(named(data.checkpoints[c].name)), emotion(k), number(100 * probability[k], 1),
        label < 0 ? "–" : number(100 * probability[label], 1), judged(k));
      if (c === view.checkpoint) line.setAttribute("aria-current", "true");
      return line;
    });
    if (!run.ensemble) return lines;
    const k = run.ensemble.predictions[u];
    return [...lines, row(isolated(named("ensemble")), emotion(k), number(100 * run.ensemble.probability[u], 1), "–",
      judged(k))];
  });
  const head = ["checkpoint", "predicted", "its %", "label’s %", "verdict"];
  return table("Checkpoints", head, rows, fileName("checkpoints", d, t));
}

// ---- attention

function attentionTable(d, t) {
  const rows = lanesOf().map((route) => row(spaced(route), ...attentionCells(route, d, t)));
  const caption = "Attended to, as multiples of what even attention would give (1×)";
  const head = ["route", "turns", "others, together", "spread over the equivalent of"];
  return table(caption, head, rows, fileName("attention", d, t));
}

function attentionCells(route, d, t) {
  const attention = attentionOf(route, d, t);
  if (!attention) {
    const looked = { released: "; looked evenly at the whole padded dialogue", strict: "; looked at nothing" };
    return [`no history${looked[runOf().empty_history] ?? ""}`, "–", "–"];
  }
  const { keys, effective, top, others, rest } = attention;
  const turns = top.flatMap(([k, multiple], at) => [at ? ", " : "", make("span", { class: "whole" },
    make("a", toTurn(d, k), k === t ? "this turn" : `turn ${k + 1}`), ` ${times(multiple)}`)]);
  return [make("span", {}, ...turns), others ? `${plural(others, "other")}, about ${number(100 * rest, 0)} %` : "none",
    `${number(effective, 2)} of ${plural(keys, "turn")}`];
}

let heads = null; // parsed when somebody asks

/** A table of the heads: the turn that each looked at most, how much, and over how many turns it spread. */
function headTable(d, t) {
  heads ??= JSON.parse($("heads").textContent);
  const of = (route) => heads[view.checkpoint][d][route]?.[t] ?? [];
  const routes = lanesOf();
  const most = Math.max(0, ...routes.map((route) => of(route).length / 3));
  const rows = routes.map((route) => {
    const list = of(route);
    const cells = Array.from({ length: most }, (_, k) => {
      if (3 * k >= list.length) return "–";
      const [turn, multiple, effective] = list.slice(3 * k, 3 * k + 3);
      return `${turn === t ? "this turn" : `turn ${turn + 1}`} ${times(multiple)}, over ${number(effective, 2)}`;
    });
    return row(spaced(route), ...cells);
  });
  const head = ["route", ...Array.from({ length: most }, (_, k) => `head ${k + 1}`)];
  const caption = "Each head: the turn it attended to most, and over how many turns it spread";
  const made = table(caption, head, rows, fileName("heads", d, t));
  const scroll = { class: "scroll", tabindex: 0, role: "region", "aria-label": `Heads of turn ${t + 1}` };
  return withMenu(make("div", { class: "part part-heads" }, make("div", scroll, made)), made);
}

// ---- taken out

/** A checkpoint, with the name of its run where there are two. */
const nameOf = (c) => [runOf(c).name, data.checkpoints[c].name].filter(Boolean).join(" ");
/** Letters that every file system takes, and not too many. */
const letters = (text) => [...text.replace(/[^\p{L}\p{N}_.-]+/gu, "_")].slice(0, 60).join("");
const fileName = (what, d, t) =>
  `${what}_${letters(nameOf(view.checkpoint).replace(/\.pkl$/, ""))}_${letters(dialogues[d].id)}_turn_${t + 1}`;

function actions(d, t) {
  const button = (what, words) => make("button", { type: "button", "data-do": what }, words);
  return make("div", { class: "actions" }, button("heads", "Show each head"), button("case", "Case figure"),
    button("link", "Copy link"), make("span", { class: "done", role: "status" }), make("div", { class: "case" }));
}

const ACTIONS = {
  link: async (item, d, t) => {
    const link = location.href.split("#")[0] + toTurn(d, t).href;
    const said = item.querySelector(".done");
    try {
      await navigator.clipboard.writeText(link);
      said.textContent = "Copied.";
    } catch { // no clipboard here: the address to copy by hand
      const field = make("input", { readonly: "", value: link, "aria-label": `Link to turn ${t + 1}` });
      said.replaceChildren(field);
      field.select();
    }
  },
  case: (item, d, t) => {
    const place = item.querySelector(".case");
    if (place.firstChild) {
      place.replaceChildren();
      return;
    }
    const svg = caseFigure(d, t);
    svg.dataset.name = fileName("case", d, t);
    const scroll = { class: "scroll", tabindex: 0, role: "region", "aria-label": `Case figure of turn ${t + 1}` };
    place.append(make("figure", {}, make("div", scroll, svg)));
    addMenu(svg, "figure", [["SVG", saveSvg], ["PNG", savePng]]);
  },
  heads: (item, d, t, button) => {
    button.parentElement.before(headTable(d, t));
    button.remove();
  },
};

/** Does what a button in an opened turn is for. */
function act(event) {
  const button = event.target.closest("button[data-do]");
  if (!button) return;
  const item = button.closest(".turn");
  ACTIONS[button.dataset.do](item, view.dialogue, Number(item.dataset.turn), button);
}
