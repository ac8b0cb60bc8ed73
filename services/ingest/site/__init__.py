"""What a company's own pages and mails send: forms, the page tag, tracked links. Pure: no clock, no network."""
