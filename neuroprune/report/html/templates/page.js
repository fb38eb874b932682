"use strict";
(() => {
  const made = (name, text, ...children) => {
    const element = document.createElement(name);
    if (text !== undefined) element.textContent = text;
    element.append(...children);
    return element;
  };

  const map = () => {
    const data = JSON.parse(document.getElementById("map-data").textContent);
    const cells = [...document.querySelectorAll(".core")];
    const panel = document.getElementById("panel");
    const choice = document.getElementById("measure");

    const paint = () => {
      const measure = data.measures[choice.value];
      document.getElementById("legend").hidden = measure.top === "";
      document.getElementById("top").textContent = measure.top;
      for (const cell of cells) {
        const [level, text] = measure.cells[cell.dataset.core];
        cell.style.setProperty("--v", level);
        cell.classList.toggle("named", measure.top === "");
        cell.classList.toggle("strong", measure.top !== "" && level > data.strong);
        cell.firstElementChild.textContent = text;
        const title = data.cores[cell.dataset.core].title;
        cell.setAttribute("aria-label", `${title}: ${measure.label} ${text}`);
      }
    };

    const tell = (cell) => {
      const core = data.cores[cell.dataset.core];
      const rows = core.uses.map(([name, used, percent]) => made("tr", undefined,
        Object.assign(made("th", name), { scope: "row" }), made("td", used), made("td", `${percent}%`)));
      const tiles = core.tiles.map(([layer, box, takes]) => made("li", undefined,
        made("b", layer), made("span", box), made("span", takes)));
      panel.replaceChildren(made("h3", core.title), made("table", undefined, made("tbody", undefined, ...rows)),
        ...core.facts.map((fact) => made("p", fact)), made("ul", undefined, ...tiles));
    };

    const select = (cell) => {
      for (const each of cells) each.setAttribute("aria-selected", each === cell);
      for (const each of cell.parentElement.children) each.tabIndex = each === cell ? 0 : -1;
      tell(cell);
    };

    const middle = (cell) => {
      const box = cell.getBoundingClientRect();
      return [box.left + box.width / 2, box.top + box.height / 2];
    };

    const DIRECTIONS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

    const next = (cell, [dx, dy]) => {
      const [x, y] = middle(cell);
      let best = null, nearest = Infinity;
      for (const other of cell.parentElement.children) {
        const [u, v] = middle(other);
        const along = (u - x) * dx + (v - y) * dy, across = Math.abs((u - x) * dy) + Math.abs((v - y) * dx);
        if (along > 1 && along + 3 * across < nearest) [best, nearest] = [other, along + 3 * across];
      }
      return best;
    };

    choice.addEventListener("change", paint);
    for (const cell of cells) {
      cell.addEventListener("mouseenter", () => tell(cell));
      cell.addEventListener("focus", () => select(cell));
      cell.addEventListener("click", () => cell.focus());
      cell.addEventListener("keydown", (event) => {
        const direction = DIRECTIONS[event.key];
        if (!direction) return;
        event.preventDefault();
        next(cell, direction)?.focus();
      });
    }
    paint();
  };

  const sorting = (table) => {
    const body = table.tBodies[0];
    const headers = [...table.tHead.rows[0].cells];
    const value = (row, column) => {
      const cell = row.cells[column];
      return cell.dataset.v === undefined ? cell.textContent.trim() : Number(cell.dataset.v);
    };
    headers.forEach((header, column) => {
      const button = made("button", header.textContent);
      button.type = "button";
      header.replaceChildren(button);
      button.addEventListener("click", () => {
        const downwards = header.getAttribute("aria-sort") !== "descending" && header.classList.contains("n")
          || header.getAttribute("aria-sort") === "ascending";
        for (const each of headers) each.removeAttribute("aria-sort");
        header.setAttribute("aria-sort", downwards ? "descending" : "ascending");
        const order = (a, b) => typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
        const rows = [...body.rows].sort((a, b) => (downwards ? -1 : 1) * order(value(a, column), value(b, column)));
        body.append(...rows);
      });
    });
  };

  if (document.getElementById("map-data")) map();
  document.querySelectorAll("table.sortable").forEach(sorting);
})();
