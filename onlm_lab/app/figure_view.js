// Draws a plotly figure given as JSON, with its table and its downloads. plotly.js comes once a page: as a static file
// from the server where one was named (`bundle`), else from the kernel. Nothing is ever fetched from another host.

function baseUrl() {
  const config = document.getElementById("jupyter-config-data");
  if (!config) return "/";
  try {
    return JSON.parse(config.textContent).baseUrl || "/";
  } catch {
    return "/";
  }
}

function runScript(src) {
  return new Promise((resolve, reject) => {
    const before = window.Plotly;
    const script = document.createElement("script");
    script.src = src;
    script.onload = () => {
      const mine = window.Plotly;
      if (before) window.Plotly = before;
      resolve(mine);
    };
    script.onerror = () => reject(new Error("plotly.js could not be loaded"));
    document.head.appendChild(script);
  });
}

function fromServer(bundle) {
  if (!bundle) return Promise.reject(new Error("no bundle is served"));
  return runScript(baseUrl() + bundle);
}

function fromKernel(model) {
  return new Promise((resolve, reject) => {
    const answer = (message, buffers) => {
      if (message.kind !== "plotly") return;
      model.off("msg:custom", answer);
      const url = URL.createObjectURL(new Blob([buffers[0]], { type: "text/javascript" }));
      runScript(url).then(resolve, reject).finally(() => URL.revokeObjectURL(url));
    };
    model.on("msg:custom", answer);
    model.send({ kind: "plotly" });
  });
}

function loadPlotly(model) {
  // A served page began to load it before its kernel answered (server_files.py), and gives null where that failed.
  window.onlmPlotlyLoaded ??= (window.onlmPlotly ?? Promise.resolve(null))
    .then((early) => early ?? fromServer(model.get("bundle")))
    .catch(() => fromKernel(model))
    .then((loaded) => (window.onlmPlotlyReady = loaded));
  return window.onlmPlotlyLoaded;
}

// Every view has a module of its own: the line in which figures wait for their turn belongs to the whole page. Between
// two drawings the browser gets the floor, so that other widgets start and hands are heard; what is in sight comes first.
const line = (globalThis.onlmDrawings ??= { waiting: [], busy: false });

function inSight(element) {
  const { top, bottom } = element.getBoundingClientRect();
  return bottom > 0 && top < window.innerHeight;
}

function nextDrawing() {
  if (line.busy || !line.waiting.length) return;
  line.busy = true;
  setTimeout(async () => {
    const first = line.waiting.findIndex((one) => inSight(one.element));
    const [{ draw }] = line.waiting.splice(Math.max(first, 0), 1);
    try {
      await draw();
    } catch (error) {
      console.error(error);
    }
    line.busy = false;
    nextDrawing();
  });
}

function drawInTurn(element, draw) {
  line.waiting.push({ element, draw });
  nextDrawing();
}

const PAPER_PX = 700; // between the margins of A4 upright; the sheet's own width stretches it

function toPaper(plot) {
  // All layers of a plot are magnified together, whatever the paper.
  const box = plot.querySelector(".svg-container");
  if (!box) return;
  box.style.aspectRatio = `${box.clientWidth} / ${box.clientHeight}`;
  for (const svg of plot.querySelectorAll(".main-svg")) {
    svg.setAttribute("viewBox", `0 0 ${svg.getAttribute("width")} ${svg.getAttribute("height")}`);
  }
}

function fromPaper(plot) {
  const box = plot.querySelector(".svg-container");
  if (box) box.style.aspectRatio = "";
  for (const svg of plot.querySelectorAll(".main-svg")) svg.removeAttribute("viewBox");
}

const pen = document.createElement("canvas").getContext("2d");

function wrap(text, font, width) {
  // Break at spaces so that each line fits; tags are not measured and never broken.
  pen.font = font;
  const lines = [""];
  for (const word of text.split(" ")) {
    const line = lines[lines.length - 1];
    const longer = line ? `${line} ${word}` : word;
    if (line && pen.measureText(longer.replace(/<[^>]*>/g, "")).width > width) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

function plain(text) {
  // Texts of a figure are escaped for plotly; on the page they are text nodes.
  const words = text.replace(/<br>/g, " ").replace(/<[^>]*>/g, "");
  return words.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

const HEAD = 74; // pixels that a figure's title takes
const LEAST_WIDTH = 500; // of a figure with its numbers in a column, or with two halves

function drawingWidth(layout, width) {
  // Below that names and numbers would be cut: the figure then scrolls inside its card.
  const broad = (layout.margin?.r ?? 0) >= 100 || layout.xaxis2?.domain?.[0] > 0;
  return broad ? Math.max(width, LEAST_WIDTH) : width;
}

function onPage(layout, width) {
  // On the page the title is text above the figure, which wraps and can be read aloud.
  const { title, ...rest } = layout;
  const above = layout.margin?.t ?? HEAD; // beyond the title's room it holds lines of the figure's own
  const margin = { ...layout.margin, t: Math.max(14, above - HEAD + 14) };
  if (width < 460 && rest.xaxis?.nticks) rest.xaxis = { ...rest.xaxis, nticks: 3 };
  if (width < 460 && rest.xaxis?.side === "top" && rest.xaxis.ticktext)
    rest.xaxis = { ...rest.xaxis, ticktext: rest.xaxis.ticktext.map((text) => text.split("<br>")[0]) }; // no room for n
  return { ...rest, width, height: (layout.height ?? 420) - (above - margin.t), margin };
}

function asPicture(layout, width) {
  // A saved figure carries its title. Plotly does not wrap: break it to the width and make room.
  const title = layout.title ?? {};
  const family = layout.font?.family ?? "sans-serif";
  const room = width - 28;
  const head = wrap(title.text ?? "", `600 ${title.font?.size ?? 15}px ${family}`, room);
  const sub = wrap(title.subtitle?.text ?? "", `${title.subtitle?.font?.size ?? 12}px ${family}`, room);
  const extra = 22 * (head.length - 1) + 16 * (sub.length - 1);
  const margin = { ...layout.margin };
  margin.t = (margin.t ?? 74) + extra;
  return {
    ...layout,
    width,
    height: (layout.height ?? 420) + extra,
    margin,
    title: {
      ...title,
      pad: { ...title.pad, t: 12 + 9 * (head.length - 1) },
      text: head.join("<br>"),       subtitle: { ...title.subtitle, text: sub.join("<br>") },
    },
  };
}

function save(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function cell(value) {
  // A cell that begins like a formula would be run by a spreadsheet: keep it text.
  if (value === null || value === undefined) return "";
  let text = String(value);
  if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function csv(table) {
  const lines = [table.columns, ...table.rows].map((row) => row.map(cell).join(","));
  return "\ufeff" + lines.join("\r\n") + "\r\n";
}

function shown(value) {
  if (value === null || value === undefined) return "–";
  if (typeof value !== "number" || Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(4)));
}

function drawTable(place, table) {
  const element = document.createElement("table");
  const head = element.createTHead().insertRow();
  for (const name of table.headings ?? table.columns) {
    const th = document.createElement("th");
    th.scope = "col";
    th.textContent = name.replaceAll("_", " ");
    head.appendChild(th);
  }
  const body = element.createTBody();
  for (const row of table.rows) {
    const tr = body.insertRow();
    for (const value of row) tr.insertCell().textContent = shown(table.said?.[value] ?? value);
  }
  place.replaceChildren(element);
}

function button(label, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = label;
  element.addEventListener("click", act);
  return element;
}

function render({ model, el }) {
  el.classList.add("onlm-figure");
  const plot = document.createElement("div");
  plot.className = "onlm-plot";
  plot.setAttribute("role", "img");
  const heading = document.createElement("h3");
  const under = document.createElement("p");
  under.className = "onlm-under";
  const tools = document.createElement("div");
  tools.className = "onlm-tools";
  const details = document.createElement("details");
  const summary = document.createElement("summary");
  const place = document.createElement("div");
  place.className = "onlm-table";
  place.tabIndex = 0; // it scrolls
  place.setAttribute("role", "region");
  const help = document.createElement("details");
  help.className = "onlm-help";
  const asked = document.createElement("summary");
  const answer = document.createElement("p");
  help.append(asked, answer);
  details.append(summary, place);
  const print = document.createElement("div"); // a printed page in the figure's place; its styles stay inside
  print.className = "onlm-print";
  print.setAttribute("role", "group");
  const inside = print.attachShadow({ mode: "open" });
  el.append(heading, under, plot, print, help, tools, details);

  let read = ["", null]; // the figure's text and what it says: a moved mark leaves the curves the very same objects
  const whole = () => {
    const text = model.get("figure");
    if (read[0] !== text) read = [text, JSON.parse(text)];
    const { data, layout } = read[1];
    const { data: more = [], shapes = [], annotations = [] } = JSON.parse(model.get("upon"));
    return {
      data: [...data, ...more],
      layout: {
        ...layout,
        shapes: [...(layout.shapes ?? []), ...shapes],
        annotations: [...(layout.annotations ?? []), ...annotations],
      },
    };
  };
  const picture = (format) => async () => {
    const Plotly = await loadPlotly(model);
    const figure = whole();
    const layout = asPicture(figure.layout, drawingWidth(figure.layout, drawnWidth));
    const size = { width: layout.width, height: layout.height, scale: format === "png" ? 3 : 1 };
    const url = await Plotly.toImage({ data: figure.data, layout }, { format, ...size });
    save(`${model.get("name")}.${format}`, await (await fetch(url)).blob());
  };
  const asCsv = () =>
    save(`${model.get("name")}.csv`, new Blob([csv(JSON.parse(model.get("table")))], { type: "text/csv" }));
  const asPage = () => {
    const whole = `<!DOCTYPE html><html lang="${model.get("language")}"><meta charset="utf-8"><body>${model.get("page")}</body></html>`;
    save(`${model.get("name")}.html`, new Blob([whole], { type: "text/html" }));
  };
  const svg = button("SVG", picture("svg"));
  const png = button("PNG", picture("png"));
  const html = button("HTML", asPage);
  const saved = button("CSV", asCsv);
  tools.append(svg, png, html, saved);
  const speak = () => {
    const texts = model.get("texts");
    summary.textContent = texts.table;
    place.setAttribute("aria-label", texts.table);
    asked.textContent = texts.help;
    answer.textContent = model.get("help");
    help.hidden = !model.get("help");
    for (const [element, text] of [[svg, texts.svg], [png, texts.png], [html, texts.html], [saved, texts.csv]]) {
      element.title = text;
      element.setAttribute("aria-label", `${element.textContent}: ${text}`);
    }
  };
  speak();

  const drawPage = () => {
    const page = model.get("page");
    for (const [element, there] of [[heading, !page], [under, !page], [plot, !page], [svg, !page], [png, !page], [print, page], [html, page]])
      element.hidden = !there;
    inside.innerHTML = page;
    print.setAttribute("aria-label", model.get("description"));
  };
  drawPage();

  let drawnWidth = 0;
  let queued = false;
  let gone = false;
  let printing = false;
  const paint = (Plotly, width) => {
    drawnWidth = width;
    const figure = whole();
    plot.setAttribute("aria-label", model.get("description"));
    heading.textContent = plain(figure.layout.title?.text ?? "");
    under.textContent = plain(figure.layout.title?.subtitle?.text ?? "");
    const drawing = drawingWidth(figure.layout, width);
    if (drawing > width) plot.tabIndex = 0;
    else plot.removeAttribute("tabindex");
    return Plotly.react(plot, figure.data, onPage(figure.layout, drawing), { displayModeBar: false, responsive: false });
  };
  const drawNow = async () => {
    queued = false;
    const width = Math.floor(el.clientWidth);
    if (!width || gone || printing || !model.get("figure")) return;
    await paint(await loadPlotly(model), width);
    if (!plot.dataset.drawn)
      plot.on("plotly_click", (event) => {
        const clicked = event.points[0]?.customdata;
        if (clicked !== undefined) model.send({ clicked });
      });
    plot.dataset.drawn = String(Number(plot.dataset.drawn ?? 0) + 1);
  };
  const draw = async () => {
    if (!model.get("figure") || queued) return;
    queued = true; // until its turn comes: it is then drawn as it stands by then
    try {
      await loadPlotly(model);
    } catch (error) {
      queued = false;
      throw error;
    }
    drawInTurn(el, drawNow);
  };
  const onPaper = () => {
    if (!plot.dataset.drawn || plot.hidden || !el.clientWidth) return;
    printing = true;
    paint(window.onlmPlotlyReady, PAPER_PX); // drawn at once: nothing that waits is printed
    toPaper(plot);
  };
  const offPaper = () => {
    if (!printing) return;
    printing = false;
    fromPaper(plot);
    drawnWidth = 0;
    draw();
  };
  window.addEventListener("beforeprint", onPaper);
  window.addEventListener("afterprint", offPaper);
  const table = () => {
    if (details.open) drawTable(place, JSON.parse(model.get("table")));
  };
  details.addEventListener("toggle", table);
  details.open = model.get("opened");
  el.classList.toggle("onlm-opened", model.get("opened"));
  const heard = (message) => {
    if (message?.kind === "look") el.scrollIntoView({ behavior: "smooth", block: "start" });
  };
  model.on("msg:custom", heard);
  let waiting = false;
  const redraw = () => {
    // The figure and what lies upon it may change in one message: draw them once.
    if (waiting) return;
    waiting = true;
    queueMicrotask(() => {
      waiting = false;
      draw();
    });
  };
  model.on("change:figure", redraw);
  model.on("change:upon", redraw);
  model.on("change:page", drawPage);
  model.on("change:table", table);
  for (const name of ["texts", "help"]) model.on(`change:${name}`, speak);
  const watch = new ResizeObserver(() => {
    if (!printing && Math.abs(Math.floor(el.clientWidth) - drawnWidth) > 1) draw();
  });
  watch.observe(el);
  return async () => {
    gone = true;
    window.removeEventListener("beforeprint", onPaper);
    window.removeEventListener("afterprint", offPaper);
    watch.disconnect();
    model.off("msg:custom", heard);
    model.off("change:figure", redraw);
    model.off("change:upon", redraw);
    model.off("change:page", drawPage);
    model.off("change:table", table);
    for (const name of ["texts", "help"]) model.off(`change:${name}`, speak);
    if (plot.dataset.drawn) (await loadPlotly(model)).purge(plot);
  };
}

export default { render };
