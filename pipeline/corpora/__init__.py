"""Labelled texts from tables of any kind, in the form that training takes."""
