"use strict";
// Everything the page can do beyond being read. No storage, no network, no markup from data.
(() => {
  const root = document.documentElement;
  const live = document.getElementById("live");
  const all = (selector, within = document) => Array.from(within.querySelectorAll(selector));
  const announce = (text) => { live.textContent = text; };

  // theme: as the system, or as chosen
  const themeButton = document.querySelector(".theme");
  const isDark = () => root.dataset.theme
    ? root.dataset.theme === "dark"
    : window.matchMedia("(prefers-color-scheme: dark)").matches;
  const labelTheme = () => {
    themeButton.textContent = isDark() ? "Light theme" : "Dark theme";
  };
  themeButton.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    labelTheme();
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", labelTheme);
  themeButton.hidden = false;
  labelTheme();

  // contents: the section in view is marked
  const links = new Map(all(".contents a").map((link) => [link.hash.slice(1), link]));
  const inView = new Set();
  const watcher = new IntersectionObserver((entries) => {
    entries.forEach((entry) => {
      if (entry.isIntersecting) inView.add(entry.target.id); else inView.delete(entry.target.id);
    });
    const first = Array.from(links.keys()).find((name) => inView.has(name));
    links.forEach((link, name) => {
      if (name === first) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    });
  }, { rootMargin: "0px 0px -70% 0px" });
  all("main > section").forEach((section) => watcher.observe(section));

  const download = (name, type, text) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };

  // tables
  const sortKey = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent;
  const compare = (isText) => (a, b) => {
    if (a === b) return 0;
    if (a === undefined || a === "") return 1; // missing values stay last in both directions
    if (b === undefined || b === "") return -1;
    return isText ? a.localeCompare(b, "en", { numeric: true }) : Number(a) - Number(b);
  };
  const sortTable = (table, header) => {
    const column = header.cellIndex;
    const isText = header.classList.contains("text");
    const ascending = header.getAttribute("aria-sort") !== "ascending";
    const order = compare(isText);
    const rows = Array.from(table.tBodies[0].rows);
    const key = new Map(rows.map((row) => [row, sortKey(row, column)]));
    const missing = (row) => key.get(row) === undefined || key.get(row) === "";
    rows.sort((a, b) => {
      const result = order(key.get(a), key.get(b));
      return ascending || missing(a) || missing(b) ? result : -result;
    });
    table.tBodies[0].append(...rows);
    all("th[aria-sort]", table).forEach((other) => other.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    announce(`Sorted by ${header.dataset.title}, ${ascending ? "ascending" : "descending"}.`);
  };
  // Text that a spreadsheet would run as a formula gets a quote in front; numbers stay numbers.
  const csvField = (text) => {
    const isNumber = text !== "" && Number.isFinite(Number(text));
    const safe = !isNumber && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  const tableCsv = (table) => {
    const rows = [table.tHead.rows[0], ...Array.from(table.tBodies[0].rows).filter((r) => !r.hidden)];
    return rows.map((row) => Array.from(row.cells)
      .map((cell) => csvField(cell.dataset.title || cell.textContent.trim().replaceAll("\u2212", "-")))
      .join(",")).join("\n") + "\n";
  };
  for (const block of all(".table-block")) {
    const table = block.querySelector("table");
    const filter = block.querySelector(".filter");
    const more = block.querySelector(".more");
    const count = block.querySelector(".count");
    const rows = Array.from(table.tBodies[0].rows);
    const texts = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));
    const refresh = () => {
      const words = (filter ? filter.value : "").toLowerCase().split(/\s+/).filter(Boolean);
      const everything = !more || more.getAttribute("aria-pressed") === "true";
      let shown = 0;
      for (const row of rows) {
        const fits = (everything || row.dataset.first === "1")
          && words.every((word) => texts.get(row).includes(word));
        row.hidden = !fits;
        shown += fits ? 1 : 0;
      }
      count.textContent = `${shown} of ${rows.length} rows`;
    };
    let waiting = 0;
    if (filter) {
      filter.addEventListener("input", () => {
        clearTimeout(waiting);
        waiting = setTimeout(refresh, 80);
      });
    }
    if (more) {
      more.addEventListener("click", () => {
        more.setAttribute("aria-pressed", String(more.getAttribute("aria-pressed") !== "true"));
        refresh();
      });
    }
    const columns = block.querySelector(".columns");
    if (columns) {
      columns.addEventListener("click", () => {
        const shown = table.classList.toggle("all-columns");
        columns.setAttribute("aria-pressed", String(shown));
      });
    }
    all(".sort", table).forEach((button) => {
      button.addEventListener("click", () => sortTable(table, button.closest("th")));
    });
    block.querySelector(".csv").addEventListener("click", () => {
      download(`${table.id}.csv`, "text/csv", tableCsv(table));
    });
    block.querySelector(".table-tools").hidden = false;
    refresh();
  }

  // figures: a saved drawing must stand alone, so variables become their fallback colours
  const standalone = (svg) => new XMLSerializer().serializeToString(svg)
    .replaceAll(/var\(--[a-z-]+, (#[0-9a-f]+)\)/g, "$1");
  for (const figure of all("figure[data-csv]")) {
    const name = figure.id;
    figure.querySelector(".svg").addEventListener("click", () => {
      download(`${name}.svg`, "image/svg+xml", standalone(figure.querySelector(".drawing svg")));
    });
    figure.querySelector(".csv").addEventListener("click", () => {
      const data = document.getElementById(figure.dataset.csv);
      download(`${name}.csv`, "text/csv", JSON.parse(data.textContent));
    });
    figure.querySelector(".figure-tools").hidden = false;
  }

  // listening: one plays at a time; arrow keys switch between the two at the same moment
  const players = all(".play").map((button) => ({
    button, audio: document.getElementById(button.dataset.audio),
  }));
  for (const { button, audio } of players) {
    button.addEventListener("click", () => { if (audio.paused) audio.play(); else audio.pause(); });
    audio.addEventListener("play", () => {
      players.forEach((other) => { if (other.audio !== audio) other.audio.pause(); });
      button.setAttribute("aria-pressed", "true");
    });
    audio.addEventListener("pause", () => button.setAttribute("aria-pressed", "false"));
    audio.addEventListener("ended", () => button.setAttribute("aria-pressed", "false"));
    button.addEventListener("keydown", (event) => {
      if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
      const pair = all(".play", button.closest(".pair"));
      const other = pair[pair.indexOf(button) + (event.key === "ArrowRight" ? 1 : -1)];
      if (!other) return;
      const sound = document.getElementById(other.dataset.audio);
      sound.currentTime = audio.currentTime;
      if (!audio.paused) sound.play();
      other.focus();
      event.preventDefault();
    });
  }

  // a permalink opens what encloses it; print shows everything
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let node = target; node; node = node.parentElement) {
      if (node.tagName === "DETAILS") node.open = true;
    }
    if (target) target.scrollIntoView();
  };
  window.addEventListener("hashchange", reveal);
  reveal();
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    closed.forEach((item) => { item.open = true; });
  });
  window.addEventListener("afterprint", () => closed.forEach((item) => { item.open = false; }));
})();
