"""What a program is worth: pure functions from a staged outcome to a number. Never imports torch."""
