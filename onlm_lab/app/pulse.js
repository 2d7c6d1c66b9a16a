// Asks the kernel for news while somebody looks: a page that is closed or hidden asks nothing. The next question waits
// for the answer, so that a busy kernel is never asked twice.

function render({ model, el }) {
  el.hidden = true;
  let last = 0;
  let waiting = false;
  const tick = () => {
    if (document.hidden || (waiting && Date.now() - last < 15000)) return;
    if (Date.now() - last < model.get("every_ms")) return;
    waiting = true;
    last = Date.now();
    model.send({ kind: "news" });
  };
  const answered = () => {
    waiting = false;
  };
  model.on("msg:custom", answered);
  const timer = setInterval(tick, 100);
  return () => {
    clearInterval(timer);
    model.off("msg:custom", answered);
  };
}

export default { render };
