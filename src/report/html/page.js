"use strict";
// Light or dark: as the system has it, until the button says otherwise.
(() => {
  const root = document.documentElement, button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const kept = () => { try { return localStorage.getItem("oplat-theme"); } catch { return null; } };
  const dark = () => (root.dataset.theme || (system.matches ? "dark" : "light")) === "dark";
  const show = () => { button.textContent = dark() ? "Light" : "Dark"; button.setAttribute("aria-label", `Switch to ${dark() ? "light" : "dark"} colours`); };
  if (["light", "dark"].includes(kept())) root.dataset.theme = kept();
  button.hidden = false;
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("oplat-theme", root.dataset.theme); } catch { /* it holds for this page */ }
    show();
  });
  system.addEventListener("change", show);
  show();
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(d => { d.open = true; }));
})();

// Tables: data is unpacked when a table comes into view, and rows are made when they are wanted.
(() => {
  document.querySelectorAll(".no-script").forEach(note => note.remove());
  const source = JSON.parse(document.getElementById("data").textContent);
  const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const value = new Uint8Array(128);
  for (let i = 0; i < 64; i++) value[DIGITS.charCodeAt(i)] = i;
  const STEP = 100;
  const collator = new Intl.Collator("en", { numeric: true });
  const integer = new Intl.NumberFormat("en");

  const el = (name, attributes = {}, ...inside) => {
    const element = document.createElement(name);
    for (const [key, text] of Object.entries(attributes)) element.setAttribute(key, text);
    element.append(...inside);
    return element;
  };

  // A column's values: a number each, 0 for what isn't known and one more than it says for all else.
  const unpack = (column, chunks, rows) => {
    const out = new Float64Array(rows);
    let at = 0;
    chunks.forEach((length, chunk) => {
      const text = source.pool[column.data[chunk]];
      const one = text.length === column.width;
      for (let row = 0; row < length; row++) {
        let n = 0;
        for (let i = one ? 0 : row * column.width, end = i + column.width; i < end; i++) n = n * 64 + value[text.charCodeAt(i)];
        out[at++] = n;
      }
    });
    return out;
  };

  const shown = (column, n) => {
    if (n === 0) return "–";
    if (column.kind !== "number") return column.names[n - 1];
    const number = n - 1, step = 10 ** -column.decimals;
    const scaled = number / column.divisor;
    if (number === 0 && !column.some) return "0";
    if (scaled < step / 2) return `<${step.toFixed(column.decimals)}`;
    return column.format.format(scaled);
  };

  // By what rows are ordered: numbers by themselves, names by their place in the order of letters.
  const ranks = column => {
    if (column.kind === "number") return n => n;
    const figure = text => { const n = parseFloat(text.replace(/,/g, "").replace(/^[<>=~±]+/, "")); return Number.isNaN(n) ? Infinity : n; };
    const by = column.kind === "figure"
      ? (a, b) => figure(column.names[a]) - figure(column.names[b]) || a - b
      : (a, b) => collator.compare(column.names[a], column.names[b]);
    const rank = new Float64Array(column.names.length + 1);
    [...column.names.keys()].sort(by).forEach((place, at) => { rank[place + 1] = at + 1; });
    return n => rank[n];
  };

  const cut = text => text.length > 100 ? `${text.slice(0, 50)}…${text.slice(-48)}` : text;

  const open = (place, table) => {
    const rows = table.chunks.reduce((a, b) => a + b, 0);
    for (const column of table.columns) {
      column.values = unpack(column, table.chunks, rows);
      column.format = new Intl.NumberFormat("en", { minimumFractionDigits: column.decimals, maximumFractionDigits: column.decimals });
    }
    const names = table.columns.filter(column => column.kind === "name" || column.kind === "choice");
    const state = { order: [], text: "", chosen: new Map(), sorted: null, down: true, made: 0 };

    const controls = el("div", { class: "controls" });
    const search = el("input", { type: "search", autocomplete: "off", spellcheck: "false" });
    controls.append(el("label", {}, "Rows with this text", search));
    for (const column of names.filter(column => column.kind === "choice" && column.names.length > 1)) {
      const select = el("select", {}, el("option", { value: "" }, "all"));
      column.names.forEach((name, at) => select.append(el("option", { value: at + 1 }, cut(name))));
      select.addEventListener("change", () => { state.chosen.set(column, Number(select.value)); arrange(); });
      controls.append(el("label", {}, column.title, select));
    }
    const count = el("span", { class: "count", role: "status" });
    controls.append(count);
    const body = el("tbody"), head = el("tr");
    const box = el("div", { class: "rows", tabindex: "0", role: "region", "aria-label": table.title },
      el("table", { "aria-rowcount": rows + 1 }, el("thead", {}, head), body));
    const more = el("button", { type: "button", class: "more" }, "More rows");

    const heads = table.columns.map(column => {
      const button = el("button", { type: "button" }, column.title);
      const cell = el("th", { scope: "col", class: names.includes(column) ? "name" : "number", "aria-sort": "none" }, button);
      button.addEventListener("click", () => {
        const first = !names.includes(column);
        if (state.sorted !== column) { state.sorted = column; state.down = first; }
        else if (state.down === first) state.down = !first;
        else state.sorted = null;
        arrange();
      });
      head.append(cell);
      return [column, cell, button];
    });

    const arrange = () => {
      const wanted = state.text.toLowerCase();
      const hits = names.map(column => [column.values, column.names.map(name => name.toLowerCase().includes(wanted))]);
      const order = [];
      for (let row = 0; row < rows; row++) {
        let keep = true;
        for (const [column, chosen] of state.chosen) if (chosen && column.values[row] !== chosen) keep = false;
        if (keep && wanted) keep = hits.some(([values, hit]) => values[row] > 0 && hit[values[row] - 1]);
        if (keep) order.push(row);
      }
      if (state.sorted) {
        const { values } = state.sorted, rank = ranks(state.sorted), sign = state.down ? -1 : 1;
        const keys = new Float64Array(rows);
        for (const row of order) keys[row] = rank(values[row]);
        // What isn't known comes last either way.
        order.sort((a, b) => (values[a] === 0) - (values[b] === 0) || sign * (keys[a] - keys[b]) || a - b);
      }
      for (const [column, cell, button] of heads) {
        const sorted = state.sorted === column;
        cell.setAttribute("aria-sort", sorted ? (state.down ? "descending" : "ascending") : "none");
        button.textContent = column.title + (sorted ? (state.down ? " ▼" : " ▲") : "");
      }
      state.order = order;
      state.made = 0;
      body.replaceChildren();
      box.scrollTop = 0;
      make();
    };

    const make = () => {
      const next = state.order.slice(state.made, state.made + STEP);
      body.append(...next.map((row, at) => {
        const cells = table.columns.map((column, i) => {
          const text = shown(column, column.values[row]), short = cut(text);
          const kind = { name: "name", choice: "name choice" }[column.kind] || "number";
          const cell = el(i ? "td" : "th", { class: kind }, short);
          if (!i) cell.scope = "row";
          if (short !== text) cell.title = text.slice(0, 400);
          return cell;
        });
        return el("tr", { "aria-rowindex": state.made + at + 2 }, ...cells);
      }));
      state.made += next.length;
      more.hidden = state.made >= state.order.length;
      const all = state.order.length === rows ? integer.format(rows) : `${integer.format(state.order.length)} of ${integer.format(rows)}`;
      count.textContent = `${all} rows${more.hidden ? "" : `, the first ${integer.format(state.made)} shown`}`;
    };

    search.addEventListener("input", () => { state.text = search.value; arrange(); });
    more.addEventListener("click", make);
    box.addEventListener("scroll", () => {
      if (!more.hidden && box.scrollTop + box.clientHeight > box.scrollHeight - 200) make();
    });
    place.append(controls, box, more);
    arrange();
  };

  const places = new Map();
  document.querySelectorAll("[data-table]").forEach((place, at) => places.set(place, source.tables[at]));
  const seen = new IntersectionObserver(entries => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      seen.unobserve(target);
      open(target, places.get(target));
    }
  }, { rootMargin: "600px" });
  places.forEach((_, place) => seen.observe(place));
})();
