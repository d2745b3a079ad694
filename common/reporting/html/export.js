// Tables and diagrams taken out as files. A table is saved as it is shown: what is hidden and what is drawn is left
// out, signs and separators of numbers become those of plain numbers.

/** The words that a node shows. */
function shownText(node) {
  if (node.nodeType === Node.TEXT_NODE) return node.data;
  if (node.nodeType !== Node.ELEMENT_NODE || node.tagName.toLowerCase() === "svg") return "";
  if (node.classList.contains("hidden") || getComputedStyle(node).display === "none") return "";
  return [...node.childNodes].map(shownText).join("");
}

const oneLine = (text) => text.replace(/\s+/g, " ").trim();
const NUMBER = /[+\u2212-]?\d[\d,]*(\.\d+)?/g;
const isNumber = (text) => /^[+\u2212-]?\d{1,3}(,?\d{3})*(\.\d+)?( %)?$/.test(text);
const plain = (text) => text.replace("\u2212", "-").replace(/,| %$|^\+/g, "");

/** [caption, head rows, body rows] of a table: texts, without columns that show none. Cells over several columns are
 * repeated. With `split`, head cells that say so (data-split) become columns of their own, "1.2 ± 0.3" is 1.2 and 0.3,
 * and numbers are plain; what is isolated (bdi) is data, and its words stay even where they look like a number. */
function tableTexts(table, split) {
  const widths = [...(table.tHead?.rows[table.tHead.rows.length - 1].cells ?? [])].map((cell) =>
    split && cell.dataset.split ? cell.dataset.split.split("|").length : 1);
  const texts = (row, head) => {
    let column = 0;
    return [...row.cells].flatMap((cell) => {
      const text = oneLine(shownText(cell));
      const wide = widths.slice(column, (column += cell.colSpan)).reduce((sum, width) => sum + width, 0);
      if (wide === 1) return [split && !head && isNumber(text) && !cell.querySelector("bdi") ? plain(text) : text];
      const parts = split && cell.dataset.split?.split("|");
      if (head) return parts ? parts.map((part) => `${text} ${part}`) : Array(wide).fill(text);
      const numbers = text.match(NUMBER) ?? [];
      return Array.from({ length: wide }, (_, part) => plain(numbers[part] ?? ""));
    });
  };
  const rows = (part, head) => [...(part?.rows ?? [])].map((row) => texts(row, head));
  const [head, body] = [rows(table.tHead, true), [...table.tBodies].flatMap((part) => rows(part, false))];
  const width = Math.max(...[...head, ...body].map((row) => row.length));
  const kept = [...Array(width).keys()].filter((k) => k === 0 || body.some((row) => row[k]));
  const keep = (row) => kept.map((k) => row[k] ?? "");
  const caption = oneLine(shownText(table.caption ?? table.ownerDocument.createElement("caption")));
  return [caption || oneLine(table.caption?.textContent ?? ""), head.map(keep), body.map(keep)];
}

/** A table as CSV (RFC 4180), its head rows joined. Only a number may begin as a formula of a spreadsheet does. */
function tableCsv(table) {
  const [, head, body] = tableTexts(table, true);
  const cell = (text) => {
    let value = text === "–" ? "" : text;
    if (/^[=+\-@]/.test(value) && !isNumber(value)) value = `'${value}`;
    return /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
  };
  const names = (head[0] ?? []).map((_, k) => oneLine(head.map((row) => row[k]).join(" ")));
  return [names, ...body].map((row) => `${row.map(cell).join(",")}\r\n`).join("");
}

const LATEX = {
  "\\": "\\textbackslash{}", "{": "\\{", "}": "\\}", "$": "\\$", "&": "\\&", "#": "\\#", "%": "\\%", "_": "\\_",
  "^": "\\textasciicircum{}", "~": "\\textasciitilde{}", "<": "\\textless{}", ">": "\\textgreater{}",
  "|": "\\textbar{}", "\"": "\\textquotedbl{}", "'": "\\textquotesingle{}", "`": "\\textasciigrave{}",
  "[": "{[}", "]": "{]}", "*": "{*}", // after \\ or in an optional argument they would be more than text
  "\u2212": "$-$", "±": "$\\pm$", "×": "$\\times$", "÷": "$\\div$", "ρ": "$\\rho$", "κ": "$\\kappa$",
  "→": "$\\rightarrow$", "↓": "$\\downarrow$", "–": "--", "—": "---", "’": "'", "‘": "`", "“": "``", "”": "''",
};

/** Any text, to be set by LaTeX as it is: no letter of it is a command, and no two of them become one. */
function latex(text) {
  const apart = text.replace(/-(?=-)|,(?=,)/g, "$&\u0000"); // ligatures of -- and ,,
  return apart.replace(/[\\{}$&#%_^~<>|"'`[\]*\u2212±×÷ρκ→↓–—’‘“”\u0000]/g, (c) => LATEX[c] ?? "{}");
}

/** A table as LaTeX for the package booktabs. */
function tableLatex(table) {
  const [caption, head, body] = tableTexts(table, false);
  const isFigures = (k) => body.every((row) => !row[k] || row[k] === "–" || /^[+\u2212-]?\d/.test(row[k]));
  const columns = (body[0] ?? head[0]).map((_, k) => (k && isFigures(k) ? "r" : "l")).join("");
  const line = (row) => `${row.map(latex).join(" & ")} \\\\\n`;
  return "% \\usepackage[T1]{fontenc} \\usepackage{booktabs}; beyond Latin letters: XeLaTeX or LuaLaTeX\n" +
    `\\begin{table}\n\\centering\n\\caption{${latex(caption)}}\n\\begin{tabular}{${columns}}\n\\toprule\n` +
    `${head.map(line).join("")}\\midrule\n${body.map(line).join("")}\\bottomrule\n\\end{tabular}\n\\end{table}\n`;
}

/** Saves a Blob, or `text` of a type, as a file. */
function saveFile(name, type, text) {
  const address = URL.createObjectURL(text instanceof Blob ? text : new Blob([text], { type }));
  make("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
}

function saveTable(table, name, kind) {
  if (kind === "csv") saveFile(`${name}.csv`, "text/csv;charset=utf-8", tableCsv(table));
  else saveFile(`${name}.tex`, "application/x-tex;charset=utf-8", tableLatex(table));
}

const PAINT = ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "opacity",
  "font-family", "font-size", "font-weight", "text-anchor"];

/** A diagram as a file of its own: drawn with the light theme's colours on white, without links. */
function svgText(svg) {
  const root = document.documentElement;
  const theme = root.dataset.theme;
  root.dataset.theme = "light";
  const copy = svg.cloneNode(true);
  const from = [svg, ...svg.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((node, k) => {
    const style = getComputedStyle(from[k]);
    if (!["svg", "g", "a", "title"].includes(node.tagName)) {
      for (const name of PAINT) node.setAttribute(name, style.getPropertyValue(name));
    }
    for (const name of ["class", "role", "tabindex", "aria-label", "aria-hidden", "data-name", "href"]) {
      node.removeAttribute(name);
    }
    if (style.display === "none") node.setAttribute("visibility", "hidden");
  });
  if (theme === undefined) delete root.dataset.theme;
  else root.dataset.theme = theme;
  const { width, height } = svgSize(svg);
  for (const [name, value] of Object.entries({ width, height })) copy.setAttribute(name, value);
  if (!copy.hasAttribute("viewBox")) copy.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const paper = make("rect", { width: "100%", height: "100%", fill: "#ffffff" });
  copy.prepend(paper);
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(copy)}\n`;
}

function svgSize(svg) {
  const { width, height } = svg.viewBox.baseVal ?? {};
  return width && height ? { width, height } : svg.getBoundingClientRect();
}

function saveSvg(svg, name) {
  saveFile(`${name}.svg`, "image/svg+xml", svgText(svg));
}

/** Saves a diagram as PNG, three pixels for each of its own. */
async function savePng(svg, name) {
  const { width, height } = svgSize(svg);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svgText(svg))}`;
  await image.decode();
  const canvas = make("canvas", { width: Math.round(3 * width), height: Math.round(3 * height) });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  canvas.toBlob((blob) => saveFile(`${name}.png`, "image/png", blob), "image/png");
}

// A small menu below each table and diagram of the sections.
function addMenu(node, what, kinds) {
  const buttons = kinds.map(([label, save]) => {
    const button = make("button", { type: "button" }, label);
    button.addEventListener("click", () => save(node, node.dataset.name));
    return button;
  });
  const menu = make("details", { class: "save" });
  menu.append(make("summary", {}, "Save", make("span", { class: "hidden" }, ` this ${what}`)), ...buttons);
  const figure = node.closest("figure");
  if (figure) figure.append(menu);
  else (node.closest(".scroll, .stripes") ?? node).after(menu);
}

for (const table of document.querySelectorAll("section:not(.explorer) table[data-name]")) {
  addMenu(table, "table", [["CSV", (...to) => saveTable(...to, "csv")], ["LaTeX", (...to) => saveTable(...to, "tex")]]);
}
for (const svg of document.querySelectorAll("section:not(.explorer) svg[data-name]")) {
  addMenu(svg, "diagram", [["SVG", saveSvg], ["PNG", savePng]]);
}
