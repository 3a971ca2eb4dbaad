"use strict";
// Cards of the results, made as they are scrolled to. Everything that is shown is set as text or as an attribute:
// names, classes and transcripts may be anything, and never become markup.
(() => {
  const BATCH = 48;
  const CHIPS = 12;
  const byId = (id) => document.getElementById(id);
  const [form, main, more, count] = ["filters", "results", "more", "count"].map(byId);
  const fields = { words: byId("words"), of: byId("class"), low: byId("low"), high: byId("high"), order: byId("order") };
  const items = JSON.parse(byId("items").textContent);
  byId("items").remove();
  const done = Number(byId("counts").dataset.done);

  const element = (name, properties, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  };
  const number = (value) => value.toLocaleString("en");
  const milliseconds = (ms) => (ms < 1000 ? `${ms.toFixed(1)} ms` : `${(ms / 1000).toFixed(2)} s`);
  const clock = (seconds) => {
    const whole = Math.floor(seconds);
    const [h, m] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
    const s = (seconds - 60 * Math.floor(whole / 60)).toFixed(1).padStart(4, "0");
    return h > 0 ? `${h}:${String(m).padStart(2, "0")}:${s}` : `${m}:${s}`;
  };

  // What is filtered: a class and a score each. Of recordings the class is the language, and a segment has the score.
  for (const item of items) {
    item.found ??= [];
    item.parts = item.speech
      ? item.speech.segments.map((segment) => ({ class: item.speech.language ?? "", score: segment.score }))
      : item.found;
    item.lowest = item.parts.reduce((least, part) => Math.min(least, part.score), Infinity);
    const said = item.speech ? item.speech.segments.map((segment) => segment.text) : [];
    item.haystack = [item.name, ...item.found.map((one) => one.class), ...said, item.text ?? ""].join("\n").toLowerCase();
  }

  const classes = new Map();
  for (const item of items) {
    for (const name of new Set(item.parts.map((part) => part.class))) {
      classes.set(name, (classes.get(name) ?? 0) + 1);
    }
  }
  classes.delete("");
  fields.of.append(element("option", { value: "", textContent: "any" }));
  const names = [...classes.keys()].sort((a, b) => classes.get(b) - classes.get(a) || (a < b ? -1 : 1));
  // Values are positions: a class may be called anything.
  names.forEach((name, at) => {
    fields.of.append(element("option", { value: String(at), textContent: `${name} (${number(classes.get(name))})` }));
  });
  const field = byId("class-field");
  field.hidden = names.length === 0;
  if (items.every((item) => item.sound)) field.firstElementChild.textContent = "language";
  byId("score-field").hidden = items.every((item) => item.parts.length === 0);

  let wanted = {};
  const settle = () => {
    const bound = (field, usual) => (field.value === "" || Number.isNaN(field.valueAsNumber) ? usual : field.valueAsNumber);
    const [low, high] = [bound(fields.low, 0), bound(fields.high, 1)];
    wanted = {
      words: fields.words.value.trim().toLowerCase(),
      of: fields.of.value === "" ? null : names[Number(fields.of.value)],
      // Estimates of a mask's quality may lie a little outside of 0 to 1.
      low: low <= 0 ? -Infinity : low,
      high: high >= 1 ? Infinity : high,
    };
    wanted.parts = wanted.of !== null || wanted.low > -Infinity || wanted.high < Infinity;
  };
  const partFits = (part) =>
    (wanted.of === null || part.class === wanted.of) && part.score >= wanted.low && part.score <= wanted.high;
  const fits = (item) =>
    (wanted.words === "" || item.haystack.includes(wanted.words)) && (!wanted.parts || item.parts.some(partFits));

  const link = (text, href, properties) => element("a", { textContent: text, href, ...properties });
  const chip = (one) => {
    const swatch = element("span", { className: "swatch" });
    swatch.style.background = one.color;
    return element(
      "li",
      { className: wanted.parts && !partFits(one) ? "off" : "", title: `${number(one.area)} pixels` },
      swatch,
      element("span", { textContent: one.class }),
      element("span", { className: "number", textContent: one.score.toFixed(2) }),
    );
  };
  const found = (item) => {
    const shown = wanted.parts ? [...item.found].sort((a, b) => partFits(b) - partFits(a)) : item.found;
    const list = (some) => element("ul", { className: "found" }, ...some.map(chip));
    const parts = [list(shown.slice(0, CHIPS))];
    const rest = shown.slice(CHIPS);
    if (rest.length > 0) {
      const details = element("details", { className: "rest" });
      details.append(element("summary", { textContent: `${number(rest.length + item.more)} more` }));
      details.addEventListener("toggle", () => details.children.length === 1 && details.append(list(rest)));
      parts.push(details);
    }
    return parts;
  };

  // To the first line that was searched for, once a transcript is there to be scrolled.
  const appearance = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      appearance.unobserve(target);
      const hit = target.querySelector(".hit");
      if (hit) target.scrollTop += hit.getBoundingClientRect().top - target.getBoundingClientRect().top;
    }
  });
  const player = (item) =>
    element("audio", { controls: true, preload: "none", src: item.link, ariaLabel: `Recording ${item.name}` });
  const transcript = (item, audio) => {
    const { segments } = item.speech;
    if (segments.length === 0) return element("p", { className: "small", textContent: "No speech." });
    const list = element("ol", { className: "said", tabIndex: 0, ariaLabel: `Transcript of ${item.name}` });
    const lines = segments.map((segment, at) => {
      const doubt = segment.doubt && `doubted: ${segment.doubt.replaceAll("_", " ")}`;
      const line = element(
        "button",
        { type: "button", title: `${clock(segment.start)} to ${clock(segment.end)}, score ${segment.score.toFixed(2)}` },
        element("span", { className: "time", textContent: clock(segment.start) }),
        element("span", { className: "words", textContent: segment.text }),
        doubt ? element("span", { className: "doubt", textContent: doubt }) : null,
      );
      line.classList.toggle("off", wanted.parts && !partFits(item.parts[at]));
      line.classList.toggle("hit", wanted.words !== "" && segment.text.toLowerCase().includes(wanted.words));
      if (audio) {
        line.addEventListener("click", () => {
          audio.currentTime = segment.start;
          // A recording that is gone cannot be played; the player says so.
          audio.play().catch(() => {});
        });
      }
      return line;
    });
    list.append(...lines.map((line) => element("li", {}, line)));
    if (wanted.words !== "") appearance.observe(list);
    audio?.addEventListener("timeupdate", () => {
      lines.forEach((line, at) => {
        const now = audio.currentTime >= segments[at].start && audio.currentTime < segments[at].end;
        if (now) line.setAttribute("aria-current", "true");
        else line.removeAttribute("aria-current");
      });
    });
    return list;
  };

  const shot = (item) => {
    const { source, width, height } = item.picture;
    const said = item.found.slice(0, CHIPS).map((one) => `${one.class} ${one.score.toFixed(2)}`);
    const alt = said.length > 0 ? `${item.name}, in which was found: ${said.join(", ")}` : item.name;
    const image = element("img", { src: source, width, height, alt, decoding: "async" });
    return element("a", { className: "shot", href: item.link, tabIndex: -1 }, image);
  };

  const card = (item) => {
    const title = item.link
      ? link(item.name, item.link, { title: item.name })
      : element("span", { textContent: item.name, title: item.name });
    const facts = [];
    if (item.picture) facts.push(`${item.picture.of[0]} \u00d7 ${item.picture.of[1]}`);
    if (item.found.length > 0) facts.push(`${number(item.found.length + item.more)} found`);
    if (item.speech) facts.push(clock(item.speech.duration), item.speech.language ?? "no language");
    const dropped = item.speech?.dropped ?? 0;
    if (dropped > 0) facts.push(`${number(dropped)} ${dropped === 1 ? "stretch" : "stretches"} without text`);
    facts.push(milliseconds(item.ms));
    const audio = item.sound && item.link ? player(item) : null;
    const outputs = item.outputs.map(([name, href]) => (href ? link(name, href) : element("span", { textContent: name })));
    return element(
      "article",
      {},
      item.picture ? shot(item) : null,
      element("h3", {}, title),
      element("p", { className: "facts", textContent: facts.join(" \u00b7 ") }),
      audio,
      ...(item.found.length > 0 ? found(item) : []),
      item.speech ? transcript(item, audio) : null,
      item.speech?.more ? element("p", { className: "small", textContent: `${number(item.speech.more)} more segments are in its file.` }) : null,
      item.text !== undefined ? element("p", { className: "plain", tabIndex: 0, textContent: item.text }) : null,
      ...(item.notes ?? []).map((note) => element("p", { className: "note", textContent: note })),
      outputs.length > 0 ? element("p", { className: "outputs" }, ...outputs) : null,
    );
  };

  const orders = {
    path: () => 0,
    doubt: (a, b) => (a.lowest === b.lowest ? 0 : a.lowest - b.lowest),
    slow: (a, b) => b.ms - a.ms,
    most: (a, b) => b.parts.length + b.more - a.parts.length - a.more,
  };
  let chosen = [];
  let shown = 0;
  const next = () => {
    main.append(...chosen.slice(shown, shown + BATCH).map(card));
    shown = Math.min(shown + BATCH, chosen.length);
    more.hidden = shown === chosen.length;
  };
  const failures = [...document.querySelectorAll("#failures li")];
  const show = () => {
    settle();
    chosen = items.filter(fits).sort(orders[fields.order.value] ?? orders.path);
    main.replaceChildren();
    shown = 0;
    next();
    const left = done > items.length ? `; the page holds the first ${number(items.length)} of ${number(done)}` : "";
    count.textContent = `${number(chosen.length)} of ${number(items.length)} results${left}`;
    if (chosen.length === 0) {
      const why = items.length === 0 ? "Nothing was done." : "Nothing is like that.";
      main.append(element("p", { className: "none", textContent: why }));
    }
    for (const failure of failures) {
      failure.hidden = wanted.words !== "" && !failure.textContent.toLowerCase().includes(wanted.words);
    }
  };

  let timer = 0;
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(show, 120);
  };
  form.addEventListener("input", soon);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => setTimeout(show));
  // One recording at a time. The event does not bubble, but can be caught on its way down.
  main.addEventListener(
    "play",
    (event) => main.querySelectorAll("audio").forEach((audio) => audio !== event.target && audio.pause()),
    true,
  );
  more.addEventListener("click", () => {
    const first = shown;
    next();
    main.children[first]?.querySelector("a, button")?.focus();
  });
  const place = byId("more-place");
  const observer = new IntersectionObserver(
    (entries) => {
      if (more.hidden || !entries.some((entry) => entry.isIntersecting)) return;
      next();
      // An observer tells changes: who scrolls to the end at once would be at the end before and after.
      observer.unobserve(place);
      observer.observe(place);
    },
    { rootMargin: "1200px" },
  );
  observer.observe(place);
  if (matchMedia("(max-width: 40rem)").matches) {
    for (const details of document.querySelectorAll(".made")) details.open = false;
  }
  main.classList.toggle("speech", items.some((item) => item.sound));
  form.hidden = items.length === 0 && failures.length === 0;
  show();
})();
