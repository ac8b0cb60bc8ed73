"""`python -m services.scoring`."""

from services.scoring.app import make_app
from services.scoring.settings import ScoringSettings
from shared.settings import load
from shared.web import serve

if __name__ == "__main__":
    serve(make_app, load(ScoringSettings), default_port=8002)
