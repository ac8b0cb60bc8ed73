"""Which test shows which rule of the score. A rule without a test of its own has no place here, and no test is missing."""

# ruff: noqa: E501 - names of tests are as long as they are

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[2]
CORE, LIVE, CROSSING = "unit/scoring/core/", "integration/scoring/", "unit/handoff/core/"

RULES = {
    "the law": {
        "a score is a function of the set": f"{CORE}test_law.py::test_any_path_leads_to_the_oracles_score",
        "order, repetitions and batches change nothing": f"{CORE}test_law.py::test_order_duplicates_and_batches_change_nothing",
        "the same id again with another body leaves the first": f"{LIVE}test_handler.py::test_another_body_under_a_known_id_leaves_the_first",
        "a fast clock is set back": "unit/shared/test_activity.py::test_a_fast_clock_is_set_back_and_its_word_kept",
        "which thing it was about": f"{CORE}test_rules.py::test_object_key",
        "one thing across types": f"{CORE}test_rules.py::test_one_thing_is_paid_once_across_types",
    },
    "the model file": {
        "keys are text, nothing is YAML 1.1": f"{CORE}test_model.py::test_keys_are_text_and_nothing_is_yaml_1_1",
        "refused whole, every fault with its path": f"{CORE}test_model.py::test_every_fault_is_named_with_path_and_line",
        "ids, points, bounds, groups, empty blocks, spans": f"{CORE}test_model.py::test_a_faulty_rule_is_refused",
        "defaults": f"{CORE}test_model.py::test_a_model_of_only_a_name_has_the_defaults",
        "one type, a list, every type": f"{CORE}test_small_print.py::test_every_type_means_types_that_nobody_knows_too",
        "signals": f"{CORE}test_lead_facts.py::test_signals_see_the_activity_and_the_lead",
    },
    "conditions": {
        "operators, no coercion, lists, NFKC and case": "unit/shared/test_conditions.py::test_operators",
        "missing fulfils nothing but exists: false": "unit/shared/test_conditions.py::test_a_missing_value_fulfils_nothing",
        "all, any and none together": "unit/shared/test_conditions.py::test_all_any_and_none_hold_together",
        "patterns": "unit/shared/test_conditions.py::test_patterns",
        "no pattern hangs": "unit/shared/test_conditions.py::test_hostile_patterns_take_linear_time",
        "attributes as of the instant": f"{CORE}test_lead_facts.py::test_rules_see_attributes_as_of_the_instant_asked_for",
        "a changed attribute folds again": f"{LIVE}test_handler.py::test_an_attribute_that_rules_ask_about_is_seen_by_earlier_activities",
        "months only in steps": f"{CORE}test_model.py::test_a_faulty_rule_is_refused",
    },
    "engagement": {
        "each repeat policy": f"{CORE}test_rules.py::test_repeat",
        "daily maximum": f"{CORE}test_rules.py::test_daily_max_counts_local_days_and_what_is_denied_counts_for_nothing",
        "what is denied leaves its object": f"{CORE}test_rules.py::test_an_activity_denied_by_the_day_leaves_its_object_unpaid",
        "window": f"{CORE}test_rules.py::test_window_ends_at_its_age",
        "half-life, rounded once, ties to even": f"{CORE}test_rules.py::test_half_life_sums_unrounded_entries_and_rounds_ties_to_even",
        "less than a cent is nothing": f"{CORE}test_small_print.py::test_an_entry_of_a_half_life_below_a_cent_is_nothing_whatever_its_sign",
        "steps by months": f"{CORE}test_rules.py::test_month_steps_follow_the_local_calendar",
        "linear and compound": f"{CORE}test_worked_examples.py::test_example_3_step_decay_by_months",
        "cells": f"{CORE}test_rules.py::test_cells_pay_the_first_true_one_and_count_everything",
        "a rule's own bounds, and room that reopens": f"{CORE}test_rules.py::test_a_rule_clamps_itself_and_room_reopens_as_points_fade",
        "groups": f"{CORE}test_worked_examples.py::test_example_6_a_group_has_its_maximum",
        "inactivity between groups and the clamp": f"{CORE}test_rules.py::test_inactivity_comes_between_groups_and_the_clamp_of_engagement",
        "what is no sign of life": f"{CORE}test_rules.py::test_what_only_happens_to_a_lead_is_no_sign_of_life",
        "clamps on empty sums": f"{CORE}test_small_print.py::test_clamps_apply_to_empty_sums_and_exist_only_where_named",
        "recycling": f"{CORE}test_lead_facts.py::test_recycling_weakens_what_came_before",
    },
    "fit, total, bands": {
        "fit never decays": f"{CORE}test_small_print.py::test_fit_never_decays_and_follows_the_attributes_of_the_instant",
        "the last value that is not empty": f"{CORE}test_lead_facts.py::test_the_last_value_that_is_not_empty_wins",
        "what is empty": f"{CORE}test_small_print.py::test_zero_and_false_are_values_and_nothing_and_the_empty_text_are_not",
        "clamps and coverage": f"{CORE}test_lead_facts.py::test_fit_clamps_and_coverage",
        "below the lowest bound": f"{CORE}test_small_print.py::test_below_the_lowest_bound_counts_as_the_lowest_band",
        "stages": f"{CORE}test_lead_facts.py::test_a_lead_stands_in_the_last_stage_that_holds",
        "points by hand": f"{CORE}test_small_print.py::test_points_by_hand_count_from_when_they_were_given_until_they_expire",
        "reasons add up, in order": f"{CORE}test_small_print.py::test_reasons_come_in_the_order_of_the_model_with_corrections_behind_and_none_is_zero",
        "an excluded lead": f"{CORE}test_lead_facts.py::test_an_excluded_lead_has_no_score",
        "several models": f"{LIVE}test_model_versions.py::test_a_second_model_scores_beside_the_primary_until_it_is_retired",
    },
    "time": {
        "a level": f"{LIVE}test_timer.py::test_a_level_that_time_takes_is_published_within_a_minute",
        "a watched value, else a point": f"{LIVE}test_timer.py::test_a_watched_total_is_published_and_otherwise_every_point",
        "nothing else": f"{LIVE}test_timer.py::test_what_does_not_matter_is_not_published",
        "a stage": f"{LIVE}test_timer.py::test_a_stage_that_time_takes_is_published_and_told",
        "inactivity and expiry": f"{LIVE}test_timer.py::test_inactivity_and_expiry_are_published",
        "dated ahead": f"{LIVE}test_timer.py::test_an_activity_dated_ahead_is_published_when_its_time_has_come",
        "set-wise": f"{LIVE}test_timer.py::test_a_hundred_thousand_due_in_one_minute_do_not_hold_up_activities",
        "a threshold nobody watches": "unit/handoff/test_config.py::test_thresholds_that_time_may_cross_unseen_are_warned_of",
    },
    "who is a lead": {
        "addresses": "unit/shared/test_identity.py::test_addresses_have_one_form",
        "telephones": "unit/shared/test_identity.py::test_phones",
        "different addresses are never merged": f"{LIVE}test_handler.py::test_two_emails_never_become_one",
        "by hand they can be": f"{LIVE}test_merging.py::test_two_addresses_of_one_person_become_one_lead",
        "a shared browser": f"{CORE}test_linking.py::test_a_shared_browser_belongs_to_the_email_it_appeared_with_first",
        "shared mailboxes": f"{LIVE}test_handler.py::test_a_shared_mailbox_names_no_one_but_keeps_people_apart",
        "unreadable addresses": "unit/ingest/cards/test_cards.py::test_unreadable_addresses_identify_nobody",
        "a card without mail and phone": "unit/ingest/cards/test_cards.py::test_a_card_without_mail_and_phone_is_known_by_company_and_name",
        "who survives": f"{LIVE}test_merging.py::test_the_identified_survives_and_else_the_older",
        "two become one": f"{CORE}test_worked_examples.py::test_example_5_two_leads_become_one",
        "unmerge": f"{LIVE}test_merging.py::test_a_merge_by_hand_is_undone",
        "not merged again": f"{LIVE}test_merging.py::test_an_automatic_merge_is_undone_and_does_not_come_back",
        "everybody, whatever is said when": f"{CORE}test_crowd.py::test_everybody_ends_where_the_oracle_says",
    },
    "bots, consent, erasure": {
        "one hit": f"{CORE}test_verdicts.py::test_a_hit_alone",
        "three links": f"{CORE}test_verdicts.py::test_three_links_of_one_mail_within_ten_seconds",
        "three networks": f"{CORE}test_verdicts.py::test_three_networks_within_two_minutes",
        "unsubscribing and a link": f"{CORE}test_verdicts.py::test_unsubscribing_and_a_content_link_within_a_minute",
        "earns nothing, is not counted": f"{CORE}test_lead_facts.py::test_a_bot_earns_nothing_and_is_not_counted",
        "taken back": f"{CORE}test_verdicts.py::test_a_late_sign_takes_back_what_was_paid",
        "forms are not suppressed": f"{CORE}test_verdicts.py::test_forms_bookings_and_attendance_are_not_suppressed",
        "withdrawal": f"{CORE}test_consent.py::test_withdrawal_takes_effect_from_its_instant",
        "stored or dropped": f"{LIVE}test_erasing.py::test_what_came_without_consent_is_stored_or_dropped_and_never_scored",
        "proof": f"{CORE}test_consent.py::test_every_word_is_kept_with_its_proof",
        "export": f"{LIVE}test_erasing.py::test_an_export_holds_everything",
        "erasure": f"{LIVE}test_erasing.py::test_an_erased_person_leaves_nothing_but_keyed_hashes",
        "nothing comes back": f"{LIVE}test_erasing.py::test_what_was_recorded_before_an_erasure_never_comes_back",
        "a new lead": f"{LIVE}test_erasing.py::test_later_activity_is_of_a_new_lead",
    },
    "versions": {
        "immutable": f"{LIVE}test_model_drafts.py::test_what_was_published_never_changes",
        "an edit of what was read": f"{LIVE}test_model_drafts.py::test_an_edit_needs_the_version_that_was_read",
        "silent, and back": f"{LIVE}test_model_versions.py::test_a_publication_switches_every_lead_silently_and_rolls_back",
        "the earlier one serves": f"{LIVE}test_model_versions.py::test_the_earlier_version_serves_a_lead_until_it_is_switched",
        "at a rate": f"{LIVE}test_model_versions.py::test_crossings_are_released_at_the_chosen_rate_best_first",
        "shadows": f"{LIVE}test_model_versions.py::test_a_shadow_scores_the_same_traffic_on_a_topic_of_its_own",
        "files and API": f"{LIVE}test_model_versions.py::test_what_the_api_published_wins_until_the_file_changes",
    },
    "explanation": {
        "adds up": f"{CORE}test_explain.py::test_an_explanation_adds_up_to_the_engines_score",
        "denials": f"{CORE}test_explain.py::test_the_daily_maximum_and_a_verdict_deny_by_their_names",
        "what changes next": f"{CORE}test_next_change.py::test_the_first_change_is_found",
        "a difference": f"{CORE}test_explain.py::test_a_difference_adds_up",
        "as it happened, as it was known": f"{LIVE}test_explanation.py::test_the_past_as_it_happened_and_as_it_was_known",
        "what people had said": f"{LIVE}test_explanation.py::test_what_people_said_since_was_not_known_then",
        "the model of then": f"{LIVE}test_explanation.py::test_the_model_of_then_explains_then",
    },
    "crossing": {
        "enter, leave, cooldown, cycles": f"{CROSSING}test_crossing.py::test_scores_over_time",
        "closed first": f"{CROSSING}test_crossing.py::test_not_while_the_handoff_is_open",
        "a gate that passes later": f"{CROSSING}test_crossing.py::test_a_gate_that_passes_later_raises_then",
        "each gate": f"{CROSSING}test_gates.py::test_each_gate",
        "another model": f"{CROSSING}test_crossing.py::test_a_rule_may_ask_for_another_model",
        "expiry": f"{CROSSING}test_judging.py::test_a_handoff_without_answer_expires_by_the_time_of_the_states",
        "instant": f"{CROSSING}test_triggers.py::test_an_instant_activity_passes_the_score_but_not_the_gates",
        "silent": f"{CROSSING}test_crossing.py::test_silent_judging_marks_as_met_without_a_cycle_or_cooldown",
        "settle": f"{CROSSING}test_triggers.py::test_a_crossing_by_a_mail_click_waits_for_the_verdict",
        "merge": f"{CROSSING}test_crossing.py::test_the_union_of_a_merge",
        "two open handoffs": f"{CROSSING}test_judging.py::test_of_two_open_handoffs_the_older_stays_and_blocks",
        "later records of a merged id": f"{CROSSING}test_judging.py::test_later_records_of_a_merged_lead_are_ignored",
        "at the run": f"{CROSSING}test_collecting.py::test_the_run_hands_over_who_is_still_at_leave_and_lets_the_others_lapse",
        "all hot now": f"{CROSSING}test_collecting.py::test_hot_now",
    },
    "accounts": {
        "which one": f"{CORE}test_accounts.py::test_what_names_an_account",
        "damped": f"{CORE}test_accounts.py::test_damped_is_the_best_five_each_half_of_the_one_before",
        "average of the active": f"{CORE}test_accounts.py::test_the_average_is_of_the_active_and_the_excluded_count_nowhere",
        "legal forms": "unit/shared/test_companies.py::test_one_company_by_whatever_form",
        "crossings of their own": f"{CROSSING}test_accounts.py::test_a_rise_is_one_record_and_a_dip_above_leave_raises_nothing",
    },
}  # fmt: skip


@pytest.mark.parametrize("section", RULES)
def test_every_rule_has_its_test(section: str) -> None:
    missing = []
    for rule, place in RULES[section].items():
        file, _, name = place.partition("::")
        if not re.search(rf"^(async )?def {name}\(", (TESTS / file).read_text(encoding="utf-8"), re.M):
            missing.append(f"{rule}: {place}")
    assert missing == []
