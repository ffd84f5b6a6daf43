// The feed page: one user's ranked and chronological feed side by side, and why each tweet stands where it does.
import { ago, avatar, compact, element, heart, marked, paint } from "/page/element.js";
import { describe, origin, why } from "/page/explain.js";

const PAGE = 20, RETRY_MS = 3000, TRENDS_MS = 30000, TEXT_LIMIT = 280;
const $ = (id) => document.getElementById(id);
const state = { token: null, user: null, newest: "0", columns: {}, stream: null, fresh: new Map() };

class ApiError extends Error {
  constructor(status, problem) {
    super(problem?.detail || problem?.title || `The service answered ${status}.`);
    this.status = status;
  }
}

async function api(path, { method = "GET", body, headers = {} } = {}) {
  const init = { method, headers: { ...headers } };
  if (state.token) init.headers.Authorization = `Bearer ${state.token}`;
  if (body !== undefined) { init.headers["Content-Type"] = "application/json"; init.body = JSON.stringify(body); }
  const response = await fetch(path, init);
  const text = await response.text();
  let content = null;
  try { content = text ? JSON.parse(text) : null; } catch { content = null; }
  if (response.status === 401 && state.user) signOut("The login has ended; sign in again.");
  if (!response.ok) throw new ApiError(response.status, content);
  return content;
}

// Tweets -----------------------------------------------------------------------------------------------
function likeButton(tweet) {
  const count = element("span", {}, compact.format(tweet.counts.likes));
  const button = element("button", {
    class: "like", type: "button", "aria-pressed": String(tweet.viewer.liked), "aria-label": "Like", "data-like": tweet.id,
    onclick: async () => {
      const liked = button.getAttribute("aria-pressed") === "true";
      button.disabled = true;
      try {
        await api(`/v1/tweets/${tweet.id}/like`, { method: liked ? "DELETE" : "PUT" });
        tweet.viewer.liked = !liked;
        tweet.counts.likes = Math.max(0, tweet.counts.likes + (liked ? -1 : 1));
        for (const twin of document.querySelectorAll(`[data-like="${tweet.id}"]`)) {
          twin.setAttribute("aria-pressed", String(!liked));
          twin.lastElementChild.textContent = compact.format(tweet.counts.likes);
        }
      } catch (error) { announce(error.message); }
      button.disabled = false;
    },
  }, heart(), count);
  return button;
}

function card(item, column) {
  const { tweet } = item;
  const node = element("li", { class: "item", "data-tweet": tweet.id });
  node.counts = tweet.counts;
  const retweeters = tweet.retweeted_by ?? [];
  if (retweeters.length) {
    const names = retweeters.slice(0, 2).map((user) => user.display_name).join(" and ");
    node.append(element("p", { class: "via" }, `↻ ${names}${retweeters.length > 2 ? " and others" : ""} retweeted`));
  }
  node.append(avatar(tweet.author));
  const place = element("span", { class: "place", "data-role": "place" });
  const head = element("div", { class: "head" },
    element("strong", {}, tweet.author.display_name), element("span", { class: "handle" }, `@${tweet.author.handle}`),
    element("time", { datetime: tweet.created_at, title: tweet.created_at }, ago(tweet.created_at)), place);
  const text = tweet.text === null
    ? element("p", { class: "text absent" }, "The recording has no text for this tweet.")
    : element("p", { class: "text" }, ...marked(tweet.text));
  const acts = element("div", { class: "acts" }, likeButton(tweet),
    element("span", { "data-count": "retweets" }, `${compact.format(tweet.counts.retweets)} retweets`),
    element("span", { "data-count": "replies" }, `${compact.format(tweet.counts.replies)} replies`),
    item.score === null ? null : element("span", {}, `score ${item.score.toFixed(3)}`));
  node.append(element("div", {}, head, text, acts, origin(item), why(item)));
  node.addEventListener("mouseenter", () => twins(tweet.id, true));
  node.addEventListener("mouseleave", () => twins(tweet.id, false));
  if (column.known.size && !column.known.has(tweet.id)) node.classList.add("new");
  return node;
}

function twins(id, on) {
  for (const node of document.querySelectorAll(`[data-tweet="${id}"]`)) node.classList.toggle("twin", on);
}

function shiftMark(here, there, label) {
  const shift = there - here;
  const title = `#${there} ${label}`;
  if (shift === 0) return element("span", { title }, "=");
  return element("span", { class: shift > 0 ? "shift-up" : "shift-down", title }, `${shift > 0 ? "▲" : "▼"}${Math.abs(shift)}`);
}

// The place of each tweet here, and how far it is from where it stands in the other order.
function compare() {
  const { ranked, chronological } = state.columns;
  const byRank = new Map(ranked.order.map(({ id }, place) => [id, place + 1]));
  for (const column of [ranked, chronological]) {
    column.order.forEach(({ id, byTime }, index) => {
      const slot = column.part("items").querySelector(`[data-tweet="${id}"] [data-role="place"]`);
      const there = column === ranked ? byTime : byRank.get(id);
      slot.replaceChildren(`#${index + 1}`);
      if (there !== undefined) slot.append(" ", shiftMark(index + 1, there, column === ranked ? "by time" : "in the ranking"));
    });
  }
}

class Column {
  constructor(algorithm) {
    this.algorithm = algorithm;
    this.root = $(algorithm);
    this.known = new Set();
    this.order = [];
    this.cursor = null;
    this.part("more").addEventListener("click", () => this.load(true).then(compare));
  }

  part(role) { return this.root.querySelector(`[data-role="${role}"]`); }

  async load(further = false) {
    const query = new URLSearchParams({ algorithm: this.algorithm, limit: PAGE, explain: "true" });
    if (further && this.cursor) query.set("cursor", this.cursor);
    let page;
    try { page = await api(`/v1/feed?${query}`); } catch (error) {
      this.part("facts").textContent = error.message;
      return;
    }
    const list = this.part("items");
    const nodes = page.items.map((item) => card(item, this));
    if (further) list.append(...nodes); else { list.replaceChildren(...nodes); this.order = []; }
    if (!list.children.length) list.append(element("li", { class: "empty" }, "Nothing here yet: follow someone, or post."));
    for (const item of page.items) {
      this.known.add(item.tweet.id);
      const byTime = item.explanation?.chronological_position;
      this.order.push({ id: item.tweet.id, byTime: byTime === undefined ? undefined : byTime + 1 });
      if (BigInt(item.appearance_id) > BigInt(state.newest)) state.newest = item.appearance_id;
    }
    this.cursor = page.next_cursor;
    this.part("more").hidden = !page.has_more;
    if (!further) describe(this, page);
  }
}

async function refresh() {
  $("fresh").hidden = true;
  await Promise.all(Object.values(state.columns).map((column) => column.load()));
  compare();
  for (const [tweet, appearance] of state.fresh) if (appearance <= BigInt(state.newest)) state.fresh.delete(tweet);
  offerFresh();
}

// What is new, as the service sends it. By fetch: an EventSource cannot send the token, and an address should not.
async function listen() {
  const mine = state.stream = new AbortController();
  const place = { last: state.newest, retry: RETRY_MS };
  while (state.stream === mine) {
    try {
      const headers = { Authorization: `Bearer ${state.token}`, "Last-Event-ID": place.last };
      const response = await fetch("/v1/feed/stream", { headers, signal: mine.signal });
      if (response.status === 401) { signOut("The login has ended; sign in again."); return; }
      if (!response.ok) throw new ApiError(response.status, null);
      announce("");
      await follow(response.body, place);
    } catch (error) { if (state.stream === mine) announce(error.message); }
    await new Promise((resolve) => setTimeout(resolve, place.retry));
  }
}

async function follow(body, place) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (let text = ""; ;) {
    const { value, done } = await reader.read();
    if (done) return;
    const events = (text + value).split("\n\n");
    text = events.pop();
    for (const event of events) {
      const fields = Object.fromEntries(event.split("\n").map((line) => line.split(/: ?(.*)/s, 2)));
      if (fields.retry) place.retry = Number(fields.retry);
      if (fields.id) place.last = fields.id;
      if (fields.event) happened(fields.event, JSON.parse(fields.data));
    }
  }
}

function happened(event, data) {
  if (event === "counts") { data.items.forEach(recount); return; }
  if (event === "tweet" && BigInt(data.appearance_id) > BigInt(state.newest)) {
    state.fresh.set(data.tweet.id, BigInt(data.appearance_id));
  }
  offerFresh(event === "reload");
}

function offerFresh(many = false) {
  const count = state.fresh.size;
  if (many || count) $("fresh").hidden = false;
  if (many) $("fresh").textContent = "Show new tweets";
  else if (count) $("fresh").textContent = count === 1 ? "Show 1 new tweet" : `Show ${count} new tweets`;
}

function recount({ id, counts }) {
  for (const node of document.querySelectorAll(`.item[data-tweet="${id}"]`)) {
    Object.assign(node.counts, counts);
    node.querySelector("[data-like]").lastElementChild.textContent = compact.format(counts.likes);
    for (const name of ["retweets", "replies"]) {
      node.querySelector(`[data-count="${name}"]`).textContent = `${compact.format(counts[name])} ${name}`;
    }
  }
}

async function trends() {
  if (!state.user) return;
  try {
    const found = await api("/v1/trends?limit=10");
    $("trends-facts").textContent = found.as_of ? `${found.place}, as of ${new Date(found.as_of).toLocaleTimeString("en")}` : "No trends yet.";
    $("trends").replaceChildren(...found.items.map((trend) => element("li", {},
      element("span", { class: "rank" }, String(trend.rank)), element("span", { class: "term-name" }, trend.term),
      element("span", { class: "count" }, compact.format(trend.count)),
      element("small", {}, `${compact.format(trend.authors)} authors, since ${ago(trend.since)} ago`))));
  } catch (error) { $("trends-facts").textContent = error.message; }
  setTimeout(trends, TRENDS_MS);
}

function announce(sentence) { $("service").textContent = sentence; }

// Signing in -------------------------------------------------------------------------------------------
async function signIn(id) {
  $("sign-in-error").textContent = "";
  try {
    const login = await api("/v1/auth/dev", { method: "POST", body: { user_id: id } });
    state.token = login.access_token;
    state.user = await api(`/v1/users/${id}`).catch(() => ({ id, handle: id, display_name: `User ${id}`, counts: null }));
  } catch (error) {
    state.token = null;
    $("sign-in-error").textContent = error.status === 404
      ? "This service has no development login: its settings do not allow it." : error.message;
    return;
  }
  sessionStorage.setItem("tideline-user", id);
  paint($("who-avatar"), state.user);
  $("who-name").textContent = state.user.display_name;
  const counts = state.user.counts;
  $("who-detail").textContent = `@${state.user.handle}` + (counts ? ` · follows ${compact.format(counts.following)}` : "");
  $("post-as").textContent = state.user.display_name;
  $("who").hidden = $("desk").hidden = false;
  $("sign-in").hidden = true;
  state.newest = "0";
  state.fresh.clear();
  state.columns.ranked.known.clear();
  state.columns.chronological.known.clear();
  await refresh();
  state.stream?.abort();
  listen();
  trends();
}

async function people() {
  try {
    const { items } = await api("/v1/auth/dev/users");
    $("people").replaceChildren(...items.map((user) => element("li", {}, element("button",
      { class: "person", type: "button", onclick: () => signIn(user.id) }, avatar(user),
      element("span", {}, user.display_name, element("span", {}, `@${user.handle} · follows ${compact.format(user.counts.following)}`))))));
  } catch (error) {
    if (error.status !== 404) { $("sign-in-error").textContent = error.message; return; }
    $("sign-in-hint").textContent = "This service has no development login: its settings do not allow it.";
    $("sign-in-form").hidden = true;
  }
}

function signOut(sentence = "") {
  state.stream?.abort();
  state.user = state.token = state.stream = null;
  sessionStorage.removeItem("tideline-user");
  $("who").hidden = $("desk").hidden = $("fresh").hidden = true;
  $("sign-in").hidden = false;
  $("sign-in-error").textContent = sentence;
  people();
}

$("sign-in-form").addEventListener("submit", (event) => { event.preventDefault(); signIn($("user-id").value.trim()); });
$("sign-out").addEventListener("click", () => signOut());
$("fresh").addEventListener("click", refresh);
$("text").addEventListener("input", () => {
  const left = TEXT_LIMIT - [...$("text").value].length;
  $("left").textContent = String(left);
  $("left").classList.toggle("over", left < 0);
});
$("post").addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = $("post").querySelector("button"), text = $("text").value.trim();
  button.disabled = true;
  try {
    await api("/v1/tweets", { method: "POST", body: { text }, headers: { "Idempotency-Key": crypto.randomUUID() } });
    $("post").reset();
    $("left").textContent = String(TEXT_LIMIT);
    $("post-note").textContent = "Posted.";
    await refresh();
  } catch (error) { $("post-note").textContent = error.message; }
  button.disabled = false;
});

state.columns = { ranked: new Column("ranked"), chronological: new Column("chronological") };
const remembered = sessionStorage.getItem("tideline-user");
$("sign-in").hidden = false;
if (remembered) signIn(remembered).then(() => { if (!state.user) people(); }); else people();
