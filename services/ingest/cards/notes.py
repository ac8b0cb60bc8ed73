"""What the operator is told about a list and its records: a stable code, then a sentence in English or Japanese."""

from typing import Literal, NamedTuple

Language = Literal["en", "ja"]


class Note(NamedTuple):
    """One remark; `about` are the values of its text's places."""

    code: str
    about: tuple[object, ...] = ()

    def text(self, language: Language) -> str:
        """`code: sentence`."""
        return f"{self.code}: {TEXTS[self.code][language == 'ja'].format(*self.about)}"


TEXTS: dict[str, tuple[str, str]] = {
    # Of a record
    "empty": ("nothing stands in it", "何も書かれていません"),
    "open_quote": ("a quote in line {0} is opened and not closed", "{0} 行目の引用符が閉じられていません"),
    "long_line": ("line {0} is longer than any record", "{0} 行目が長すぎます"),
    "too_large": ("the activity would have more than {0} bytes", "アクティビティが {0} バイトを超えます"),
    "email_beside": (
        "{0}: what stands beside the address is kept under `unread`",
        "{0}: アドレスの前後の文字は `unread` に残しました",
    ),
    "stray_quote": (
        "line {0} has a quote where none belongs; check its cells",
        "{0} 行目に余分な引用符があります。セルを確かめてください",
    ),
    "no_person": (
        "names no person: expected an e-mail address, a mobile phone, or a name",
        "誰のことか分かりません。メールアドレス、携帯電話、氏名のいずれかが必要です",
    ),
    "not_taken": ("{0}: {1}", "{0}: {1}"),
    "fewer_cells": (
        "{0} cells instead of {1}; the missing ones count as empty",
        "セルが {1} 個ではなく {0} 個です。足りない分は空とみなします",
    ),
    "more_cells": (
        "{0} cells beyond the header; kept under `columns`",
        "見出しより {0} 個多いセルがあります。`columns` に残しました",
    ),
    "duplicate": ("the same as record {0}; counts once", "レコード {0} と同じです。一度だけ数えます"),
    "same_person": (
        "the same person as in record {0}, with other data; both are kept",
        "レコード {0} と同じ人物で、内容が異なります。両方を残しました",
    ),
    "formula": ("{0} looks like a formula; kept as text", "{0} は数式のように見えます。文字列として残しました"),
    "unwrapped": ('{0}: ="…" was taken off', '{0}: ="…" を外しました'),
    "unreadable": ("{0} holds unreadable characters", "{0} に読み取れない文字があります"),
    "controls": ("control characters were dropped", "制御文字を取り除きました"),
    "title": ("{0}: the title after the name was dropped", "{0}: 敬称を取り除きました"),
    "company_form": ("{0}: read as {1}", "{0}: 「{1}」と読みました"),
    "email_unreadable": (
        "{0} holds unreadable characters; it identifies nobody",
        "{0} に読み取れない文字があり、本人の識別には使いません",
    ),
    "email_faulty": (
        "{0} holds no e-mail address; kept under `unread`",
        "{0} はメールアドレスではありません。`unread` に残しました",
    ),
    "email_several": (
        "{0} more addresses are kept under `other_emails`; the first counts",
        "ほかに {0} 件のアドレスがあります。先頭を使い、残りは `other_emails` に残しました",
    ),
    "shared_mailbox": (
        "a department's mailbox; the name tells whose card it is",
        "部署の共有アドレスです。氏名で区別します",
    ),
    "phone_unreadable": (
        "{0} holds no phone number; kept under `unread`",
        "{0} は電話番号ではありません。`unread` に残しました",
    ),
    "phone_extension": ("{0}: extension {1} is kept apart", "{0}: 内線 {1} を分けて残しました"),
    "phone_several": (
        "{0}: {1} more numbers are kept under `other_phones`",
        "{0}: ほかに {1} 件の番号があります。`other_phones` に残しました",
    ),
    "phone_of_company": (
        "{0} is a mobile phone of the company; it identifies nobody",
        "{0} は会社の携帯電話です。本人の識別には使いません",
    ),
    "without_contact": (
        "no mail and no mobile phone; known by company and name alone",
        "メールも携帯電話もありません。会社名と氏名だけで区別します",
    ),
    "alone": (
        "company or name cannot tell who it is; kept on its own",
        "会社名と氏名では区別できません。単独のリードとして残しました",
    ),
    "date_unreadable": (
        "{0} is no date; kept under `unread`, the default date counts",
        "{0} は日付ではありません。`unread` に残し、既定の日付を使います",
    ),
    "century_guessed": ("{0}: the century was guessed: {1}", "{0}: 西暦の上 2 桁を補いました（{1}）"),
    "day_guessed": ("{0}: no day is given: {1}", "{0}: 日がないので 1 日としました（{1}）"),
    "month_first_guessed": ("{0}: read with the month first: {1}", "{0}: 月/日の順に読みました（{1}）"),
    "day_number_guessed": (
        "{0}: read as a spreadsheet's day number: {1}",
        "{0}: 表計算の日付番号として読みました（{1}）",
    ),
    "date_out_of_range": (
        "{0} is before 1970; kept under `unread`, the default date counts",
        "{0} は 1970 年より前です。`unread` に残し、既定の日付を使います",
    ),
    "date_ahead": (
        "{0} lies in the future; the time of the import counts",
        "{0} は未来の日付です。取り込みの時刻を使います",
    ),
    "no_date": (
        "no date; the default date or the time of the import counts",
        "日付がありません。既定の日付か取り込みの時刻を使います",
    ),
    "consent_unreadable": (
        "{0} says neither yes nor no; kept under `unread`, nothing is recorded",
        "{0} は可否が分かりません。`unread` に残し、同意は記録しません",
    ),
    "consent_conflict": (
        "{0}: consent and opt-out at once; the opt-out counts",
        "{0}: 同意と拒否が両方あります。拒否を優先します",
    ),
    "consent_without_date": ("consent without a date", "同意の日付がありません"),
    # Of the list
    "encoding_guessed": (
        "read as {0}; if characters look wrong, name the encoding (it may be {1})",
        "{0} として読みました。文字化けしていれば文字コードを指定してください（{1} かもしれません）",
    ),
    "encoding_broken": (
        "some bytes are no {0}; they became U+FFFD",
        "{0} として読めないバイトがあり、U+FFFD に置き換えました",
    ),
    "preamble": ("{0} lines above the header were passed over", "見出しの前の {0} 行を読み飛ばしました"),
    "unknown_columns": (
        "columns kept under `columns`, as nothing is known about them: {0}",
        "意味の分からない列は `columns` に残しました: {0}",
    ),
    "no_date_column": (
        "no column with a date; the default date or the time of the import counts",
        "日付の列がありません。既定の日付か取り込みの時刻を使います",
    ),
    "no_consent_column": (
        "no column with consent; the default counts, if one was given",
        "同意の列がありません。既定の同意があればそれを使います",
    ),
}
