"use strict";
(() => {
  const axis = document.querySelector(".axis");
  const end = Number(axis.dataset.end);
  const pictures = [...document.querySelectorAll(".plot svg")];
  const names = axis.querySelector(".plot");
  const grid = document.querySelector(".grid .plot");
  const DEEPEST = 2000;
  let from = 0, to = end;

  const MINUTE = 60, HOUR = 3600, DAY = 86400;
  const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30,
    ...[1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
    ...[1, 2, 3, 6, 12].map((n) => n * HOUR),
    ...[1, 2, 5, 10, 20, 50, 100].map((n) => n * DAY)];

  function mark(seconds) {
    if (seconds < MINUTE) return seconds ? `${Number(seconds.toFixed(1))} s` : "0";
    const whole = Math.round(seconds);
    const pair = (large, small, one, colon) => {
      const a = Math.floor(whole / large), b = Math.floor((whole % large) / small);
      if (!b) return `${a} ${one}`;
      return colon ? `${a}:${String(b).padStart(2, "0")} ${one}` : `${a} ${one} ${b} h`;
    };
    if (whole < HOUR) return pair(MINUTE, 1, "min", true);
    if (whole < 2 * DAY) return pair(HOUR, MINUTE, "h", true);
    return pair(DAY, HOUR, "d", false);
  }

  function show(start, stop) {
    const span = Math.min(end, Math.max(end / DEEPEST, stop - start));
    from = Math.min(Math.max(0, start), end - span);
    to = from + span;
    for (const one of pictures) {
      const height = one.viewBox.baseVal.height;
      one.setAttribute("viewBox", `${1e4 * from / end} 0 ${1e4 * span / end} ${height}`);
    }
    const step = STEPS.find((one) => span / one < 7) ?? STEPS[STEPS.length - 1];
    names.replaceChildren();
    grid.replaceChildren();
    for (let n = Math.ceil(from / step); n * step <= to; n += 1) {
      const left = `${100 * (n * step - from) / span}%`;
      const name = document.createElement("span"), line = document.createElement("i");
      name.textContent = mark(n * step);
      name.style.left = line.style.left = left;
      names.append(name);
      grid.append(line);
    }
  }

  // Buttons, for every kind of pointer and for the keyboard.
  const zoom = (share) => show((from + to) / 2 - (to - from) * share / 2,
    (from + to) / 2 + (to - from) * share / 2);
  const move = (share) => show(from + (to - from) * share, to + (to - from) * share);
  const buttons = axis.querySelector(".zoom");
  for (const [sign, title, act] of [
    ["+", "closer", () => zoom(0.5)], ["−", "further away", () => zoom(2)],
    ["◂", "earlier", () => move(-0.5)], ["▸", "later", () => move(0.5)],
    ["all", "the whole run", () => show(0, end)],
  ]) {
    const button = document.createElement("button");
    button.textContent = sign;
    button.title = title;
    button.addEventListener("click", act);
    buttons.append(button, " ");
  }

  // A mouse drags over the part to look at; a double click shows everything again.
  const chart = document.querySelector(".chart");
  const at = (event) => {
    const box = names.getBoundingClientRect();
    return from + (to - from) * (event.clientX - box.left) / box.width;
  };
  let begin = null;
  chart.addEventListener("pointerdown", (event) => {
    const plot = event.target.closest(".plot");
    begin = plot && event.pointerType === "mouse" && event.button === 0 ? event : null;
    if (begin) begin = { x: event.clientX, moment: at(event) };
  });
  addEventListener("pointerup", (event) => {
    if (begin && Math.abs(event.clientX - begin.x) > 8) {
      const moment = at(event);
      show(Math.min(begin.moment, moment), Math.max(begin.moment, moment));
    }
    begin = null;
  });
  chart.addEventListener("dblclick", () => show(0, end));

  // What a bar is, at once and on touch screens too; without this script browsers show it late.
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);
  const point = (event) => {
    const shape = event.target.closest?.("rect");
    const title = shape?.querySelector("title");
    if (title) {
      shape.dataset.tip = title.textContent;
      title.remove();
    }
    tip.hidden = !shape?.dataset.tip;
    if (tip.hidden) return;
    tip.textContent = shape.dataset.tip;
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const below = event.clientY + 18;
    const top = below + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 12 : below;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${Math.max(8, top)}px`;
  };
  chart.addEventListener("pointermove", point);
  chart.addEventListener("pointerdown", point);
  chart.addEventListener("pointerleave", () => { tip.hidden = true; });
  addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
})();
