"""Recipes: training configs made from stock configs, methods, or own data."""
