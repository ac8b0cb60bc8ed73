"""A model's sentences in Japanese."""

from collections.abc import Sequence
from datetime import timedelta
from fractions import Fraction
from typing import Any

from services.scoring.core.model import Consent, Inactivity
from services.scoring.core.rules import (
    Accounts,
    CellsRule,
    Decay,
    FitRule,
    HalfLife,
    MaxPer,
    OncePer,
    PointsRule,
    Repeat,
    Signal,
    Stage,
    Window,
)
from services.scoring.core.values import Clamp
from services.scoring.core.wording.words import ACTIVITIES, FIELDS, points, span_parts
from shared.conditions import Block, DidCondition, FieldCondition

_ENDINGS = {
    "equals": "が{}である",
    "not_equals": "が分かっていて{}ではない",
    "in": "が{}のいずれかである",
    "not_in": "が分かっていて{}のいずれでもない",
    "contains": "に{}を含む",
    "starts_with": "が{}で始まる",
    "ends_with": "が{}で終わる",
    "matches": "がパターン{}に一致する",
    "gt": "が{}より大きい",
    "gte": "が{}以上である",
    "lt": "が{}未満である",
    "lte": "が{}以下である",
}
_UNITS = {"day": "日間", "hour": "時間", "minute": "分間", "second": "秒間"}


class Japanese:
    """See Wording."""

    def engagement_rule(self, rule: PointsRule | CellsRule) -> str:
        kind = _which(rule) + _types(rule.activity)
        if isinstance(rule, CellsRule):
            cells = [
                f"直近{_span(cell.within)}に{cell.at_least}件以上あれば{_signed(cell.points)}" for cell in rule.cells
            ]
            return f"{kind}が{'、そうでなければ'.join(cells)}とします{_own_bounds(rule)}{_grouped(rule.group)}。"
        verb = "減点します" if rule.points < 0 else "加点します"
        often = _repeat(rule.repeat)
        fading = f"。{_decay(rule.decay)}" if rule.decay is not None else ""
        first = f"{kind}1件につき{_amount(rule.points)}{verb}（{often}）"
        return f"{first}{fading}{_own_bounds(rule)}{_grouped(rule.group)}。"

    def fit_rule(self, rule: FitRule) -> str:
        verb = "減点します" if rule.points < 0 else "加点します"
        if not rule.conditions():
            return f"すべてのリードに{_amount(rule.points)}{verb}{_own_bounds(rule)}。"
        return f"{_block(rule)}リードに{_amount(rule.points)}{verb}{_own_bounds(rule)}。"

    def group(self, name: str, clamp: Clamp) -> str:
        return f"グループ「{name}」の合計は{_range(clamp)}です。" if _range(clamp) else ""

    def bounds(self, section: str, clamp: Clamp) -> str:
        whole = "行動スコア" if section == "engagement" else "属性スコア"
        return f"{whole}全体は{_range(clamp)}です。" if _range(clamp) else ""

    def inactivity(self, rule: Inactivity) -> str:
        return (
            f"ルールの対象となる行動がない期間が{_every(rule.every)}続くごとに{_amount(rule.points)}減点します"
            f"（ただし{_number(rule.floor)}点より下には減らしません）。"
        )

    def daily_max(self, count: int, zone: str) -> str:
        return f"1つのルールで加点するのは、リード1件につき1日{count}件までです（日付は{zone}）。"

    def bands(self, kind: str, bounds: Sequence[tuple[str, int]]) -> str:
        of, name = ("属性スコア", "グレード") if kind == "grade" else ("行動スコア", "レベル")
        listed = "、".join(f"{_number(cents)}点以上が{band}" for band, cents in bounds[:-1])
        return f"{name}は{of}で決まります：{listed}、それ未満は{bounds[-1][0]}。"

    def stage(self, stage: Stage) -> str:
        name = stage.name.get("ja")
        called = f"「{name}」（{stage.id}）" if name else f"「{stage.id}」"
        if not stage.conditions():
            return f"すべてのリードはステージ{called}にいます。"
        return f"{_block(stage)}リードはステージ{called}に進みます。"

    def signal(self, signal: Signal) -> str:
        return f"{_which(signal)}{_types(signal.activity)}があれば、シグナル「{signal.id}」としてすぐに知らせます。"

    def exclude(self, condition: FieldCondition | DidCondition) -> str:
        return f"{_condition(condition)}リードは採点しません。"

    def watch(self, marks: Sequence[int]) -> str:
        listed = "、".join(f"{_number(mark)}点" for mark in marks)
        return f"時間の経過だけでスコアが{listed}をまたいだときも知らせます。"

    def recycle(self, left: Fraction) -> str:
        when = "営業から差し戻されたリードでは、"
        if left == 1:
            return f"{when}それより前の行動の点数もそのまま残ります。"
        if left == 0:
            return f"{when}それより前の行動の点数は0点になります。"
        return f"{when}それより前の行動の点数は、差し戻し以降{float(left * 100):g}%になります。"

    def consent(self, consent: Consent) -> str:
        if consent.profiling == "optional":
            return "プロファイリングへの同意の有無にかかわらず、行動を採点します。"
        rest = {"store": "保存しますが採点しません", "drop": "保存しません"}[consent.without]
        return f"リードがプロファイリングに同意している間の行動だけを採点します。それ以外の行動は{rest}。"

    def accounts(self, accounts: Accounts) -> str:
        named = {"id": "指定されたアカウントID", "domain": "メールアドレスのドメイン", "name": "会社名"}
        how = {
            "damped": "上位5人のスコアを、順位が1つ下がるごとに半分にして足した値",
            "max": "最も高い人のスコア",
            "average": f"直近{_span(accounts.active_within)}に行動した人の平均",
            "sum": "全員の合計",
        }
        besides = f"（{'、'.join(accounts.ignore_domains)}を除く）" if accounts.ignore_domains else ""
        by = "、なければ".join(named[one] for one in accounts.by)
        return (
            f"リードのアカウント（会社）は{by}で決まります{besides}。アカウントのスコアは、{how[accounts.score]}です。"
        )


def _types(types: list[str] | None) -> str:
    if types is None:
        return "すべての行動"
    return "または".join(f"「{ACTIVITIES[name].ja if name in ACTIVITIES else name}」" for name in types)


def _which(block: Block) -> str:
    return _block(block) if block.conditions() else ""


def _block(block: Block) -> str:
    parts = []
    if block.all:
        parts.append("、かつ".join(map(_condition, block.all)))
    if block.any:
        inner = "、または".join(map(_condition, block.any))
        parts.append(f"（{inner}）" if len(block.any) > 1 and (block.all or block.none) else inner)
    if block.none:
        parts.append(f"（{'、または'.join(map(_condition, block.none))}）に当てはまらない")
    return "、かつ".join(parts)


def _condition(condition: FieldCondition | DidCondition) -> str:
    if isinstance(condition, DidCondition):
        span = f"直近{_span(condition.within)}に" if condition.within is not None else ""
        often = f"が{condition.at_least}件以上" if condition.at_least > 1 else "が"
        return f"{span}{_types([condition.did])}{often}ある"
    field = FIELDS[condition.field].ja if condition.field in FIELDS else condition.field
    name, constant = condition.operator
    if name == "exists":
        return f"{field}が{'分かっている' if constant else '分かっていない'}"
    if name in ("in", "not_in") and len(constant) == 1:
        name, constant = {"in": "equals", "not_in": "not_equals"}[name], constant[0]
    return f"{field}{_ENDINGS[name].format(_constant(constant))}"


def _constant(value: Any) -> str:
    if isinstance(value, list):
        return "、".join(map(_constant, value))
    if isinstance(value, bool):
        return "真" if value else "偽"
    return f"「{value}」" if isinstance(value, str) else "空" if value is None else f"{value:g}"


def _repeat(repeat: Repeat) -> str:
    if isinstance(repeat, OncePer):
        return f"{_span(repeat.once_per)}に1回まで"
    if isinstance(repeat, MaxPer):
        return f"{_span(repeat.per)}に{repeat.max}回まで"
    return {"every": "毎回", "once": "リードごとに1回だけ", "once_per_object": "同じ対象は1回だけ"}[repeat]


def _decay(decay: Decay | None) -> str:
    if decay is None:
        return ""
    if isinstance(decay, Window):
        return f"点数は{_span(decay.window)}だけ有効で、その後は0点になります"
    if isinstance(decay, HalfLife):
        return f"点数は{_every(decay.half_life)}ごとに半分になります"
    period = _every(decay.every) if decay.months is None else f"{decay.months}か月"
    of = "当初の点数の" if decay.curve == "linear" else "残りの点数の"
    return f"点数は{period}ごとに{of}{float(decay.step * 100):g}%ずつ減ります"


def _own_bounds(clamp: Clamp) -> str:
    return f"。このルール単独では{_range(clamp)}です" if _range(clamp) else ""


def _grouped(group: str | None) -> str:
    return f"（グループ「{group}」）" if group else ""


def _range(clamp: Clamp) -> str:
    parts = []
    if clamp.min is not None:
        parts.append(f"下限{_number(clamp.min)}点")
    if clamp.max is not None:
        parts.append(f"上限{_number(clamp.max)}点")
    return "・".join(parts)


def _amount(cents: int) -> str:
    return f"{points(cents)}点"


def _number(cents: int) -> str:
    return f"{'−' if cents < 0 else ''}{points(cents)}"


def _signed(cents: int) -> str:
    return f"{'−' if cents < 0 else '+'}{points(cents)}点"


def _every(span: timedelta) -> str:
    return _span(span).removesuffix("間")


def _span(span: timedelta) -> str:
    count, unit = span_parts(span)
    return f"{count}{_UNITS[unit]}"
