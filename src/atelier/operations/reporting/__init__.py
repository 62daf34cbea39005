"""`atelier report`: what the pipeline has left, as one page that needs nothing else.

facts.py reads what there is, with registered.py and sheets.py; figures.py, distances.py and
tables.py say what stands beside what; charts.py and pictures.py draw; page.py puts it together, in
the words of page.html. Nothing is trained or scored.
"""
