// The bar over a served page. What stands behind the # of the address is never sent to a server.

function render({ model, el }) {
  el.classList.add("onlm-bar");
  const nav = document.createElement("nav");
  const tools = document.createElement("div");
  tools.className = "onlm-bar-tools";
  const said = document.createElement("span");
  said.setAttribute("role", "status");
  const copy = document.createElement("button");
  const print = document.createElement("button");
  copy.type = print.type = "button";
  const language = document.createElement("select");
  tools.append(said, language, copy, print);
  el.append(nav, tools);

  // What is told is numbered, and the kernel says which number it answers: an answer to an older address is not written
  // over a newer one. A late answer may have replaced the address before the browser says that it was changed, so the
  // event's own is told.
  let told = model.get("heard");
  const tell = (address) => model.send({ address, number: ++told });
  const fragment = (url) => new URL(url).hash.replace(/^#/, "");
  const moved = (event) => tell(fragment(event.newURL));

  const draw = () => {
    const texts = model.get("texts");
    nav.setAttribute("aria-label", texts.pages);
    nav.replaceChildren(
      ...model.get("links").map((page) => {
        const link = document.createElement("a");
        link.textContent = page.label;
        link.href = page.href + (model.get("common") ? `#${model.get("common")}` : "");
        if (page.here) link.setAttribute("aria-current", "page");
        return link;
      }),
    );
    copy.textContent = texts.copy;
    print.textContent = texts.print;
    language.setAttribute("aria-label", texts.language);
    language.replaceChildren(
      ...model.get("languages").map((one) => new Option(one.label, one.value, false, one.value === model.get("language"))),
    );
    language.hidden = model.get("languages").length < 2;
    document.documentElement.lang = model.get("language") === "zh" ? "zh-Hans" : model.get("language");
  };
  const write = () => {
    if (model.get("heard") < told) return;
    const wanted = model.get("fragment");
    if (wanted !== location.hash.replace(/^#/, ""))
      history.replaceState(null, "", location.pathname + location.search + (wanted ? `#${wanted}` : ""));
  };
  const address = () => `${location.origin}${location.pathname}${location.hash}`; // without a token

  copy.addEventListener("click", async () => {
    const field = document.createElement("textarea"); // the clipboard's own call needs https
    field.value = address();
    field.className = "onlm-bar-copied";
    el.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    copy.focus();
    said.textContent = done ? model.get("texts").copied : address();
    setTimeout(() => (said.textContent = ""), 6000);
  });
  print.addEventListener("click", () => window.print());
  language.addEventListener("change", () => {
    const view = new URLSearchParams(model.get("fragment"));
    if (language.value === "en") view.delete("lang");
    else view.set("lang", language.value);
    tell(view.toString());
  });

  const watched = { "change:links": draw, "change:common": draw, "change:texts": draw, "change:languages": draw, "change:language": draw, "change:fragment": write, "change:heard": write };
  for (const [event, act] of Object.entries(watched)) model.on(event, act);
  window.addEventListener("hashchange", moved);
  if (new URLSearchParams(location.search).has("token"))
    history.replaceState(null, "", location.pathname + location.hash); // the cookie holds it from now on
  draw();
  tell(fragment(location.href));
  return () => {
    window.removeEventListener("hashchange", moved);
    for (const [event, act] of Object.entries(watched)) model.off(event, act);
  };
}

export default { render };
