"""Convert annotated videos of other formats to COCO-like files with identities."""
