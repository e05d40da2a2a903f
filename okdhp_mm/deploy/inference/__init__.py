"""Poses in pictures and videos: read them, run a student, write and draw the results."""
