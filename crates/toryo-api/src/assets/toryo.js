// The script of all pages. The server makes all HTML; this puts it in place, keeps time, and sends what people decide.

const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];
const parse = (html) => new DOMParser().parseFromString(html, "text/html");

function announce(text) {
  const place = $("#announcer");
  if (place && place.textContent !== text) place.textContent = text;
}

// ---- theme, copy, time ----

function toggleTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try {
    localStorage.setItem("toryo-theme", root.dataset.theme);
  } catch {
    // Storage is forbidden: the choice lasts as long as the page.
  }
}

async function copy(button) {
  const label = $("span", button);
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    announce("Copied");
    if (label) label.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren($("pre", button.parentElement));
    if (label) label.textContent = "Press Ctrl-C";
  }
  if (label) setTimeout(() => (label.textContent = "Copy"), 2000);
}

// The same words as the server's.
function span(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  const two = (n) => String(n).padStart(2, "0");
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  return `${Math.floor(s / 3600)} h ${two(Math.floor(s / 60) % 60)} min`;
}

function ago(ms) {
  const min = Math.floor(ms / 60000);
  if (min <= 0) return "just now";
  if (min < 60) return `${min} min ago`;
  if (min < 1440) return `${Math.floor(min / 60)} h ago`;
  const days = Math.floor(min / 1440);
  return days === 1 ? "1 day ago" : `${days} days ago`;
}

function tick() {
  const now = Date.now();
  for (const it of $$(".elapsed[data-from]:not([data-to])")) it.textContent = span(now - it.dataset.from);
  for (const it of $$(".ago[data-at]")) it.textContent = ago(now - it.dataset.at);
}

// ---- requests ----

async function send(url, body, headers = {}, method = "POST") {
  const response = await fetch(url, {
    method,
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify(body),
  });
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  const problem = new Error(answer.detail || answer.title || `The server answered ${response.status}`);
  problem.errors = answer.errors || [];
  throw problem;
}

function showErrors(form, problem) {
  for (const place of $$("[data-error]", form)) place.hidden = true;
  if (!problem) return;
  let first = null;
  let rest = problem.errors?.length ? [] : [problem.message];
  for (const { pointer, detail } of problem.errors || []) {
    const top = "/" + pointer.split("/")[1];
    const places = $$("[data-error]", form).filter((it) => it.dataset.error);
    const place = places.find((it) => it.dataset.error === pointer) || places.find((it) => it.dataset.error === top);
    if (!place) {
      rest.push(detail);
      continue;
    }
    place.textContent = detail;
    place.hidden = false;
    place.closest("details")?.setAttribute("open", "");
    first ||= $("input, textarea, select", place.parentElement);
  }
  const common = $('[data-error=""]', form);
  if (rest.length && common) {
    common.textContent = rest.join("; ");
    common.hidden = false;
  }
  first?.focus();
}

async function busy(button, work) {
  if (button) button.disabled = true;
  try {
    await work();
  } finally {
    if (button) button.disabled = false;
  }
}

// ---- new task ----

let requestKey = "";

function openSheet(id) {
  const sheet = document.getElementById(id);
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  requestKey = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  sheet.showModal();
  $("input, textarea", sheet)?.focus();
}

function taskOf(form) {
  const data = new FormData(form);
  const text = (name) => (data.get(name) || "").toString().trim();
  const task = { repo_url: text("repo_url"), goal: text("goal") };
  const criteria = text("acceptance_criteria").split("\n").map((line) => line.trim()).filter(Boolean);
  if (criteria.length) task.acceptance_criteria = criteria;
  if (text("base_branch")) task.base_branch = text("base_branch");
  if (text("approval") !== "none") task.approval = text("approval");
  for (const name of ["usd", "minutes", "tokens", "repair_loops"]) {
    const value = text(`limits/${name}`);
    if (value) (task.limits ||= {})[name] = Number(value);
  }
  return task;
}

async function submitTask(form, button) {
  showErrors(form, null);
  await busy(button, async () => {
    try {
      const task = taskOf(form);
      // The same press twice is one task; another text is another one.
      const key = `${requestKey}-${await digest(JSON.stringify(task))}`;
      const answer = await send("/tasks", task, { "idempotency-key": key });
      location.assign(answer.links.page);
    } catch (problem) {
      showErrors(form, problem);
    }
  });
}

async function digest(text) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16);
}

// ---- actions of a run ----

async function act(button, url, body, form) {
  const { confirm: question, confirmBlank } = button.dataset;
  if (question && !confirm(question)) return;
  if (confirmBlank && !Object.keys(body).length && !confirm(confirmBlank)) return;
  if (form) showErrors(form, null);
  await busy(button, async () => {
    try {
      if (button.dataset.first) {
        if (body.body) await send(button.dataset.first, body);
        body = {};
      }
      if (button.dataset.with) body = { ...body, ...JSON.parse(button.dataset.with) };
      const answer = await send(url, body, {}, form?.dataset.method);
      if (form?.dataset.goto) return location.assign(answer.links.compare || answer.links.page);
      if (form) form.reset();
      runPage?.refresh("all");
      runPage?.connect();
    } catch (problem) {
      if (form) showErrors(form, problem);
      else alert(problem.message);
    }
  });
}

function bodyOf(form) {
  const body = {};
  for (const [name, value] of new FormData(form)) {
    if (!value.trim()) continue;
    const number = form.elements[name]?.type === "number";
    // `a/b` is `b` inside of `a`.
    const [outer, inner] = name.split("/");
    if (inner) (body[outer] ||= {})[inner] = value.trim();
    else body[name] = number ? Number(value) : value;
  }
  return body;
}

// ---- the list of runs ----

function keepListFresh() {
  const place = $("#runs");
  let last = "";
  const refresh = async () => {
    if (document.hidden || place.contains(document.activeElement)) return;
    try {
      const response = await fetch(place.dataset.src);
      if (!response.ok) return;
      const html = await response.text();
      if (html === last) return;
      last = html;
      place.replaceChildren(...parse(html).body.childNodes);
    } catch {
      // The server is away: the next round finds it again.
    }
  };
  setInterval(refresh, 3000);
  document.addEventListener("visibilitychange", refresh);
}

// ---- the page of a run ----

const FINAL = new Set(["run.succeeded", "run.failed", "run.cancelled"]);
const ENDED = new Set(["succeeded", "failed", "cancelled"]);
const SMALL = new Set(["step.progress", "step.log", "model.call", "step.ready", "step.started"]);

class RunPage {
  constructor(root) {
    this.root = root;
    this.id = root.dataset.run;
    this.seq = Number(root.dataset.seq);
    this.shown = this.seq;
    this.types = root.dataset.types.split(" ");
    this.wanted = null;
    this.working = false;
    this.step = "";
    this.follow = true;
    this.last = new Map($$("[data-part]", root).map((part) => [part.dataset.part, part.outerHTML]));
    this.box = $("[data-log-box]", root);
    this.log = $("#log", root);
    this.box.addEventListener("scroll", () => this.setFollow(this.atEnd()), { passive: true });
    $("[data-log-filter]", root).addEventListener("change", (event) => {
      this.log.dataset.filter = event.target.value;
      this.toEnd();
    });
    this.toEnd();
    this.ended = "final" in root.dataset;
    if (!this.ended) this.connect();
    // A failed run may be tried again by somebody else; its stream has ended, so it is looked at now and then.
    setInterval(() => this.lookAgain(), 10000);
  }

  lookAgain() {
    const failed = $(".run-head", this.root)?.dataset.status === "failed";
    if (this.ended && failed && !document.hidden) this.refresh("live");
  }

  // The browser reconnects by itself and names the last event it saw.
  connect() {
    if (this.source && this.source.readyState !== EventSource.CLOSED) return;
    this.source = new EventSource(`/runs/${this.id}/stream?after=${this.seq}`);
    const heard = (event) => this.heard(event);
    for (const type of this.types) this.source.addEventListener(type, heard);
    this.source.onopen = () => this.connection(true);
    this.source.onerror = () => {
      this.connection(false);
      // A server that answered with an error ends the source for good.
      if (this.source.readyState === EventSource.CLOSED) setTimeout(() => this.connect(), 3000);
    };
  }

  connection(fine) {
    let note = $(".connection");
    if (fine) return note?.remove();
    if (note) return;
    note = document.createElement("p");
    note.className = "connection";
    note.setAttribute("role", "status");
    note.textContent = "Connection lost; trying again";
    document.body.append(note);
  }

  heard(event) {
    const seq = Number(event.lastEventId);
    if (seq <= this.seq) return;
    this.seq = seq;
    if (FINAL.has(event.type)) {
      this.source.close();
      this.ended = true;
      this.connection(true);
    }
    this.refresh(SMALL.has(event.type) ? "live" : "all");
  }

  // Asks for what changed: at once, and again when more came meanwhile.
  async refresh(what) {
    this.wanted = this.wanted === "all" ? "all" : what;
    if (this.working) return;
    this.working = true;
    while (this.wanted) {
      const wanted = this.wanted;
      this.wanted = null;
      try {
        await this.fetchParts(wanted);
        await this.fetchLines();
      } catch {
        // The server is away; the stream's return brings it up again.
      }
      await new Promise((done) => setTimeout(done, 250));
    }
    this.working = false;
  }

  async fetchParts(wanted) {
    const response = await fetch(`/ui/runs/${this.id}/parts${wanted === "live" ? "?only=live" : ""}`);
    if (!response.ok) return;
    for (const part of $$("[data-part]", parse(await response.text()))) this.put(part);
    const head = $(".run-head", this.root);
    if (head) announce(head.dataset.statusWords);
    // A failed run that somebody tried again goes on after its "last" event.
    if (head && this.ended && !ENDED.has(head.dataset.status)) {
      this.ended = false;
      this.connect();
    }
    tick();
  }

  put(part) {
    const name = part.dataset.part;
    const html = part.outerHTML;
    const place = $(`[data-part="${name}"]`, this.root);
    if (!place || this.last.get(name) === html) return;
    // What a person is typing or reading stays as it is.
    const typing = $("textarea", place);
    if (typing && typing.value && $("form", part)?.dataset.keep === typing.form.dataset.keep) return;
    this.last.set(name, html);
    const open = new Map($$("details[data-key]", place).map((it) => [it.dataset.key, it.open]));
    const focused = place.contains(document.activeElement) ? document.activeElement : null;
    place.replaceChildren(...part.childNodes);
    for (const it of $$("details[data-key]", place)) if (open.has(it.dataset.key)) it.open = open.get(it.dataset.key);
    if (focused?.dataset.step) $(`[data-step="${CSS.escape(focused.dataset.step)}"]`, place)?.focus();
    else if (focused?.id) document.getElementById(focused.id)?.focus();
    this.markStep();
  }

  async fetchLines() {
    while (this.shown < this.seq) {
      const response = await fetch(`/ui/runs/${this.id}/log?after=${this.shown}`);
      if (!response.ok) return;
      const lines = $$(".line", parse(`<ol>${await response.text()}</ol>`));
      if (!lines.length) return;
      this.shown = Number(lines.at(-1).dataset.seq);
      for (const line of lines) this.mask(line);
      this.log.append(...lines);
      if (this.follow) this.toEnd();
    }
  }

  async earlier(button) {
    const response = await fetch(`/ui/runs/${this.id}/log?before=${button.dataset.earlier}`);
    if (!response.ok) return;
    const lines = $$(".line", parse(`<ol>${await response.text()}</ol>`));
    for (const line of lines) this.mask(line);
    const height = this.box.scrollHeight;
    this.log.prepend(...lines);
    this.box.scrollTop += this.box.scrollHeight - height;
    const first = Number(lines[0]?.dataset.seq || 1);
    if (first > 1) button.dataset.earlier = first;
    else button.remove();
  }

  atEnd() {
    return this.box.scrollHeight - this.box.scrollTop - this.box.clientHeight < 32;
  }

  toEnd() {
    this.box.scrollTop = this.box.scrollHeight;
    this.setFollow(true);
  }

  setFollow(follow) {
    this.follow = follow;
    const button = $("[data-follow]", this.root);
    button.setAttribute("aria-pressed", String(follow));
    button.textContent = follow ? "Following" : "Follow";
  }

  chooseStep(step) {
    this.step = this.step === step ? "" : step;
    for (const line of $$(".line", this.log)) this.mask(line);
    this.markStep();
    this.toEnd();
  }

  mask(line) {
    line.classList.toggle("other-step", Boolean(this.step) && line.dataset.step !== this.step);
  }

  markStep() {
    for (const chip of $$(".chip [data-step]", this.root)) {
      chip.setAttribute("aria-pressed", String(chip.dataset.step === this.step));
    }
    const note = $(".step-filter", this.root);
    note.hidden = !this.step;
    $("[data-step-name]", note).textContent = this.step;
  }
}

// ---- wiring ----

let runPage = null;

document.addEventListener("click", (event) => {
  const on = (selector) => event.target.closest(selector);
  let it;
  if ((it = on("[data-theme-toggle]"))) toggleTheme();
  else if ((it = on("[data-copy]"))) copy(it);
  else if ((it = on("[data-open]"))) openSheet(it.dataset.open);
  else if ((it = on("[data-close]"))) it.closest("dialog").close();
  else if ((it = on("[data-action]"))) act(it, it.dataset.action, {});
  else if ((it = on(".chip [data-step]"))) runPage?.chooseStep(it.dataset.step);
  else if ((it = on("[data-clear-step]"))) runPage?.chooseStep("");
  else if ((it = on("[data-follow]"))) runPage?.toEnd();
  else if ((it = on("[data-earlier]"))) runPage?.earlier(it);
  else if ((it = on('.files a[href^="#file-"]'))) document.getElementById(it.hash.slice(1))?.setAttribute("open", "");
});

document.addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  if (form.matches("[data-new-task]")) return submitTask(form, event.submitter);
  const url = event.submitter?.dataset.post || form.dataset.post;
  if (url && form.reportValidity()) act(event.submitter, url, bodyOf(form), form);
});

setInterval(tick, 1000);
tick();
const page = document.documentElement.dataset.page;
if (page === "runs") keepListFresh();
if (page === "run") runPage = new RunPage($(".run-page"));
