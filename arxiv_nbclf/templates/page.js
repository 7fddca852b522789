"use strict";
const number = (text) => {
  let sum = NaN;
  for (const [, digits, unit] of text.replaceAll(",", "").replaceAll("\u2212", "-").matchAll(/([-+]?\d[\d.]*(?:e[-+]?\d+)?)\s*(h|min)?\b/g))
    sum = (sum || 0) + digits * ({h: 3600, min: 60}[unit] || 1);
  return sum;
};
for (const table of document.querySelectorAll(".scroll > table")) {
  const body = table.tBodies[0], given = [...body.rows], heads = [...table.tHead.rows[0].cells];
  if (table.parentElement.scrollWidth > table.parentElement.clientWidth) table.parentElement.tabIndex = 0;
  if (given.length < 4) continue;
  heads.forEach((head, column) => {
    const text = (row) => row.cells[column].textContent.trim();
    const counts = head.className === "number" && !given.some((row) => /^\d{4}-\d\d/.test(text(row)));
    const key = (row) => (counts ? number(text(row)) : text(row).replace(/^\u2013$/, ""));
    const lacks = (value) => value === "" || Number.isNaN(value);
    const turns = counts ? ["descending", "ascending"] : ["ascending", "descending"];
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const turn = turns[turns.indexOf(head.getAttribute("aria-sort")) + 1], sign = turn === "descending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      if (turn) head.setAttribute("aria-sort", turn);
      const rows = given.map((row) => [key(row), row]);
      if (turn) rows.sort(([a], [b]) => lacks(a) - lacks(b) || sign * (counts ? a - b : a.localeCompare(b, "en", {numeric: true})));
      body.append(...rows.map(([, row]) => row));
    });
  });
}
