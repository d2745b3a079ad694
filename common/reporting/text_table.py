"""Tables as Markdown and as LaTeX (booktabs)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from common.terminal import table

_LATEX = {"&": r"\&", "%": r"\%", "_": r"\_", "#": r"\#", "±": r"$\pm$", "−": "$-$", "–": "--", "<": "$<$"}


@dataclass
class TextTable:
    """`rows` of cells under a `head`; the cells (row, column) in `bold` are the best of their column."""

    title: str
    head: list[str]
    rows: list[list[str]]
    bold: set[tuple[int, int]] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def embolden(self, column: int, values: Sequence[float | None]) -> None:
        """Mark the highest of `values`, one per row or None, in a column."""
        known = [v for v in values if v is not None]
        self.bold |= {(r, column) for r, v in enumerate(values) if v is not None and v == max(known)}

    def markdown(self) -> str:
        """The table in Markdown, its title as a heading, its notes below."""
        lines = [self.head, ["---", *["---:"] * (len(self.head) - 1)], *self._marked("**{}**".format, str)]
        lines = [f"| {' | '.join(cells)} |" for cells in lines]
        return "\n".join([f"### {self.title}", "", *lines, "", *(f"{note}\n" for note in self.notes)])

    def text(self, most: int) -> str:
        """Aligned for a terminal of `most` columns, the best with a star, its title above, its notes below."""
        return "\n".join([self.title, "", table(self.head, self._marked("{}*".format, str), most), "", *self.notes])

    def latex(self, label: str) -> str:
        """The table in LaTeX; it needs the package booktabs."""
        body = self._marked(lambda cell: rf"\textbf{{{_escaped(cell)}}}", _escaped)
        head, *body = (" & ".join(cells) + r" \\" for cells in [map(_escaped, self.head), *body])
        lines = [
            r"\begin{table}",
            r"\centering",
            r"\small",
            rf"\begin{{tabular}}{{l{'r' * (len(self.head) - 1)}}}",
            r"\toprule",
            head,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            rf"\caption{{{_escaped(' '.join([f'{self.title}.', *self.notes]))}}}",
            rf"\label{{tab:{label}}}",
            r"\end{table}",
        ]
        return "\n".join(lines)

    def _marked(self, bold: Callable[[str], str], plain: Callable[[str], str]) -> list[list[str]]:
        return [
            [bold(cell) if (r, c) in self.bold else plain(cell) for c, cell in enumerate(row)]
            for r, row in enumerate(self.rows)
        ]


def _escaped(text):
    return "".join(_LATEX.get(letter, letter) for letter in text)
