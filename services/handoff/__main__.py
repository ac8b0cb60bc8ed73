"""`python -m services.handoff`."""

from services.handoff.app import make_app
from services.handoff.settings import HandoffSettings
from shared.settings import load
from shared.web import serve

if __name__ == "__main__":
    serve(make_app, load(HandoffSettings), default_port=8003)
