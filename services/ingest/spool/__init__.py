"""Where accepted activities wait on disk while Kafka is away: frames → files → spool → spooling."""
