// Sorts a table by a column: a button in each header of table.sortable; without this script the table is as it is.
"use strict";

for (const table of document.querySelectorAll("table.sortable")) {
  const headers = [...table.tHead.rows[0].cells];
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const down = header.getAttribute("aria-sort") === "ascending";
      for (const other of headers) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", down ? "descending" : "ascending");
      sort(table.tBodies[0], column, down ? -1 : 1);
    });
  });
}

// Numbers before words, and what is empty last, whatever the direction.
function sort(body, column, sign) {
  const keyed = [...body.rows].map((row) => {
    const text = row.cells[column].textContent.trim();
    const number = Number(text);
    return { row, text, number, rank: text === "" || text === "–" ? 2 : Number.isNaN(number) ? 1 : 0 };
  });
  keyed.sort((a, b) =>
    a.rank - b.rank || sign * (a.rank ? a.text.localeCompare(b.text) : a.number - b.number));
  body.append(...keyed.map((each) => each.row));
}
