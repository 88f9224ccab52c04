"""What a user sees while the batch runs: live on a terminal, plain lines, or JSON."""
