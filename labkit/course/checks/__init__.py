"""What the exercises check, one topic a file: each check looks at a host and says what it saw."""
