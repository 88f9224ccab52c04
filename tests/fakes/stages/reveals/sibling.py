"""What a stage keeps beside itself."""

ANSWER = 42
