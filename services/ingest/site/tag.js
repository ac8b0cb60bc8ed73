// The page tag. Its place and the site's key stand in the element that loads it:
// <script async src="https://leads.example.co.jp/v1/tag.js" data-key="…"></script>
(function (w, d) {
var me = d.currentScript || d.querySelector("script[data-key][src*='/v1/tag.js']");
if (!me || w.kizashi && w.kizashi.loaded) return;
var set = me.dataset, base = me.src.replace(/\/v1\/tag\.js.*$/, ""), asked = w.kizashi && w.kizashi.q || [];
var NAME = "kizashi_id", OFF = "kizashi_off", queue = [], timer, shown, id, agreed = set.consent === "granted", mute = false;
var LONG = 34560000; // 400 days
function stored(name) { var m = d.cookie.match("(?:^|; )" + name + "=([\\w.-]{1,128})(?:;|$)"); return m && m[1]; }
function store(name, value, seconds) {
  d.cookie = name + "=" + value + "; path=/; max-age=" + seconds + "; SameSite=Lax" +
    (location.protocol === "https:" ? "; Secure" : "") + (set.domain ? "; domain=" + set.domain : "");
}
function uuid() {
  if (w.crypto && crypto.randomUUID) return crypto.randomUUID();
  return "xxxxxxxx-xxxx-4xxx-8xxx-xxxxxxxxxxxx".replace(/x/g, function () { return (Math.random() * 16 | 0).toString(16); });
}
// The id lives in memory until there is consent; one that was kept with consent earlier goes on, and so does a refusal.
id = stored(NAME);
if (stored(OFF)) { agreed = false; mute = true; }
else if (id) agreed = true;
if (!id) id = uuid();
function keep() { if (agreed) store(NAME, id, LONG); }
function waiting() { return set.consent === "required" && !agreed; }
function send(some) {
  var now = Date.now(), url = base + "/v1/collect";
  var body = JSON.stringify({ write_key: set.key, anonymous_id: id, activities: some.map(function (one) {
    var copy = Object.assign({}, one.a); if (now - one.at > 999) copy.age_ms = now - one.at; return copy;
  }) });
  // Browsers let 64 KiB go while a page is left. What is longer goes one by one, so that it takes no other with it.
  var small = body.length < 20000;
  if (!small && some.length > 1) some.forEach(function (one) { send([one]); });
  else if (!(navigator.sendBeacon && navigator.sendBeacon(url, body)))
    w.fetch && fetch(url, { method: "POST", body: body, keepalive: small, credentials: "omit" }).catch(function () {});
}
function flush() {
  clearTimeout(timer); timer = 0;
  if (waiting() || mute) return;
  while (queue.length) send(queue.splice(0, 20));
}
function add(a, soon) {
  if (mute) return;
  a.id = uuid(); queue.push({ a: a, at: Date.now() });
  if (queue.length > 50) queue.shift();
  if (soon) flush(); else timer = timer || setTimeout(flush, 300);
}
function page() {
  var url = location.href.split("#")[0];
  if (url === shown) return;
  var from = shown || d.referrer; shown = url;
  add({ type: "page_viewed", properties: { url: url, title: d.title, referrer: from } });
}
// Applications of one page change the address without loading anything.
["pushState", "replaceState"].forEach(function (name) {
  var was = history[name];
  history[name] = function () { var result = was.apply(this, arguments); setTimeout(page, 0); return result; };
});
w.addEventListener("popstate", function () { setTimeout(page, 0); });
d.addEventListener("click", function (event) {
  var a = event.target.closest && event.target.closest("a[href]");
  if (!a || !/^(https?|mailto|tel):$/.test(a.protocol)) return;
  var file = /\.(pdf|docx?|xlsx?|pptx?|zip|csv|mp4)$/i.test(a.pathname || "");
  if (file) add({ type: "document_downloaded", properties: { document: a.pathname, link: a.href, url: shown } }, true);
  else if (a.host !== location.host) add({ type: "link_clicked", properties: { link: a.href, url: shown } }, true);
}, true);
function field(form, name, value) {
  var input = form.querySelector("input[name=" + name + "]");
  if (!input) { input = d.createElement("input"); input.type = "hidden"; input.name = name; form.appendChild(input); }
  if (!input.value) input.value = value;
}
function address(form) {
  var found;
  [].forEach.call(form.querySelectorAll("input"), function (input) {
    var own = input.type === "email", fits = own || input.type === "text" && /mail/i.test(input.name);
    if (fits && /\S@\S/.test(input.value) && (!found || own && found.type !== "email")) found = input;
  });
  return found ? { email: found.value.trim() } : {};
}
d.addEventListener("submit", function (event) {
  var form = event.target, data = form.dataset || {};
  // A form of Kizashi's own carries the browser's id; another one tells who it is only if it is marked.
  if ((form.getAttribute("action") || "").indexOf("/v1/forms/") >= 0) {
    if (!waiting() && !mute) field(form, NAME, id);
    field(form, "kizashi_page", location.href);
    flush();
  } else if (data.kizashi !== undefined) {
    var name = form.getAttribute("id") || form.getAttribute("name") || location.pathname;
    add({ type: data.kizashi || "form_submitted", lead: address(form), properties: { form: name, url: shown } }, true);
  }
}, true);
d.addEventListener("visibilitychange", function () { if (d.visibilityState === "hidden") flush(); });
w.addEventListener("pagehide", flush);
function command(what, a, b) {
  if (what === "track") add({ type: a, properties: Object.assign({ url: shown }, b) });
  else if (what === "page") { shown = ""; page(); }
  else if (what === "identify") add({ type: "profile_updated", lead: { email: a }, attributes: b || {} }, true);
  else if (what === "consent") {
    if (a) {
      agreed = true; mute = false; store(OFF, "", 0); keep();
      add({ type: "profile_updated", consent: { profiling: true } }, true);
    } else {
      if (stored(NAME)) add({ type: "profile_updated", consent: { profiling: false } }, true);
      store(NAME, "", 0); store(OFF, 1, LONG);
      agreed = false; mute = true; queue = []; id = uuid();
    }
  }
  else if (what === "id" && a) a(waiting() || mute ? null : id);
}
w.kizashi = function () { command.apply(null, arguments); };
w.kizashi.loaded = true;
keep();
asked.forEach(function (call) { command.apply(null, call); });
page();
})(window, document);
