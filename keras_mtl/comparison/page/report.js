"use strict";

// Sorting: a click on the head of a column, another one for the other way.
function valueOf(row, column) {
  return row.cells[column].dataset.value;
}

function compare(first, second, numeric) {
  return numeric ? Number(first) - Number(second) : first.localeCompare(second);
}

function sortBy(table, column) {
  const head = table.tHead.rows[0].cells;
  const descending = head[column].getAttribute("aria-sort") === "ascending";
  const rows = [...table.tBodies[0].rows];
  const numeric = !head[column].classList.contains("text");
  rows.sort((a, b) => {
    const first = valueOf(a, column);
    const second = valueOf(b, column);
    // What has no value comes last, either way.
    if (first === "" || second === "") {
      return (first === "") - (second === "");
    }
    return (descending ? -1 : 1) * compare(first, second, numeric);
  });
  for (const cell of head) {
    cell.setAttribute("aria-sort", "none");
  }
  head[column].setAttribute(
    "aria-sort", descending ? "descending" : "ascending");
  table.tBodies[0].append(...rows);
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((cell, column) => {
    cell.querySelector("button").addEventListener(
      "click", () => sortBy(table, column));
  });
}

// Hover text: for the mouse, a finger and the keyboard.
const tip = document.getElementById("tip");

function showTip(event) {
  const target = event.target.closest("[data-tip]");
  tip.hidden = !target;
  if (!target) {
    return;
  }
  tip.textContent = target.dataset.tip;
  const place = target.getBoundingClientRect();
  const left = place.left + place.width / 2 - tip.offsetWidth / 2;
  const most = document.documentElement.clientWidth - tip.offsetWidth - 4;
  tip.style.left = `${Math.max(4, Math.min(left, most))}px`;
  const above = place.top - tip.offsetHeight - 6;
  tip.style.top = `${above < 4 ? place.bottom + 6 : above}px`;
}

document.addEventListener("pointerover", showTip);
document.addEventListener("focusin", showTip);
document.addEventListener("scroll", () => { tip.hidden = true; }, true);

document.getElementById("download").addEventListener("click", () => {
  const text = document.getElementById("results").textContent;
  const link = document.createElement("a");
  const file = new Blob([text], { type: "application/json" });
  link.href = URL.createObjectURL(file);
  link.download = "results.json";
  link.click();
  URL.revokeObjectURL(link.href);
});
