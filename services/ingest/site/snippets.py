"""HTML to paste into a page: a form that works as it stands, and what a script adds to it."""

from html import escape
from typing import Literal

from services.ingest.site.config import IGNORE, Form
from services.ingest.site.names import usual_target
from services.ingest.site.submission import PAGE, STARTED, SUBMISSION

Language = Literal["ja", "en"]
_USUAL: dict[Language, tuple[str, ...]] = {
    "ja": ("お名前", "会社名", "メールアドレス", "お問い合わせ内容"),
    "en": ("name", "company", "email", "message"),
}
_LABELS = {"name": "Name", "company": "Company", "email": "E-mail", "message": "Message"}
_SEND: dict[Language, str] = {"ja": "送信", "en": "Send"}
_EMPTY: dict[Language, str] = {"ja": "この欄は空のままにしてください", "en": "Leave this field empty"}
_SENT: dict[Language, str] = {"ja": "送信しました。ありがとうございます。", "en": "Sent. Thank you."}
_FAILED: dict[Language, str] = {
    "ja": "送信できませんでした。入力内容をご確認のうえ、もう一度お試しください。",
    "en": "This could not be sent. Please check what you entered and try again.",
}
_COMPLETION = {
    "attributes.name": "name",
    "attributes.last_name": "family-name",
    "attributes.first_name": "given-name",
    "attributes.company": "organization",
    "attributes.job_title": "organization-title",
}


def plain_form(form: Form, base_url: str, language: Language = "ja") -> str:
    """A form that needs no script: it ends at the form's thank-you page."""
    targets = form.fields or {name: usual_target(name) for name in _USUAL[language]}
    lines = [f'<form action="{escape(base_url)}/v1/forms/{form.key}" method="post" accept-charset="utf-8">']
    lines += [_control(name, to, form, language) for name, to in targets.items() if to != IGNORE]
    hidden = "position:absolute;left:-10000px;width:1px;height:1px;overflow:hidden"
    trap = f'<input name="{escape(form.honeypot)}" tabindex="-1" autocomplete="off">'
    lines += [
        f'  <p style="{hidden}" aria-hidden="true"><label>{_EMPTY[language]} {trap}</label></p>',
        f'  <p><button type="submit">{_SEND[language]}</button></p>',
        "</form>",
    ]
    return "\n".join(lines) + "\n"


def form_with_script(form: Form, base_url: str, language: Language = "ja") -> str:
    """The same form, sent without leaving the page where scripts run; without them it works as before."""
    after = f"location.href = {_quoted(form.thank_you)};" if form.thank_you else f"say({_quoted(_SENT[language])});"
    return plain_form(form, base_url, language) + _SCRIPT % {
        "submission": SUBMISSION,
        "started": STARTED,
        "page": PAGE,
        "after": after,
        "failed": _quoted(_FAILED[language]),
    }


def tag_element(base_url: str, write_key: str) -> str:
    """The element that loads the page tag."""
    return f'<script async src="{escape(base_url)}/v1/tag.js" data-key="{escape(write_key)}"></script>\n'


def _control(name: str, to: str, form: Form, language: Language) -> str:
    label, named = escape(_LABELS.get(name, name) if form.fields is None else name), f'name="{escape(name)}"'
    if to == "lead.email":
        return f'  <p><label>{label} <input type="email" {named} required autocomplete="email"></label></p>'
    if to == "lead.phone":
        return f'  <p><label>{label} <input type="tel" {named} autocomplete="tel"></label></p>'
    if to.startswith("consent."):
        text = escape(form.asked(to.partition(".")[2], name))
        yes = "はい" if language == "ja" else "yes"
        return f'  <p><label><input type="checkbox" {named} value="{yes}"> {text}</label></p>'
    if to == "properties.message":
        return f'  <p><label>{label}<br><textarea {named} rows="6" cols="40"></textarea></label></p>'
    completed = f' autocomplete="{_COMPLETION[to]}"' if to in _COMPLETION else ""
    return f"  <p><label>{label} <input {named}{completed}></label></p>"


def _quoted(text: str | None) -> str:
    """A text of JavaScript inside of HTML."""
    written = (text or "").replace("\\", "\\\\").replace('"', '\\"').replace("<", "\\u003c").replace("\n", "\\n")
    return f'"{written}"'


_SCRIPT = """\
<script>
(function () {
  var form = document.currentScript.previousElementSibling;
  function hidden(name, value) {
    var input = document.createElement("input");
    input.type = "hidden"; input.name = name; input.value = value;
    form.appendChild(input);
  }
  function say(text) {
    var line = document.createElement("p");
    line.setAttribute("role", "status"); line.textContent = text;
    form.appendChild(line);
  }
  hidden("%(submission)s", Date.now().toString(36) + Math.random().toString(36).slice(2));
  hidden("%(started)s", Date.now());
  hidden("%(page)s", location.href);
  form.addEventListener("submit", function (event) {
    event.preventDefault();
    var button = form.querySelector("button");
    button.disabled = true;
    fetch(form.action, {
      method: "POST",
      headers: { Accept: "application/json" },
      body: new URLSearchParams(new FormData(form))
    }).then(function (answer) {
      if (!answer.ok) throw answer.status;
      %(after)s
    }).catch(function () {
      button.disabled = false;
      say(%(failed)s);
    });
  });
})();
</script>
"""
