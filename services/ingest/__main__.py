"""`python -m services.ingest`."""

import gc

if __name__ == "__main__":
    # A helper loads this file too, and needs nothing of it.
    gc.disable()  # loading makes nothing that could be freed: a killed process is back sooner without looking for it

    from services.ingest.run import main

    main()
