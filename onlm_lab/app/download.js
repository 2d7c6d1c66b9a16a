// A button that asks the kernel for a table and saves it. Nothing is put into an address.

function render({ model, el }) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "onlm-small";
  const say = () => (button.textContent = model.get("label"));
  say();
  button.addEventListener("click", () => model.send({ kind: "csv" }));
  const answer = (message) => {
    if (message.kind !== "csv") return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([message.text], { type: "text/csv" }));
    link.download = model.get("name");
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  model.on("msg:custom", answer);
  model.on("change:label", say);
  el.append(button);
  return () => {
    model.off("msg:custom", answer);
    model.off("change:label", say);
  };
}

export default { render };
