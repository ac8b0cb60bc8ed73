"""What fields are called, in Japanese and English."""

import pytest

from services.ingest.site.names import usual_target


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("email", "lead.email"),
        ("E-mail", "lead.email"),
        ("your-email", "lead.email"),
        ("メールアドレス", "lead.email"),
        ("メールアドレス【必須】", "lead.email"),
        ("※Eメール（必須）", "lead.email"),
        ("電話番号", "lead.phone"),
        ("お電話番号", "lead.phone"),
        ("ＴＥＬ", "lead.phone"),
        ("お名前", "attributes.name"),
        ("氏名（漢字）", "attributes.name"),
        ("ご担当者名", "attributes.name"),
        ("your-name", "attributes.name"),
        ("姓", "attributes.last_name"),
        ("名", "attributes.first_name"),
        ("フリガナ", "attributes.name_kana"),
        ("会社名", "attributes.company"),
        ("貴社名", "attributes.company"),
        ("御社名", "attributes.company"),
        ("Company Name", "attributes.company"),
        ("部署名", "attributes.department"),
        ("役職", "attributes.job_title"),
        ("jobTitle", "attributes.job_title"),
        ("業種", "attributes.industry"),
        ("従業員数", "attributes.employees"),
        ("ご住所", "attributes.address"),
        ("お問い合わせ内容", "properties.message"),
        ("your-message", "properties.message"),
        ("件名", "properties.subject"),
        ("導入時期", "properties.導入時期"),
        ("utm_campaign", "properties.utm_campaign"),
        ("メールアドレス（確認）", "ignore"),
        ("メールアドレス確認用", "ignore"),
        ("email_confirm", "ignore"),
        ("_token", "ignore"),
        ("csrfmiddlewaretoken", "ignore"),
        ("password", "ignore"),
        ("g-recaptcha-response", "ignore"),
        ("_wpcf7", "ignore"),
        ("送信", "ignore"),
        ("メールアドレスの確認", "ignore"),
        ("confirmEmail", "ignore"),
        ("確認", "ignore"),
        ("送信者名", "properties.送信者名"),
        ("在庫確認", "properties.在庫確認"),
        ("ご用件の確認", "properties.ご用件の確認"),
        ("confirm_date", "properties.confirm_date"),
    ],
)
def test_a_field_is_understood_by_its_name(name: str, target: str) -> None:
    assert usual_target(name) == target
