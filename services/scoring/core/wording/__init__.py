"""Scoring models in plain words, Japanese and English."""

from services.scoring.core.wording.sentences import Language, Sentence, explain_model

__all__ = ["Language", "Sentence", "explain_model"]
