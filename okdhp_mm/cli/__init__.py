"""What the commands share: arguments, configs, runners and the printing of errors."""
