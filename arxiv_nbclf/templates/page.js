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
const folds = [...document.querySelectorAll(".folds > details")];
const unfold = (wanted) => folds.forEach((fold) => { fold.open = wanted(fold); });
const reveal = () => {
  const target = document.getElementById(location.hash.slice(1)), fold = target && target.closest("details");
  if (fold && !fold.open) { fold.open = true; target.scrollIntoView(); }
};
addEventListener("hashchange", reveal);
reveal();
let before = [];
addEventListener("beforeprint", () => { before = folds.filter((fold) => fold.open); unfold(() => true); });
addEventListener("afterprint", () => unfold((fold) => before.includes(fold)));
const press = (text, kind, action) => {
  const button = document.createElement("button");
  Object.assign(button, {type: "button", className: kind, textContent: text});
  button.addEventListener("click", () => action(button));
  return button;
};
if (folds.length) folds[0].before(press("Open all", "unfold", (button) => {
  const open = folds.some((fold) => !fold.open);
  unfold(() => open);
  button.textContent = open ? "Close all" : "Open all";
}));
if (navigator.clipboard) for (const code of document.querySelectorAll("pre > code")) code.before(press("Copy", "copy", async (button) => {
  await navigator.clipboard.writeText(code.textContent);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}));
