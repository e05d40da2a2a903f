"""Files: how they are written so that a crash leaves the old one or the new one."""
