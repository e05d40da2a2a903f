"""Shared parts of the commands: arguments, configs, runners and the printing of errors."""
