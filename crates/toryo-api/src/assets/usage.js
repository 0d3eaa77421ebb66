// The usage page: asks /usage and /budgets with the reader's key and shows what they say.

const KEY = "toryo-usage-key";
const find = (selector) => document.querySelector(selector);
const [form, field, error, shown, controls, days] = [
  "[data-usage-key]", "#usage-key", "[data-usage-error]", "[data-usage]", "[data-usage-controls]", "#usage-days",
].map(find);

const money = (digits) => new Intl.NumberFormat("en", { style: "currency", currency: "USD", minimumFractionDigits: digits, maximumFractionDigits: digits });
const [usual, small] = [money(2), money(4)];
/** Single calls cost less than a cent. */
const dollars = { format: (usd) => (usd > 0 && usd < 0.1 ? small : usual).format(usd) };
const round = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** Where the tab forbids storage the key lives as long as the page. */
let key = "";
const remember = (value) => {
  key = value;
  try {
    if (value) sessionStorage.setItem(KEY, value);
    else sessionStorage.removeItem(KEY);
  } catch {
    // It stays in memory.
  }
};

const element = (name, text, className) => {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
};

class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

const ask = async (path) => {
  const answer = await fetch(path, { headers: { authorization: `Bearer ${key}` }, cache: "no-store" });
  const body = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, body.detail ?? body.title ?? `status ${answer.status}`);
  return body;
};

const share = (value, most) => {
  const cell = element("td", undefined, "share");
  const meter = element("meter");
  [meter.min, meter.max, meter.value] = [0, most || 1, value];
  cell.append(meter);
  return cell;
};

const row = (name, cells, meter) => {
  const line = element("tr");
  const head = element("th", name);
  head.scope = "row";
  line.append(head, ...cells, meter);
  return line;
};

const number = (text, title) => {
  const cell = element("td", text, "num");
  if (title) cell.title = title;
  return cell;
};

const none = (columns, text) => {
  const line = element("tr");
  const cell = element("td", text, "faint");
  cell.colSpan = columns;
  line.append(cell);
  return line;
};

const tokens = (sums) => sums.input_tokens + sums.output_tokens;

const sums = (name, it, most) => row(name, [
  number(round.format(it.calls)),
  number(it.errors ? round.format(it.errors) : "–"),
  number(compact.format(tokens(it)), `${round.format(it.input_tokens)} in, ${round.format(it.output_tokens)} out`),
  number(dollars.format(it.cost_usd)),
], share(it.cost_usd, most));

const table = (by, lines) => {
  const body = find(`[data-usage-by="${by}"] tbody`);
  const most = Math.max(...lines.map((line) => line.cost_usd), 0);
  const name = (line) => (by === "day" ? line.at.slice(0, 10) : (line[by] || "none"));
  body.replaceChildren(...lines.map((line) => sums(name(line), line, most)));
  if (!lines.length) body.append(none(6, "No calls in this time."));
};

const totals = (it) => {
  const tiles = [
    ["Cost", dollars.format(it.cost_usd)],
    ["Calls", round.format(it.calls)],
    ["Failed", it.calls ? `${round.format(it.errors)} (${((100 * it.errors) / it.calls).toFixed(1)} %)` : "0"],
    ["Tokens", compact.format(tokens(it))],
    ["From caches", it.input_tokens ? `${((100 * it.cached_input_tokens) / it.input_tokens).toFixed(0)} %` : "–"],
    ["Mean time", `${(it.mean_latency_ms / 1000).toFixed(2)} s`],
  ];
  find("[data-usage-totals]").replaceChildren(...tiles.map(([name, value]) => {
    const tile = element("div");
    tile.append(element("dt", name), element("dd", value));
    return tile;
  }));
};

const budget = (it) => {
  const alerts = it.raised.map((at) => (at ? `${at} %` : "soft limit"));
  const used = it.spent_usd + it.held_usd;
  const line = row(`${it.account_name} (${it.account_kind})`, [
    element("td", it.period),
    number(dollars.format(it.spent_usd)),
    number(dollars.format(it.held_usd)),
    number(dollars.format(it.usd)),
  ], share(used, it.usd));
  const cell = element("td");
  const over = it.spent_usd >= it.usd;
  for (const text of alerts) cell.append(element("span", text, over ? "tag bad" : "tag warn"), " ");
  line.append(cell);
  return line;
};

const budgets = async () => {
  const body = find("[data-usage-budgets] tbody");
  try {
    const { items } = await ask("/budgets");
    items.sort((a, b) => b.spent_usd / (b.usd || 1) - a.spent_usd / (a.usd || 1));
    body.replaceChildren(...items.map(budget));
    if (!items.length) body.append(none(7, "No account has a budget."));
  } catch (refused) {
    if (refused.status !== 403) throw refused;
    body.replaceChildren(none(7, "This key administers nothing: it sees its own calls only."));
  }
};

let latest = 0;
const show = async () => {
  const turn = ++latest;
  error.hidden = true;
  // Whole days, so that days whose single calls are no longer kept count as well.
  const from = new Date(Date.now() - Number(days.value) * 86_400_000).toISOString().slice(0, 10);
  const span = `from=${from}T00:00:00Z`;
  try {
    const [day, ...others] = await Promise.all([
      ask(`/usage?grain=day&${span}`),
      ...["team", "route", "model"].map((by) => ask(`/usage?by=${by}&${span}`)),
    ]);
    await budgets();
    if (turn !== latest) return;
    totals(day.totals);
    table("day", day.items.toReversed());
    ["team", "route", "model"].forEach((by, at) => table(by, others[at].items));
    [form.hidden, shown.hidden, controls.hidden] = [true, false, false];
    find("#announcer").textContent = "Usage is shown.";
  } catch (refused) {
    if (turn !== latest) return;
    if (refused.status === 401) forget();
    error.textContent = refused instanceof Refused ? refused.message : "The server does not answer. Try again.";
    error.hidden = false;
  }
};

const forget = () => {
  remember("");
  field.value = "";
  [form.hidden, shown.hidden, controls.hidden] = [false, true, true];
  field.focus();
};

form.addEventListener("submit", (event) => {
  event.preventDefault();
  remember(field.value.trim());
  if (key) show();
});
find("[data-usage-forget]").addEventListener("click", forget);
find("[data-usage-refresh]").addEventListener("click", show);
days.addEventListener("change", show);

try {
  key = sessionStorage.getItem(KEY) ?? "";
} catch {
  key = "";
}
if (key) show();
