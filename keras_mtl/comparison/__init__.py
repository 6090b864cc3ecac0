"""`python -m keras_mtl compare`: strategies and backends side by side.

The parent process reads the settings, starts one worker process per backend
and writes the reports; a worker trains. What they have in common is the folder
of results, in which each finished run is a file of its own.
"""
