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
  window.onlmPlotly ??= fromServer(model.get("bundle")).catch(() => fromKernel(model));
  return window.onlmPlotly;
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

function onPage(layout, width) {
  // On the page the title is text above the figure, which wraps and can be read aloud.
  const { title, ...rest } = layout;
  const margin = { ...layout.margin, t: 14 };
  if (width < 460 && rest.xaxis?.nticks) rest.xaxis = { ...rest.xaxis, nticks: 3 };
  return { ...rest, width, height: (layout.height ?? 420) - ((layout.margin?.t ?? 74) - 14), margin };
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
  for (const name of table.columns) {
    const th = document.createElement("th");
    th.scope = "col";
    th.textContent = name.replaceAll("_", " ");
    head.appendChild(th);
  }
  const body = element.createTBody();
  for (const row of table.rows) {
    const tr = body.insertRow();
    for (const value of row) tr.insertCell().textContent = shown(value);
  }
  place.replaceChildren(element);
}

function button(label, title, act) {
  const element = document.createElement("button");
  element.type = "button";
  element.textContent = label;
  element.title = title;
  element.setAttribute("aria-label", title);
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
  summary.textContent = "Table";
  const place = document.createElement("div");
  place.className = "onlm-table";
  details.append(summary, place);
  el.append(heading, under, plot, tools, details);

  const picture = (format) => async () => {
    const Plotly = await loadPlotly(model);
    const figure = JSON.parse(model.get("figure"));
    const layout = asPicture(figure.layout, drawnWidth);
    const size = { width: layout.width, height: layout.height, scale: format === "png" ? 3 : 1 };
    const url = await Plotly.toImage({ data: figure.data, layout }, { format, ...size });
    save(`${model.get("name")}.${format}`, await (await fetch(url)).blob());
  };
  const asCsv = () =>
    save(`${model.get("name")}.csv`, new Blob([csv(JSON.parse(model.get("table")))], { type: "text/csv" }));
  tools.append(
    button("SVG", "Download this figure as SVG", picture("svg")),
    button("PNG", "Download this figure as PNG", picture("png")),
    button("CSV", "Download the table of this figure as CSV", asCsv),
  );

  let drawnWidth = 0;
  const draw = async () => {
    const Plotly = await loadPlotly(model);
    const width = Math.floor(el.clientWidth);
    if (!width || !model.get("figure")) return;
    drawnWidth = width;
    const figure = JSON.parse(model.get("figure"));
    plot.setAttribute("aria-label", model.get("description"));
    heading.textContent = plain(figure.layout.title?.text ?? "");
    under.textContent = plain(figure.layout.title?.subtitle?.text ?? "");
    await Plotly.react(plot, figure.data, onPage(figure.layout, width), { displayModeBar: false, responsive: false });
    plot.dataset.drawn = String(Number(plot.dataset.drawn ?? 0) + 1);
  };
  const table = () => {
    if (details.open) drawTable(place, JSON.parse(model.get("table")));
  };
  details.addEventListener("toggle", table);
  model.on("change:figure", draw);
  model.on("change:table", table);
  const watch = new ResizeObserver(() => {
    if (Math.abs(Math.floor(el.clientWidth) - drawnWidth) > 1) draw();
  });
  watch.observe(el);
  return async () => {
    watch.disconnect();
    model.off("change:figure", draw);
    model.off("change:table", table);
    (await loadPlotly(model)).purge(plot);
  };
}

export default { render };
