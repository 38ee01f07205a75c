
"use strict";
// A click (or Enter or Space) on a column heading sorts the table by that column; a second click
// reverses the order. The sort is stable, and empty cells come last in both orders.
const key = (cell) => cell.dataset.v ?? cell.textContent;
function sort(heading) {
  const column = heading.cellIndex, body = heading.closest("table").tBodies[0];
  const sign = heading.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  const number = heading.classList.contains("number");
  const rows = Array.from(body.rows, (row) => ({ row, key: key(row.cells[column]) }));
  const order = (a, b) => number ? Number(a.key) - Number(b.key)
    : a.key.localeCompare(b.key, "en", { numeric: true });
  rows.sort((a, b) => {
    if (a.key === "" || b.key === "") return (a.key === "") - (b.key === "");
    return a.key === b.key ? 0 : sign * order(a, b);
  });
  for (const other of heading.parentNode.cells) other.setAttribute("aria-sort", "none");
  heading.setAttribute("aria-sort", sign === 1 ? "ascending" : "descending");
  body.append(...rows.map((each) => each.row));
}
for (const button of document.querySelectorAll("th[aria-sort] button")) {
  button.addEventListener("click", () => sort(button.parentNode));
}
