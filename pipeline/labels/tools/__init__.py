"""The file formats of annotation tools: rows out of tasks, annotations out of rows."""
